//! `Posting`: one entry about money (or a name, a flag, a refusal), as decided and as stored.
//!
//! The domain type is `Posting`; its stored form is a flat, fixed-size, little-endian record
//! that is parsed into it, never trusted as it lies.

use rkyv::{Archive, Deserialize, Serialize};

use crate::{
    AccountId, Amount, Asset, Balance, BatchError, Incarnation, Kind, Reason, Seq, Text, Timestamp, TxId,
    limits::{BUDGETS_MAX, EXT_BYTES, RECORD_BYTES},
};

/// What every entry has in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The entry's number.
    pub seq: Seq,
    /// Ledger time of the batch that holds it.
    pub at: Timestamp,
    /// What it does.
    pub kind: Kind,
    /// What was asked: the same as `kind`, but for `Kind::Refused`.
    pub op: Kind,
    /// Why it was refused; only with `Kind::Refused`.
    pub reason: Option<Reason>,
    /// Its index in the request's group.
    pub idx: u16,
}

/// One side of an entry and what it left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    /// The account, `NONE` where the entry has no such side.
    pub account: AccountId,
    /// Its sequence after the entry.
    pub seq: u64,
    /// Its balance after the entry.
    pub balance: Balance,
    /// What is held of it after the entry, in minor units.
    pub held: u128,
}

impl Side {
    /// No account on this side.
    pub const NONE: Self = Self { account: AccountId::NONE, seq: 0, balance: Balance::ZERO, held: 0 };
}

/// What only some entries need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Ext {
    /// The name of an `open`, the caller's reference of any other entry.
    pub text: Text,
    /// The hold or entry that this one is about, zero for none.
    pub ref_seq: Seq,
    /// When a hold expires, zero for never.
    pub expires: Timestamp,
    /// Budget meters charged, by id; zero for none.
    pub budgets: [[u8; 16]; BUDGETS_MAX],
}

/// One entry with its effects: both sides' sequence, balance and held after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    /// What every entry has.
    pub head: Head,
    /// The amount moved (or asked for, where refused).
    pub amount: Amount,
    /// The asset, `NONE` where no money moves.
    pub asset: Asset,
    /// The side that is debited. On a refusal: the account as it stood.
    pub debit: Side,
    /// The side that is credited. On a refusal: the account as it stood.
    pub credit: Side,
    /// The nonce of the account that began it, after the entry; the expected one where it is
    /// refused for its nonce.
    pub nonce: u64,
    /// Digest of the idempotency key and its subject, zero for none.
    pub key: [u8; 16],
    /// The time that the key itself carries (milliseconds since 1970), zero for none.
    pub key_millis: u64,
    /// Fingerprint of the decoded request.
    pub fingerprint: u64,
    /// Blind of the debit side's commitment.
    pub debit_blind: [u8; 16],
    /// Blind of the credit side's commitment.
    pub credit_blind: [u8; 16],
    /// What only some entries have.
    pub ext: Option<Ext>,
}

impl Posting {
    /// The public id of this entry, given its leaf hash.
    #[must_use]
    pub fn tx_id(&self, incarnation: Incarnation, leaf: &[u8; 32]) -> TxId {
        let mut first = [0; 8];
        first.copy_from_slice(leaf.split_at(8).0);
        TxId { incarnation, seq: self.head.seq, leaf: first }
    }
}

/// The version of the records that this build writes and reads.
pub(crate) const RECORD_VERSION: u8 = 0;

/// The stored form of `Head`: 8 bytes, the same at the front of every record. Number and time
/// follow from the record's place in its batch.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug)]
pub(crate) struct HeadRecord {
    pub(crate) kind: u8,
    op: u8,
    reason: u8,
    version: u8,
    idx: u16,
    /// 1-based index of the extension among the frame's, zero for none.
    pub(crate) ext: u16,
}

/// Bytes of an amount: it is below 2^96.
const AMOUNT_BYTES: usize = 12;
/// Bytes of what is held: it is never above a balance, which stays below 2^112.
const HELD_BYTES: usize = 14;

/// The stored form of `Side`: 54 bytes.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug)]
struct SideRecord {
    account: u128,
    balance: i128,
    held: [u8; HELD_BYTES],
    seq: u64,
}

/// The stored form of `Posting`: 216 bytes.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug)]
pub(crate) struct PostingRecord {
    pub(crate) head: HeadRecord,
    nonce: u64,
    amount: [u8; AMOUNT_BYTES],
    asset: [u8; 16],
    debit: SideRecord,
    credit: SideRecord,
    key: [u8; 16],
    key_millis: u64,
    fingerprint: u64,
    debit_blind: [u8; 16],
    credit_blind: [u8; 16],
}

/// The stored form of `Ext`: 160 bytes.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug)]
pub(crate) struct ExtRecord {
    text: [u8; 64],
    budgets: [[u8; 16]; BUDGETS_MAX],
    ref_seq: u64,
    expires: u64,
    text_len: u8,
    spare: [u8; 15],
}

