//! `UsageItem`: one usage event of the HTTP surface, decoded, and what became of it.

use super::{LabelSet, Tally};

/// The identity of an event: digest of tenant, source and id, so that no tenant can take another
/// one's ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(pub [u8; 16]);

impl EventId {
    /// The identity of the event `id` that `source` tells about `tenant` (`CloudEvents` 1.0).
    #[must_use]
    pub fn new(tenant: &str, source: &str, id: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("macronode 2026 usage event");
        for part in [tenant, source, id] {
            let len = u64::try_from(part.len()).expect("a length fits in 64 bits");
            hasher.update(&len.to_le_bytes()).update(part.as_bytes());
        }
        let mut first = [0; 16];
        first.copy_from_slice(hasher.finalize().as_bytes().split_at(16).0);
        Self(first)
    }
}

/// One usage event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageItem {
    /// Counted once.
    pub event: EventId,
    /// Counted by.
    pub labels: LabelSet,
    /// When it happened, milliseconds since 1970; the time of arrival where the event has none.
    pub at_millis: u64,
    /// What is counted.
    pub tally: Tally,
}

/// Why an event was not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemRefusal {
    /// There is no room now: send it again.
    Busy,
    /// The node is stopping: send it again later.
    Draining,
    /// Its window is too long ago to be corrected.
    TooOld,
    /// The shard has as many tenants as it may.
    TenantLimit,
    /// The tenant belongs to another shard: a defect of the caller inside the node.
    WrongShard,
}

impl ItemRefusal {
    /// The word used in answers and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Draining => "draining",
            Self::TooOld => "too_old",
            Self::TenantLimit => "tenant_limit",
            Self::WrongShard => "wrong_shard",
        }
    }
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemOutcome {
    /// Counted in its window.
    Ok,
    /// Counted before.
    Duplicate,
    /// Counted, in a correction of a window that is closed.
    Late,
    /// Too far in the future; not counted.
    Skewed,
    /// Counted in its tenant's overflow row.
    Overflowed,
    /// Not counted.
    Rejected(ItemRefusal),
}

impl ItemOutcome {
    /// The word used in answers and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Duplicate => "duplicate",
            Self::Late => "late",
            Self::Skewed => "skewed",
            Self::Overflowed => "overflowed",
            Self::Rejected(_) => "rejected",
        }
    }
}
