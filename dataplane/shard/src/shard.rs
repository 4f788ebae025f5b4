//! `Shard`: the machine. Takes events, gives effects, decides everything about the usage of its
//! tenants.
//!
//! Holds: what was counted is in exactly one sealed slice; a batch is counted once per tenant; a
//! batch is called durable only when every slice that holds some of it is in the ledger; every
//! table has a bound; counting allocates nothing.
//! Leaves to others: sockets, threads and clocks (`engine`), taking slices (`ledger`).

use model::{SliceRequest, Timestamp};
use wire::usage::{Hello, LabelId, LabelRefusal, LabelSet, Refusal, ServerMessage, shard_of};

use crate::{
    ConnectionId, Counters, Effect, Effects, Event, ExportRefusal, Params, ParamsError,
    catalog::{Catalog, place},
    connections::{Connections, Label},
    events::SeenEvents,
    lanes::Lanes,
    producers::{Producers, Told},
    retained::{Kept, Retained},
    windows::Windows,
};

/// Slices sealed in one `apply`, so that none takes long.
const SEALS_MAX: usize = 8;
/// The highest batch that a producer may begin with: the numbers after it never run out.
const RESUME_MAX: u64 = 1 << 62;
/// How soon a producer that was refused for want of room may try again, in milliseconds.
const STALL_MILLIS: u64 = 10;

/// One shard.
#[derive(Debug)]
pub struct Shard {
    pub(crate) params: Params,
    pub(crate) catalog: Catalog,
    pub(crate) connections: Connections,
    pub(crate) producers: Producers,
    pub(crate) windows: Windows,
    pub(crate) lanes: Lanes,
    pub(crate) retained: Retained,
    pub(crate) seen: SeenEvents,
    pub(crate) counters: Counters,
    /// Grows with each batch; tells windows which batch asks.
    pub(crate) stamp: u64,
    pub(crate) is_draining: bool,
    /// The time of the last event, milliseconds since 1970.
    pub(crate) now_millis: u64,
    /// Label sets defined since the last sweep.
    defined: u64,
}

impl Shard {
    /// An empty shard. Takes its memory now. Feed it the ledger's slices by `restore` before the
    /// first event.
    ///
    /// # Errors
    /// If the parameters do not fit together.
    pub fn new(params: Params) -> Result<Self, ParamsError> {
        params.check()?;
        let catalog =
            Catalog::new(params.stream, params.tenants_max, params.rows_max, params.tenant_rows_max);
        Ok(Self {
            windows: Windows::new(&params, &catalog),
            catalog,
            connections: Connections::default(),
            producers: Producers::new(params.producers_max),
            lanes: Lanes::new(&params),
            retained: Retained::new(params.retained_bytes_max),
            seen: SeenEvents::new(params.events_max, params.secret),
            counters: Counters::default(),
            stamp: 0,
            is_draining: false,
            now_millis: 0,
            defined: 0,
            params,
        })
    }

    /// Takes one event at wall-clock time `now` and appends what is to be done. `out` must have
    /// room for `Effects::ROOM_MIN`; what does not fit comes with the next events (see `is_idle`).
    ///
    /// # Panics
    /// Without room in `out`.
    pub fn apply(&mut self, now: Timestamp, event: Event<'_>, out: &mut Effects) {
        assert!(out.room() >= Effects::ROOM_MIN, "the loop drains effects before the next event");
        self.now_millis = now.as_millis();
        match event {
            Event::Hello(connection, hello) => self.hello(connection, &hello, out),
            Event::Labels(connection, label, labels) => self.labels(connection, label, &labels, out),
            Event::Batch(connection, batch) => self.batch(connection, &batch, out),
            Event::Closed(connection) => self.forget(connection),
            Event::Tick => self.tick(),
            Event::SliceDurable { stream, number } => self.slice_durable(&stream, number),
            Event::SliceRefused { stream, number, why } => self.slice_refused(&stream, number, why),
            Event::Drain => {
                self.is_draining = true;
                self.windows.close_all();
            }
        }
        self.pump(now, out);
    }

