//! What is asked of the reader: the durable view, entries, roots and proofs.

use model::{AccountName, Asset, Reason, Seq, Slice, Timestamp};

use crate::{AccountState, CallId, Checkpoint, EntryProof, InclusionProof, Root, StoredEntry};

/// Roots of one answer at most.
pub const ROOTS_MAX: usize = 1_000;
/// Bytes of slice bodies after which a page of slices is full.
pub const SLICE_PAGE_BYTES: usize = 4 << 20;

/// A question with its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadCall {
    /// Chosen by the asker.
    pub id: CallId,
    /// The question.
    pub ask: ReadAsk,
}

/// One question about durable state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadAsk {
    /// How an account stands.
    Account(AccountName, Asset),
    /// The entry with this number.
    Entry(Seq),
    /// The entry with its proof up to the newest checkpoint. Waits for one that covers it.
    EntryProof(Seq),
    /// Roots after `since`, at most `limit` and at most `ROOTS_MAX`.
    Roots {
        /// Exclusive.
        since: Seq,
        /// How many.
        limit: usize,
    },
    /// The newest checkpoint.
    Checkpoint,
    /// That the entry is in the tree of `size` (`None`: the newest durable one).
    Inclusion {
        /// The entry.
        seq: Seq,
        /// The size of the tree.
        size: Option<u64>,
    },
    /// That the tree of size `from` is a prefix of the tree of size `to`.
    Consistency {
        /// The smaller size.
        from: u64,
        /// The larger size.
        to: u64,
    },
    /// Slices of usage after `after`, in order, a page at a time: all that were taken at `since` or
    /// later, and before that the last one of each stream that has no later one.
    Slices {
        /// Exclusive; zero to begin with, then `SlicePage::next`.
        after: Seq,
        /// Ledger time.
        since: Timestamp,
    },
}

/// An answer with the id of its question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadAnswer {
    /// The id of the call.
    pub id: CallId,
    /// What was found.
    pub found: Found,
}

/// What a question found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The account; of a name that was never opened, an empty one with sequence zero is `None`.
    Account(Option<AccountState>),
    /// The entry.
    Entry(Option<Box<StoredEntry>>),
    /// The entry with its proof.
    EntryProof(Option<Box<EntryProof>>),
    /// Roots in order.
    Roots(Vec<Root>),
    /// The checkpoint.
    Checkpoint(Checkpoint),
    /// The proof.
    Inclusion(Option<InclusionProof>),
    /// The path.
    Consistency(Option<Vec<[u8; 32]>>),
    /// Slices.
    Slices(SlicePage),
    /// No answer can be given, and why.
    Refused(Reason),
}

/// Some slices, in the ledger's order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SlicePage {
    /// The slices with their bodies.
    pub slices: Vec<(Slice, Vec<u8>)>,
    /// Where the next page begins; `None` if this is the last one.
    pub next: Option<Seq>,
}
