//! `Manifest`: what a snapshot holds, and the note that vouches for it.
//!
//! Holds: names are those that a ledger's directory has, in one order, so no name of a manifest leads
//! out of it; sizes are bounded before anything is unpacked; one manifest has one text.

use std::fmt::Write as _;

use journal::{
    FrameHash, FrameNumber, Geometry, HashKind, IMAGE_FILE_BYTES, checkpoint_frame, segment_number,
};
use ledger::{NoteError, NoteSigner, NoteVerifier, SignedNote};
use model::{Incarnation, LedgerId, Seq, Timestamp};

/// The first line of a manifest and of its note. No tree head of a log can begin with it and go on
/// as it does, so neither signature passes for the other.
const FORMAT: &str = "macronode-snapshot/0";
/// Bytes of a manifest at most.
pub const MANIFEST_BYTES_MAX: u64 = 16 << 20;
/// Bytes of its note at most.
pub(super) const NOTE_BYTES_MAX: u64 = 4_096;
/// Bytes of a checkpoint file at most.
const CHECKPOINT_BYTES_MAX: u64 = 64 << 30;

/// One file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestFile {
    /// Its name in the ledger's directory.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
    /// BLAKE3 of them.
    pub digest: [u8; 32],
}

/// What a snapshot holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Whose.
    pub ledger: LedgerId,
    /// The hash of its tree.
    pub hash: HashKind,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// The sizes of its journal.
    pub geometry: Geometry,
    /// The last frame.
    pub frame: FrameNumber,
    /// That frame's hash.
    pub frame_hash: FrameHash,
    /// The last entry, which is the tree's size.
    pub through: Seq,
    /// The root of the tree.
    pub root: [u8; 32],
    /// Ledger time of the last frame.
    pub at: Timestamp,
    /// When it was taken, by the wall clock.
    pub taken: Timestamp,
    /// The files, in the order of the archive.
    pub files: Vec<ManifestFile>,
}

