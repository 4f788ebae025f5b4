//! What is asked of the reader: the durable view, entries, roots and proofs.

use model::{AccountName, Asset, Reason, Seq, Slice, Timestamp};

use crate::{
    AccountPage, AccountState, AccountThen, CallId, Checkpoint, EntryProof, InclusionProof, Root, StoredEntry,
};

/// Roots of one answer at most.
pub const ROOTS_MAX: usize = 1_000;
/// Entries of one page of an account at most.
pub const ACCOUNT_ENTRIES_MAX: usize = 200;
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

/// A moment of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// After this entry.
    Seq(Seq),
    /// At this ledger time.
    Time(Timestamp),
}

/// One question about durable state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadAsk {
    /// How an account stands.
    Account(AccountName, Asset),
    /// How an account stood after the last entry at or before a moment.
    AccountAt(AccountName, Asset, At),
    /// The entries that changed an account, in the order of its sequence, a page at a time.
    AccountEntries {
        /// Whose.
        account: AccountName,
        /// Of what.
        asset: Asset,
        /// The first sequence of the account that is wanted, from 1.
        from: u64,
        /// How many, and at most `ACCOUNT_ENTRIES_MAX`.
        limit: usize,
    },
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
    /// How the account stood; `None` of a name that was never opened.
    AccountThen(Option<AccountThen>),
    /// Entries of the account; `None` of a name that was never opened.
    AccountEntries(Option<AccountPage>),
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
    /// What the answer needs is being read from the journal again: it will be there.
    Behind,
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
