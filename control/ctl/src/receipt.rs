//! `check_receipt`: a proof document checked with nothing but the log's key.
//!
//! Holds: nothing in the document is believed that the signature does not reach: every field that
//! the leaf has is compared with it, and what the leaf does not have is named as not proven. Leaves
//! to others: the cryptography (`ledger`), the document's form (`wallet`).

use ledger::{
    HashKind, LeafFields, NoteError, NoteVerifier, OpenedSide, ReceiptError, TlogProof, TreeHead, Which,
    open_checkpoint, verify_inclusion, verify_receipt,
};
use serde::Serialize;
use wallet::{ProofDocument, ProofError, SideName, op_word};

use crate::exit;

/// Why a proof document proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptFault {
    /// It is none.
    #[error("{0}")]
    Document(#[from] ProofError),
    /// The key given is none.
    #[error("--key: {0}; expected NAME+ID+KEY, as the node prints it (`log key`)")]
    Key(NoteError),
    /// A signature, a path or a commitment does not hold.
    #[error("{0}")]
    Proof(#[from] ReceiptError),
    /// A field says something else than what is proven.
    #[error("{field} is {said} in the receipt and {proven} in what the log signed")]
    Field {
        /// Its name.
        field: &'static str,
        /// As the receipt has it.
        said: String,
        /// As it is proven.
        proven: String,
    },
}

impl ReceiptFault {
    /// The exit code of a process that ends with this fault.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Document(_) => exit::FORMAT,
            Self::Key(_) => exit::USAGE,
            Self::Proof(_) | Self::Field { .. } => exit::FOUND,
        }
    }
}

/// What a document proves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProvenReceipt {
    /// The transaction's public id.
    pub txid: String,
    /// The entry's number.
    pub seq: u64,
    /// What was done.
    pub op: String,
    /// How much, in minor units.
    pub amount_minor: String,
    /// Of what.
    pub asset: String,
    /// When, RFC 3339.
    pub ts: String,
    /// The leaf hash, in hex.
    pub leaf: String,
    /// The log that signed.
    pub log: String,
    /// Entries in the tree that it signed.
    pub size: u64,
    /// That tree's root, in hex.
    pub root: String,
    /// The sides that are opened, each with the account, its balance and sequence after the entry.
    pub sides: Vec<ProvenSide>,
    /// What the document says and the leaf does not have.
    pub not_proven: Vec<&'static str>,
}

/// One opened side that is the one in the leaf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProvenSide {
    /// `debit` or `credit`.
    pub side: SideName,
    /// The account.
    pub account: String,
    /// Its balance after the entry, in minor units.
    pub balance_minor: String,
    /// What was held of it after the entry, in minor units.
    pub held_minor: String,
    /// Its sequence after the entry.
    pub account_seq: u64,
}

/// Checks the bytes of a `GET /v1/tx/{txid}/proof` answer with the log's verifier key.
///
/// # Errors
/// `ReceiptFault`: what does not hold.
pub fn check_receipt(bytes: &[u8], key: &str) -> Result<ProvenReceipt, ReceiptFault> {
    let log = NoteVerifier::parse(key.trim()).map_err(ReceiptFault::Key)?;
    let document = ProofDocument::parse(bytes)?;
    let leaf = LeafFields::parse(&document.leaf_data).ok_or(ReceiptError::Leaf)?;
    let head = open_checkpoint(&document.checkpoint, &log).map_err(ReceiptError::from)?;
    let hash = leaf.hash.leaf(&document.leaf_data);
    verify_inclusion(leaf.hash, &hash, document.leaf_index, head.size, &document.path, &head.root)
        .map_err(ReceiptError::from)?;
    let sides = sides(&document, &log)?;
    check_fields(&document, &leaf, &hash, &head)?;
    check_text(&document, leaf.hash, &hash, &log)?;
    let receipt = &document.receipt;
    let mut not_proven = vec!["nonce", "the incarnation in txid"];
    if receipt.idem.is_some() {
        not_proven.push("idem");
    }
    for (side, name) in [(SideName::Debit, "from"), (SideName::Credit, "to")] {
        let said = if side == SideName::Debit { receipt.from } else { receipt.to };
        if said.is_some() && !sides.iter().any(|opened| opened.side == side) {
            not_proven.push(name);
        }
    }
    Ok(ProvenReceipt {
        txid: receipt.txid.to_string(),
        seq: receipt.seq,
        op: receipt.op.clone(),
        amount_minor: receipt.amount_minor.units().to_string(),
        asset: receipt.asset.as_str().into(),
        ts: receipt.ts.rfc3339(),
        leaf: hex::encode(hash),
        log: head.origin,
        size: head.size,
        root: hex::encode(head.root),
        sides,
        not_proven,
    })
}

