//! `Archive`: an archive's index, read and believed; `Writer`: the one that adds to it.
//!
//! Holds: nothing of an index counts before its signature does, and the signature counts only under
//! the key that the ledger's superblock names.

use std::path::{Path, PathBuf};

use disk::{DirectoryLock, directory};
use journal::{
    ARCHIVE_HEADER_BYTES, ARCHIVE_ROW_BYTES, ARCHIVE_SEGMENTS_MAX, ArchiveIndex, FrameKey, IMAGE_BYTES,
    IMAGE_FILE_BYTES, ImageCopy, SegmentNumber, ShippedSegment, Superblock, segment_file_name,
};
use ledger::{HashKind, NOTE_BYTES_MAX, NoteError, NoteSigner, NoteVerifier, SignedNote};

use super::{ArchiveError, ArchivedSegments};

/// The index.
const INDEX_FILE: &str = "index";
/// Held by whoever adds to the archive.
const LOCK_FILE: &str = "lock";
/// The log's verifier key.
const VKEY_FILE: &str = "log.vkey";
/// Bytes of a verifier key's file at most.
const VKEY_BYTES_MAX: u64 = 4_096;
const INDEX_BYTES_MAX: u64 = ARCHIVE_HEADER_BYTES as u64
    + ARCHIVE_ROW_BYTES as u64 * ARCHIVE_SEGMENTS_MAX as u64
    + NOTE_BYTES_MAX as u64;

/// An archive whose index is believed.
#[derive(Debug)]
pub(crate) struct Archive {
    pub(crate) root: PathBuf,
    pub(crate) index: ArchiveIndex,
    pub(crate) superblock: Superblock,
    pub(crate) key: FrameKey,
    /// The key that signed it.
    pub(crate) verifier: NoteVerifier,
}

/// An archive that is added to.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) archive: Archive,
    signer: NoteSigner,
    _lock: DirectoryLock,
}

/// The name of a segment's file.
pub(crate) fn file_name(segment: SegmentNumber) -> String {
    format!("{}.zst", segment_file_name(segment))
}

/// Tells a log's name and key from any other, as the superblock keeps it.
pub(crate) fn fingerprint(verifier: &NoteVerifier) -> [u8; 32] {
    // The superblock knows the name of the first incarnation; later ones sign under names of their own.
    HashKind::Sha256.leaf(verifier.of_ledger().to_string().as_bytes())
}

