//! `Producers`: who sends, how far each one got, and which of its batches are durable.
//!
//! Holds: `durable <= received`, and both only grow inside an epoch; a producer whose batches
//! could still be sent again is never forgotten.

use std::collections::{BTreeMap, VecDeque};

use wire::usage::{Hello, Refusal};

use crate::{ConnectionId, catalog::place, coverage::Coverage, generations::Generations};

/// Runs of batches that wait for their window's slices.
const RUNS_MAX: usize = 64;
/// Batches whose digest is remembered.
const DIGESTS_MAX: u64 = 128;

/// A producer's dense number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ProducerIndex(pub(crate) u32);

/// Batches in a row that were counted in one generation of one window, or, where runs got too
/// many, in several generations.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// The latest generation.
    generation: u64,
    to: u64,
    /// Whether there were several: then all up to the latest must be durable.
    is_mixed: bool,
}

impl Run {
    const fn is_of(&self, generation: u64) -> bool {
        self.generation == generation && !self.is_mixed
    }
}

/// What its connection was last told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    pub(crate) received: u64,
    pub(crate) durable: u64,
    pub(crate) limit: u64,
}

#[derive(Debug)]
pub(crate) struct Producer {
    pub(crate) id: [u8; 16],
    pub(crate) epoch: u64,
    pub(crate) connection: Option<ConnectionId>,
    /// The next batch that is taken; zero until a hello says where the producer stands.
    pub(crate) next: u64,
    /// Every batch up to here is in the ledger.
    pub(crate) durable: u64,
    pub(crate) told: Told,
    /// A batch was refused for want of room; no credit until the next tick.
    pub(crate) is_stalled: bool,
    /// Ends of the latest window that it counted in, milliseconds since 1970.
    pub(crate) active_to_millis: u64,
    pub(crate) coverage: Coverage,
    is_dirty: bool,
    runs: VecDeque<Run>,
    digests: Vec<(u64, [u8; 16])>,
}

impl Producer {
    fn new(id: [u8; 16], epoch: u64) -> Self {
        Self {
            id,
            epoch,
            connection: None,
            next: 0,
            durable: 0,
            told: Told::default(),
            is_stalled: false,
            active_to_millis: 0,
            coverage: Coverage::default(),
            is_dirty: false,
            runs: VecDeque::with_capacity(RUNS_MAX),
            digests: vec![(0, [0; 16]); usize::try_from(DIGESTS_MAX).expect("a small constant")],
        }
    }

    /// The last batch that was taken.
    pub(crate) const fn received(&self) -> u64 {
        self.next.saturating_sub(1)
    }

    /// The highest batch that it may send.
    pub(crate) const fn limit(&self, credits: u64) -> u64 {
        if self.is_stalled { self.received() } else { self.received().saturating_add(credits) }
    }

    /// Whether every batch from `seq` on was counted in this generation, or nowhere.
    pub(crate) fn is_run(&self, generation: u64, seq: u64) -> bool {
        let mut runs = self.runs.iter().rev();
        let last = runs.next().is_some_and(|run| run.is_of(generation));
        let begins = runs.next().map_or(self.durable, |before| before.to) + 1;
        last && begins <= seq
    }

    /// The next batch was taken: `generation` zero if it was counted nowhere.
    pub(crate) fn take(&mut self, generation: u64, digest: [u8; 16]) {
        let seq = self.next;
        self.next += 1;
        let slot = usize::try_from(seq % DIGESTS_MAX).expect("below a small constant");
        *self.digests.get_mut(slot).expect("one slot for each remainder") = (seq, digest);
        match self.runs.back_mut() {
            // What was counted nowhere waits behind what came before it: acks are cumulative.
            Some(run) if run.is_of(generation) || generation == 0 => run.to = seq,
            None if generation == 0 => self.durable = seq,
            _ => self.push_run(Run { generation, to: seq, is_mixed: false }),
        }
    }

    fn push_run(&mut self, run: Run) {
        if self.runs.len() < RUNS_MAX {
            return self.runs.push_back(run);
        }
        // Too many changes from window to window: acks of the last ones wait for one another.
        let last = self.runs.back_mut().expect("the table is full");
        last.generation = last.generation.max(run.generation);
        (last.to, last.is_mixed) = (run.to, true);
    }

    /// The digest of a batch that was taken, if it is remembered.
    pub(crate) fn digest(&self, seq: u64) -> Option<[u8; 16]> {
        let slot = usize::try_from(seq % DIGESTS_MAX).expect("below a small constant");
        self.digests.get(slot).filter(|(known, _)| *known == seq).map(|(_, digest)| *digest)
    }

    /// Moves the durable frontier as far as whole generations are in the ledger.
    fn advance(&mut self, generations: &Generations) -> bool {
        let before = self.durable;
        while let Some(run) = self.runs.front() {
            let durable = if run.is_mixed {
                generations.all_durable(run.generation)
            } else {
                generations.is_durable(run.generation)
            };
            if !durable {
                break;
            }
            self.durable = run.to;
            self.runs.pop_front();
        }
        assert!(self.durable <= self.received(), "what is durable was received");
        self.durable > before
    }

    /// A newer start of the same producer.
    pub(crate) fn renew(&mut self, epoch: u64) {
        self.epoch = epoch;
        (self.next, self.durable) = (0, 0);
        self.coverage = Coverage::default();
        self.runs.clear();
        self.digests.fill((0, [0; 16]));
    }
}

