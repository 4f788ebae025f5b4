//! Leaf data: the bytes that an entry's leaf hash is the hash of.
//!
//! A leaf shows what the entry does, the amount and the asset; who, and what it left behind, are
//! commitments that only a blind opens. Fixed layouts, little-endian, in `docs/format.md`.

use model::{AccountId, Asset, Balance, Beginning, Head, Posting, Reason, RecordRef, Side, Slice};

use crate::{Hash, HashKind};

/// The version of the leaf layouts that this build writes and reads.
pub(crate) const LEAF_VERSION: u8 = 0;
/// Bytes of a posting's leaf.
pub(crate) const POSTING_LEAF_BYTES: usize = 152;
/// Bytes of a slice's leaf.
pub(crate) const SLICE_LEAF_BYTES: usize = 80;
/// Bytes of a beginning's leaf.
pub(crate) const BEGINNING_LEAF_BYTES: usize = 146;
/// Bytes of the head of every leaf.
pub(crate) const HEAD_BYTES: usize = 24;

/// Domains of the commitments; none begins with 0x00 or 0x01, as leaves and nodes do.
const TAG_DEBIT: &[u8; 8] = b"debit/v0";
const TAG_CREDIT: &[u8; 8] = b"creditv0";
const TAG_REQUEST_BLIND: &[u8; 8] = b"reqblnd0";
const TAG_REQUEST: &[u8; 8] = b"requestv";
const TAG_SLICE: &[u8; 8] = b"slice/v0";

/// The bytes of one leaf: 152 for a posting, 80 for a slice, 146 for a beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeafData {
    bytes: [u8; POSTING_LEAF_BYTES],
    len: usize,
}

impl LeafData {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.split_at(self.len).0
    }

    /// The leaf hash: RFC 6962 `H(0x00 || data)`.
    #[must_use]
    pub fn hash(&self, hash: HashKind) -> Hash {
        hash.leaf(self.as_bytes())
    }
}

/// Which side of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Which {
    /// The side that is debited.
    Debit,
    /// The side that is credited.
    Credit,
}

/// One side of an entry, opened: all that its commitment covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenedSide {
    /// Which side.
    pub which: Which,
    /// The account.
    pub account: AccountId,
    /// The asset.
    pub asset: Asset,
    /// Its sequence after the entry.
    pub account_seq: u64,
    /// Its balance after the entry.
    pub balance: Balance,
    /// What is held of it after the entry.
    pub held: u128,
    /// The blind of this side.
    pub blind: [u8; 16],
}

impl OpenedSide {
    /// The side `which` of an entry.
    #[must_use]
    pub const fn of(posting: &Posting, which: Which) -> Self {
        let (side, blind) = match which {
            Which::Debit => (&posting.debit, posting.debit_blind),
            Which::Credit => (&posting.credit, posting.credit_blind),
        };
        let Side { account, seq, balance, held } = *side;
        Self { which, account, asset: posting.asset, account_seq: seq, balance, held, blind }
    }

    /// `H(tag || blind || account || asset || account_seq || balance || held)`.
    #[must_use]
    pub fn commitment(&self, hash: HashKind) -> Hash {
        let tag = match self.which {
            Which::Debit => TAG_DEBIT,
            Which::Credit => TAG_CREDIT,
        };
        let mut fields = Fields::<96>::new();
        fields.put(tag);
        fields.put(&self.blind);
        fields.put(&self.account.bits().to_le_bytes());
        fields.put(&self.asset.bytes());
        fields.put(&self.account_seq.to_le_bytes());
        fields.put(&self.balance.units().to_le_bytes());
        fields.put(&self.held.to_le_bytes());
        hash.digest(fields.written())
    }
}

