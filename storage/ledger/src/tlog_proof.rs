//! `TlogProof`: a `.tlog-proof` file (C2SP tlog-proof), with which anyone who has the leaf data
//! and the log's key checks offline that the log has it.

use alloc::{format, string::String, vec::Vec};
use core::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    Hash, HashKind, NoteVerifier, PATH_HASHES_MAX, TreeHead,
    head::{open_checkpoint, parse_hash, parse_size},
    proof::verify_inclusion,
    receipt::ReceiptError,
};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// An inclusion proof with its checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// Carried along and not covered by the proof; here the leaf data, which the verifier hashes.
    pub extra: Option<Vec<u8>>,
    /// Index of the leaf.
    pub index: u64,
    /// Siblings from the leaf up.
    pub path: Vec<Hash>,
    /// The signed note of the tree head that the path leads to.
    pub checkpoint: String,
}

impl TlogProof {
    /// Reads a file.
    ///
    /// # Errors
    /// `Format` with what is wrong.
    pub fn parse(text: &str) -> Result<Self, ReceiptError> {
        let wrong = ReceiptError::Format;
        let (proof, checkpoint) = text.split_once("\n\n").ok_or(wrong("no checkpoint"))?;
        let mut lines = proof.split('\n').peekable();
        if lines.next() != Some(FIRST_LINE) {
            return Err(wrong("not a proof of version 1"));
        }
        let extra = match lines.peek().and_then(|line| line.strip_prefix("extra ")) {
            None => None,
            Some(extra) => {
                lines.next();
                Some(STANDARD.decode(extra).map_err(|_| wrong("the extra line"))?)
            }
        };
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(parse_size);
        let index = index.ok_or(wrong("the index"))?;
        let mut path = Vec::new();
        for line in lines {
            if path.len() == PATH_HASHES_MAX {
                return Err(wrong("more than 64 hashes"));
            }
            path.push(parse_hash(line).ok_or(wrong("a hash"))?);
        }
        Ok(Self { extra, index, path, checkpoint: checkpoint.into() })
    }

    /// Checks that the log signed a tree that has this leaf hash at the index.
    ///
    /// # Errors
    /// If the checkpoint or the path does not verify.
    pub fn verify(&self, hash: HashKind, leaf: &Hash, log: &NoteVerifier) -> Result<TreeHead, ReceiptError> {
        let head = open_checkpoint(&self.checkpoint, log)?;
        verify_inclusion(hash, leaf, self.index, head.size, &self.path, &head.root)?;
        Ok(head)
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.path {
            writeln!(f, "{}", STANDARD.encode(hash))?;
        }
        f.write_str(&format!("\n{}", self.checkpoint))
    }
}
