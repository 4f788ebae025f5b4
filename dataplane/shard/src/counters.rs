//! `Counters`: what a shard has done, for metrics.

use wire::usage::{ItemOutcome, LabelRefusal, Rejection};

/// Monotone counts since the shard's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// Batches counted, in whole or in part.
    pub batches: u64,
    /// Records counted.
    pub records: u64,
    /// Records not counted because their label was refused.
    pub records_refused: u64,
    /// Records not counted because the ledger holds them from before a restart.
    pub records_restored: u64,
    /// Batches counted into a correction.
    pub batches_late: u64,
    /// Batches rejected, by `rejection_words`.
    pub rejected: [u64; 7],
    /// Label sets refused, by `label_refusal_words`.
    pub labels_refused: [u64; 3],
    /// Label sets that went to their tenant's overflow row.
    pub labels_overflowed: u64,
    /// Label sets forgotten because nothing used them any more.
    pub labels_evicted: u64,
    /// Events, by `item_words`.
    pub items: [u64; 6],
    /// Producers that admitted by their hello to have dropped batches.
    pub gaps_admitted: u64,
    /// Windows sealed early because their tables were full.
    pub sealed_early: u64,
    /// Slices sealed.
    pub slices_sealed: u64,
    /// Of these, corrections: slices of a window that had been sealed before for the tenant.
    pub slices_correcting: u64,
    /// Rows of sealed slices.
    pub rows_sealed: u64,
    /// Slices known to be in the ledger.
    pub slices_durable: u64,
    /// Slices offered again after a refusal.
    pub exports_retried: u64,
    /// Streams that halted: the ledger's stream and ours do not agree.
    pub streams_halted: u64,
    /// Events of connections that the shard does not know (any more).
    pub strays: u64,
}

impl Counters {
    /// The words of `rejected`, in order.
    #[must_use]
    pub fn rejection_words() -> [&'static str; 7] {
        [
            Rejection::Duplicate,
            Rejection::Conflict,
            Rejection::Gap { expected: 0 },
            Rejection::Late,
            Rejection::Skewed,
            Rejection::Busy,
            Rejection::UnknownLabel,
        ]
        .map(Rejection::word)
    }

    /// The words of `labels_refused`, in order.
    #[must_use]
    pub fn label_refusal_words() -> [&'static str; 3] {
        [LabelRefusal::WrongShard, LabelRefusal::TenantLimit, LabelRefusal::Taken].map(LabelRefusal::word)
    }

    /// The words of `items`, in order.
    #[must_use]
    pub const fn item_words() -> [&'static str; 6] {
        ["ok", "duplicate", "late", "skewed", "overflowed", "rejected"]
    }

    pub(crate) const fn reject(&mut self, why: Rejection) {
        let index = match why {
            Rejection::Duplicate => 0,
            Rejection::Conflict => 1,
            Rejection::Gap { .. } => 2,
            Rejection::Late => 3,
            Rejection::Skewed => 4,
            Rejection::Busy => 5,
            Rejection::UnknownLabel => 6,
        };
        self.rejected[index] += 1;
    }

    pub(crate) const fn refuse_label(&mut self, why: LabelRefusal) {
        let index = match why {
            LabelRefusal::WrongShard => 0,
            LabelRefusal::TenantLimit => 1,
            LabelRefusal::Taken => 2,
        };
        self.labels_refused[index] += 1;
    }

    pub(crate) const fn item(&mut self, outcome: ItemOutcome) {
        let index = match outcome {
            ItemOutcome::Ok => 0,
            ItemOutcome::Duplicate => 1,
            ItemOutcome::Late => 2,
            ItemOutcome::Skewed => 3,
            ItemOutcome::Overflowed => 4,
            ItemOutcome::Rejected(_) => 5,
        };
        self.items[index] += 1;
    }
}
