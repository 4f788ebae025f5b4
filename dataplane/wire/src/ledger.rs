//! What the control plane and the shards ask of the ledger, and what comes back.

use model::{
    AccountId, AccountName, Asset, Balance, Incarnation, LedgerId, Outcome, Posting, Reason, Request, Seq,
    SliceRequest, Timestamp,
};

/// Ties an answer to its question; chosen by the asker, unique among those it has open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// Requests that lie in one frame or are refused together.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Group {
    /// The requests, in order; at most `limits::GROUP_ENTRIES_MAX`.
    pub requests: Vec<Request>,
    /// All or none.
    pub atomic: bool,
}

/// One question to the committer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Decide a group about money.
    Money(Group),
    /// Take sealed slices, in order; at most `limits::FRAME_SLICES_MAX`.
    Slices(Vec<SliceRequest>),
}

/// A question with its id, as it stands in the intake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Chosen by the asker.
    pub id: CallId,
    /// The question.
    pub ask: Ask,
    /// Empty, with room for one outcome per request or slice: the committer allocates nothing.
    pub outcomes: Vec<Outcome>,
}

impl Call {
    /// A question with room for its outcomes.
    #[must_use]
    pub fn new(id: CallId, ask: Ask) -> Self {
        let room = match &ask {
            Ask::Money(group) => group.requests.len(),
            Ask::Slices(slices) => slices.len(),
        };
        Self { id, ask, outcomes: Vec::with_capacity(room) }
    }
}

/// The committer's answer, given when everything in it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The id of the call.
    pub id: CallId,
    /// One outcome per request or slice, in order.
    pub outcomes: Vec<Outcome>,
    /// The tree after the frame that held the call.
    pub committed: Committed,
    /// The question, handed back so that its memory is freed off the committer's path.
    pub ask: Ask,
}

/// A tree head whose entries are durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Committed {
    /// Entries in the tree: the last `Seq`.
    pub size: u64,
    /// Its root.
    pub root: [u8; 32],
    /// Ledger time of the batch that brought it there.
    pub at: Timestamp,
}

/// One published root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    /// The last `Seq` under it.
    pub seq: Seq,
    /// The root.
    pub root: [u8; 32],
    /// Ledger time of its batch.
    pub at: Timestamp,
}

/// An account as it stands in the durable view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountState {
    /// Whose.
    pub account: AccountId,
    /// Of what.
    pub asset: Asset,
    /// Credits less debits.
    pub balance: Balance,
    /// Reserved by holds.
    pub held: u128,
    /// Accepted entries that changed it.
    pub account_seq: u64,
    /// Accepted entries that its owner began.
    pub nonce: u64,
    /// The durable `Seq` that this view stands at.
    pub as_of_seq: Seq,
    /// Ledger time of that `Seq`.
    pub as_of: Timestamp,
}

/// How an account stood in the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountThen {
    /// Whose.
    pub account: AccountId,
    /// Of what.
    pub asset: Asset,
    /// Credits less debits.
    pub balance: Balance,
    /// Reserved by holds.
    pub held: u128,
    /// Accepted entries that had changed it.
    pub account_seq: u64,
    /// The last entry at or before the moment that was asked for; zero if there was none.
    pub as_of_seq: Seq,
    /// Ledger time of that entry.
    pub as_of: Timestamp,
}

/// Entries that changed an account.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AccountPage {
    /// In the order of the account's sequence.
    pub entries: Vec<StoredEntry>,
    /// The account's sequence that the next page begins with; `None` if there is no later entry.
    pub next: Option<u64>,
}

/// An entry found again, with the names of its accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    /// The entry.
    pub posting: Posting,
    /// Its leaf hash.
    pub leaf: [u8; 32],
    /// The debited account's name, if it is open.
    pub debit: Option<AccountName>,
    /// The credited account's name, if it is open.
    pub credit: Option<AccountName>,
}

/// An RFC 6962 inclusion proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof {
    /// The entry.
    pub seq: Seq,
    /// Its leaf hash.
    pub leaf: [u8; 32],
    /// The size of the tree that the path leads to.
    pub size: u64,
    /// The root of that tree.
    pub root: [u8; 32],
    /// Sibling hashes from the leaf up.
    pub path: Vec<[u8; 32]>,
}

/// The newest signed tree head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Entries under it.
    pub size: u64,
    /// Its root.
    pub root: [u8; 32],
    /// The C2SP signed note.
    pub note: String,
}

/// All that a receipt needs: the entry, its proof and the checkpoint that the proof leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryProof {
    /// The entry.
    pub entry: StoredEntry,
    /// The bytes that the leaf hash is the hash of.
    pub leaf_data: Vec<u8>,
    /// Leads from the leaf to the checkpoint's root.
    pub proof: InclusionProof,
    /// Signed.
    pub checkpoint: Checkpoint,
}

/// How the ledger is, for readiness and metrics. Cheap to read, from any thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Identity of the ledger.
    pub ledger: LedgerId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// Whether writes are taken.
    pub accepting: bool,
    /// Why not, if not.
    pub refusing: Option<Reason>,
    /// The newest durable tree head.
    pub committed: Committed,
    /// Calls waiting in the intake.
    pub intake_depth: usize,
    /// Calls that the intake holds at most.
    pub intake_capacity: usize,
    /// Age of the oldest frame that is not yet durable, in milliseconds.
    pub committer_lag_millis: u64,
    /// What is not as it should be, though work goes on.
    pub health: Health,
}

/// What of the ledger is not as it should be, though work goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Health {
    /// The next segment cannot be prepared: new entries go on until the prepared ones are full.
    pub space_low: bool,
    /// How far ledger time is ahead of the wall clock, in milliseconds; negative if it is behind.
    pub clock_ahead_millis: i64,
    /// Proofs, roots and entries cannot be looked up until they are derived anew.
    pub derived_lost: bool,
    /// One of the two copies of the journal does not count: an answer rests on one device.
    pub mirror_lost: bool,
    /// Bytes that one copy lacked at the start and was given.
    pub repaired_bytes: u64,
}
