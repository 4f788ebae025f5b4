//! `TreeHead`: what a log signs (C2SP tlog-checkpoint): its origin, its size, its root.

use alloc::{
    format,
    string::{String, ToString},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{Hash, NoteError, NoteSigner, NoteVerifier, SignedNote};

/// A tree head of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeHead {
    /// The log's name, the same as its key's.
    pub origin: String,
    /// Leaves in the tree.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

impl TreeHead {
    /// The text that is signed: origin, decimal size, base64 root, one a line.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// Reads the text back. Extension lines after the root are allowed and ignored, as the
    /// specification asks of verifiers.
    ///
    /// # Errors
    /// `Format` with what is wrong.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let mut lines = text.strip_suffix('\n').ok_or(NoteError::Format("no last newline"))?.split('\n');
        let origin = lines.next().filter(|origin| !origin.is_empty());
        let origin = origin.ok_or(NoteError::Format("no origin"))?.to_string();
        let size = lines.next().and_then(parse_size).ok_or(NoteError::Format("the size"))?;
        let root = lines.next().and_then(parse_hash).ok_or(NoteError::Format("the root"))?;
        if lines.any(str::is_empty) {
            return Err(NoteError::Format("an empty extension line"));
        }
        Ok(Self { origin, size, root })
    }
}

/// The checkpoint of a tree head: a note signed by the log.
///
/// # Panics
/// If the head's origin is not the signer's name.
#[must_use]
pub fn sign_checkpoint(signer: &NoteSigner, head: &TreeHead) -> String {
    assert_eq!(head.origin, signer.name(), "a log signs its own heads");
    signer.sign(&head.text())
}

/// The tree head of a checkpoint that this key signed.
///
/// # Errors
/// If the note does not parse, is not signed by the key, or is of another log.
pub fn open_checkpoint(checkpoint: &str, log: &NoteVerifier) -> Result<TreeHead, NoteError> {
    let note = SignedNote::parse(checkpoint)?;
    log.verify(&note)?;
    let head = TreeHead::parse(note.text)?;
    if head.origin == log.name() { Ok(head) } else { Err(NoteError::Origin) }
}

/// A decimal number without sign or leading zero.
pub(crate) fn parse_size(digits: &str) -> Option<u64> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = digits.len() > 1 && digits.starts_with('0');
    if plain && !leading_zero { digits.parse().ok() } else { None }
}

/// A hash in base64.
pub(crate) fn parse_hash(line: &str) -> Option<Hash> {
    STANDARD.decode(line).ok()?.try_into().ok()
}
