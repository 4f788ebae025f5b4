//! `Intake`: one bounded lane per source, served by deficit round robin in bytes.
//!
//! Holds: a lone spend does not stand behind a bulk load (M. Shreedhar, G. Varghese, "Efficient
//! fair queueing using deficit round robin", 1995); money has the larger quantum, slices keep a
//! share. Leaves to others: deciding what a call means (`Pipeline`).

use model::limits::{EXT_BYTES, RECORD_BYTES};
use wire::{Answer, Ask, Call};

use crate::source::Inlet;

/// Which lane a call came from, and its answer goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LaneId(usize);

/// What a lane carries, which sets its share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneKind {
    /// Spends: the larger share.
    Money,
    /// Slices of usage: the smaller share.
    Slices,
}

impl LaneKind {
    /// Bytes that a lane may take per round.
    const fn quantum(self) -> usize {
        match self {
            Self::Money => 64 << 10,
            Self::Slices => 16 << 10,
        }
    }
}

/// All lanes of the committer.
#[derive(Debug, Default)]
pub struct Intake {
    lanes: Vec<Lane>,
    turn: usize,
    /// A call that needs more than this fits in no frame; zero for no limit.
    largest: usize,
}

#[derive(Debug)]
struct Lane {
    inlet: Inlet<Call, Answer>,
    kind: LaneKind,
    head: Option<Call>,
    deficit: usize,
}

impl Intake {
    /// Adds a lane. Only before the loop starts.
    pub fn add(&mut self, inlet: Inlet<Call, Answer>, kind: LaneKind) -> LaneId {
        self.lanes.push(Lane { inlet, kind, head: None, deficit: 0 });
        LaneId(self.lanes.len() - 1)
    }

    /// A call that needs more than `bytes` fits in no frame: `next` gives it out to be refused.
    pub fn set_largest(&mut self, bytes: usize) {
        self.largest = bytes;
    }

    /// Whether a call waits in any lane.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.lanes.iter().any(|lane| lane.head.is_some() || lane.inlet.is_waiting())
    }

    /// The next call that is due and needs at most `room` bytes of a frame; `None` if nothing
    /// waits, or if what is due does not fit (it stays first in line). What no frame holds is given
    /// out whatever the room.
    pub fn next(&mut self, room: usize) -> Option<(LaneId, Call)> {
        // A call may need many rounds to become due; each pass over the lanes adds a quantum to
        // every lane that waits, so the number of passes is bounded by cost over quantum.
        let largest = if self.largest == 0 { usize::MAX } else { self.largest };
        while self.is_waiting() {
            for _ in 0..self.lanes.len() {
                let id = LaneId(self.turn);
                let lane = self.lanes.get_mut(self.turn).expect("turn stays below the number of lanes");
                match lane.due(room, largest) {
                    Due::Call(call) => return Some((id, call)),
                    Due::TooLarge => return None,
                    Due::NotYet => self.turn = (self.turn + 1) % self.lanes.len(),
                }
            }
        }
        None
    }

    /// Gives an answer to the lane that asked.
    pub fn give(&self, lane: LaneId, answer: Answer) {
        self.lane(lane).inlet.give(answer);
    }

    /// Wakes every asker. Cheap where nobody listens.
    pub fn ring(&self, lane: LaneId) {
        self.lane(lane).inlet.ring();
    }

    /// Questions open and allowed, over all lanes of `kind`.
    #[must_use]
    pub fn fill(&self, kind: LaneKind) -> (usize, usize) {
        self.lanes
            .iter()
            .filter(|lane| lane.kind == kind)
            .map(|lane| lane.inlet.fill())
            .fold((0, 0), |(open, capacity), (lane_open, lane_capacity)| {
                (open + lane_open, capacity + lane_capacity)
            })
    }

    /// Lanes in all.
    pub fn lanes(&self) -> impl Iterator<Item = LaneId> + use<> {
        (0..self.lanes.len()).map(LaneId)
    }

    fn lane(&self, id: LaneId) -> &Lane {
        self.lanes.get(id.0).expect("lane ids come from add")
    }
}

