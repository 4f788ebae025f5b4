//! `LeafFields`: leaf data read back, for those who have a leaf and not the ledger.

use model::{Amount, Asset, Head, Kind, Reason, Seq, Timestamp};

use crate::{
    Hash, HashKind,
    leaf::{BEGINNING_LEAF_BYTES, HEAD_BYTES, LEAF_VERSION, POSTING_LEAF_BYTES, SLICE_LEAF_BYTES},
};

/// What a leaf says in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeafFields {
    /// The ledger's hash.
    pub hash: HashKind,
    /// What every entry has.
    pub head: Head,
    /// What the leaf of a posting has; `None` for a slice or a beginning.
    pub sides: Option<LeafSides>,
}

/// The clear part and the commitments of a posting's leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeafSides {
    /// The amount moved, or asked for.
    pub amount: Amount,
    /// The asset.
    pub asset: Asset,
    /// The commitment of the debit side.
    pub debit: Hash,
    /// The commitment of the credit side.
    pub credit: Hash,
}

impl LeafFields {
    /// Reads leaf data; `None` unless it is exactly what this build writes.
    #[must_use]
    pub fn parse(data: &[u8]) -> Option<Self> {
        let (head_bytes, rest) = data.split_first_chunk::<HEAD_BYTES>()?;
        let ([version, hash, kind, op, reason, reserved, idx @ ..], rest_of_head) =
            head_bytes.split_first_chunk::<8>()?;
        let (words, _) = rest_of_head.as_chunks::<8>();
        let [seq, at] = words else { return None };
        let kind = Kind::from_number(*kind)?;
        let reason = match reason {
            0 => None,
            number => Some(Reason::from_number(*number)?),
        };
        let head = Head {
            seq: Seq(u64::from_le_bytes(*seq)),
            at: Timestamp(u64::from_le_bytes(*at)),
            kind,
            op: Kind::from_number(*op)?,
            reason,
            idx: u16::from_le_bytes(*idx),
        };
        let fits = (kind == Kind::Refused) == reason.is_some() && (kind == Kind::Refused || kind == head.op);
        if *version != LEAF_VERSION || *reserved != 0 || !fits {
            return None;
        }
        let hash = HashKind::from_number(*hash)?;
        if kind == Kind::Usage {
            return (data.len() == SLICE_LEAF_BYTES).then_some(Self { hash, head, sides: None });
        }
        if kind == Kind::Incarnation {
            return (data.len() == BEGINNING_LEAF_BYTES).then_some(Self { hash, head, sides: None });
        }
        if data.len() != POSTING_LEAF_BYTES {
            return None;
        }
        let (amount, rest) = rest.split_first_chunk::<16>()?;
        let (asset, rest) = rest.split_first_chunk::<16>()?;
        let (commitments, _) = rest.as_chunks::<32>();
        let [debit, credit, _] = commitments else { return None };
        let sides = LeafSides {
            amount: Amount::new(u128::from_le_bytes(*amount))?,
            asset: Asset::from_bytes(*asset).ok()?,
            debit: *debit,
            credit: *credit,
        };
        Some(Self { hash, head, sides: Some(sides) })
    }
}
