//! The committer: a pure machine that turns batches into durable frames.
//!
//! Holds: `acked <= durable <= written <= assigned` after every event; frames are released in their
//! order whatever the order of their completions; a frame is handed to the disk only when its
//! segment is prepared and the slot that names the segment is durable; after one failed write
//! nothing is submitted, retried or released. With a mirror, durable means on both members; after a
//! failed write on one of them nothing is released until the record that says so is durable on the
//! other.
//! Leaves to others: buffers, rings and clocks (`engine`), what a batch means (`ledger`).
//!
//! Group commit has no timer: while frames are in flight the caller's next batch gathers, and
//! [`Committer::may_begin`] says when it may become a frame.

mod effect;
mod event;
mod flights;
mod members;
mod slots;

pub use effect::{Declined, EFFECTS_MAX, Effect, Effects, Poison};
pub use event::{Batch, Event, WriteFailure};
use flights::{Flight, FlightState, Flights};
use members::Members;
use model::{Epoch, Incarnation, Instant, LedgerId, Nanos, Seq, limits::FRAMES_IN_FLIGHT_MAX};
use slots::Slots;

use crate::{
    Active, FrameHash, FrameHeader, FrameKey, FrameNumber, Frontiers, Geometry, Member, Membership, Position,
    SegmentNumber, Slot, frame,
};

/// The shortest span between two writes of the slot that nobody asked for.
pub const SLOT_EVERY: Nanos = Nanos::from_millis(100);
/// How long after the last frame the empty frame follows that carries its frontier.
pub const IDLE_FRAME_AFTER: Nanos = Nanos::from_secs(1);

/// Whose frames, and of which start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The ledger.
    pub ledger: LedgerId,
    /// Which life of the ledger.
    pub incarnation: Incarnation,
    /// Which start: above the epoch of every frame in the journal.
    pub epoch: Epoch,
}

/// Where the journal goes on: what recovery found, after it was flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume {
    /// Where the next frame begins.
    pub next: Position,
    /// The last frame.
    pub frame: FrameNumber,
    /// That frame's hash.
    pub hash: FrameHash,
    /// The last entry.
    pub seq: Seq,
    /// Leaves of the tree that the last frame names.
    pub tree_size: u64,
    /// The root of that tree.
    pub root: [u8; 32],
    /// Whether the last frame says all there is to say: it is empty, or there is none.
    pub quiet: bool,
    /// Bytes that recovery cut, told in the first frame.
    pub cut_bytes: u64,
}

impl Resume {
    /// The beginning of a ledger whose empty tree has the root `root`.
    #[must_use]
    pub const fn genesis(root: [u8; 32]) -> Self {
        Self {
            next: Position { segment: SegmentNumber(0), offset: 0 },
            frame: FrameNumber::ZERO,
            hash: FrameHash::GENESIS,
            seq: Seq::ZERO,
            tree_size: 0,
            root,
            quiet: true,
            cut_bytes: 0,
        }
    }
}

/// All that a committer is made from.
#[derive(Clone, Debug)]
pub struct Start {
    /// Whose frames.
    pub identity: Identity,
    /// The journal's sizes.
    pub geometry: Geometry,
    /// The journal's key.
    pub key: FrameKey,
    /// Where to go on.
    pub resume: Resume,
    /// The newest slot on disk.
    pub slot: Slot,
    /// Who has to have a frame before it is answered for.
    pub membership: Membership,
    /// Frames in flight at once, 1 to `limits::FRAMES_IN_FLIGHT_MAX`.
    pub in_flight_max: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    Stopping,
    Stopped,
    Poisoned,
}