/// Fixed fields written one after another.
struct Fields<const N: usize> {
    bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Fields<N> {
    const fn new() -> Self {
        Self { bytes: [0; N], at: 0 }
    }

    fn put(&mut self, field: &[u8]) {
        let end = self.at + field.len();
        self.bytes.get_mut(self.at..end).expect("the layout was sized for its fields").copy_from_slice(field);
        self.at = end;
    }

    fn head(&mut self, hash: HashKind, head: &Head) {
        let reason = head.reason.map_or(0, Reason::number);
        self.put(&[LEAF_VERSION, hash.number(), head.kind.number(), head.op.number(), reason, 0]);
        self.put(&head.idx.to_le_bytes());
        self.put(&head.seq.0.to_le_bytes());
        self.put(&head.at.0.to_le_bytes());
        assert_eq!(self.at, HEAD_BYTES);
    }

    fn written(&self) -> &[u8] {
        self.bytes.split_at(self.at).0
    }
}

/// The leaf data of a posting: head (24), amount (16), asset (16), then the commitments of the
/// debit side, the credit side and the request (32 each).
#[must_use]
pub fn leaf_data(hash: HashKind, posting: &Posting) -> LeafData {
    let mut fields = Fields::<POSTING_LEAF_BYTES>::new();
    fields.head(hash, &posting.head);
    fields.put(&posting.amount.units().to_le_bytes());
    fields.put(&posting.asset.bytes());
    fields.put(&OpenedSide::of(posting, Which::Debit).commitment(hash));
    fields.put(&OpenedSide::of(posting, Which::Credit).commitment(hash));
    fields.put(&request_commitment(hash, posting));
    assert_eq!(fields.at, POSTING_LEAF_BYTES);
    LeafData { bytes: fields.bytes, len: fields.at }
}

/// The blind of the request's commitment: opening one side does not open the request, and opening
/// the request opens no side.
fn request_blind(hash: HashKind, posting: &Posting) -> [u8; 16] {
    let mut fields = Fields::<40>::new();
    fields.put(TAG_REQUEST_BLIND);
    fields.put(&posting.debit_blind);
    fields.put(&posting.credit_blind);
    let digest = hash.digest(fields.written());
    let (halves, _) = digest.as_chunks::<16>();
    halves[0]
}

/// `H(tag || blind || key || key_millis || fingerprint || nonce [|| ext])`. With and without an
/// extension the lengths differ, so neither can pass for the other.
fn request_commitment(hash: HashKind, posting: &Posting) -> Hash {
    let mut fields = Fields::<209>::new();
    fields.put(TAG_REQUEST);
    fields.put(&request_blind(hash, posting));
    fields.put(&posting.key);
    fields.put(&posting.key_millis.to_le_bytes());
    fields.put(&posting.fingerprint.to_le_bytes());
    fields.put(&posting.nonce.to_le_bytes());
    if let Some(ext) = &posting.ext {
        fields.put(&[ext.text.len()]);
        fields.put(ext.text.padded());
        fields.put(&ext.ref_seq.0.to_le_bytes());
        fields.put(&ext.expires.0.to_le_bytes());
        fields.put(ext.budgets.as_flattened());
    }
    hash.digest(fields.written())
}

/// The leaf data of a slice: head (24), stream (16), number (8), commitment (32).
#[must_use]
pub fn slice_leaf_data(hash: HashKind, slice: &Slice) -> LeafData {
    let mut fields = Fields::<POSTING_LEAF_BYTES>::new();
    fields.head(hash, &slice.head);
    fields.put(&slice.stream);
    fields.put(&slice.number.to_le_bytes());
    fields.put(&slice_commitment(hash, slice));
    assert_eq!(fields.at, SLICE_LEAF_BYTES);
    LeafData { bytes: fields.bytes, len: fields.at }
}

/// Covers the slice's window, rows, chain and totals, and through the digest its body.
fn slice_commitment(hash: HashKind, slice: &Slice) -> Hash {
    let mut fields = Fields::<152>::new();
    fields.put(TAG_SLICE);
    fields.put(&slice.blind);
    fields.put(&slice.window_start_millis.to_le_bytes());
    fields.put(&slice.window_millis.to_le_bytes());
    fields.put(&slice.rows.to_le_bytes());
    fields.put(&slice.digest);
    fields.put(&slice.previous);
    fields.put(&slice.requests.to_le_bytes());
    fields.put(&slice.bytes_in.to_le_bytes());
    fields.put(&slice.bytes_out.to_le_bytes());
    hash.digest(fields.written())
}

/// The leaf data of a beginning, all of it in clear: head (24), incarnation (4), the parent's
/// incarnation (4), size (8) and root (32), life (8), length of the reason (1), cause (1), reason (64).
#[must_use]
pub fn beginning_leaf_data(hash: HashKind, beginning: &Beginning) -> LeafData {
    let mut fields = Fields::<POSTING_LEAF_BYTES>::new();
    fields.head(hash, &beginning.head);
    fields.put(&beginning.incarnation.0.to_le_bytes());
    fields.put(&beginning.parent.incarnation.0.to_le_bytes());
    fields.put(&beginning.parent.size.to_le_bytes());
    fields.put(&beginning.parent.root);
    fields.put(&beginning.life);
    fields.put(&[beginning.reason.len(), beginning.cause.number()]);
    fields.put(beginning.reason.padded());
    assert_eq!(fields.at, BEGINNING_LEAF_BYTES);
    LeafData { bytes: fields.bytes, len: fields.at }
}

/// The leaf hash of any record.
#[must_use]
pub fn record_leaf_hash(hash: HashKind, record: &RecordRef<'_>) -> Hash {
    match record {
        RecordRef::Posting(posting) => leaf_data(hash, posting).hash(hash),
        RecordRef::Slice(slice, _) => slice_leaf_data(hash, slice).hash(hash),
        RecordRef::Beginning(beginning) => beginning_leaf_data(hash, beginning).hash(hash),
    }
}
