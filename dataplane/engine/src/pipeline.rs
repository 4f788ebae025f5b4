//! `Pipeline`: calls gather into a batch, a batch becomes a frame, a durable frame frees answers.
//!
//! The ledger decides, the tree proves, the committer orders; this joins the three. Pure: it is
//! what the simulator runs. Holds: an answer leaves only after every entry in it, and every entry
//! that it repeats, is durable; leaf, tree and frame are computed before anything is submitted.
//! Leaves to others: queues (`Intake`), buffers and rings (`CommitLoop`).

use std::collections::VecDeque;

use journal::{Batch, Committer, Effects, Event, FrameNumber};
use ledger::{Decision, Hash, HashKind, Ledger, Prepared, SliceDecision, Tree};
use model::{
    BatchWriter, Declined, Instant, Outcome, Posting, Reason, Request, Seq, SliceRequest, Timestamp,
    limits::{BATCH_PREAMBLE_BYTES, FRAME_ENTRIES_MAX, FRAMES_IN_FLIGHT_MAX, GROUP_ENTRIES_MAX},
};
use wire::{Answer, Ask, Call, Committed, Group};

use crate::intake::{LaneId, frame_bytes};

/// Calls of one frame that fit without allocating: all that an intake of the default size holds.
const CALLS_RESERVED: usize = 4_096;
/// What is kept of the last prepared room for frames that carry the frontier alone.
const KEPT_BYTES: usize = 64 << 10;
/// What one call about money with one entry may need.
const LONE_BYTES: usize = 2 << 10;
/// The answer where there is no room.
const NO_SPACE: Declined = Declined { reason: Reason::NoSpace, number: 0 };

/// An answer on its way to the lane that asked.
#[derive(Debug)]
pub struct Routed {
    /// Which lane.
    pub lane: LaneId,
    /// When the call was taken.
    pub taken: Instant,
    /// The answer.
    pub answer: Answer,
}

/// What belongs to one batch: gathered, then in flight, then released.
#[derive(Debug, Default)]
pub struct Gathered {
    /// The frame that carries it; zero while it gathers.
    pub frame: FrameNumber,
    /// The tree after it.
    pub committed: Committed,
    /// When its first call was taken.
    pub taken: Instant,
    /// Answers that wait for it.
    pub answers: Vec<Routed>,
    /// Leaf hashes of its entries.
    pub leaves: Vec<Hash>,
}

impl Gathered {
    fn new() -> Self {
        Self {
            answers: Vec::with_capacity(CALLS_RESERVED),
            leaves: Vec::with_capacity(FRAME_ENTRIES_MAX),
            ..Self::default()
        }
    }
}

/// Joins ledger, tree and committer.
#[derive(Debug)]
pub struct Pipeline {
    ledger: Ledger,
    tree: Tree,
    hash: HashKind,
    committer: Committer,
    writer: BatchWriter,
    prepared: Vec<Prepared>,
    gathering: Gathered,
    flights: VecDeque<Gathered>,
    spare: Vec<Gathered>,
    payload_max: usize,
    entries_max: usize,
    /// No more room is coming for now: what is prepared is all there is.
    short: bool,
    /// Nothing new is written even where there is room: what it implies has none.
    shut: bool,
    /// What would write is declined: there is no place for it.
    closed: bool,
}

impl Pipeline {
    /// Goes on where `replay` and `committer` stand. A payload is at most `payload_max` bytes; no
    /// call is added to a batch that has `entries_max` entries.
    #[must_use]
    pub fn new(
        ledger: Ledger,
        tree: Tree,
        hash: HashKind,
        committer: Committer,
        payload_max: usize,
        entries_max: usize,
    ) -> Self {
        assert_eq!(tree.size() + 1, committer.next_seq().0, "ledger and journal stand at the same entry");
        assert!((1..=GROUP_ENTRIES_MAX).contains(&entries_max));
        Self {
            ledger,
            tree,
            hash,
            committer,
            writer: BatchWriter::with_capacity(payload_max),
            prepared: Vec::with_capacity(GROUP_ENTRIES_MAX),
            gathering: Gathered::new(),
            flights: VecDeque::with_capacity(FRAMES_IN_FLIGHT_MAX + 1),
            spare: (0..=FRAMES_IN_FLIGHT_MAX).map(|_| Gathered::new()).collect(),
            payload_max,
            entries_max,
            short: false,
            shut: false,
            closed: false,
        }
    }

    /// Bytes of payload that the batch being gathered still takes; zero if it is full.
    #[must_use]
    pub fn room(&self) -> usize {
        if self.writer.count() >= self.entries_max || self.shut {
            return 0;
        }
        let prepared = self.committer.prepared_bytes().saturating_sub(journal::HEADER_BYTES);
        let kept = if self.short { KEPT_BYTES } else { 0 };
        self.payload_max.min(prepared.saturating_sub(kept)).saturating_sub(self.writer.payload_len())
    }

    /// Bytes that a call needs at most to fit in any frame.
    #[must_use]
    pub fn largest(&self) -> usize {
        self.payload_max - BATCH_PREAMBLE_BYTES
    }

