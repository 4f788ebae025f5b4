//! The frames that are sealed and not yet released, in their order.

use model::{Seq, limits::FRAMES_IN_FLIGHT_MAX};

use crate::{Active, FrameHash, FrameNumber, Member, Position};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FlightState {
    /// Waits for its segment.
    Sealed,
    /// Handed to the disk: whether each member has it, though it may not have one before it.
    Submitted([bool; 2]),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub(super) frame: FrameNumber,
    pub(super) last: Seq,
    pub(super) position: Position,
    pub(super) bytes: usize,
    pub(super) hash: FrameHash,
    pub(super) tree_size: u64,
    pub(super) root: [u8; 32],
    pub(super) state: FlightState,
}

/// A ring of at most `FRAMES_IN_FLIGHT_MAX` frames with consecutive numbers.
#[derive(Debug, Default)]
pub(super) struct Flights {
    ring: [Option<Flight>; FRAMES_IN_FLIGHT_MAX],
    first: usize,
    count: usize,
}

impl Flights {
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    pub(super) fn push(&mut self, flight: Flight) {
        assert!(self.count < FRAMES_IN_FLIGHT_MAX);
        assert!(self.last().is_none_or(|last| last.frame.next() == flight.frame));
        let index = (self.first + self.count) % FRAMES_IN_FLIGHT_MAX;
        self.ring[index] = Some(flight);
        self.count += 1;
    }

    /// The frame that waits for its segment; only the last can.
    pub(super) fn sealed(&self) -> Option<&Flight> {
        self.last().filter(|last| last.state == FlightState::Sealed)
    }

    /// The waiting frame was handed to the disk.
    pub(super) fn submitted(&mut self) {
        let index = (self.first + self.count - 1) % FRAMES_IN_FLIGHT_MAX;
        let last = self.ring[index].as_mut().expect("there is a waiting frame");
        assert!(last.state == FlightState::Sealed);
        last.state = FlightState::Submitted([false; 2]);
    }

    /// The frame's write on this member is complete; `false` if no such write was under way.
    pub(super) fn complete(&mut self, frame: FrameNumber, member: Member) -> bool {
        let flight = self.ring.iter_mut().flatten().find(|flight| flight.frame == frame);
        match flight.map(|flight| &mut flight.state) {
            Some(FlightState::Submitted(has)) => !core::mem::replace(&mut has[member.index()], true),
            Some(FlightState::Sealed) | None => false,
        }
    }

    /// Takes the oldest frame if every active member has it.
    pub(super) fn pop_complete(&mut self, active: Active) -> Option<Flight> {
        let flight = self.ring[self.first]?;
        let FlightState::Submitted(has) = flight.state else { return None };
        if !active.members().all(|member| has[member.index()]) {
            return None;
        }
        self.ring[self.first] = None;
        self.first = (self.first + 1) % FRAMES_IN_FLIGHT_MAX;
        self.count -= 1;
        Some(flight)
    }

    fn last(&self) -> Option<&Flight> {
        let index = (self.first + self.count.checked_sub(1)?) % FRAMES_IN_FLIGHT_MAX;
        self.ring[index].as_ref()
    }
}
