//! Counting: batches of producers and events of the HTTP surface.

use wire::usage::{
    BatchView, ItemOutcome, ItemRefusal, Refusal, Rejection, ServerMessage, UsageItem, shard_of,
};

use crate::{
    ConnectionId, Effects, Shard,
    catalog::TenantIndex,
    connections::Label,
    producers::ProducerIndex,
    window::{Range, State, Window},
    windows::WindowIndex,
};
use model::Timestamp;

/// The latest start of a window, in the year 2248: above it times would not fit in their types.
const START_MILLIS_MAX: u64 = 1 << 43;

/// What became of a batch's records.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    records: u64,
    refused: u64,
    restored: u64,
}

impl Shard {
    pub(crate) fn batch(&mut self, id: ConnectionId, batch: &BatchView<'_>, out: &mut Effects) {
        let Some(index) = self.connections.get(id).map(|connection| connection.producer) else {
            self.counters.strays += 1;
            return self.refuse(id, Refusal::Order, out);
        };
        let producer = self.producers.one(index);
        assert!(producer.connection == Some(id), "a superseded connection was forgotten");
        if (producer.id, producer.epoch) != (batch.header.producer, batch.header.epoch) {
            return self.refuse(id, Refusal::Order, out);
        }
        match self.admit_batch(id, index, batch) {
            Ok(window) => self.count_batch(id, index, window, batch, out),
            Err(why) => {
                if why.is_final() && batch.header.seq == self.producers.one(index).next {
                    self.producers.one_mut(index).take(0, batch.digest());
                }
                if why == Rejection::Busy {
                    self.producers.stall(index);
                }
                self.counters.reject(why);
                out.reply(id, ServerMessage::Rejected { seq: batch.header.seq, why });
                self.producers.mark(index);
            }
        }
    }

    /// Where a batch is counted, or why it is not.
    fn admit_batch(
        &mut self,
        id: ConnectionId,
        index: ProducerIndex,
        batch: &BatchView<'_>,
    ) -> Result<WindowIndex, Rejection> {
        let producer = self.producers.one(index);
        let seq = batch.header.seq;
        if seq < producer.next {
            let known = producer.digest(seq);
            let conflict = known.is_some_and(|digest| digest != batch.digest());
            return Err(if conflict { Rejection::Conflict } else { Rejection::Duplicate });
        }
        if seq > producer.next {
            return Err(Rejection::Gap { expected: producer.next });
        }
        let connection = self.connections.get(id).expect("looked up before");
        let mut labels = batch.records().map(|record| connection.label(record.label));
        if labels.clone().any(|label| label == Label::Undefined) {
            return Err(Rejection::UnknownLabel);
        }
        let coverage = &producer.coverage;
        // What was taken before a restart is not judged again by a clock that was set since.
        let was_taken = seq <= coverage.seq_max()
            && labels.any(|label| match label {
                Label::Row(row) => coverage.covers(self.catalog.tenant_of(row), seq),
                Label::Undefined | Label::Refused => false,
            });
        let start = self.params.window_start(batch.header.window_start_millis);
        if !was_taken {
            self.window_is_in_range(start)?;
        }
        // No clock was ever set there.
        if start > START_MILLIS_MAX {
            return Err(Rejection::Skewed);
        }
        if self.is_draining || producer.is_stalled || seq > producer.limit(self.params.credits) {
            return Err(Rejection::Busy);
        }
        self.open_window(start).ok_or(Rejection::Busy)
    }

    fn window_is_in_range(&self, start_millis: u64) -> Result<(), Rejection> {
        let end = start_millis.saturating_add(self.params.window_millis.into());
        if end < self.too_old_millis() {
            return Err(Rejection::Late);
        }
        if start_millis > self.now_millis.saturating_add(self.params.ahead_millis_max) {
            return Err(Rejection::Skewed);
        }
        Ok(())
    }

    /// Whether this window is past its time, so that what comes is a correction.
    fn is_late(&self, start_millis: u64) -> bool {
        let end = start_millis + u64::from(self.params.window_millis);
        self.now_millis >= end + self.params.grace_millis
    }

    fn open_window(&mut self, start_millis: u64) -> Option<WindowIndex> {
        if !self.lanes.has_room() {
            return None;
        }
        let end = start_millis + u64::from(self.params.window_millis);
        let seal_at = if self.is_late(start_millis) {
            self.now_millis + self.params.correction_millis
        } else {
            end + self.params.grace_millis
        };
        let (window, early) = self.windows.open(start_millis, seal_at);
        self.counters.sealed_early += u64::from(early);
        window
    }