/// Opens each side against its commitment in the leaf.
fn sides(document: &ProofDocument, log: &NoteVerifier) -> Result<Vec<ProvenSide>, ReceiptFault> {
    let mut proven = Vec::new();
    for side in &document.sides {
        let which = match side.side {
            SideName::Debit => Which::Debit,
            SideName::Credit => Which::Credit,
        };
        let opened = OpenedSide {
            which,
            account: side.account.id(),
            asset: side.asset,
            account_seq: side.account_seq,
            balance: side.balance,
            held: side.held,
            blind: side.blind,
        };
        let receipt = ledger::Receipt {
            leaf_data: &document.leaf_data,
            opened,
            path: &document.path,
            checkpoint: &document.checkpoint,
        };
        verify_receipt(&receipt, log)?;
        let (field, said) = match side.side {
            SideName::Debit => ("from", document.receipt.from),
            SideName::Credit => ("to", document.receipt.to),
        };
        // The ledger's own accounts are left out of receipts.
        if let Some(said) = said {
            same(field, said.as_str(), side.account.as_str())?;
        }
        proven.push(ProvenSide {
            side: side.side,
            account: side.account.as_str().into(),
            balance_minor: side.balance.units().to_string(),
            held_minor: side.held.to_string(),
            account_seq: side.account_seq,
        });
    }
    Ok(proven)
}

/// Every field of the receipt that the leaf or the signed head has.
fn check_fields(
    document: &ProofDocument,
    leaf: &LeafFields,
    hash: &[u8; 32],
    head: &TreeHead,
) -> Result<(), ReceiptFault> {
    let (receipt, entry) = (&document.receipt, &leaf.head);
    let money = leaf.sides.as_ref().ok_or(ReceiptError::Leaf)?;
    same("seq", &receipt.seq.to_string(), &entry.seq.to_string())?;
    same("op", &receipt.op, op_word(entry.op))?;
    let outcome = entry.reason.map_or("accepted", |reason| reason.word());
    same("the outcome", "accepted", outcome)?;
    same("asset", receipt.asset.as_str(), money.asset.as_str())?;
    same("amount_minor", &receipt.amount_minor.units().to_string(), &money.amount.units().to_string())?;
    same("ts", &receipt.ts.as_millis().to_string(), &entry.at.as_millis().to_string())?;
    same("receipt_hash", &hex::encode(receipt.receipt_hash), &hex::encode(hash))?;
    same("size", &document.size.to_string(), &head.size.to_string())?;
    same("root", &hex::encode(document.root), &hex::encode(head.root))
}

/// The `tlog-proof` text is the same proof.
fn check_text(
    document: &ProofDocument,
    kind: HashKind,
    leaf: &[u8; 32],
    log: &NoteVerifier,
) -> Result<(), ReceiptFault> {
    let text = TlogProof::parse(&document.tlog_proof)?;
    text.verify(kind, leaf, log)?;
    same("the tlog-proof's index", &text.index.to_string(), &document.leaf_index.to_string())
}

fn same(field: &'static str, said: &str, proven: &str) -> Result<(), ReceiptFault> {
    if said == proven {
        return Ok(());
    }
    Err(ReceiptFault::Field { field, said: said.into(), proven: proven.into() })
}

impl ProvenReceipt {
    /// The proof for people.
    #[must_use]
    pub fn text(&self) -> String {
        let closed: Vec<&str> =
            self.not_proven.iter().copied().filter(|name| ["from", "to"].contains(name)).collect();
        let but = match closed.as_slice() {
            [] => String::new(),
            closed => format!(", but not `{}`, whose side is not opened", closed.join("` and `")),
        };
        let mut lines = vec![
            format!("{} holds{but}: entry {} of {}", self.txid, self.seq, self.log),
            format!("  {} {} {} at {}", self.op, self.amount_minor, self.asset, self.ts),
        ];
        for side in &self.sides {
            let name = if side.side == SideName::Debit { "from" } else { "to" };
            lines.push(format!(
                "  {name} {}: balance {}, held {}, sequence {} after it",
                side.account, side.balance_minor, side.held_minor, side.account_seq
            ));
        }
        lines.push(format!("  leaf {}", self.leaf));
        lines.push(format!("  in the tree of {} entries with root {}, signed", self.size, self.root));
        lines.push(format!("  not proven by this: {}", self.not_proven.join(", ")));
        lines.join("\n") + "\n"
    }
}

#[cfg(test)]
mod tests;