    /// Says whether no more room is coming, and whether what there is may not be used either.
    pub fn set_short(&mut self, short: bool, shut: bool) {
        assert!(self.writer.count() == 0 && (short || !shut));
        (self.short, self.shut) = (short, shut);
    }

    /// Whether a batch begun now has no room for a lone entry, and none is coming.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.short && self.writer.count() == 0 && self.room() < LONE_BYTES
    }

    /// Whether the frame that carries the frontier has a place.
    #[must_use]
    pub fn has_room_for_idle(&self) -> bool {
        // What is prepared is whole strides, and that frame is one.
        self.committer.prepared_bytes() > 0
    }

    /// Whether the batch being gathered may become a frame now.
    #[must_use]
    pub fn may_begin(&self) -> bool {
        self.committer.may_begin()
    }

    /// The committer, to look at.
    #[must_use]
    pub const fn committer(&self) -> &Committer {
        &self.committer
    }

    /// When the oldest frame in flight was begun.
    #[must_use]
    pub fn oldest(&self) -> Option<Instant> {
        self.flights.front().map(|flight| flight.taken)
    }

    /// Decides a call and adds its entries to the batch. The caller has seen that it fits `room`.
    pub fn take(&mut self, lane: LaneId, call: Call, now: Instant, at: Timestamp) {
        assert!(frame_bytes(&call.ask) <= self.room(), "the intake gives only what fits");
        self.decide_call(lane, call, now, at);
    }

    fn decide_call(&mut self, lane: LaneId, call: Call, now: Instant, at: Timestamp) {
        let Call { id, ask, mut outcomes } = call;
        if self.gathering.answers.is_empty() {
            self.gathering.taken = now;
        }
        match &ask {
            Ask::Money(group) => self.decide_group(group, at, &mut outcomes),
            Ask::Slices(slices) => {
                outcomes.extend(slices.iter().map(|slice| self.decide_slice(slice, at)));
            }
        }
        self.gathering.committed.at = at;
        let answer = Answer { id, outcomes, committed: Committed::default(), ask };
        self.gathering.answers.push(Routed { lane, taken: now, answer });
    }

    /// Decides a call for which there is no place: what was decided before is repeated, and what
    /// would need a new entry is declined.
    pub fn take_without_room(&mut self, lane: LaneId, call: Call, now: Instant, at: Timestamp) {
        self.closed = true;
        self.decide_call(lane, call, now, at);
        self.closed = false;
    }

    /// Makes the batch a frame: its payload goes into `buffer`, which is sealed. False if it has no
    /// entries: then there is nothing to write, and `settle` finds its answers a frame to wait for.
    pub fn begin(&mut self, now: Instant, buffer: &mut [u8], out: &mut Effects) -> bool {
        assert!(self.may_begin());
        let count = self.writer.count();
        if count == 0 {
            return false;
        }
        let (_, payload) = buffer.split_at_mut(journal::HEADER_BYTES);
        let payload_bytes = self.writer.finish(payload);
        let committed =
            Committed { size: self.tree.size(), root: self.tree.root(), ..self.gathering.committed };
        self.gathering.frame = self.committer.next_frame();
        self.gathering.committed = committed;
        let batch = Batch {
            buffer,
            payload_bytes,
            first_seq: self.committer.next_seq(),
            count: u32::try_from(count).expect("bounded by FRAME_ENTRIES_MAX"),
            at: committed.at,
            tree_size: committed.size,
            root: committed.root,
        };
        self.launch(now, batch, out);
        true
    }

    /// Begins the empty frame that carries the frontier.
    pub fn begin_idle(&mut self, now: Instant, at: Timestamp, buffer: &mut [u8], out: &mut Effects) {
        assert!(self.may_begin() && self.writer.count() == 0);
        self.gathering.frame = self.committer.next_frame();
        self.gathering.committed = Committed { size: self.tree.size(), root: self.tree.root(), at };
        self.gathering.taken = now;
        let batch = Batch {
            buffer,
            payload_bytes: 0,
            first_seq: self.committer.next_seq(),
            count: 0,
            at,
            tree_size: self.tree.size(),
            root: self.tree.root(),
        };
        self.launch(now, batch, out);
    }

    fn launch(&mut self, now: Instant, batch: Batch<'_>, out: &mut Effects) {
        let next = self.spare.pop().expect("one more than the frames in flight");
        self.flights.push_back(std::mem::replace(&mut self.gathering, next));
        self.committer.apply(now, Event::Begin(batch), out);
        assert_eq!(self.committer.next_seq().0, self.tree.size() + 1, "the frame was taken as it is");
    }

    /// Answers of a batch without entries wait for the last frame in flight, because they may
    /// repeat what is in it. With none in flight they may leave at once: they are returned.
    pub fn settle(&mut self) -> Option<Gathered> {
        assert_eq!(self.writer.count(), 0);
        if self.gathering.answers.is_empty() {
            return None;
        }
        if let Some(last) = self.flights.back_mut() {
            last.answers.append(&mut self.gathering.answers);
            return None;
        }
        let next = self.spare.pop().expect("one more than the frames in flight");
        let mut done = std::mem::replace(&mut self.gathering, next);
        done.committed = Committed { size: self.tree.size(), root: self.tree.root(), at: done.committed.at };
        Some(done)
    }

    /// Tells the committer what happened on the disk, or that time has passed.
    pub fn tell(&mut self, now: Instant, event: Event<'_>, out: &mut Effects) {
        self.committer.apply(now, event, out);
    }

    /// The frame is durable: its answers may leave.
    pub fn released(&mut self, frame: FrameNumber, through: Seq) -> Gathered {
        let mut flight = self.flights.pop_front().expect("only what is in flight is released");
        assert_eq!(flight.frame, frame, "frames are released in order");
        assert_eq!(flight.committed.size, through.0, "the tree covers the frame and no more");
        for routed in &mut flight.answers {
            routed.answer.committed = flight.committed;
        }
        flight
    }

    /// Takes back what `released` or `settle` gave, emptied.
    pub fn recycle(&mut self, mut gathered: Gathered) {
        assert!(gathered.answers.is_empty());
        gathered.frame = FrameNumber::ZERO;
        gathered.leaves.clear();
        self.spare.push(gathered);
    }

    /// A write failed: everything in flight has an open fate.
    pub fn poisoned(&mut self) -> impl Iterator<Item = Routed> + '_ {
        self.writer.clear();
        let waiting = self.flights.iter_mut().chain([&mut self.gathering]);
        waiting.flat_map(|gathered| gathered.answers.drain(..)).map(|mut routed| {
            routed.answer.outcomes.fill(Outcome::Unknown);
            routed
        })
    }

    /// The answer to a call that is not decided at all.
    #[must_use]
    pub fn refuse(call: Call, reason: Reason) -> Answer {
        let Call { id, ask, mut outcomes } = call;
        let count = match &ask {
            Ask::Money(group) => group.requests.len(),
            Ask::Slices(slices) => slices.len(),
        };
        outcomes.resize(count, Outcome::Declined(Declined { reason, number: 0 }));
        Answer { id, outcomes, committed: Committed::default(), ask }
    }

    fn decide_group(&mut self, group: &Group, at: Timestamp, outcomes: &mut Vec<Outcome>) {
        if group.atomic && group.requests.len() > 1 {
            // All-or-none over several entries is not in this version; one entry is always atomic.
            let declined = Outcome::Declined(Declined { reason: Reason::UnknownKind, number: 0 });
            outcomes.resize(group.requests.len(), declined);
            return;
        }
        // Looked up together, so that memory is waited for once; decided one after another, so that
        // each decision sees the entries of the ones before it.
        let mut prepared = std::mem::take(&mut self.prepared);
        self.ledger.prepare_batch(&group.requests, &mut prepared);
        for (request, prepared) in group.requests.iter().zip(&prepared) {
            outcomes.push(self.decide(request, prepared, at));
        }
        prepared.clear();
        self.prepared = prepared;
    }

    fn decide(&mut self, request: &Request, prepared: &Prepared, at: Timestamp) -> Outcome {
        match self.ledger.decide_prepared(request, prepared, at, self.next_seq()) {
            Decision::Replayed { seq } => Outcome::Replayed { seq },
            Decision::Declined(declined) => Outcome::Declined(declined),
            Decision::Postings(_) if self.closed => Outcome::Declined(NO_SPACE),
            Decision::Postings(postings) => {
                let mut outcome = None;
                for posting in postings.iter() {
                    let leaf = self.enter(&posting);
                    outcome = Some(Outcome::Decided { posting, leaf });
                }
                outcome.expect("a decision has at least one posting")
            }
        }
    }

    fn enter(&mut self, posting: &Posting) -> Hash {
        self.ledger.apply(posting);
        self.writer.push_posting(posting);
        let leaf = ledger::leaf_data(self.hash, posting).hash(self.hash);
        self.grow(leaf);
        leaf
    }

    fn decide_slice(&mut self, request: &SliceRequest, at: Timestamp) -> Outcome {
        match self.ledger.decide_slice(request, at, self.next_seq()) {
            SliceDecision::Duplicate { seq } => Outcome::SliceTaken { seq, duplicate: true },
            SliceDecision::Declined(declined) => Outcome::Declined(declined),
            SliceDecision::Take(_) if self.closed => Outcome::Declined(NO_SPACE),
            SliceDecision::Take(mut slice) => {
                self.writer.push_slice(&mut slice, &request.body);
                self.ledger.apply_slice(&slice);
                self.grow(ledger::slice_leaf_data(self.hash, &slice).hash(self.hash));
                Outcome::SliceTaken { seq: slice.head.seq, duplicate: false }
            }
        }
    }

    fn grow(&mut self, leaf: Hash) {
        self.tree.push(leaf);
        self.gathering.leaves.push(leaf);
    }

    fn next_seq(&self) -> Seq {
        Seq(self.tree.size()).next()
    }
}
