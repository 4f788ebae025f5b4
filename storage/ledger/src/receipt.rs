//! Receipts: what a holder keeps of an entry, checked with nothing but the log's key.
//!
//! The holder's side is opened and must be the one that the leaf commits to; the leaf must be in
//! the tree that the log signed. The other side stays closed.

use model::{Amount, Asset, Kind, Reason, Seq, Timestamp};

use crate::{
    Hash, HashKind, LeafFields, LeafSides, NoteError, NoteVerifier, OpenedSide, ProofError, TreeHead, Which,
    head::open_checkpoint, proof::verify_inclusion,
};

/// Why a receipt or a proof file does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// It does not parse.
    #[error("it does not parse: {0}")]
    Format(&'static str),
    /// The leaf data is not that of an entry this build knows.
    #[error("the leaf data is not that of an entry about money")]
    Leaf,
    /// The opened side is not the one that the leaf commits to.
    #[error("the opened side is not the one in the leaf")]
    Commitment,
    /// The path does not lead to the root.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The checkpoint does not hold.
    #[error(transparent)]
    Note(#[from] NoteError),
}

/// A receipt to be checked. Nothing in it is trusted.
#[derive(Clone, Copy, Debug)]
pub struct Receipt<'a> {
    /// The bytes that the leaf hash is the hash of.
    pub leaf_data: &'a [u8],
    /// The holder's side, opened.
    pub opened: OpenedSide,
    /// Siblings from the leaf up.
    pub path: &'a [Hash],
    /// The log's signed note.
    pub checkpoint: &'a str,
}

/// What a receipt proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The entry's number.
    pub seq: Seq,
    /// Ledger time of its batch.
    pub at: Timestamp,
    /// What it did.
    pub kind: Kind,
    /// What was asked.
    pub op: Kind,
    /// Why it was refused, if it was.
    pub reason: Option<Reason>,
    /// How much was moved, or asked for.
    pub amount: Amount,
    /// Of what.
    pub asset: Asset,
    /// The holder's side after the entry.
    pub side: OpenedSide,
    /// The leaf hash.
    pub leaf: Hash,
    /// Which hash the ledger uses.
    pub hash: HashKind,
    /// The signed tree head that has the entry.
    pub head: TreeHead,
}

/// Checks a receipt: opened side against commitment, leaf against path, root against signature.
///
/// # Errors
/// Says which of them does not hold.
pub fn verify_receipt(receipt: &Receipt<'_>, log: &NoteVerifier) -> Result<Verified, ReceiptError> {
    verify_receipt_under(receipt, open_checkpoint(receipt.checkpoint, log)?)
}

/// The same for many receipts under one checkpoint: `head` is what `open_checkpoint` gave for it,
/// so its signature is checked once. The receipt's own checkpoint is not read.
///
/// # Errors
/// Says which of them does not hold.
pub fn verify_receipt_under(receipt: &Receipt<'_>, head: TreeHead) -> Result<Verified, ReceiptError> {
    let fields = LeafFields::parse(receipt.leaf_data).ok_or(ReceiptError::Leaf)?;
    let LeafSides { amount, asset, debit, credit } = fields.sides.ok_or(ReceiptError::Leaf)?;
    let committed = match receipt.opened.which {
        Which::Debit => debit,
        Which::Credit => credit,
    };
    if receipt.opened.asset != asset || receipt.opened.commitment(fields.hash) != committed {
        return Err(ReceiptError::Commitment);
    }
    let index = fields.head.seq.leaf_index().ok_or(ReceiptError::Leaf)?;
    let leaf = fields.hash.leaf(receipt.leaf_data);
    verify_inclusion(fields.hash, &leaf, index, head.size, receipt.path, &head.root)?;
    Ok(Verified {
        seq: fields.head.seq,
        at: fields.head.at,
        kind: fields.head.kind,
        op: fields.head.op,
        reason: fields.head.reason,
        amount,
        asset,
        side: receipt.opened,
        leaf,
        hash: fields.hash,
        head,
    })
}
