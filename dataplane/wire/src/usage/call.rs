//! What the control plane asks of a shard, and what comes back.

use model::Text;

use super::{ItemOutcome, LabelSet, Totals, UsageItem};
use crate::CallId;

/// One question to a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageCall {
    /// Chosen by the asker.
    pub id: CallId,
    /// The question.
    pub ask: UsageAsk,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageAsk {
    /// Count these events, all of tenants of this shard.
    Items(Vec<UsageItem>),
    /// Tell what a tenant used.
    Windows(UsageQuery),
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageAnswer {
    /// The id of the call.
    pub id: CallId,
    /// The answer.
    pub reply: UsageReply,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageReply {
    /// One outcome per event, in order.
    Items(Vec<ItemOutcome>),
    /// The tenant's windows, oldest first.
    Windows(Vec<UsageWindow>),
}

/// Whose usage, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageQuery {
    /// Whose.
    pub tenant: Text,
    /// Windows that end after this, milliseconds since 1970.
    pub from_millis: u64,
    /// Windows that start before this, milliseconds since 1970.
    pub to_millis: u64,
}

/// One window of one tenant, as far as the shard remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageWindow {
    /// Its start, milliseconds since 1970.
    pub start_millis: u64,
    /// Its length in milliseconds.
    pub window_millis: u32,
    /// Whether it is closed and everything counted in it is in the ledger. A correction may
    /// still come, and then it is open again until that is in the ledger too.
    pub is_final: bool,
    /// Usage by label set, in canonical order.
    pub rows: Vec<UsageRow>,
}

/// Usage of one label set in one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageRow {
    /// Counted by.
    pub labels: LabelSet,
    /// What was counted.
    pub totals: Totals,
}