/// Why a text is no manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the manifest does not parse: {0}")]
pub struct ManifestError(&'static str);

impl Manifest {
    /// Its text.
    #[must_use]
    pub fn text(&self) -> String {
        let hash = match self.hash {
            HashKind::Sha256 => "sha256",
            HashKind::Blake3 => "blake3",
        };
        let mut text = format!(
            "{FORMAT}\nledger {}\nhash {hash}\nincarnation {}\nsizes {} {}\nframe {} {}\ntree {} {}\nat {}\ntaken {}\n",
            hex::encode(self.ledger.0),
            self.incarnation.0,
            self.geometry.stride(),
            self.geometry.segment_bytes(),
            self.frame,
            hex::encode(self.frame_hash.0),
            self.through,
            hex::encode(self.root),
            self.at.0,
            self.taken.0,
        );
        for ManifestFile { name, bytes, digest } in &self.files {
            writeln!(text, "file {name} {bytes} {}", hex::encode(digest)).expect("a string takes it");
        }
        text
    }

    /// Reads the text back.
    ///
    /// # Errors
    /// If it is not what `text` gives for some manifest that a ledger can have.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let mut lines = Lines(text.lines());
        if lines.0.next() != Some(FORMAT) {
            return Err(ManifestError("it is of another format"));
        }
        let [ledger] = lines.words("ledger")?;
        let [hash] = lines.words("hash")?;
        let [incarnation] = lines.words("incarnation")?;
        let [stride, segment_bytes] = lines.words("sizes")?;
        let [frame, frame_hash] = lines.words("frame")?;
        let [through, root] = lines.words("tree")?;
        let [at] = lines.words("at")?;
        let [taken] = lines.words("taken")?;
        let stride = u32::try_from(number(stride)?).map_err(|_| ManifestError("sizes"))?;
        let geometry = Geometry::new(stride, number(segment_bytes)?).map_err(|_| ManifestError("sizes"))?;
        let mut manifest = Self {
            ledger: LedgerId(bytes(ledger)?),
            hash: match hash {
                "sha256" => HashKind::Sha256,
                "blake3" => HashKind::Blake3,
                _ => return Err(ManifestError("hash")),
            },
            incarnation: u32::try_from(number(incarnation)?)
                .map(Incarnation)
                .map_err(|_| ManifestError("incarnation"))?,
            geometry,
            frame: FrameNumber(number(frame)?),
            frame_hash: FrameHash(bytes(frame_hash)?),
            through: Seq(number(through)?),
            root: bytes(root)?,
            at: Timestamp(number(at)?),
            taken: Timestamp(number(taken)?),
            files: Vec::new(),
        };
        for line in lines.0.by_ref() {
            let [name, len, digest] = words(line, "file")?;
            manifest.files.push(ManifestFile {
                name: name.into(),
                bytes: number(len)?,
                digest: bytes(digest)?,
            });
        }
        manifest.check_files()?;
        // One manifest, one text: leading zeros, other ends of lines and the like are refused.
        if manifest.text() == text { Ok(manifest) } else { Err(ManifestError("it is not written plainly")) }
    }

    /// Superblock, slot, at most one checkpoint, then the segments from the first, none left out.
    fn check_files(&self) -> Result<(), ManifestError> {
        let mut rest = self.files.as_slice();
        for name in [journal::SUPERBLOCK_FILE, journal::SLOT_FILE] {
            match rest.split_first() {
                Some((file, after)) if file.name == name && file.bytes == IMAGE_FILE_BYTES => rest = after,
                _ => return Err(ManifestError("superblock and slot come first")),
            }
        }
        if let Some((file, after)) = rest.split_first()
            && let Some(name) = inside(&file.name, journal::CHECKPOINT_DIR)
        {
            let frame = checkpoint_frame(name).ok_or(ManifestError("a checkpoint's name"))?;
            let canonical = journal::checkpoint_file_name(frame) == name;
            if !canonical || frame > self.frame || file.bytes > CHECKPOINT_BYTES_MAX {
                return Err(ManifestError("a checkpoint"));
            }
            rest = after;
        }
        for (file, number) in rest.iter().zip(0..) {
            let name = inside(&file.name, journal::SEGMENT_DIR).ok_or(ManifestError("a name"))?;
            let segment = segment_number(name).filter(|segment| segment.0 == number);
            let canonical = segment.is_some_and(|segment| journal::segment_file_name(segment) == name);
            let whole = file.bytes.is_multiple_of(u64::from(self.geometry.stride())) && file.bytes > 0;
            if !canonical || !whole || file.bytes > self.geometry.segment_bytes() {
                return Err(ManifestError("a segment"));
            }
        }
        Ok(())
    }

    /// The note that vouches for it, signed by the ledger's log.
    pub(super) fn sign(&self, signer: &NoteSigner) -> String {
        signer.sign(&self.note_text(&signer.verifier()))
    }

    /// Checks the note against this manifest; gives the key that signed it: `trusted`, or the one that
    /// the note itself names.
    ///
    /// # Errors
    /// If the note is not of this manifest, or not signed by that key.
    pub fn check(&self, note: &str, trusted: Option<&NoteVerifier>) -> Result<NoteVerifier, NoteError> {
        let note = SignedNote::parse(note)?;
        let named = note.text.lines().find_map(|line| line.strip_prefix("key "));
        let named = NoteVerifier::parse(named.ok_or(NoteError::Format("no key"))?)?;
        let log = trusted.unwrap_or(&named);
        log.verify(&note)?;
        if note.text == self.note_text(log) {
            Ok(log.clone())
        } else {
            Err(NoteError::Format("it is of another manifest"))
        }
    }

    fn note_text(&self, log: &NoteVerifier) -> String {
        let digest = blake3::hash(self.text().as_bytes());
        format!("{FORMAT}\nkey {log}\nmanifest {digest}\n")
    }
}

fn inside<'a>(name: &'a str, directory: &str) -> Option<&'a str> {
    name.strip_prefix(directory)?.strip_prefix('/')
}

struct Lines<'a>(std::str::Lines<'a>);

impl<'a> Lines<'a> {
    fn words<const N: usize>(&mut self, key: &'static str) -> Result<[&'a str; N], ManifestError> {
        words(self.0.next().ok_or(ManifestError(key))?, key)
    }
}

fn words<'a, const N: usize>(line: &'a str, key: &'static str) -> Result<[&'a str; N], ManifestError> {
    let rest = line.strip_prefix(key).and_then(|rest| rest.strip_prefix(' ')).ok_or(ManifestError(key))?;
    let words: Vec<&str> = rest.split(' ').take(N + 1).collect();
    words.try_into().map_err(|_| ManifestError(key))
}

fn number(digits: &str) -> Result<u64, ManifestError> {
    digits.parse().map_err(|_| ManifestError("a number"))
}

fn bytes<const N: usize>(digits: &str) -> Result<[u8; N], ManifestError> {
    let mut bytes = [0; N];
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| ManifestError("hex digits"))?;
    Ok(bytes)
}
