//! `ShardBoard`: how a shard is, for metrics and readiness, without a lock on the shard's side.

use std::sync::{Mutex, PoisonError};

use crossbeam_queue::ArrayQueue;
use shard::Counters;

use super::connection::CloseReason;

/// The words of `SocketCounters::refused`, in order.
pub const SHARD_REFUSALS: [&str; 10] = [
    "version",
    "malformed",
    "too_large",
    "order",
    "stale_epoch",
    "wrong_shard",
    "superseded",
    "busy",
    "draining",
    "denied",
];

/// What happened on the accounting socket. Monotone since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SocketCounters {
    /// Connections taken.
    pub connections: u64,
    /// Frames that could not be read, by `FrameFault::ALL`.
    pub faults: [u64; 13],
    /// Connections refused, by `SHARD_REFUSALS`.
    pub refused: [u64; 10],
    /// Connections closed, by `CloseReason::ALL`.
    pub closed: [u64; 5],
}

impl SocketCounters {
    pub(crate) fn fault(&mut self, fault: wire::usage::FrameFault) {
        let all = wire::usage::FrameFault::ALL;
        let index = all.iter().position(|known| *known == fault).expect("every fault is in the list");
        *self.faults.get_mut(index).expect("one count for each fault") += 1;
    }

    pub(crate) fn refuse(&mut self, why: wire::usage::Refusal) {
        let index = SHARD_REFUSALS.iter().position(|word| *word == why.word());
        let index = index.expect("every word is in the list");
        *self.refused.get_mut(index).expect("one count for each word") += 1;
    }

    pub(crate) fn close(&mut self, why: CloseReason) {
        *self.closed.get_mut(why.index()).expect("one count for each reason") += 1;
    }

    /// Both counts together.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        self.connections += other.connections;
        let add = |into: &mut [u64], from: &[u64]| {
            into.iter_mut().zip(from).for_each(|(into, from)| *into += from);
        };
        add(&mut self.faults, &other.faults);
        add(&mut self.refused, &other.refused);
        add(&mut self.closed, &other.closed);
        self
    }
}

/// How a shard is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ShardStatus {
    /// What it counted and sealed.
    pub counters: Counters,
    /// What happened on its connections.
    pub socket: SocketCounters,
    /// Connections now.
    pub connections: usize,
    /// Tenants that it knows.
    pub tenants: usize,
    /// Label sets that have a row.
    pub rows: usize,
    /// Slices sealed and not yet in the ledger.
    pub backlog: usize,
    /// Whether writers are throttled because the backlog is full.
    pub is_degraded: bool,
    /// Whether it stops.
    pub is_draining: bool,
}

/// The newest status of a shard. The shard writes and never waits; readers agree among themselves.
#[derive(Debug)]
pub struct ShardBoard {
    newest: ArrayQueue<ShardStatus>,
    read: Mutex<ShardStatus>,
}

impl Default for ShardBoard {
    fn default() -> Self {
        Self { newest: ArrayQueue::new(1), read: Mutex::default() }
    }
}

impl ShardBoard {
    pub(crate) fn publish(&self, status: ShardStatus) {
        // What was there is older.
        let _older = self.newest.force_push(status);
    }

    /// How the shard was at the end of its last turn.
    #[must_use]
    pub fn status(&self) -> ShardStatus {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(newest) = self.newest.pop() {
            *read = newest;
        }
        *read
    }
}