enum Due {
    Call(Call),
    TooLarge,
    NotYet,
}

impl Lane {
    fn due(&mut self, room: usize, largest: usize) -> Due {
        if self.head.is_none() {
            self.head = self.inlet.take();
        }
        let Some(call) = &self.head else {
            self.deficit = 0;
            return Due::NotYet;
        };
        let cost = frame_bytes(&call.ask);
        if self.deficit < cost {
            self.deficit += self.kind.quantum();
            return Due::NotYet;
        }
        if cost > room && cost <= largest {
            return Due::TooLarge;
        }
        self.deficit -= cost;
        Due::Call(self.head.take().expect("looked at above"))
    }
}

/// The most bytes of a frame's payload that a question can need: an entry of money carries a
/// reference and opens the account that it credits; the ledger's own accounts open once.
#[must_use]
pub fn frame_bytes(ask: &Ask) -> usize {
    let record = RECORD_BYTES + EXT_BYTES;
    match ask {
        Ask::Money(group) => group.requests.len() * 2 * record + 2 * record,
        Ask::Slices(slices) => slices.iter().map(|slice| RECORD_BYTES + slice.body.len()).sum(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::{AccountName, Amount, Asset, IdemKey, Kind, Preconditions, Request, Text};
    use wire::{CallId, Group};

    use super::*;
    use crate::{
        bell::Bell,
        source::{Source, source},
    };

    fn call(id: u64, requests: usize) -> Call {
        let request = Request {
            kind: Kind::Transfer,
            debit: AccountName::parse("a").unwrap(),
            credit: AccountName::parse("b").unwrap(),
            asset: Asset::parse("ron").unwrap(),
            amount: Amount::new(1).unwrap(),
            key: IdemKey::new("s", "k", 0),
            preconditions: Preconditions::default(),
            reference: Text::EMPTY,
            idx: 0,
        };
        Call::new(CallId(id), Ask::Money(Group { requests: vec![request; requests], atomic: false }))
    }

    fn lanes(count: usize) -> (Intake, Vec<Source<Call, Answer>>) {
        let bell = Arc::new(Bell::new().unwrap());
        let mut intake = Intake::default();
        let sources = (0..count)
            .map(|_| {
                let (source, inlet) = source(64, Arc::clone(&bell)).unwrap();
                intake.add(inlet, LaneKind::Money);
                source
            })
            .collect();
        (intake, sources)
    }

    #[test]
    fn a_lone_call_does_not_stand_behind_a_bulk_load() {
        let (mut intake, sources) = lanes(2);
        for id in 0..20 {
            sources[0].ask(call(id, 2000)).unwrap();
        }
        sources[1].ask(call(100, 1)).unwrap();
        let order: Vec<u64> =
            std::iter::from_fn(|| intake.next(usize::MAX)).map(|(_, call)| call.id.0).collect();
        assert_eq!(order.len(), 21);
        assert_eq!(order[0], 100, "the small call is due in the first round");
        assert!(order[1..].is_sorted(), "a lane keeps its order");
    }

    #[test]
    fn what_does_not_fit_stays_first_in_line() {
        let (mut intake, sources) = lanes(1);
        sources[0].ask(call(1, 10)).unwrap();
        sources[0].ask(call(2, 1)).unwrap();
        assert!(intake.next(9 * 800).is_none());
        assert_eq!(intake.next(10 * 800 + 800).unwrap().1.id, CallId(1));
        assert_eq!(intake.next(1_600).unwrap().1.id, CallId(2));
        assert!(intake.next(usize::MAX).is_none());
    }

    #[test]
    fn what_fits_in_no_frame_does_not_block_its_lane() {
        let (mut intake, sources) = lanes(1);
        intake.set_largest(8_000);
        sources[0].ask(call(1, 2_000)).unwrap();
        sources[0].ask(call(2, 1)).unwrap();
        assert_eq!(intake.next(8_000).unwrap().1.id, CallId(1), "given out to be refused");
        assert_eq!(intake.next(8_000).unwrap().1.id, CallId(2));
    }
}
