//! The files of a ledger, opened to be read and nothing else: superblock, slot, checkpoints.
//!
//! Holds: they are read in the order in which they vouch: first what says how far the journal came,
//! then the journal, so that beside a running node the evidence is never newer than the frames.

use std::path::{Path, PathBuf};

use disk::{Access, AlignedBuf, Direct, DirectFile, DiskError, directory};
use journal::{Checkpoint, FrameKey, IMAGE_BYTES, ImageCopy, ImageError, Slot, Superblock, checkpoint_frame};

use super::VerifyError;

/// Bytes of a checkpoint file at most.
const CHECKPOINT_BYTES_MAX: u64 = 64 << 30;

/// What stands beside the journal.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) root: PathBuf,
    pub(super) superblock: Superblock,
    pub(super) key: FrameKey,
    /// The newest whole copy; `None` if neither is.
    pub(super) slot: Option<Slot>,
    /// Newest first; those whose header cannot be believed are in `remarks`.
    pub(super) checkpoints: Vec<CheckpointFile>,
    /// What is not as it should be and no damage to what counts.
    pub(super) remarks: Vec<String>,
}

/// A checkpoint whose header is whole.
#[derive(Clone, Debug)]
pub(super) struct CheckpointFile {
    pub(super) name: String,
    pub(super) header: Checkpoint,
    /// Whether the payload has the digest that the header names.
    pub(super) whole: Result<(), ImageError>,
}

impl Files {
    /// Reads what stands beside the journal in `data_dir`, or in its `ledger`.
    pub(super) fn read(data_dir: &Path) -> Result<Self, VerifyError> {
        let root = locate(data_dir)?;
        let mut remarks = Vec::new();
        let path = root.join(journal::SUPERBLOCK_FILE);
        let copies = copies(&path)?;
        let [first, second] = &copies;
        let superblock =
            Superblock::pick(first, second).map_err(|error| VerifyError::Superblock { path, error })?;
        remark_copies(&mut remarks, "superblock", &copies, |copy| Superblock::decode(copy).err());
        let key = FrameKey::new(&superblock.frame_key);
        let slot = slot(&root, &superblock, &key, &mut remarks)?;
        let checkpoints = checkpoints(&root, &superblock, &key, &mut remarks)?;
        Ok(Self { root, superblock, key, slot, checkpoints, remarks })
    }

    /// The newest slot as it stands now.
    pub(super) fn slot_now(&self) -> Result<Option<Slot>, VerifyError> {
        slot(&self.root, &self.superblock, &self.key, &mut Vec::new())
    }
}

fn locate(data_dir: &Path) -> Result<PathBuf, VerifyError> {
    let nested = data_dir.join("ledger");
    for root in [nested.as_path(), data_dir] {
        match directory::list(root) {
            Ok(names) if names.iter().any(|entry| entry.name == journal::SUPERBLOCK_FILE) => {
                return Ok(root.into());
            }
            Ok(names) if names.iter().any(|entry| entry.name == journal::SEGMENT_DIR) => {
                let segments = directory::list(&root.join(journal::SEGMENT_DIR))?;
                if !segments.is_empty() {
                    return Err(VerifyError::SuperblockMissing { path: root.into() });
                }
            }
            Ok(_) => {}
            Err(error) if error.is_not_found() || error.errno() == Some(disk::Errno::NOTDIR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(VerifyError::NoLedger { path: data_dir.into() })
}

/// Both copies of a two-copy file, past the page cache where that can be; missing bytes read as zeros.
fn copies(path: &Path) -> Result<[[u8; IMAGE_BYTES]; 2], DiskError> {
    let file = DirectFile::open(path, Access::ReadOnly, Direct::Preferred)?;
    let mut copies = [[0; IMAGE_BYTES]; 2];
    let mut buffer = AlignedBuf::new(IMAGE_BYTES);
    for (copy, bytes) in ImageCopy::BOTH.into_iter().zip(&mut copies) {
        if file.read_at(copy.offset(), &mut buffer, IMAGE_BYTES)? == IMAGE_BYTES {
            bytes.copy_from_slice(&buffer);
        }
    }
    Ok(copies)
}

fn slot(
    root: &Path,
    superblock: &Superblock,
    key: &FrameKey,
    remarks: &mut Vec<String>,
) -> Result<Option<Slot>, VerifyError> {
    let path = root.join(journal::SLOT_FILE);
    let copies = match copies(&path) {
        Ok(copies) => copies,
        Err(error) if error.is_not_found() => {
            remarks.push(format!("{}: the frontier slot's file is not there", path.display()));
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let [first, second] = &copies;
    let ledger = superblock.ledger;
    remark_copies(remarks, "slot", &copies, |copy| Slot::decode(copy, key, ledger).err());
    Ok(Slot::pick(first, second, key, ledger).ok())
}

fn remark_copies(
    remarks: &mut Vec<String>,
    name: &str,
    copies: &[[u8; IMAGE_BYTES]; 2],
    wrong: impl Fn(&[u8]) -> Option<ImageError>,
) {
    for (copy, which) in copies.iter().zip(["first", "second"]) {
        if let Some(error) = wrong(copy) {
            remarks.push(format!("{name}: the {which} copy does not count ({error})"));
        }
    }
}

fn checkpoints(
    root: &Path,
    superblock: &Superblock,
    key: &FrameKey,
    remarks: &mut Vec<String>,
) -> Result<Vec<CheckpointFile>, VerifyError> {
    let directory = root.join(journal::CHECKPOINT_DIR);
    let names = match directory::list(&directory) {
        Ok(names) => names,
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut found = Vec::new();
    for name in names.into_iter().map(|entry| entry.name) {
        if checkpoint_frame(&name).is_none() {
            continue;
        }
        let bytes = match directory::read_file(&directory.join(&name), CHECKPOINT_BYTES_MAX) {
            Ok(bytes) => bytes,
            // A running node has written a newer one and removed this.
            Err(error) if error.is_not_found() => continue,
            Err(error) => return Err(error.into()),
        };
        match Checkpoint::decode_header(&bytes, key, superblock.ledger) {
            Ok(header) => {
                let whole = Checkpoint::decode(&bytes, key, superblock.ledger).map(|_| ());
                found.push(CheckpointFile { name, header, whole });
            }
            Err(error) => remarks.push(format!("checkpoint {name}: a start leaves it out ({error})")),
        }
    }
    found.sort_unstable_by_key(|file| std::cmp::Reverse(file.header.frame));
    Ok(found)
}
