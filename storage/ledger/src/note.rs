//! Signed notes (C2SP signed-note) with Ed25519 signatures, and the keys that make and check them.
//!
//! A note is a text that ends in a newline, an empty line, and signature lines. Lines of keys that
//! a verifier does not know are ignored. Leaves to others: what the text means (`head`).

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use model::Life;
use sha2::{Digest as _, Sha256};

/// Bytes of a note at most, signatures included.
pub const NOTE_BYTES_MAX: usize = 64 << 10;
/// Signature lines of a note at most.
pub const SIGNATURES_MAX: usize = 64;
/// The type of an Ed25519 key in C2SP signed-note.
const ED25519: u8 = 0x01;
/// Begins a signature line: an em dash and a space.
const SIGNATURE_PREFIX: &str = "\u{2014} ";

/// Why a note, a key or what stands in it cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// A key's name is empty or has a space or a plus sign.
    #[error("a key's name is not empty and has no space, plus sign or control character")]
    Name,
    /// A verifier key does not parse, or its id does not fit its key.
    #[error("the verifier key does not parse, or its id is not that of its key")]
    Key,
    /// A key of a type that this build does not know.
    #[error("the key is of type {0:#04x}, not Ed25519")]
    KeyType(u8),
    /// The note does not parse.
    #[error("the note does not parse: {0}")]
    Format(&'static str),
    /// No signature of the key is on the note.
    #[error("the note has no signature of this key")]
    NotSigned,
    /// A signature of the key is on the note and does not verify.
    #[error("the signature does not verify")]
    Signature,
    /// The note is of another log.
    #[error("the checkpoint is of another log")]
    Origin,
}

/// Signs notes under a name.
pub struct NoteSigner {
    name: String,
    key: SigningKey,
}

impl NoteSigner {
    /// The signer with this name and Ed25519 seed. For a log, the name is its origin.
    ///
    /// # Errors
    /// `Name` if the name is empty or has white space, a plus sign or a control character.
    pub fn new(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        check_name(name)?;
        Ok(Self { name: name.to_string(), key: SigningKey::from_bytes(seed) })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same key under another name.
    ///
    /// # Errors
    /// As `new`.
    pub fn renamed(&self, name: &str) -> Result<Self, NoteError> {
        check_name(name)?;
        Ok(Self { name: name.to_string(), key: self.key.clone() })
    }

    /// What checks its signatures.
    #[must_use]
    pub fn verifier(&self) -> NoteVerifier {
        NoteVerifier { name: self.name.clone(), key: self.key.verifying_key() }
    }

    /// The note with this text and one signature.
    ///
    /// # Panics
    /// If the text does not end in a newline or has another control character.
    #[must_use]
    pub fn sign(&self, text: &str) -> String {
        assert!(is_text(text), "the caller writes its own text");
        let mut blob = Vec::with_capacity(68);
        blob.extend_from_slice(&self.verifier().id());
        blob.extend_from_slice(&self.key.sign(text.as_bytes()).to_bytes());
        format!("{text}\n{SIGNATURE_PREFIX}{} {}\n", self.name, STANDARD.encode(blob))
    }
}

impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoteSigner").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Checks the signatures of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteVerifier {
    name: String,
    key: VerifyingKey,
}

impl NoteVerifier {
    /// Parses a verifier key: `name+id+base64(type || key)`, the id in eight hex digits.
    ///
    /// # Errors
    /// `Name`, `Key`, or `KeyType` for a key that is not Ed25519.
    pub fn parse(vkey: &str) -> Result<Self, NoteError> {
        let (name, rest) = vkey.split_once('+').ok_or(NoteError::Key)?;
        let (id, key) = rest.split_once('+').ok_or(NoteError::Key)?;
        check_name(name)?;
        let key = STANDARD.decode(key).map_err(|_| NoteError::Key)?;
        let (kind, key) = key.split_first().ok_or(NoteError::Key)?;
        if *kind != ED25519 {
            return Err(NoteError::KeyType(*kind));
        }
        let key = key.try_into().map_err(|_| NoteError::Key)?;
        let key = VerifyingKey::from_bytes(key).map_err(|_| NoteError::Key)?;
        let verifier = Self { name: name.to_string(), key };
        if hex_id(verifier.id()) == id { Ok(verifier) } else { Err(NoteError::Key) }
    }

