//! `Decision`: what the ledger answers to one request, before anything is recorded.

use model::{AccountId, AccountName, Amount, Asset, Declined, Ext, Head, Kind, Posting, Seq, Side, Slice};

/// What is to become of a request about money.
#[expect(
    clippy::large_enum_variant,
    reason = "the large variant is the common one; boxing it would allocate per entry"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// These entries, to be recorded and applied in this order.
    Postings(Postings),
    /// Decided before under the same key: the entry at `seq` says how.
    Replayed {
        /// The entry that holds the first outcome.
        seq: Seq,
    },
    /// Refused without a trace.
    Declined(Declined),
}

/// What is to become of a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SliceDecision {
    /// Take it, with its head and blind set; `body_at` and `body_len` are the batch writer's.
    Take(Slice),
    /// It is in the ledger already.
    Duplicate {
        /// The entry that holds it.
        seq: Seq,
    },
    /// Refused without a trace. On a gap (`nonce_conflict`) or a conflict (`idem_conflict`) the
    /// number is that of the slice that is expected.
    Declined(Declined),
}

/// One to three entries of one request: an `open` for each side that is new, then the entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postings {
    opens: [Option<Opening>; 2],
    entry: Posting,
}

/// What an `open` entry needs beside what the entry after it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opening {
    pub(crate) seq: Seq,
    pub(crate) id: AccountId,
    pub(crate) name: AccountName,
    pub(crate) blinds: [[u8; 16]; 2],
}

impl Opening {
    fn posting(&self, entry: &Posting) -> Posting {
        Posting {
            head: Head {
                seq: self.seq,
                at: entry.head.at,
                kind: Kind::Open,
                op: Kind::Open,
                reason: None,
                idx: entry.head.idx,
            },
            amount: Amount::ZERO,
            asset: Asset::NONE,
            debit: Side::NONE,
            credit: Side { account: self.id, ..Side::NONE },
            nonce: 0,
            key: [0; 16],
            key_millis: 0,
            fingerprint: 0,
            debit_blind: self.blinds[0],
            credit_blind: self.blinds[1],
            ext: Some(Ext { text: self.name.text(), ..Ext::default() }),
        }
    }
}

impl Postings {
    pub(crate) const fn new(opens: [Option<Opening>; 2], entry: Posting) -> Self {
        Self { opens, entry }
    }

    /// The entry that was asked for: accepted, or of kind `refused`. The last of the postings.
    #[must_use]
    pub const fn entry(&self) -> &Posting {
        &self.entry
    }

    /// How many there are: 1 to 3.
    #[must_use]
    pub fn count(&self) -> usize {
        1 + self.opens.iter().flatten().count()
    }

    /// The `open` entries before the entry.
    pub fn opens(&self) -> impl Iterator<Item = Posting> + '_ {
        self.opens.iter().flatten().map(|opening| opening.posting(&self.entry))
    }

    /// All of them, in the order in which they are recorded and applied.
    pub fn iter(&self) -> impl Iterator<Item = Posting> + '_ {
        self.opens().chain(core::iter::once(self.entry))
    }
}
