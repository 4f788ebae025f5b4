//! `Event`: everything that can happen to a shard.

use model::Reason;
use wire::usage::{BatchView, Hello, LabelId, LabelSet};

/// A connection's number, chosen by the loop, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// Why the ledger did not take a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportRefusal {
    /// Not now, or nobody knows whether it did: the same slice is offered again after a while.
    /// Offering it twice is harmless, the ledger knows it by number and digest.
    Retry,
    /// The ledger waits for another number of this stream. The stream halts.
    Gap,
    /// The ledger holds another slice under this number. The stream halts.
    Conflict,
}

/// What happens to a shard. Views are read during `apply` and not kept.
#[expect(clippy::large_enum_variant, reason = "events are passed once and never stored")]
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A producer said hello on a new connection.
    Hello(ConnectionId, Hello),
    /// A producer numbered a label set.
    Labels(ConnectionId, LabelId, LabelSet),
    /// A producer sent usage.
    Batch(ConnectionId, BatchView<'a>),
    /// A connection is gone.
    Closed(ConnectionId),
    /// Time has passed. Wanted at `Shard::due`, and again at once while `Shard::is_idle` says no.
    Tick,
    /// A slice is in the ledger, now or already before.
    SliceDurable {
        /// Its stream.
        stream: [u8; 16],
        /// Its number.
        number: u64,
    },
    /// The ledger did not take a slice.
    SliceRefused {
        /// Its stream.
        stream: [u8; 16],
        /// Its number.
        number: u64,
        /// Why.
        why: ExportRefusal,
    },
    /// Seal everything now and take nothing more: the node is stopping.
    Drain,
}

impl ExportRefusal {
    /// What the ledger's reason for declining a slice means for its stream.
    #[must_use]
    pub const fn of(reason: Reason) -> Self {
        match reason {
            Reason::NonceConflict => Self::Gap,
            Reason::IdemConflict | Reason::PolicyDenied | Reason::TooLarge => Self::Conflict,
            Reason::Unauth
            | Reason::CapInvalid
            | Reason::CapExhausted
            | Reason::UnknownKind
            | Reason::Busy
            | Reason::Timeout
            | Reason::Internal
            | Reason::SafeMode
            | Reason::InsufficientFunds
            | Reason::AccountFrozen
            | Reason::AccountClosed
            | Reason::AccountConflict
            | Reason::PreconditionFailed
            | Reason::IdemExpired
            | Reason::AlreadyResolved
            | Reason::NotFound
            | Reason::Overflow
            | Reason::BatchAborted
            | Reason::Quota
            | Reason::Archived
            | Reason::NoSpace
            | Reason::Damaged => Self::Retry,
        }
    }
}
