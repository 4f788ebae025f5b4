//! `ProofDocument`: all that checking a receipt offline needs. Carries the data; the checking
//! itself is `ledger`'s.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use model::{AccountName, Asset, Balance, Posting, Side};
use serde::{Deserialize, Serialize};
use wire::EntryProof;

use crate::{Receipt, form, limits::PROOF_BYTES_MAX};

/// The version of the document that this build writes and reads.
const VERSION: u8 = 1;

/// Why bytes are not a proof document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Longer than `limits::PROOF_BYTES_MAX`.
    #[error("the proof document is longer than the limit")]
    TooLong,
    /// Not the JSON that this version writes.
    #[error("the proof document does not parse: {0}")]
    Json(String),
    /// A version that this build does not read.
    #[error("version {0} of the proof document is not known to this build")]
    Version(u8),
    /// The receipt, the leaf and the proof name different entries.
    #[error("the parts of the proof document are about different entries")]
    Mixed,
}

/// Which side of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SideName {
    /// The debited one.
    Debit,
    /// The credited one.
    Credit,
}

/// The sides that a caller may see, by its capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visible {
    /// Whether it may read the debited account.
    pub debit: bool,
    /// Whether it may read the credited account.
    pub credit: bool,
}

/// One side's commitment, opened for its holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenedSide {
    /// Which.
    pub side: SideName,
    /// The account.
    #[serde(with = "form::account")]
    pub account: AccountName,
    /// What is counted.
    #[serde(with = "form::asset")]
    pub asset: Asset,
    /// Its sequence after the entry.
    pub account_seq: u64,
    /// Its balance after the entry, in minor units.
    #[serde(with = "form::balance")]
    pub balance: Balance,
    /// What is held of it after the entry, in minor units.
    #[serde(with = "form::units")]
    pub held: u128,
    /// The blind of its commitment.
    #[serde(with = "form::blind")]
    pub blind: [u8; 16],
}

/// The answer to `GET /v1/tx/{txid}/proof`. The fields are written in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofDocument {
    version: u8,
    /// The receipt that is proven.
    pub receipt: Receipt,
    /// The leaf's index in the tree.
    pub leaf_index: u64,
    /// The bytes that the leaf hash is the hash of.
    #[serde(with = "form::bytes")]
    pub leaf_data: Vec<u8>,
    /// The sides that its reader may see.
    pub sides: Vec<OpenedSide>,
    /// Entries in the tree that the path leads to.
    pub size: u64,
    /// The root of that tree.
    #[serde(with = "form::hash")]
    pub root: [u8; 32],
    /// Sibling hashes from the leaf up (RFC 6962, 2.1.1).
    #[serde(with = "form::hashes")]
    pub path: Vec<[u8; 32]>,
    /// The C2SP signed note of that tree.
    pub checkpoint: String,
    /// The same proof as C2SP `tlog-proof` text.
    pub tlog_proof: String,
}

impl ProofDocument {
    /// Puts the document together. Only the `visible` sides are opened.
    ///
    /// # Errors
    /// `Mixed` if the parts are about different entries or trees.
    pub fn new(
        receipt: Receipt,
        proof: &EntryProof,
        visible: Visible,
        tlog_proof: String,
    ) -> Result<Self, ProofError> {
        let EntryProof { entry, leaf_data, proof, checkpoint } = proof;
        let posting = &entry.posting;
        if proof.size != checkpoint.size || proof.root != checkpoint.root || proof.leaf != entry.leaf {
            return Err(ProofError::Mixed);
        }
        let debit = entry.debit.filter(|_| visible.debit);
        let credit = entry.credit.filter(|_| visible.credit);
        let sides = [
            debit.map(|name| opened(SideName::Debit, name, posting, &posting.debit, posting.debit_blind)),
            credit.map(|name| opened(SideName::Credit, name, posting, &posting.credit, posting.credit_blind)),
        ];
        let document = Self {
            version: VERSION,
            receipt,
            leaf_index: proof.seq.leaf_index().ok_or(ProofError::Mixed)?,
            leaf_data: leaf_data.clone(),
            sides: sides.into_iter().flatten().collect(),
            size: proof.size,
            root: proof.root,
            path: proof.path.clone(),
            checkpoint: checkpoint.note.clone(),
            tlog_proof,
        };
        document.checked()
    }

    /// Reads a document.
    ///
    /// # Errors
    /// Says why it is not one. Proves nothing: the checking is `ledger`'s.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofError> {
        if bytes.len() > PROOF_BYTES_MAX {
            return Err(ProofError::TooLong);
        }
        let read: Self =
            serde_json::from_slice(bytes).map_err(|error| ProofError::Json(error.to_string()))?;
        if read.version != VERSION {
            return Err(ProofError::Version(read.version));
        }
        read.checked()
    }

    /// The document as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a document is texts and numbers")
    }

    /// The receipt's own numbers name the entry that the path starts from.
    fn checked(self) -> Result<Self, ProofError> {
        let receipt = &self.receipt;
        let same_entry = receipt.seq.checked_sub(1) == Some(self.leaf_index)
            && receipt.txid.seq.0 == receipt.seq
            && receipt.receipt_hash.starts_with(&receipt.txid.leaf)
            && self.leaf_index < self.size;
        if same_entry { Ok(self) } else { Err(ProofError::Mixed) }
    }
}