impl Archive {
    /// Reads the index at `root` and believes it if the key signed it that the archive's superblock
    /// names; `None` if there is no index.
    ///
    /// # Errors
    /// `ArchiveError`, and which.
    pub(crate) fn open(root: &Path) -> Result<Option<Self>, ArchiveError> {
        let path = root.join(INDEX_FILE);
        let bytes = match directory::read_file(&path, INDEX_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let (index, note) = ArchiveIndex::decode(&bytes)
            .map_err(|error| ArchiveError::Index { path: path.clone(), error })?;
        let superblock = superblock(root, &index)?;
        let verifier = verifier(root)?;
        if fingerprint(&verifier) != superblock.log_key {
            let what = "this is not the key that the superblock names".into();
            return Err(ArchiveError::Damaged { path: root.join(VKEY_FILE), what });
        }
        let body = &bytes[..bytes.len() - note.len()];
        check_signature(&verifier, body, note).map_err(|error| ArchiveError::Signature { path, error })?;
        let key = FrameKey::new(&superblock.frame_key);
        Ok(Some(Self { root: root.into(), index, superblock, key, verifier }))
    }

    fn belongs_to(&self, ledger: &Superblock) -> Result<(), ArchiveError> {
        let told = |superblock: &Superblock| {
            format!("ledger {} incarnation {}", hex::encode(superblock.ledger.0), superblock.incarnation.0)
        };
        let same = |of: &Superblock| (of.ledger, of.incarnation, of.frame_key, of.log_key);
        if same(&self.superblock) == same(ledger) {
            return Ok(());
        }
        let (found, mut wanted) = (told(&self.superblock), told(ledger));
        if found == wanted {
            wanted.push_str(" (with these keys)");
        }
        Err(ArchiveError::Foreign { path: self.root.clone(), found, wanted })
    }

    /// Where the segments' files lie.
    pub(crate) fn segments_dir(&self) -> PathBuf {
        self.root.join(journal::SEGMENT_DIR)
    }

    /// Where one segment's file lies.
    pub(crate) fn file(&self, segment: SegmentNumber) -> PathBuf {
        self.segments_dir().join(file_name(segment))
    }

    /// Its segments, for reading.
    pub(crate) fn source(&self) -> ArchivedSegments {
        ArchivedSegments::new(self.segments_dir(), self.index.segments.iter())
    }
}

fn superblock(root: &Path, index: &ArchiveIndex) -> Result<Superblock, ArchiveError> {
    let path = root.join(journal::SUPERBLOCK_FILE);
    let bytes = directory::read_file(&path, IMAGE_FILE_BYTES)?;
    let digest = *blake3::hash(&bytes).as_bytes();
    let damaged = |what: String| ArchiveError::Damaged { path: path.clone(), what };
    if digest != index.superblock {
        return Err(damaged("this is not the superblock that the index names".into()));
    }
    let superblock = Superblock::decode(&bytes).map_err(|error| damaged(error.to_string()))?;
    if (superblock.ledger, superblock.incarnation) != (index.ledger, index.incarnation) {
        return Err(damaged("the superblock and the index are of two ledgers".into()));
    }
    Ok(superblock)
}

fn verifier(root: &Path) -> Result<NoteVerifier, ArchiveError> {
    let path = root.join(VKEY_FILE);
    let bytes = directory::read_file(&path, VKEY_BYTES_MAX)?;
    let text = std::str::from_utf8(&bytes).ok().and_then(|text| text.strip_suffix('\n'));
    let parsed = text.and_then(|text| NoteVerifier::parse(text).ok());
    parsed.ok_or_else(|| ArchiveError::Damaged { path, what: "this holds no verifier key".into() })
}

/// What is signed: one line that no checkpoint begins with, and the digest of the body.
fn signed_text(body: &[u8]) -> String {
    format!("macronode archive index\n{}\n", blake3::hash(body).to_hex())
}

fn check_signature(verifier: &NoteVerifier, body: &[u8], note: &[u8]) -> Result<(), NoteError> {
    let note = std::str::from_utf8(note).map_err(|_| NoteError::Format("not UTF-8"))?;
    let signed = SignedNote::parse(note)?;
    if signed.text != signed_text(body) {
        return Err(NoteError::Format("it signs another index"));
    }
    if signed.signatures.len() != 1 {
        return Err(NoteError::Format("it has more than one signature"));
    }
    verifier.verify(&signed)
}

impl Writer {
    /// Opens the archive at `root` for adding, or makes an empty one there.
    ///
    /// # Errors
    /// `Locked`, `Taken`, `Foreign`, or as `Archive::open`.
    pub(crate) fn open(root: &Path, ledger: &Superblock, signer: NoteSigner) -> Result<Self, ArchiveError> {
        directory::create_private_dir(root)?;
        let mut names = directory::list(root)?.into_iter().map(|entry| entry.name);
        let ours = [INDEX_FILE, LOCK_FILE, VKEY_FILE, journal::SUPERBLOCK_FILE, journal::SEGMENT_DIR];
        let is_ours = |name: &str| ours.contains(&name) || name.starts_with('.') && name.ends_with(".new");
        if !names.all(|name| is_ours(&name)) {
            return Err(ArchiveError::Taken { path: root.into() });
        }
        let lock = DirectoryLock::acquire(&root.join(LOCK_FILE), &format!("process {}", std::process::id()))?;
        directory::create_private_dir(&root.join(journal::SEGMENT_DIR))?;
        directory::sweep(root)?;
        directory::sweep(&root.join(journal::SEGMENT_DIR))?;
        let archive = match Archive::open(root)? {
            Some(archive) => archive,
            None => Self::make(root, ledger, &signer)?,
        };
        archive.belongs_to(ledger)?;
        Ok(Self { archive, signer, _lock: lock })
    }

    /// The superblock and the key first: an index that is there can be believed.
    fn make(root: &Path, ledger: &Superblock, signer: &NoteSigner) -> Result<Archive, ArchiveError> {
        let mut image = [0; IMAGE_BYTES];
        ledger.encode(&mut image);
        let mut bytes = vec![0; usize::try_from(IMAGE_FILE_BYTES).expect("a small file")];
        for copy in ImageCopy::BOTH {
            let at = usize::try_from(copy.offset()).expect("a small file");
            bytes[at..at + IMAGE_BYTES].copy_from_slice(&image);
        }
        directory::replace_file(&root.join(journal::SUPERBLOCK_FILE), &bytes)?;
        let verifier = signer.verifier();
        directory::replace_file(&root.join(VKEY_FILE), format!("{verifier}\n").as_bytes())?;
        let index = ArchiveIndex {
            ledger: ledger.ledger,
            incarnation: ledger.incarnation,
            superblock: *blake3::hash(&bytes).as_bytes(),
            segments: Vec::new(),
        };
        write_index(root, &index, signer)?;
        let key = FrameKey::new(&ledger.frame_key);
        Ok(Archive { root: root.into(), index, superblock: ledger.clone(), key, verifier })
    }

    /// Adds a segment whose file is durable under its name.
    ///
    /// # Errors
    /// If the index cannot be written; the segment is then not in the archive.
    pub(crate) fn push(&mut self, row: ShippedSegment) -> Result<(), ArchiveError> {
        let mut index = self.archive.index.clone();
        index.segments.push(row);
        write_index(&self.archive.root, &index, &self.signer)?;
        self.archive.index = index;
        Ok(())
    }
}

fn write_index(root: &Path, index: &ArchiveIndex, signer: &NoteSigner) -> Result<(), ArchiveError> {
    let mut bytes = index.encode();
    let note = signer.sign(&signed_text(&bytes));
    bytes.extend_from_slice(note.as_bytes());
    Ok(directory::replace_file(&root.join(INDEX_FILE), &bytes)?)
}