    /// The same key under the name that the ledger's log had in its first incarnation: the one that the
    /// superblock knows.
    #[must_use]
    pub fn of_ledger(&self) -> Self {
        Self { name: Life::ledger(&self.name).to_string(), key: self.key }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its id: the first 4 bytes of `SHA-256(name || 0x0a || type || key)`.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        let digest = Sha256::new()
            .chain_update(self.name.as_bytes())
            .chain_update([b'\n', ED25519])
            .chain_update(self.key.as_bytes())
            .finalize();
        let digest: [u8; 32] = digest.into();
        let (words, _) = digest.as_chunks::<4>();
        words[0]
    }

    /// Checks that this key signed the note.
    ///
    /// # Errors
    /// `NotSigned` if no line is of this key, `Signature` if one is and does not verify.
    pub fn verify(&self, note: &SignedNote<'_>) -> Result<(), NoteError> {
        let mine = |line: &&SignatureLine<'_>| line.name == self.name && line.id == self.id();
        let line = note.signatures.iter().find(mine).ok_or(NoteError::NotSigned)?;
        let signature = Signature::from_slice(&line.signature).map_err(|_| NoteError::Signature)?;
        self.key.verify_strict(note.text.as_bytes(), &signature).map_err(|_| NoteError::Signature)
    }
}

impl fmt::Display for NoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = Vec::with_capacity(33);
        key.push(ED25519);
        key.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{}+{}", self.name, hex_id(self.id()), STANDARD.encode(key))
    }
}

/// A note taken apart. Nothing in it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote<'a> {
    /// What is signed, with its last newline.
    pub text: &'a str,
    /// The signatures.
    pub signatures: Vec<SignatureLine<'a>>,
}

/// One signature of a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureLine<'a> {
    /// Name of the key.
    pub name: &'a str,
    /// Id of the key.
    pub id: [u8; 4],
    /// The signature, whatever its type has.
    pub signature: Vec<u8>,
}

impl<'a> SignedNote<'a> {
    /// Takes a note apart.
    ///
    /// # Errors
    /// `Format` with what is wrong.
    pub fn parse(note: &'a str) -> Result<Self, NoteError> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(NoteError::Format("longer than 64 KiB"));
        }
        let at = note.rfind("\n\n").ok_or(NoteError::Format("no empty line before the signatures"))?;
        let (text, rest) = note.split_at(at + 1);
        if !is_text(text) {
            return Err(NoteError::Format("a control character in the text"));
        }
        let lines = rest.strip_prefix('\n').and_then(|rest| rest.strip_suffix('\n'));
        let lines = lines.ok_or(NoteError::Format("the last line has no newline"))?;
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            if signatures.len() == SIGNATURES_MAX {
                return Err(NoteError::Format("more than 64 signatures"));
            }
            signatures.push(SignatureLine::parse(line).ok_or(NoteError::Format("a signature line"))?);
        }
        Ok(Self { text, signatures })
    }
}

impl<'a> SignatureLine<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (name, blob) = line.strip_prefix(SIGNATURE_PREFIX)?.split_once(' ')?;
        check_name(name).ok()?;
        let blob = STANDARD.decode(blob).ok()?;
        let (id, signature) = blob.split_first_chunk::<4>()?;
        (!signature.is_empty()).then(|| Self { name, id: *id, signature: signature.to_vec() })
    }
}

fn check_name(name: &str) -> Result<(), NoteError> {
    let bad = |character: char| character.is_whitespace() || character.is_control() || character == '+';
    if name.is_empty() || name.contains(bad) { Err(NoteError::Name) } else { Ok(()) }
}

/// Whether a note may have this text: it ends in a newline, its only control character.
fn is_text(text: &str) -> bool {
    text.ends_with('\n') && !text.chars().any(|character| character.is_control() && character != '\n')
}

fn hex_id(id: [u8; 4]) -> String {
    format!("{:08x}", u32::from_be_bytes(id))
}
