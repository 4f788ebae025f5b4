//! What is checked of the answers in hand, without a word of the node being believed: signed
//! checkpoints, inclusion and consistency proofs, opened leaves, and the accounts that they add up to.
//!
//! Pure: proof documents come in as bytes. The checking itself is `ledger`'s, the same code that
//! whoever is given a receipt and the log's public key runs.

use std::collections::{BTreeMap, HashMap};

use ledger::{HashKind, NoteVerifier, TlogProof, TreeHead, Which, open_checkpoint, verify_receipt_under};
use model::AccountId;
use wallet::{OpenedSide, ProofDocument, Receipt, SideName};

use super::{
    books::{Books, Standing},
    payer::Held,
    violation::{Violation, same},
};

/// Checkpoints that were opened: each signature is verified once.
#[derive(Debug)]
pub(crate) struct Heads {
    log_key: NoteVerifier,
    opened: HashMap<String, TreeHead>,
}

impl Heads {
    pub(crate) fn new(log_key: NoteVerifier) -> Self {
        Self { log_key, opened: HashMap::new() }
    }

    /// The tree head of a note that the log signed.
    pub(crate) fn open(&mut self, note: &str) -> Result<TreeHead, Violation> {
        if let Some(head) = self.opened.get(note) {
            return Ok(head.clone());
        }
        let head = open_checkpoint(note, &self.log_key)
            .map_err(|error| Violation::new("a checkpoint", "one that the log signed", error))?;
        self.opened.insert(note.to_owned(), head.clone());
        Ok(head)
    }

    /// All that were opened.
    pub(crate) fn into_heads(self) -> impl Iterator<Item = TreeHead> {
        self.opened.into_values()
    }
}

/// One change of one account, as a proven leaf opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) account: AccountId,
    pub(crate) account_seq: u64,
    pub(crate) balance: i128,
    pub(crate) by: i128,
}

/// What a receipt proves.
#[derive(Clone, Debug)]
pub(crate) struct Proven {
    /// Entries in the tree that it was proven to be in.
    pub(crate) size: u64,
    pub(crate) hash: HashKind,
    pub(crate) changes: Vec<Change>,
}

/// Checks one receipt against its proof document, by the log's key alone.
pub(crate) fn receipt(held: &Held, document: &[u8], heads: &mut Heads) -> Result<Proven, Violation> {
    let of = |what: &str| format!("{what} of {}", held.write.key());
    let receipt: Receipt = serde_json::from_slice(&held.body)
        .map_err(|error| Violation::new(of("the receipt"), "a receipt", error))?;
    let proof = ProofDocument::parse(document).map_err(|error| {
        let told = String::from_utf8_lossy(document);
        Violation::new(of("the proof"), "a proof document", format_args!("{error}: {told}"))
    })?;
    // The ledger keeps no client's key in clear, so a receipt that is looked up has none.
    same(of("the receipt in the proof"), &Receipt { idem: None, ..receipt.clone() }, &proof.receipt)?;
    let head = heads.open(&proof.checkpoint)?;
    let (mut changes, mut hash) = (Vec::with_capacity(2), HashKind::Sha256);
    for side in &proof.sides {
        let opened = opened(side);
        let asked = ledger::Receipt {
            leaf_data: &proof.leaf_data,
            opened,
            path: &proof.path,
            checkpoint: &proof.checkpoint,
        };
        let proven = verify_receipt_under(&asked, head.clone())
            .map_err(|error| Violation::new(of("the proof"), "one that holds", error))?;
        same(of("seq"), &held.seq, &proven.seq.0)?;
        same(of("the leaf"), &hex::encode(receipt.receipt_hash), &hex::encode(proven.leaf))?;
        same(of("the amount"), &receipt.amount_minor, &proven.amount)?;
        same(of("the asset"), &receipt.asset, &proven.asset)?;
        same(of("the time"), &receipt.ts.as_millis(), &proven.at.as_millis())?;
        same(of("the kind"), &receipt.op.as_str(), &wallet::op_word(proven.kind))?;
        let amount = i128::try_from(proven.amount.units()).expect("an amount is below 2^96");
        let by = if opened.which == Which::Debit { -amount } else { amount };
        hash = proven.hash;
        let (account, account_seq) = (opened.account, opened.account_seq);
        changes.push(Change { account, account_seq, balance: opened.balance.units(), by });
    }
    let both = proof.sides.iter().map(|side| side.side).collect::<Vec<_>>();
    same(of("the opened sides"), &vec![SideName::Debit, SideName::Credit], &both)?;
    tlog_proof(held, &proof)?;
    Ok(Proven { size: head.size, hash, changes })
}

/// The text for other people's tools says the same.
fn tlog_proof(held: &Held, proof: &ProofDocument) -> Result<(), Violation> {
    let of = format!("the tlog-proof of {}", held.write.key());
    let text = TlogProof::parse(&proof.tlog_proof)
        .map_err(|error| Violation::new(&of, "a proof of version 1", error))?;
    let expected = (proof.leaf_index, &proof.path, &proof.checkpoint);
    same(of, &expected, &(text.index, &text.path, &text.checkpoint))
}

fn opened(side: &OpenedSide) -> ledger::OpenedSide {
    ledger::OpenedSide {
        which: match side.side {
            SideName::Debit => Which::Debit,
            SideName::Credit => Which::Credit,
        },
        account: side.account.id(),
        asset: side.asset,
        account_seq: side.account_seq,
        balance: side.balance,
        held: side.held,
        blind: side.blind,
    }
}

/// Every account, by its proven leaves: its sequence has no hole, each balance is the one before
/// and the change, and it ends where the books and the node's own answer say.
pub(crate) fn accounts(
    books: &Books,
    changes: impl IntoIterator<Item = Change>,
    told: &BTreeMap<String, Standing>,
) -> Result<(), Violation> {
    let mut by_account: HashMap<AccountId, Vec<Change>> = HashMap::new();
    for change in changes {
        by_account.entry(change.account).or_default().push(change);
    }
    for (name, expected) in &books.accounts {
        let mut changes = by_account.remove(&AccountId::of_name(name)).unwrap_or_default();
        changes.sort_unstable_by_key(|change| change.account_seq);
        let mut standing = Standing::default();
        for change in changes {
            standing = Standing { balance: standing.balance + change.by, changes: standing.changes + 1 };
            let found = Standing { balance: change.balance, changes: change.account_seq };
            same(format_args!("{name} by its proven leaves"), &standing, &found)?;
        }
        same(format_args!("{name} at the end, by its proven leaves"), expected, &standing)?;
    }
    if let Some(account) = by_account.keys().next() {
        return Err(Violation::new(
            "accounts in proven leaves",
            "those of the books",
            format_args!("{account:?}"),
        ));
    }
    for (name, expected) in books.told() {
        same(format_args!("the balance of {name}"), &Some(expected), &told.get(name))?;
    }
    Ok(())
}

/// Every entry up to `size` is one that was asked for, the opening of an account, or usage: at least
/// one slice for each window of each tenant. Gives the slices.
pub(crate) fn entries(books: &Books, size: u64, windows: u64) -> Result<u64, Violation> {
    let money = books.accepted + books.refused + books.opened();
    let slices =
        size.checked_sub(money).filter(|slices| *slices >= windows && (*slices == 0) == (windows == 0));
    slices.ok_or_else(|| {
        let expected = format!("{money} and at least {windows} slices of usage");
        Violation::new("entries in the last checkpoint", expected, size)
    })
}

#[cfg(test)]
mod tests;