    /// Whether nothing is left to do until the next event. If not, send `Tick` at once.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let seals = self.windows.has_due(self.now_millis) && self.lanes.has_room();
        !seals && !self.lanes.has_ready() && !self.producers.has_dirty()
    }

    /// When the next `Tick` is wanted, if nothing else happens. In the past: now.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        let windows = if self.lanes.has_room() { self.windows.due_millis() } else { None };
        let stalled = self.producers.has_stalled().then_some(self.now_millis + STALL_MILLIS);
        [windows, self.lanes.due_millis(), stalled].into_iter().flatten().min().map(Timestamp::from_millis)
    }

    /// Whether everything that was counted is in the ledger and nothing more is taken.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.is_draining && self.windows.is_empty() && self.lanes.count() == 0
    }

    /// Slices that are sealed and not yet in the ledger.
    #[must_use]
    pub const fn backlog(&self) -> usize {
        self.lanes.count()
    }

    /// Whether writers are throttled because the backlog is full.
    #[must_use]
    pub const fn is_degraded(&self) -> bool {
        !self.lanes.has_room()
    }

    /// What the shard has done.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Tenants that the shard knows.
    #[must_use]
    pub fn tenant_count(&self) -> usize {
        self.catalog.tenant_count()
    }

    /// Label sets that have a row.
    #[must_use]
    pub fn row_count(&self) -> usize {
        self.catalog.row_count()
    }

    /// Connections that have said hello.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.connections.len()
    }

    /// The parameters that it was made with.
    #[must_use]
    pub const fn params(&self) -> &Params {
        &self.params
    }

    /// Asserts what holds between events. Linear; for simulation.
    ///
    /// # Panics
    /// When something does not hold.
    pub fn check(&self) {
        self.windows.check();
        self.lanes.check();
        self.producers.check();
    }

    /// Windows that end before this are too old to be counted in.
    pub(crate) const fn too_old_millis(&self) -> u64 {
        self.now_millis.saturating_sub(self.params.late_millis_max)
    }

    fn hello(&mut self, connection: ConnectionId, hello: &Hello, out: &mut Effects) {
        let shards = self.params.shards;
        let refusal = if self.is_draining {
            Some(Refusal::Draining)
        } else if hello.shard != self.params.shard {
            Some(Refusal::WrongShard { shards })
        } else if self.connections.len() >= self.params.connections_max {
            Some(Refusal::Busy)
        } else if self.connections.get(connection).is_some() || hello.resume > RESUME_MAX {
            Some(Refusal::Order)
        } else {
            None
        };
        if let Some(why) = refusal {
            return self.refuse(connection, why, out);
        }
        let greeted = self.producers.greet(connection, hello, self.too_old_millis());
        let (producer, before, admitted) = match greeted {
            Ok(greeted) => greeted,
            Err(why) => return self.refuse(connection, why, out),
        };
        if let Some(before) = before {
            self.refuse(before, Refusal::Superseded, out);
        }
        self.counters.gaps_admitted += u64::from(admitted);
        self.connections.add(connection, producer);
        let state = self.producers.one_mut(producer);
        let limit = state.limit(self.params.credits);
        state.told = Told { received: state.received(), durable: 0, limit };
        let welcome = ServerMessage::Welcome {
            shard: self.params.shard,
            shards,
            window_millis: self.params.window_millis,
            next: state.next,
            limit,
        };
        out.reply(connection, welcome);
        self.producers.mark(producer);
    }

    /// Says why, closes, and forgets the connection.
    pub(crate) fn refuse(&mut self, connection: ConnectionId, why: Refusal, out: &mut Effects) {
        out.reply(connection, ServerMessage::Refused(why));
        out.push(Effect::Close(connection));
        self.forget(connection);
    }

    fn forget(&mut self, connection: ConnectionId) {
        let Some(gone) = self.connections.remove(connection) else { return };
        for row in gone.rows() {
            self.catalog.release(row);
        }
        self.producers.leave(gone.producer, connection);
    }

    fn labels(&mut self, connection: ConnectionId, id: LabelId, labels: &LabelSet, out: &mut Effects) {
        let Some(before) = self.connections.get(connection).map(|known| known.label(id)) else {
            self.counters.strays += 1;
            return self.refuse(connection, Refusal::Order, out);
        };
        self.defined += 1;
        let mine = shard_of(labels.tenant.as_str(), self.params.shards) == self.params.shard;
        let resolved = if mine { self.catalog.resolve(labels) } else { Err(LabelRefusal::WrongShard) };
        let mut why = resolved.err();
        if let (Label::Row(old), Ok(new)) = (before, resolved) {
            let was_overflow = place(self.params.rows_max) <= old.place();
            let same_tenant = self.catalog.tenant_of(old) == self.catalog.tenant_of(new.row);
            // An overflowed label may find a row later, when it is said again.
            if old != new.row && !(was_overflow && same_tenant) {
                why = Some(LabelRefusal::Taken);
            }
        }
        let label = match (resolved, why) {
            (Ok(resolved), None) => {
                self.counters.labels_overflowed += u64::from(resolved.overflowed);
                self.catalog.refer(resolved.row);
                Label::Row(resolved.row)
            }
            (_, Some(why)) => {
                self.counters.refuse_label(why);
                out.reply(connection, ServerMessage::LabelRefused { label: id, why });
                Label::Refused
            }
            (Err(_), None) => unreachable!("an error is its own reason"),
        };
        let known = self.connections.get_mut(connection).expect("found above");
        if let Label::Row(old) = known.set_label(id, label) {
            self.catalog.release(old);
        }
    }

    fn tick(&mut self) {
        self.lanes.wake(self.now_millis);
        self.producers.unstall();
        let windows = u64::from(self.params.windows_retained) * u64::from(self.params.window_millis);
        let oldest = self.params.window_start(self.now_millis).saturating_sub(windows);
        self.retained.forget_before(oldest);
        if self.defined > 0 && self.catalog.is_crowded() {
            self.defined = 0;
            self.counters.labels_evicted += self.catalog.sweep(|row| self.windows.is_counting(row));
        }
    }

    fn slice_durable(&mut self, stream: &[u8; 16], number: u64) {
        let tenant = self.catalog.by_stream(stream);
        let Some(sealed) = tenant.and_then(|tenant| self.lanes.durable(tenant, number)) else {
            self.counters.strays += 1;
            return;
        };
        self.counters.slices_durable += 1;
        self.retained.push(Kept {
            tenant: sealed.tenant,
            start_millis: sealed.slice.window_start_millis,
            body: sealed.body,
        });
        if self.windows.generations.slice_durable(sealed.generation) {
            self.producers.advance(&self.windows.generations);
        }
    }

    fn slice_refused(&mut self, stream: &[u8; 16], number: u64, why: ExportRefusal) {
        let known = self.catalog.by_stream(stream).is_some_and(|tenant| match why {
            ExportRefusal::Retry => {
                let known = self.lanes.retry(tenant, number, self.now_millis);
                self.counters.exports_retried += u64::from(known);
                known
            }
            ExportRefusal::Gap | ExportRefusal::Conflict => {
                let known = self.lanes.halt(tenant, number);
                self.counters.streams_halted += u64::from(known);
                known
            }
        });
        self.counters.strays += u64::from(!known);
    }

    /// Does what is due, as far as `out` has room and the work of one event may go.
    fn pump(&mut self, now: Timestamp, out: &mut Effects) {
        for _ in 0..SEALS_MAX {
            if !self.lanes.has_room() || !self.seal_step(now) {
                break;
            }
        }
        while out.room() > 0 {
            let Some(sealed) = self.lanes.offer() else { break };
            let request = SliceRequest { slice: sealed.slice, body: sealed.body.clone() };
            let sealed_at = sealed.sealed_at;
            out.push(Effect::Export { request, sealed_at });
        }
        while out.room() >= 2 {
            let Some(index) = self.producers.take_dirty() else { break };
            self.tell(index, out);
        }
    }

    /// Tells a producer what is new: at most two messages.
    fn tell(&mut self, index: crate::producers::ProducerIndex, out: &mut Effects) {
        let producer = self.producers.one_mut(index);
        let Some(connection) = producer.connection else { return };
        let told = producer.told;
        let limit = producer.limit(self.params.credits);
        let now = Told { received: producer.received(), durable: producer.durable, limit };
        producer.told = now;
        if now.received != told.received {
            let records_refused =
                self.connections.get(connection).map_or(0, |connection| connection.records_refused);
            out.reply(connection, ServerMessage::Received { seq: now.received, limit, records_refused });
        } else if now.limit != told.limit {
            out.reply(connection, ServerMessage::Credit { limit });
        }
        if now.durable != told.durable {
            out.reply(connection, ServerMessage::Durable { through: now.durable });
        }
    }
}

#[cfg(test)]
mod tests;