    fn count_batch(
        &mut self,
        id: ConnectionId,
        index: ProducerIndex,
        window: WindowIndex,
        batch: &BatchView<'_>,
        out: &mut Effects,
    ) {
        let (start, generation) = {
            let window = self.windows.one(window);
            (window.start_millis, window.generation)
        };
        let counted = self.count_records(id, index, window, batch);
        self.counters.batches += 1;
        self.counters.batches_late += u64::from(self.is_late(start));
        self.counters.records += counted.records;
        self.counters.records_refused += counted.refused;
        self.counters.records_restored += counted.restored;
        let connection = self.connections.get_mut(id).expect("looked up before");
        connection.records_refused += counted.refused;
        let producer = self.producers.one_mut(index);
        producer.active_to_millis =
            producer.active_to_millis.max(start + u64::from(self.params.window_millis));
        producer.take(if counted.records > 0 { generation } else { 0 }, batch.digest());
        self.producers.mark(index);
        if self.windows.one(window).is_full() {
            self.windows.one_mut(window).state = State::Queued;
            self.counters.sealed_early += 1;
        }
        if counted.records == 0 && counted.restored > 0 {
            self.counters.reject(Rejection::Duplicate);
            out.reply(id, ServerMessage::Rejected { seq: batch.header.seq, why: Rejection::Duplicate });
        }
    }

    /// The hot path: one look-up, one comparison and three additions for each record.
    fn count_records(
        &mut self,
        id: ConnectionId,
        index: ProducerIndex,
        window: WindowIndex,
        batch: &BatchView<'_>,
    ) -> Counted {
        self.stamp += 1;
        let stamp = self.stamp;
        let connection = self.connections.get(id).expect("looked up before");
        let producer = self.producers.one(index);
        let window = self.windows.one_mut(window);
        let generation = window.generation;
        let mut counted = Counted::default();
        let seq = batch.header.seq;
        let first_of_tenant = |window: &mut Window, tenant: TenantIndex| {
            let restored = seq <= producer.coverage.seq_max() && producer.coverage.covers(tenant, seq);
            window.set_mark(tenant, stamp, restored);
            if !restored {
                window.touch(tenant);
                let (id, epoch) = (producer.id, producer.epoch);
                let range = Range { tenant, producer: index, id, epoch, from: seq, to: seq };
                window.note(range, |last| producer.is_run(generation, last + 1));
            }
            restored
        };
        for record in batch.records() {
            let Label::Row(row) = connection.label(record.label) else {
                counted.refused += 1;
                continue;
            };
            let tenant = self.catalog.tenant_of(row);
            let restored = window.mark(tenant, stamp).unwrap_or_else(|| first_of_tenant(window, tenant));
            if restored {
                counted.restored += 1;
            } else {
                counted.records += 1;
                window.count(row, record.tally);
            }
        }
        counted
    }

    /// Counts one event of the HTTP surface, at wall-clock time `now`. Slices that become due by
    /// it come with the next `apply`.
    pub fn count_item(&mut self, now: Timestamp, item: &UsageItem) -> ItemOutcome {
        self.now_millis = now.as_millis();
        let outcome = self.item(item).unwrap_or_else(|outcome| outcome);
        self.counters.item(outcome);
        outcome
    }

    fn item(&mut self, item: &UsageItem) -> Result<ItemOutcome, ItemOutcome> {
        let rejected = ItemOutcome::Rejected;
        if shard_of(item.labels.tenant.as_str(), self.params.shards) != self.params.shard {
            return Err(rejected(ItemRefusal::WrongShard));
        }
        if self.seen.contains(&item.event) {
            return Err(ItemOutcome::Duplicate);
        }
        let start = self.params.window_start(item.at_millis);
        self.window_is_in_range(start).map_err(|why| match why {
            Rejection::Skewed => ItemOutcome::Skewed,
            Rejection::Late
            | Rejection::Duplicate
            | Rejection::Conflict
            | Rejection::Gap { .. }
            | Rejection::Busy
            | Rejection::UnknownLabel => rejected(ItemRefusal::TooOld),
        })?;
        if self.is_draining {
            return Err(rejected(ItemRefusal::Draining));
        }
        let late = self.is_late(start);
        let window = self.open_window(start).ok_or(rejected(ItemRefusal::Busy))?;
        let resolved = self.catalog.resolve(&item.labels).map_err(|_| rejected(ItemRefusal::TenantLimit))?;
        let tenant = self.catalog.tenant_of(resolved.row);
        let window = self.windows.one_mut(window);
        window.touch(tenant);
        window.count(resolved.row, item.tally);
        self.seen.insert(item.event);
        Ok(match (late, resolved.overflowed) {
            (true, _) => ItemOutcome::Late,
            (false, true) => ItemOutcome::Overflowed,
            (false, false) => ItemOutcome::Ok,
        })
    }
}