/// The machine. One for each journal, owned by one thread.
#[derive(Debug)]
pub struct Committer {
    identity: Identity,
    geometry: Geometry,
    key: FrameKey,
    in_flight_max: usize,
    state: State,
    frontiers: Frontiers,
    flights: Flights,
    slots: Slots,
    members: Members,
    /// Where the next frame would begin, if it fits.
    next: Position,
    /// The last frame sealed.
    frame: FrameNumber,
    hash: FrameHash,
    tree_size: u64,
    /// The last frame released.
    durable_frame: FrameNumber,
    /// Bytes prepared of the segment of `next`, and of the one after it.
    ready: [u64; 2],
    /// The first segment that nobody was asked to prepare.
    unasked: SegmentNumber,
    /// Told in the next frame, then zero.
    cut_bytes: u64,
    /// Whether no empty frame is called for: the last one is empty.
    quiet: bool,
    last_begin: Instant,
    last_wanted: Option<Instant>,
}

impl Committer {
    /// A committer that goes on where `start` says. Its first event should be `Tick`, which asks
    /// for the segments it needs.
    ///
    /// # Panics
    /// If `in_flight_max` is out of range or the parts of `start` contradict each other.
    #[must_use]
    pub fn new(start: Start, now: Instant) -> Self {
        let Start { identity, geometry, key, resume, slot, membership, in_flight_max } = start;
        assert!((1..=FRAMES_IN_FLIGHT_MAX).contains(&in_flight_max));
        assert!(slot.ledger == identity.ledger && membership.ledger == identity.ledger);
        assert!(slot.frame <= resume.frame, "the slot's frame was recovered");
        assert!(resume.tree_size <= resume.seq.0);
        Self {
            identity,
            geometry,
            key,
            in_flight_max,
            state: State::Running,
            frontiers: Frontiers::level(resume.seq),
            flights: Flights::default(),
            slots: Slots::new(slot, identity, &resume, now),
            members: Members::new(membership),
            next: resume.next,
            frame: resume.frame,
            hash: resume.hash,
            tree_size: resume.tree_size,
            durable_frame: resume.frame,
            ready: [0; 2],
            unasked: resume.next.segment,
            cut_bytes: resume.cut_bytes,
            quiet: resume.quiet && resume.cut_bytes == 0,
            last_begin: now,
            last_wanted: None,
        }
    }

    /// The four marks.
    #[must_use]
    pub const fn frontiers(&self) -> Frontiers {
        self.frontiers
    }

    /// The last frame whose durability, with all before it, was reported.
    #[must_use]
    pub const fn durable_frame(&self) -> FrameNumber {
        self.durable_frame
    }

    /// The number that the next frame will have.
    #[must_use]
    pub const fn next_frame(&self) -> FrameNumber {
        self.frame.next()
    }

    /// The number of the first entry of the next frame.
    #[must_use]
    pub const fn next_seq(&self) -> Seq {
        self.frontiers.assigned.next()
    }

    /// Frames sealed and not yet released.
    #[must_use]
    pub const fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// Whether nothing more will be written because a write failed.
    #[must_use]
    pub const fn is_poisoned(&self) -> bool {
        matches!(self.state, State::Poisoned)
    }

    /// Who has to have a frame before it is answered for.
    #[must_use]
    pub const fn membership(&self) -> Membership {
        self.members.membership()
    }

    /// Bytes of the largest frame that the prepared segments take without waiting for more zeros.
    #[must_use]
    pub fn prepared_bytes(&self) -> usize {
        let segment_bytes = self.geometry.segment_bytes();
        let here = self.ready[0].saturating_sub(self.next.offset);
        // What does not fit into the rest of a segment goes to the beginning of the next one.
        let room = if self.ready[0] == segment_bytes { here.max(self.ready[1]) } else { here };
        usize::try_from(room).unwrap_or(usize::MAX).min(self.geometry.frame_bytes_max())
    }

    /// Whether a batch may become a frame now. A caller that asks first is never declined for
    /// want of a place.
    #[must_use]
    pub fn may_begin(&self) -> bool {
        self.state == State::Running && self.has_room()
    }

