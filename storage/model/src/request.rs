//! What the ledger is asked and what it answers: decoded, typed, ready to be decided.

use crate::{
    AccountName, Amount, Asset, Kind, Posting, Reason, Seq, Slice, Text,
    domain::{Domain, shortened},
};
use alloc::vec::Vec;

/// An idempotency key as the ledger knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IdemKey {
    /// Digest of `(subject, key, idx)`: 16 bytes of BLAKE3 in key derivation mode.
    pub digest: [u8; 16],
    /// The time that the key carries (ULID, `UUIDv7`), milliseconds since 1970; zero for none.
    pub millis: u64,
}

impl IdemKey {
    /// The key of entry `idx` of the request that `subject` sent with `key`.
    #[must_use]
    pub fn new(subject: &str, key: &str, idx: u16) -> Self {
        let mut hasher = Domain::IDEMPOTENCY_KEY.hasher();
        for part in [subject, key] {
            let len = u64::try_from(part.len()).expect("a length fits in 64 bits");
            hasher.update(&len.to_le_bytes()).update(part.as_bytes());
        }
        let digest = shortened(&hasher.update(&idx.to_le_bytes()).finalize());
        Self { digest, millis: key_millis(key).unwrap_or(0) }
    }
}

/// The time inside a ULID (26 characters of Crockford base 32) or a `UUIDv7` (RFC 9562), if the
/// key is one.
fn key_millis(key: &str) -> Option<u64> {
    match key.len() {
        26 => ulid_millis(key),
        36 => uuid7_millis(key),
        _ => None,
    }
}

fn ulid_millis(key: &str) -> Option<u64> {
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let digit = |byte: u8| ALPHABET.iter().position(|known| *known == byte.to_ascii_uppercase());
    if key.as_bytes().first().is_none_or(|first| *first > b'7')
        || !key.bytes().all(|byte| digit(byte).is_some())
    {
        return None;
    }
    key.bytes().take(10).try_fold(0u64, |millis, byte| Some(millis << 5 | u64::try_from(digit(byte)?).ok()?))
}

fn uuid7_millis(key: &str) -> Option<u64> {
    let dashes = [8, 13, 18, 23];
    let well_formed = key
        .bytes()
        .enumerate()
        .all(|(index, byte)| if dashes.contains(&index) { byte == b'-' } else { byte.is_ascii_hexdigit() });
    if !well_formed || key.as_bytes().get(14) != Some(&b'7') {
        return None;
    }
    let (high, low) = (key.get(0..8)?, key.get(9..13)?);
    Some(u64::from_str_radix(high, 16).ok()? << 16 | u64::from_str_radix(low, 16).ok()?)
}

/// What must hold for a request to be accepted, beside the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Preconditions {
    /// The next nonce of the account that begins it.
    pub nonce: Option<u64>,
    /// The account's sequence before it.
    pub if_seq: Option<u64>,
    /// The account's available balance before it, at least.
    pub if_balance_at_least: Option<Amount>,
}

/// Bytes that a fingerprint covers at most: the kind, three texts with their lengths, asset,
/// amount, three optional values.
const FINGERPRINT_BYTES_MAX: usize = 1 + 3 * 65 + 16 + 16 + 3 * 17;

/// One decoded intent about money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is asked.
    pub kind: Kind,
    /// The account that is debited.
    pub debit: AccountName,
    /// The account that is credited.
    pub credit: AccountName,
    /// What is counted.
    pub asset: Asset,
    /// How much.
    pub amount: Amount,
    /// The key under which the outcome is kept.
    pub key: IdemKey,
    /// What must hold.
    pub preconditions: Preconditions,
    /// The caller's reference.
    pub reference: Text,
    /// Its index in its group.
    pub idx: u16,
}

impl Request {
    /// The account whose owner begins this request: the one whose nonce, `if_seq` and
    /// `if_balance_at_least` are meant. The credited one for `mint` and `credit`.
    #[must_use]
    pub const fn owner(&self) -> &AccountName {
        match self.kind {
            Kind::Mint | Kind::Credit => &self.credit,
            Kind::Transfer
            | Kind::Burn
            | Kind::Debit
            | Kind::Hold
            | Kind::Capture
            | Kind::Release
            | Kind::Reverse
            | Kind::Open
            | Kind::Flag
            | Kind::Usage
            | Kind::UsageLoss
            | Kind::Refused
            | Kind::Horizon
            | Kind::Incarnation => &self.debit,
        }
    }

