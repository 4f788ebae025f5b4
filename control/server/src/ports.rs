//! What HTTP needs from the planes below it, as traits that the composition implements.
//!
//! Holds: nothing here blocks; a port that cannot take a call says `Busy` at once, and a call that
//! was taken resolves within the patience that it was given. Leaves to others: queues and sockets
//! (`node`), deciding (`ledger`), counting (`shard`).

use std::{fmt, future::Future, pin::Pin, time::Duration};

use model::{Instant, Timestamp};
use wire::{
    Answer, Ask, Found, ReadAsk, Status,
    usage::{ItemOutcome, UsageItem, UsageQuery, UsageWindow},
};

/// A boxed future: ports are used behind `Arc<dyn ..>`.
pub type Promise<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why a port has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// The queue is full; nothing was taken.
    #[error("the queue is full")]
    Busy,
    /// The ledger takes no writes; nothing was taken.
    #[error("the ledger takes no writes")]
    SafeMode,
    /// The call was taken, and its fate is open.
    #[error("no answer in time; the fate of the call is open")]
    Timeout,
    /// The other side is not there, and nothing was taken.
    #[error("the other side is gone")]
    Gone,
}

/// The ledger, seen from HTTP.
pub trait LedgerPort: Send + Sync + fmt::Debug {
    /// Hands `ask` to the committer and waits at most `patience` for its durable answer, which has
    /// one outcome per request, in order. Dropping the future gives up the answer, not the entry.
    fn submit(&self, ask: Ask, patience: Duration) -> Promise<'_, Result<Answer, PortError>>;

    /// Asks the reader about durable state and waits at most `patience`. The answer is of the
    /// question's own variant, or `Found::Refused`.
    fn read(&self, ask: ReadAsk, patience: Duration) -> Promise<'_, Result<Found, PortError>>;

    /// How the ledger is. Cheap, from any thread.
    fn status(&self) -> Status;
}

/// The shards, seen from HTTP.
pub trait UsagePort: Send + Sync + fmt::Debug {
    /// Counts events, each in its tenant's shard: one outcome per event, in order.
    fn count(
        &self,
        items: Vec<UsageItem>,
        patience: Duration,
    ) -> Promise<'_, Result<Vec<ItemOutcome>, PortError>>;

    /// What a tenant used, as far as its shard remembers, oldest window first.
    fn windows(
        &self,
        query: UsageQuery,
        patience: Duration,
    ) -> Promise<'_, Result<Vec<UsageWindow>, PortError>>;
}

/// The clocks, read in one place of the composition.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The wall clock.
    fn now(&self) -> Timestamp;

    /// The monotonic clock.
    fn instant(&self) -> Instant;
}