fn opened(
    side: SideName,
    account: AccountName,
    posting: &Posting,
    state: &Side,
    blind: [u8; 16],
) -> OpenedSide {
    OpenedSide {
        side,
        account,
        asset: posting.asset,
        account_seq: state.seq,
        balance: state.balance,
        held: state.held,
        blind,
    }
}

#[cfg(test)]
mod tests {
    use model::{Kind, Seq};
    use wire::{Checkpoint, InclusionProof};

    use super::*;
    use crate::receipt::tests::{accepted, entry};

    fn proof() -> EntryProof {
        let entry = entry(Kind::Transfer);
        let (size, root) = (2048, [0xef; 32]);
        EntryProof {
            leaf_data: alloc::vec![1, 2, 3],
            proof: InclusionProof {
                seq: Seq(1031),
                leaf: entry.leaf,
                size,
                root,
                path: alloc::vec![[0x11; 32]],
            },
            checkpoint: Checkpoint { size, root, note: "ledger.example\n2048\n".to_string() },
            entry,
        }
    }

    fn document(proof: &EntryProof, visible: Visible) -> Result<ProofDocument, ProofError> {
        let receipt = accepted(&proof.entry, None);
        ProofDocument::new(receipt, proof, visible, "c2sp.org/tlog-proof@v1\n".to_string())
    }

    #[test]
    fn documents_have_these_bytes_and_read_back() {
        let document = document(&proof(), Visible { debit: true, credit: false }).unwrap();
        let (leaf, root, hash) = ("ab".repeat(32), "ef".repeat(32), "11".repeat(32));
        let receipt = document.receipt.to_json();
        assert!(receipt.contains(&leaf));
        let expected = alloc::format!(
            r#"{{"version":1,"receipt":{receipt},"leaf_index":1030,"leaf_data":"010203","sides":[{{"side":"debit","account":"acc_src","asset":"ron","account_seq":12,"balance":"750000","held":"100","blind":"d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1"}}],"size":2048,"root":"{root}","path":["{hash}"],"checkpoint":"ledger.example\n2048\n","tlog_proof":"c2sp.org/tlog-proof@v1\n"}}"#
        );
        assert_eq!(document.to_json(), expected);
        assert_eq!(ProofDocument::parse(expected.as_bytes()), Ok(document));
    }

    #[test]
    fn only_visible_sides_are_opened() {
        for (debit, credit) in [(false, false), (true, false), (false, true), (true, true)] {
            let json = document(&proof(), Visible { debit, credit }).unwrap().to_json();
            assert_eq!(json.contains(r#""balance":"750000""#), debit);
            assert_eq!(json.contains(r#""balance":"250000""#), credit);
            assert_eq!(json.contains(&"d1".repeat(16)), debit);
            assert_eq!(json.contains(&"c1".repeat(16)), credit);
        }
    }

    #[test]
    fn parts_of_different_entries_are_refused() {
        let visible = Visible { debit: true, credit: true };
        let changes: [fn(&mut EntryProof); 5] = [
            |proof| proof.proof.seq = Seq(1030),
            |proof| proof.proof.leaf = [0; 32],
            |proof| proof.proof.root = [0; 32],
            |proof| proof.checkpoint.size = 2049,
            |proof| (proof.proof.size, proof.checkpoint.size) = (1030, 1030),
        ];
        for change in changes {
            let mut proof = proof();
            change(&mut proof);
            assert_eq!(document(&proof, visible), Err(ProofError::Mixed));
        }
    }

    #[test]
    fn what_is_not_a_document_says_why() {
        let good = document(&proof(), Visible { debit: true, credit: true }).unwrap().to_json();
        let change = |from: &str, to: &str| {
            let changed = good.replacen(from, to, 1);
            assert_ne!(changed, good, "{from}");
            ProofDocument::parse(changed.as_bytes()).unwrap_err()
        };
        assert_eq!(change(r#""version":1"#, r#""version":2"#), ProofError::Version(2));
        assert_eq!(change(r#""leaf_index":1030"#, r#""leaf_index":1031"#), ProofError::Mixed);
        for (from, to) in [
            (r#""size":2048"#, r#""size":2048,"note":1"#),
            (r#""balance":"750000""#, r#""balance":"+750000""#),
            (r#""balance":"750000""#, r#""balance":750000"#),
            (r#""held":"100""#, r#""held":"0100""#),
            (r#""leaf_data":"010203""#, r#""leaf_data":"01020""#),
            (r#""side":"debit""#, r#""side":"left""#),
            ("1111", "11"),
        ] {
            assert!(matches!(change(from, to), ProofError::Json(_)), "{from}");
        }
        let long = alloc::format!("{good}{}", " ".repeat(PROOF_BYTES_MAX));
        assert_eq!(ProofDocument::parse(long.as_bytes()), Err(ProofError::TooLong));
    }
}