const _: () = assert!(size_of::<ArchivedHeadRecord>() == 8);
const _: () = assert!(size_of::<ArchivedPostingRecord>() == RECORD_BYTES);
const _: () = assert!(align_of::<ArchivedPostingRecord>() == 1);
const _: () = assert!(size_of::<ArchivedExtRecord>() == EXT_BYTES);

impl HeadRecord {
    pub(crate) fn new(head: &Head, ext: u16) -> Self {
        Self {
            kind: head.kind.number(),
            op: head.op.number(),
            reason: head.reason.map_or(0, Reason::number),
            version: RECORD_VERSION,
            idx: head.idx,
            ext,
        }
    }
}

impl ArchivedHeadRecord {
    /// The head of the entry `seq`, in a batch of the time `at`.
    pub(crate) fn parse(&self, seq: Seq, at: Timestamp) -> Result<Head, BatchError> {
        if self.version != RECORD_VERSION {
            return Err(BatchError::Version(self.version));
        }
        let kind = Kind::from_number(self.kind).ok_or(BatchError::Kind(self.kind))?;
        let op = Kind::from_number(self.op).ok_or(BatchError::Kind(self.op))?;
        let reason = match self.reason {
            0 => None,
            number => Some(Reason::from_number(number).ok_or(BatchError::Reason(number))?),
        };
        if (kind == Kind::Refused) != reason.is_some() || (kind != Kind::Refused && op != kind) {
            return Err(BatchError::Field("op and reason do not fit the kind"));
        }
        Ok(Head { seq, at, kind, op, reason, idx: self.idx.to_native() })
    }
}

impl SideRecord {
    fn new(side: &Side) -> Self {
        Self {
            account: side.account.bits(),
            balance: side.balance.units(),
            held: narrow(side.held),
            seq: side.seq,
        }
    }
}

impl ArchivedSideRecord {
    fn parse(&self) -> Result<Side, BatchError> {
        Ok(Side {
            account: AccountId::from_bits(self.account.to_native()),
            seq: self.seq.to_native(),
            balance: Balance::new(self.balance.to_native()).ok_or(BatchError::Field("balance"))?,
            held: widen(self.held),
        })
    }
}

impl PostingRecord {
    pub(crate) fn new(posting: &Posting, ext: u16) -> Self {
        Self {
            head: HeadRecord::new(&posting.head, ext),
            nonce: posting.nonce,
            amount: narrow(posting.amount.units()),
            asset: posting.asset.bytes(),
            debit: SideRecord::new(&posting.debit),
            credit: SideRecord::new(&posting.credit),
            key: posting.key,
            key_millis: posting.key_millis,
            fingerprint: posting.fingerprint,
            debit_blind: posting.debit_blind,
            credit_blind: posting.credit_blind,
        }
    }
}

impl ArchivedPostingRecord {
    pub(crate) fn parse(&self, seq: Seq, at: Timestamp, ext: Option<Ext>) -> Result<Posting, BatchError> {
        Ok(Posting {
            head: self.head.parse(seq, at)?,
            amount: Amount::new(widen(self.amount)).ok_or(BatchError::Field("amount"))?,
            asset: Asset::from_bytes(self.asset).map_err(|_| BatchError::Field("asset"))?,
            debit: self.debit.parse()?,
            credit: self.credit.parse()?,
            nonce: self.nonce.to_native(),
            key: self.key,
            key_millis: self.key_millis.to_native(),
            fingerprint: self.fingerprint.to_native(),
            debit_blind: self.debit_blind,
            credit_blind: self.credit_blind,
            ext,
        })
    }
}

/// The low bytes of a number whose bound says that the others are zero.
fn narrow<const N: usize>(units: u128) -> [u8; N] {
    let bytes = units.to_le_bytes();
    let (low, high) = bytes.split_at(N);
    assert!(high.iter().all(|byte| *byte == 0), "{units} is above its bound");
    low.try_into().expect("split there")
}

fn widen<const N: usize>(low: [u8; N]) -> u128 {
    let mut bytes = [0; 16];
    bytes.split_at_mut(N).0.copy_from_slice(&low);
    u128::from_le_bytes(bytes)
}

impl ExtRecord {
    pub(crate) fn new(ext: &Ext) -> Self {
        Self {
            text: *ext.text.padded(),
            budgets: ext.budgets,
            ref_seq: ext.ref_seq.0,
            expires: ext.expires.0,
            text_len: ext.text.len(),
            spare: [0; 15],
        }
    }
}

impl ArchivedExtRecord {
    pub(crate) fn parse(&self) -> Result<Ext, BatchError> {
        if self.spare != [0; 15] {
            return Err(BatchError::Field("spare bytes of an extension"));
        }
        Ok(Ext {
            text: Text::from_padded(&self.text, self.text_len).ok_or(BatchError::Field("text"))?,
            ref_seq: Seq(self.ref_seq.to_native()),
            expires: Timestamp(self.expires.to_native()),
            budgets: self.budgets,
        })
    }
}
