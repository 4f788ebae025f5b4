//! `Producer`: what a host holds. One lane, connection and thread for each shard.

use std::{
    fmt, io,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use model::ShardId;
use wire::usage::{LabelId, LabelSet, ProducerMachine, ProducerParams, ProducerStatus, Tally, shard_of};

use crate::{clock::now_millis, lane::Lane};

/// How a producer is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The accounting socket.
    pub path: PathBuf,
    /// Its identity: drawn at random at each start, or kept with an epoch that grows.
    pub producer: [u8; 16],
    /// Which start of it, from 1.
    pub epoch: u64,
    /// How many shards the node has.
    pub shards: u16,
    /// How long counts gather before they are sent.
    pub flush_every: Duration,
}

impl Options {
    /// One shard, first start, 100 ms.
    #[must_use]
    pub const fn new(path: PathBuf, producer: [u8; 16]) -> Self {
        Self { path, producer, epoch: 1, shards: 1, flush_every: Duration::from_millis(100) }
    }
}

/// Why a producer does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No shards, epoch zero, or an interval of zero.
    #[error("`{0}` must be above zero")]
    Option(&'static str),
    /// The system gives no thread.
    #[error("no thread for the producer")]
    Thread(#[source] io::Error),
}

/// A label set, resolved once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    lane: usize,
    /// `None`: there are no numbers left; what is recorded is dropped and counted.
    id: Option<LabelId>,
}

/// How a producer stands: the machines' status, summed over shards where that makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// For each shard.
    pub lanes: Vec<ProducerStatus>,
    /// Shards whose connection is up and welcome.
    pub connected: usize,
}

impl Status {
    /// Whether everything that was recorded is in the ledger.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.lanes.iter().all(|lane| lane.gathering == 0 && lane.unacked == 0)
    }
}

/// A running producer. Dropping it stops its threads; what is not durable by then may be lost, so
/// call `close` where that matters.
pub struct Producer {
    lanes: Vec<Lane>,
    shards: u16,
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("status", &self.status()).finish_non_exhaustive()
    }
}

impl Producer {
    /// Starts a producer. The socket need not exist yet: counts gather until it does.
    ///
    /// # Errors
    /// If an option is out of its range or there is no thread.
    pub fn start(options: &Options) -> Result<Self, StartError> {
        let checks = [
            ("shards", options.shards > 0),
            ("epoch", options.epoch > 0),
            ("flush_every", !options.flush_every.is_zero()),
        ];
        if let Some((name, _)) = checks.into_iter().find(|(_, holds)| !holds) {
            return Err(StartError::Option(name));
        }
        let start = |shard: u16| {
            let params = ProducerParams::new(options.producer, options.epoch, ShardId(shard));
            Lane::start(&options.path, options.flush_every, ProducerMachine::new(params))
        };
        let lanes = (0..options.shards).map(start).collect::<Result<_, _>>().map_err(StartError::Thread)?;
        Ok(Self { lanes, shards: options.shards })
    }

    /// Resolves a label set.
    #[must_use]
    pub fn label(&self, labels: &LabelSet) -> Label {
        let lane = usize::from(shard_of(labels.tenant.as_str(), self.shards).0);
        Label { lane, id: lock(&self.lane(lane).shared.machine).label(labels) }
    }

    /// Counts usage that happens now. Takes a lock for a map look-up, never I/O.
    pub fn record(&self, label: Label, tally: Tally) {
        self.record_at(label, now_millis(), tally);
    }

    /// Counts usage that happened at `at_millis` since 1970.
    pub fn record_at(&self, label: Label, at_millis: u64, tally: Tally) {
        let mut machine = lock(&self.lane(label.lane).shared.machine);
        match label.id {
            Some(id) => machine.record(id, at_millis, tally),
            None => machine.drop_usage(tally.into()),
        }
    }

    /// How the producer stands.
    #[must_use]
    pub fn status(&self) -> Status {
        let lanes: Vec<_> = self.lanes.iter().map(|lane| lock(&lane.shared.machine)).collect();
        Status {
            connected: lanes.iter().filter(|machine| machine.is_welcome()).count(),
            lanes: lanes.iter().map(|machine| machine.status()).collect(),
        }
    }

    /// Waits until everything that was recorded before is in the ledger; `false` if that takes
    /// longer than `timeout`. Windows are sealed when they end, so this takes a window's length.
    #[must_use]
    pub fn wait_durable(&self, timeout: Duration) -> bool {
        self.lanes.iter().all(|lane| lane.wait_durable(timeout))
    }

    /// Waits as `wait_durable` does, stops, and tells how it stood at the end.
    #[must_use]
    pub fn close(self, timeout: Duration) -> Status {
        // The status says it too.
        let _is_durable = self.wait_durable(timeout);
        self.status()
    }

    fn lane(&self, lane: usize) -> &Lane {
        self.lanes.get(lane).expect("labels are resolved by the same producer")
    }
}

/// Nothing panics while it changes a machine, so a poisoned lock guards a whole one.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
