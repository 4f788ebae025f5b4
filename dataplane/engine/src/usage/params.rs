//! `UsageParams`: what the accounting role runs with.

use std::path::PathBuf;

use model::Nanos;

/// What waits and moves bytes under a shard's loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Executor {
    /// The ring if the kernel gives one, else epoll, with a log line.
    Auto,
    /// An io_uring executor, or no start.
    Ring,
    /// `epoll(7)` on a plain thread.
    Epoll,
}

/// What the accounting role runs with.
#[derive(Clone, Debug)]
pub struct UsageParams {
    /// One for each shard, in order.
    pub shards: Vec<shard::Params>,
    /// Each shard's core; `None` floats.
    pub cores: Vec<Option<usize>>,
    /// Where producers connect.
    pub socket: PathBuf,
    /// What runs the loops.
    pub executor: Executor,
    /// Calls of the control plane open at once, for each shard.
    pub calls: usize,
    /// How long a producer may take to say hello.
    pub hello_max: Nanos,
    /// How long a frame that has begun may take to arrive.
    pub frame_max: Nanos,
    /// How long a producer may leave unread what it was sent, before it counts as gone.
    pub unread_max: Nanos,
    /// How long a stop waits for the ledger to take what is sealed.
    pub drain_max: Nanos,
}

impl UsageParams {
    /// The defaults for these shards at this socket; no core is pinned.
    #[must_use]
    pub fn new(shards: Vec<shard::Params>, socket: PathBuf) -> Self {
        Self {
            cores: vec![None; shards.len()],
            shards,
            socket,
            executor: Executor::Auto,
            calls: 256,
            hello_max: Nanos::from_secs(5),
            frame_max: Nanos::from_secs(30),
            unread_max: Nanos::from_secs(10),
            drain_max: Nanos::from_secs(5),
        }
    }
}
