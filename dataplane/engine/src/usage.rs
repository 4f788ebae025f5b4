//! The accounting role's threads: an acceptor, and one loop for each shard.
//!
//! The acceptor greets producers and hands each connection to the shard that its hello names
//! (ADR 0007). A shard's loop is one machine around `shard::Shard` (`ShardLoop`) under one of two
//! executors that only wait and move bytes: `ring_executor` (io_uring) and `epoll_executor`.
//! Holds: whatever decides is in neither executor. Leaves to others: counting (`shard`), frames
//! (`wire`), taking slices (the committer).

mod acceptor;
mod board;
mod connection;
mod epoll_executor;
mod params;
mod restore;
mod ring_executor;
mod role;
mod shard_loop;
mod socket;

pub use board::{SHARD_REFUSALS, ShardBoard, ShardStatus, SocketCounters};
pub use connection::CloseReason;
pub use params::{Executor, UsageParams};
pub use role::{UsageError, UsageObserver, UsageReport, UsageRole};
pub use socket::SocketError;

pub use acceptor::AcceptorBoard;

#[cfg(test)]
mod tests;