    /// The fingerprint of the decoded intent: the first 8 bytes of BLAKE3 in key derivation mode
    /// over every field that the caller chose, each with its length where it varies.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut fields = [0; FINGERPRINT_BYTES_MAX];
        let mut len = 0;
        let mut put = |field: &[u8]| {
            let end = len + field.len();
            fields.get_mut(len..end).expect("sized for every field").copy_from_slice(field);
            len = end;
        };
        put(&[self.kind.number()]);
        for text in [self.debit.text(), self.credit.text(), self.reference] {
            put(&[text.len()]);
            put(text.as_str().as_bytes());
        }
        put(&self.asset.bytes());
        put(&self.amount.units().to_le_bytes());
        let optional = [
            self.preconditions.nonce.map(u128::from),
            self.preconditions.if_seq.map(u128::from),
            self.preconditions.if_balance_at_least.map(Amount::units),
        ];
        for value in optional {
            put(&[u8::from(value.is_some())]);
            put(&value.unwrap_or(0).to_le_bytes());
        }
        let digest = Domain::REQUEST_FINGERPRINT.short_digest(fields.split_at(len).0);
        let (words, _) = digest.as_chunks::<8>();
        u64::from_le_bytes(words[0])
    }
}

/// A sealed slice that asks to be taken into the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceRequest {
    /// The slice; `head`, `blind`, `body_at` and `body_len` are set when it is decided.
    pub slice: Slice,
    /// Its canonical body; `slice.digest` is its BLAKE3.
    pub body: Vec<u8>,
}

/// A refusal that leaves nothing in the ledger: the same key may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declined {
    /// Why.
    pub reason: Reason,
    /// The number that the reason needs: the expected slice, the limit; zero where there is none.
    pub number: u128,
}

/// What became of one request.
#[expect(
    clippy::large_enum_variant,
    reason = "the large variant is the common one; boxing it would allocate per entry"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Decided now: an accepted entry, or one of `Kind::Refused` (see `head.reason`).
    Decided {
        /// The entry.
        posting: Posting,
        /// Its leaf hash.
        leaf: [u8; 32],
    },
    /// Decided before under the same key: the entry at `seq` says how.
    Replayed {
        /// The entry that holds the first outcome.
        seq: Seq,
    },
    /// Taken as a slice now (`duplicate` false) or before (`duplicate` true).
    SliceTaken {
        /// The entry that holds it.
        seq: Seq,
        /// Whether it was there already.
        duplicate: bool,
    },
    /// Refused without a trace.
    Declined(Declined),
    /// Its fate is open: ask again with the same key.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_carry_their_time_where_they_have_one() {
        for (key, expected) in [
            ("01ARZ3NDEKTSV4RRFFQ69G5FAV", 1_469_922_850_259),
            ("01arz3ndektsv4rrffq69g5fav", 1_469_922_850_259),
            ("017F22E2-79B0-7CC3-98C4-DC0C0C07398F", 1_645_557_742_000),
            ("017F22E2-79B0-4CC3-98C4-DC0C0C07398F", 0),
            ("81ARZ3NDEKTSV4RRFFQ69G5FAV", 0),
            ("order-17", 0),
        ] {
            assert_eq!(IdemKey::new("s", key, 0).millis, expected, "{key}");
        }
    }

    #[test]
    fn keys_are_scoped_to_subject_and_index() {
        let digest = |subject, key, idx| IdemKey::new(subject, key, idx).digest;
        assert_eq!(digest("a", "k", 0), digest("a", "k", 0));
        assert_ne!(digest("a", "k", 0), digest("b", "k", 0));
        assert_ne!(digest("a", "k", 0), digest("a", "k", 1));
        assert_ne!(digest("ab", "c", 0), digest("a", "bc", 0));
    }

    #[test]
    fn every_field_moves_the_fingerprint() {
        let base = Request {
            kind: Kind::Transfer,
            debit: AccountName::parse("a").unwrap(),
            credit: AccountName::parse("b").unwrap(),
            asset: Asset::parse("ron").unwrap(),
            amount: Amount::new(1).unwrap(),
            key: IdemKey::new("s", "k", 0),
            preconditions: Preconditions::default(),
            reference: Text::EMPTY,
            idx: 0,
        };
        let print = base.fingerprint();
        let others = [
            Request { kind: Kind::Mint, ..base },
            Request { debit: AccountName::parse("c").unwrap(), ..base },
            Request { credit: AccountName::parse("c").unwrap(), ..base },
            Request { asset: Asset::parse("x").unwrap(), ..base },
            Request { amount: Amount::new(2).unwrap(), ..base },
            Request { reference: Text::new("r").unwrap(), ..base },
            Request { preconditions: Preconditions { nonce: Some(0), ..Default::default() }, ..base },
            Request { preconditions: Preconditions { if_seq: Some(0), ..Default::default() }, ..base },
        ];
        for other in others {
            assert_ne!(other.fingerprint(), print, "{other:?}");
        }
        let other_key = Request { key: IdemKey::new("s", "k2", 0), ..base };
        assert_eq!(other_key.fingerprint(), print, "the key is not part of the intent");
    }
}