#[derive(Debug)]
pub(crate) struct Producers {
    producers_max: u32,
    by_id: BTreeMap<[u8; 16], ProducerIndex>,
    producers: Vec<Producer>,
    /// Those that have something to be told, each once.
    dirty: VecDeque<ProducerIndex>,
    has_stalled: bool,
}

impl Producers {
    pub(crate) fn new(producers_max: u32) -> Self {
        let capacity = place(producers_max);
        Self {
            producers_max,
            by_id: BTreeMap::new(),
            producers: Vec::new(),
            dirty: VecDeque::with_capacity(capacity),
            has_stalled: false,
        }
    }

    pub(crate) fn one(&self, index: ProducerIndex) -> &Producer {
        self.producers.get(place(index.0)).expect("numbers are given out by this table")
    }

    pub(crate) fn one_mut(&mut self, index: ProducerIndex) -> &mut Producer {
        self.producers.get_mut(place(index.0)).expect("numbers are given out by this table")
    }

    /// The producer that has this identity, made if there is room. Room is made by forgetting
    /// one whose windows are all too old to be counted in again.
    pub(crate) fn admit(&mut self, id: [u8; 16], epoch: u64, too_old_millis: u64) -> Option<ProducerIndex> {
        if let Some(index) = self.by_id.get(&id) {
            return Some(*index);
        }
        let count = u32::try_from(self.producers.len()).expect("bounded by producers_max");
        let fresh = Producer::new(id, epoch);
        if count < self.producers_max {
            self.producers.push(fresh);
            self.by_id.insert(id, ProducerIndex(count));
            return Some(ProducerIndex(count));
        }
        let forgettable = |producer: &Producer| {
            producer.connection.is_none()
                && producer.runs.is_empty()
                && !producer.is_dirty
                && producer.active_to_millis < too_old_millis
        };
        let found = self.producers.iter().position(forgettable)?;
        let place = self.producers.get_mut(found).expect("found just now");
        self.by_id.remove(&place.id);
        *place = fresh;
        let index = ProducerIndex(u32::try_from(found).expect("bounded by producers_max"));
        self.by_id.insert(id, index);
        Some(index)
    }

    /// A producer says hello. Returns its number, the connection that it had before, and whether
    /// it admits to have dropped batches.
    pub(crate) fn greet(
        &mut self,
        connection: ConnectionId,
        hello: &Hello,
        too_old_millis: u64,
    ) -> Result<(ProducerIndex, Option<ConnectionId>, bool), Refusal> {
        let index = self.admit(hello.producer, hello.epoch, too_old_millis).ok_or(Refusal::Busy)?;
        let producer = self.one_mut(index);
        if hello.epoch < producer.epoch {
            return Err(Refusal::StaleEpoch { current: producer.epoch });
        }
        if hello.epoch > producer.epoch {
            producer.renew(hello.epoch);
        }
        let admitted = producer.next != 0 && hello.resume > producer.next;
        if producer.next == 0 {
            producer.durable = hello.resume - 1;
        }
        if producer.next < hello.resume {
            producer.next = hello.resume;
            if producer.runs.is_empty() {
                producer.durable = hello.resume - 1;
            }
        }
        let before = producer.connection.replace(connection);
        producer.told = Told::default();
        producer.is_stalled = false;
        Ok((index, before, admitted))
    }

    /// A connection of this producer is gone.
    pub(crate) fn leave(&mut self, index: ProducerIndex, connection: ConnectionId) {
        let producer = self.one_mut(index);
        if producer.connection == Some(connection) {
            producer.connection = None;
        }
    }

    /// There is something to tell this producer.
    pub(crate) fn mark(&mut self, index: ProducerIndex) {
        let producer = self.one_mut(index);
        if producer.connection.is_some() && !producer.is_dirty {
            producer.is_dirty = true;
            self.dirty.push_back(index);
        }
    }

    /// The next producer that has something to be told.
    pub(crate) fn take_dirty(&mut self) -> Option<ProducerIndex> {
        let index = self.dirty.pop_front()?;
        self.one_mut(index).is_dirty = false;
        Some(index)
    }

    pub(crate) fn has_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Some generation became durable.
    pub(crate) fn advance(&mut self, generations: &Generations) {
        for number in 0..self.producers.len() {
            let index = ProducerIndex(u32::try_from(number).expect("bounded by producers_max"));
            if self.one_mut(index).advance(generations) {
                self.mark(index);
            }
        }
    }

    /// A batch of this producer was refused for want of room.
    pub(crate) fn stall(&mut self, index: ProducerIndex) {
        self.one_mut(index).is_stalled = true;
        self.has_stalled = true;
    }

    /// Whether a tick would let some producer go on.
    pub(crate) const fn has_stalled(&self) -> bool {
        self.has_stalled
    }

    /// A tick: those that were refused for want of room may try again.
    pub(crate) fn unstall(&mut self) {
        if !std::mem::take(&mut self.has_stalled) {
            return;
        }
        for number in 0..self.producers.len() {
            let index = ProducerIndex(u32::try_from(number).expect("bounded by producers_max"));
            if std::mem::take(&mut self.one_mut(index).is_stalled) {
                self.mark(index);
            }
        }
    }

    /// Asserts what holds of every producer. Linear; for simulation.
    pub(crate) fn check(&self) {
        for producer in &self.producers {
            assert!(producer.durable <= producer.received() || producer.next == 0);
            let ends: Vec<_> = producer.runs.iter().map(|run| run.to).collect();
            assert!(ends.is_sorted() && ends.first().is_none_or(|first| *first > producer.durable));
        }
    }
}