    /// When the next `Tick` has something to do, if nothing else happens.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        if self.state != State::Running {
            return None;
        }
        let idle = self.wants_idle_frame().then(|| self.idle_due());
        let slot = self.slots.deadline(self.durable_frame);
        match (idle, slot) {
            (Some(idle), Some(slot)) => Some(idle.min(slot)),
            (one, other) => one.or(other),
        }
    }

    /// Takes one event and appends what is to be done. Every event has an answer in every state.
    ///
    /// # Panics
    /// If `out` was not emptied, or a batch contradicts the journal (its first number, its length,
    /// its tree): bugs of the caller, not events.
    pub fn apply(&mut self, now: Instant, event: Event<'_>, out: &mut Effects) {
        assert!(out.is_empty(), "effects are acted on before the next event");
        let before = self.frontiers;
        match event {
            Event::Begin(batch) => self.begin(now, batch, out),
            Event::Persisted { member, frame, result } => self.persisted(member, frame, result, out),
            Event::Prepared { segment, bytes } => self.prepared(segment, bytes),
            Event::PrepareFailed { member, failure } => self.prepare_failed(member, failure, out),
            Event::SlotWritten { member, sequence, result } => {
                self.slot_written(member, sequence, result, out);
            }
            Event::MembershipWritten { generation, result } => {
                self.membership_written(generation, result, out);
            }
            Event::BackendFailed { failure } => self.backend_failed(failure, out),
            Event::Publish => self.slots.hurry(),
            Event::Tick => {}
            Event::Stop => self.stop(out),
        }
        if matches!(self.state, State::Running | State::Stopping) {
            self.submit(out);
            self.prepare(out);
            self.write_slot(now, out);
            self.idle(now, out);
        }
        let after = self.frontiers;
        assert!(after.are_ordered(), "{after:?}");
        assert!(
            after.acked >= before.acked
                && after.durable >= before.durable
                && after.written >= before.written
                && after.assigned >= before.assigned,
            "no mark goes back: {before:?} {after:?}"
        );
    }

    fn begin(&mut self, now: Instant, batch: Batch<'_>, out: &mut Effects) {
        let declined = match self.state {
            State::Poisoned => Some(Declined::Poisoned),
            State::Stopping | State::Stopped => Some(Declined::Stopping),
            State::Running if !self.has_room() => Some(Declined::Busy),
            State::Running => None,
        };
        let Some(bytes) = self.geometry.frame_bytes(batch.payload_bytes) else {
            return out.push(Effect::Declined(declined.unwrap_or(Declined::TooLarge)));
        };
        if let Some(declined) = declined {
            return out.push(Effect::Declined(declined));
        }
        assert!(batch.first_seq == self.next_seq(), "a batch goes on where the last one ended");
        let last = Seq(self.frontiers.assigned.0 + u64::from(batch.count));
        assert!((self.tree_size..=last.0).contains(&batch.tree_size), "the tree grows, up to this frame");

        let position = self.place(bytes);
        let header = self.header(&batch, position);
        let sealed = frame::seal(&header, &self.key, self.geometry, batch.buffer);
        assert!(sealed.frame_bytes == bytes);

        self.frame = header.frame;
        self.hash = sealed.hash;
        self.tree_size = batch.tree_size;
        self.cut_bytes = 0;
        self.frontiers.assigned = last;
        self.next = Position { segment: position.segment, offset: position.offset + bytes as u64 };
        self.quiet = batch.count == 0;
        self.last_begin = now;
        self.last_wanted = None;
        self.flights.push(Flight {
            frame: header.frame,
            last,
            position,
            bytes,
            hash: sealed.hash,
            tree_size: batch.tree_size,
            root: batch.root,
            state: FlightState::Sealed,
        });
    }

    fn header(&self, batch: &Batch<'_>, position: Position) -> FrameHeader {
        FrameHeader {
            ledger: self.identity.ledger,
            incarnation: self.identity.incarnation,
            epoch: self.identity.epoch,
            frame: self.frame.next(),
            position,
            first_seq: batch.first_seq,
            count: batch.count,
            at: batch.at,
            previous: self.hash,
            durable_frame: self.durable_frame,
            durable: self.frontiers.durable,
            tree_size: batch.tree_size,
            root: batch.root,
            cut_bytes: self.cut_bytes,
            payload_bytes: u32::try_from(batch.payload_bytes).expect("a frame is at most 8 MiB"),
        }
    }

    /// Where a frame of `bytes` goes: here if it fits, else the next segment's beginning. What is
    /// left of a segment stays zero, and recovery finds the chain going on in the next.
    fn place(&mut self, bytes: usize) -> Position {
        if self.next.offset + bytes as u64 <= self.geometry.segment_bytes() {
            return self.next;
        }
        self.ready = [self.ready[1], 0];
        Position { segment: self.next.segment.next(), offset: 0 }
    }

    /// Room for one more frame: a place in flight, and none waiting for its segment already.
    fn has_room(&self) -> bool {
        self.flights.len() < self.in_flight_max && self.flights.sealed().is_none()
    }

    fn persisted(
        &mut self,
        member: Member,
        frame: FrameNumber,
        result: Result<(), WriteFailure>,
        out: &mut Effects,
    ) {
        if !self.awaits(member, out) {
            return;
        }
        if let Err(failure) = result {
            return self.failed(member, Poison::Frame { frame, failure }, out);
        }
        if !self.flights.complete(frame, member) {
            return self.poison(Poison::Unasked, out);
        }
        self.release(out);
    }

    /// Whether word from this member is waited for.
    fn awaits(&mut self, member: Member, out: &mut Effects) -> bool {
        // Whatever comes back from a member that was given up changes nothing.
        if self.members.is_lost(member) {
            return false;
        }
        match self.state {
            // What was in flight when a write failed has an unknown fate, whatever comes back now.
            State::Poisoned => false,
            State::Running | State::Stopping if self.members.active().has(member) => true,
            // Nothing is in flight any more, so this was never asked for.
            State::Stopped | State::Running | State::Stopping => {
                self.poison(Poison::Unasked, out);
                false
            }
        }
    }

    /// A write failed on one member. If the other is there the ledger goes on with it alone, as soon
    /// as its record says so; nothing is released before.
    fn failed(&mut self, member: Member, cause: Poison, out: &mut Effects) {
        match self.members.lose(member) {
            Some(membership) => out.push(Effect::WriteMembership { membership, cause }),
            None => self.poison(cause, out),
        }
    }

    /// Releases the frames that every active member has, in their order.
    fn release(&mut self, out: &mut Effects) {
        if !self.members.is_settled() {
            return;
        }
        while let Some(flight) = self.flights.pop_complete(self.members.active()) {
            assert!(flight.frame == self.durable_frame.next(), "frames are released in order");
            self.durable_frame = flight.frame;
            self.frontiers.durable = flight.last;
            self.frontiers.acked = flight.last;
            self.slots.advance(&flight);
            out.push(Effect::Release { frame: flight.frame, through: flight.last });
        }
    }

    fn prepared(&mut self, segment: SegmentNumber, bytes: u64) {
        let bytes = bytes.min(self.geometry.segment_bytes());
        if segment == self.next.segment {
            self.ready[0] = self.ready[0].max(bytes);
        } else if segment == self.next.segment.next() {
            self.ready[1] = self.ready[1].max(bytes);
        }
        // Word of any other segment comes too late or too early to be of use.
    }

    fn prepare_failed(&mut self, member: Member, failure: WriteFailure, out: &mut Effects) {
        let goes_on = matches!(self.state, State::Running | State::Stopping);
        if goes_on && self.members.active() == Active::Both {
            self.failed(member, Poison::Segment { failure }, out);
        }
    }

    fn slot_written(
        &mut self,
        member: Member,
        sequence: u64,
        result: Result<(), WriteFailure>,
        out: &mut Effects,
    ) {
        if !self.awaits(member, out) {
            return;
        }
        if let Err(failure) = result {
            return self.failed(member, Poison::Slot { failure }, out);
        }
        if !self.slots.written(sequence, member) {
            return self.poison(Poison::Unasked, out);
        }
        self.settle_slot(out);
    }

    /// The slot that every active member has is durable.
    fn settle_slot(&mut self, out: &mut Effects) {
        if !self.members.is_settled() {
            return;
        }
        let Some(slot) = self.slots.settle(self.members.active()) else { return };
        out.push(Effect::Published { tree_size: slot.tree_size, root: slot.root });
        if slot.clean {
            assert!(self.flights.len() == 0 && slot.frame == self.frame);
            self.state = State::Stopped;
            out.push(Effect::Stopped { clean: true });
        }
    }

    fn membership_written(&mut self, generation: u64, result: Result<(), WriteFailure>, out: &mut Effects) {
        match self.state {
            State::Poisoned => return,
            State::Stopped => return self.poison(Poison::Unasked, out),
            State::Running | State::Stopping => {}
        }
        if let Err(failure) = result {
            return self.poison(Poison::Membership { failure }, out);
        }
        if !self.members.written(generation) {
            return self.poison(Poison::Unasked, out);
        }
        self.release(out);
        self.settle_slot(out);
    }

    fn backend_failed(&mut self, failure: WriteFailure, out: &mut Effects) {
        if matches!(self.state, State::Running | State::Stopping) {
            self.poison(Poison::Backend { failure }, out);
        }
    }

    fn stop(&mut self, out: &mut Effects) {
        match self.state {
            State::Running => self.state = State::Stopping,
            State::Stopping => {}
            State::Stopped => out.push(Effect::Stopped { clean: true }),
            State::Poisoned => out.push(Effect::Stopped { clean: false }),
        }
    }

    fn poison(&mut self, poison: Poison, out: &mut Effects) {
        let stopping = self.state == State::Stopping;
        self.state = State::Poisoned;
        out.push(Effect::Poisoned(poison));
        if stopping {
            out.push(Effect::Stopped { clean: false });
        }
    }

    /// Hands the waiting frame, if there is one, to the disk as soon as its place may be written.
    fn submit(&mut self, out: &mut Effects) {
        let Some(flight) = self.flights.sealed() else { return };
        let end = flight.position.offset + flight.bytes as u64;
        assert!(flight.position.segment == self.next.segment, "a waiting frame is the last");
        if flight.position.segment > self.slots.segment() || end > self.ready[0] {
            return;
        }
        let effect = Effect::Persist { frame: flight.frame, position: flight.position, bytes: flight.bytes };
        self.frontiers.written = flight.last;
        self.flights.submitted();
        out.push(effect);
    }

    /// Asks for the segment of the next frame and for the one after it, each once.
    fn prepare(&mut self, out: &mut Effects) {
        while self.unasked <= self.next.segment.next() {
            out.push(Effect::PrepareSegment(self.unasked));
            self.unasked = self.unasked.next();
        }
    }

    fn write_slot(&mut self, now: Instant, out: &mut Effects) {
        // A segment is announced as soon as it is prepared, long before a frame needs it.
        let announced = match self.ready {
            [0, 0] => self.slots.segment(),
            [_, 0] => self.next.segment,
            [_, _] => self.next.segment.next(),
        };
        let finished = self.flights.len() == 0 && self.members.is_settled();
        let clean = self.state == State::Stopping && finished;
        if let Some(slot) = self.slots.next(now, announced, clean) {
            assert!(slot.durable <= self.frontiers.durable && slot.tree_size <= slot.durable.0);
            out.push(Effect::WriteSlot { copy: slot.copy(), slot });
        }
    }

    fn wants_idle_frame(&self) -> bool {
        !self.quiet && self.flights.len() == 0
    }

    fn idle_due(&self) -> Instant {
        self.last_wanted.unwrap_or(self.last_begin).max(self.last_begin).after(IDLE_FRAME_AFTER)
    }

    fn idle(&mut self, now: Instant, out: &mut Effects) {
        if self.state == State::Running && self.wants_idle_frame() && now >= self.idle_due() {
            self.last_wanted = Some(now);
            out.push(Effect::WantIdleFrame);
        }
    }
}

#[cfg(test)]
mod mirror_tests;
#[cfg(test)]
mod tests;
