//! The checkpoints of a ledger on disk: written, read back and proven, kept by count.
//!
//! Holds: a checkpoint has its name only after it was read back from the device, compared with the
//! journal and loaded; an older one is removed only after that, and never more of them than there are
//! newer ones to keep. One that fails the proof is put aside under `WRONG` and the older ones stay.
//! Leaves to others: what a checkpoint contains (`Replay`), when one is due (`Checkpointer`).

use std::path::{Path, PathBuf};

use disk::{Access, AlignedBuf, Direct, DirectFile, DiskError, PlainFile, directory};
use journal::{
    CHECKPOINT_HEADER_BYTES, Checkpoint, FrameKey, FrameNumber, ImageError, Input, RecoveryError,
    SegmentNumber, Superblock, checkpoint_file_name, checkpoint_frame, recovery_buffer_bytes,
    verify_checkpoint,
};
use ledger::{Ledger, Tree};

use super::{Places, Segments, StoreParams, check_memory, replay::rules};

/// Bytes of a checkpoint file at most.
const CHECKPOINT_BYTES_MAX: u64 = 64 << 30;
/// The last one that failed its proof, kept to be looked at.
const WRONG: &str = "wrong";
/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;
/// Bytes that are given back to the file system at once: some disks discard what is given back, and
/// everything waits while they do.
const GIVE_BACK_BYTES: u64 = 16 << 20;
/// Bytes of the digest that ends a payload.
const DIGEST_BYTES: usize = 32;

/// What a checkpoint is made from and compared with.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) params: StoreParams,
    pub(crate) places: Places,
    pub(crate) superblock: Superblock,
    pub(crate) key: FrameKey,
    /// What lies before, only an archive has.
    pub(crate) first_retained: SegmentNumber,
}

/// Why a checkpoint was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeepError {
    /// It could not be written, or not be looked at. Nothing is wrong with it.
    #[error("{0}")]
    Disk(#[from] DiskError),
    /// There is no memory to load it, or the journal beside it cannot be read.
    #[error("it could not be proven: {0}")]
    Unproven(String),
    /// Nothing is taken from the disk.
    #[error("the disk is under storage.hard_mib")]
    HardMark,
    /// It is not what was written.
    #[error("it does not hold what was written, and was put aside: {0}")]
    Wrong(WrongError),
}

/// How what is read back differs from what was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WrongError {
    #[error("it cannot be read: {0}")]
    Unreadable(DiskError),
    #[error("{0}")]
    Image(#[from] ImageError),
    #[error("it says something else")]
    Header,
    #[error("it cannot be loaded: {0}")]
    Load(#[from] ledger::Error),
    #[error("the state in it is another one")]
    State,
    #[error("its last frame is not in the journal")]
    Frame,
}

/// A checkpoint that is written and durable, and does not count yet.
#[derive(Debug)]
pub(crate) struct Draft {
    path: PathBuf,
    pub(super) beside: PathBuf,
    checkpoint: Checkpoint,
    digest: [u8; DIGEST_BYTES],
}

impl Draft {
    /// Writes it beside its place. Takes `between` turns where it gives space back.
    ///
    /// # Errors
    /// If it cannot be written; what was written of it is gone then.
    pub(crate) fn write(
        recipe: &Recipe,
        checkpoint: Checkpoint,
        payload: &[u8],
        between: &dyn Fn(),
    ) -> Result<Self, DiskError> {
        let mut header = [0; CHECKPOINT_HEADER_BYTES];
        checkpoint.encode_header(&recipe.key, payload, &mut header);
        let path = recipe.places.checkpoints().join(checkpoint_file_name(checkpoint.frame));
        let beside = directory::beside(&path)?;
        if let Err(error) = directory::write_new(&beside, &[&header, payload]) {
            // What was written of it would keep a full disk full. The first failure is the one to tell.
            drop(directory::retire(&beside, GIVE_BACK_BYTES, between));
            return Err(error);
        }
        let digest = *payload.last_chunk().expect("a payload ends with its digest");
        Ok(Self { path, beside, checkpoint, digest })
    }

    /// Reads it back and proves it; then it has its name, and older ones go.
    ///
    /// # Errors
    /// `KeepError`; the older ones are then still there.
    pub(crate) fn admit(self, recipe: &Recipe, between: &dyn Fn()) -> Result<(), KeepError> {
        match self.prove(recipe) {
            Ok(()) => {}
            Err(error @ KeepError::Wrong(_)) => {
                let aside = recipe.places.checkpoints().join(WRONG);
                discard_old(&aside, between)?;
                directory::rename(&self.beside, &aside)?;
                return Err(error);
            }
            Err(error) => {
                directory::retire(&self.beside, GIVE_BACK_BYTES, between)?;
                return Err(error);
            }
        }
        directory::rename(&self.beside, &self.path)?;
        remove_old(recipe, between)?;
        Ok(())
    }

    fn prove(&self, recipe: &Recipe) -> Result<(), KeepError> {
        let Recipe { params, superblock, key, .. } = recipe;
        let rules = rules(params, superblock);
        check_memory(&rules, 1).map_err(|error| KeepError::Unproven(error.to_string()))?;
        let bytes = read_back(&self.beside, params.direct).map_err(|error| {
            if error.is_shortage() { error.into() } else { KeepError::Wrong(WrongError::Unreadable(error)) }
        })?;
        let wrong = |error: ImageError| KeepError::Wrong(error.into());
        let (found, payload) = Checkpoint::decode(&bytes, key, superblock.ledger).map_err(wrong)?;
        if found != self.checkpoint || payload.last_chunk() != Some(&self.digest) {
            return Err(KeepError::Wrong(WrongError::Header));
        }
        let (ledger, tree) = Ledger::decode_checkpoint(payload, rules)
            .map_err(|error| KeepError::Wrong(WrongError::Load(error)))?;
        drop(bytes);
        self.prove_state(&ledger, &tree)?;
        drop((ledger, tree));
        self.prove_frame(recipe)
    }

    /// The state that was loaded, written once more, is the same bytes.
    fn prove_state(&self, ledger: &Ledger, tree: &Tree) -> Result<(), KeepError> {
        let heads = (tree.size(), tree.root()) == (self.checkpoint.tree_size, self.checkpoint.root);
        let mut again = Vec::new();
        if heads {
            ledger.encode_checkpoint(tree, &mut again);
        }
        if again.last_chunk() == Some(&self.digest) {
            Ok(())
        } else {
            Err(KeepError::Wrong(WrongError::State))
        }
    }

    /// The frame that it ends with lies in the journal, at the place and with the hash that it names.
    fn prove_frame(&self, recipe: &Recipe) -> Result<(), KeepError> {
        let Recipe { params, places, superblock, key, .. } = recipe;
        let input = Input {
            geometry: superblock.geometry,
            ledger: superblock.ledger,
            incarnation: superblock.incarnation,
            epoch: superblock.epoch,
            key,
            slot: None,
            checkpoint: None,
            checkpoint_frame_max: FrameNumber::ZERO,
        };
        let mut segments = Segments::open(&places.segments(), params.direct)?;
        let bytes = recovery_buffer_bytes(superblock.geometry).next_multiple_of(disk::ALIGNMENT_BYTES);
        let mut buffer = AlignedBuf::new(bytes);
        match verify_checkpoint(&input, &self.checkpoint, &mut segments, &mut buffer) {
            Ok(true) => Ok(()),
            Ok(false) => Err(KeepError::Wrong(WrongError::Frame)),
            // What cannot be read proves nothing, and says nothing against the checkpoint either.
            Err(RecoveryError::Read { segment, offset, .. }) => {
                let failure = segments.take_failure();
                Err(failure.map_or_else(
                    || KeepError::Unproven(format!("the journal at {segment}:{offset} cannot be read")),
                    KeepError::Disk,
                ))
            }
            Err(_) => Err(KeepError::Wrong(WrongError::Frame)),
        }
    }
}

/// The bytes of a file as the device has them, where the file system reads past the page cache.
fn read_back(path: &Path, direct: Direct) -> Result<Vec<u8>, DiskError> {
    let file = DirectFile::open(path, Access::ReadOnly, direct)?;
    let len = file.len_bytes()?;
    if len > CHECKPOINT_BYTES_MAX {
        let path = path.to_path_buf();
        return Err(DiskError::TooLarge { path, len_bytes: len, limit_bytes: CHECKPOINT_BYTES_MAX });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(len).expect("a 64-bit host"));
    let mut piece = AlignedBuf::new(READ_BYTES);
    let mut offset = 0;
    while offset < len {
        let read = file.read_at(offset, &mut piece, READ_BYTES)?;
        bytes.extend_from_slice(piece.get(..read).expect("no more than was asked for"));
        offset += u64::try_from(read).expect("a length fits in 64 bits");
        if read < READ_BYTES {
            break;
        }
    }
    Ok(bytes)
}

fn remove_old(recipe: &Recipe, between: &dyn Fn()) -> Result<(), DiskError> {
    let directory = recipe.places.checkpoints();
    let mut names: Vec<String> = directory::list(&directory)?
        .into_iter()
        .map(|entry| entry.name)
        .filter(|name| checkpoint_frame(name).is_some())
        .collect();
    names.sort_unstable();
    let kept = recipe.params.upkeep.checkpoints_kept;
    assert!(kept > 0, "the one that was just proven stays");
    let old = names.iter().rev().skip(kept);
    old.map(|name| directory.join(name)).try_for_each(|path| discard_old(&path, between))
}

fn discard_old(path: &Path, between: &dyn Fn()) -> Result<(), DiskError> {
    match directory::retire(path, GIVE_BACK_BYTES, between) {
        Err(error) if !error.is_not_found() => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The checkpoints whose headers are whole, newest first.
pub(crate) fn checkpoints(
    places: &Places,
    superblock: &Superblock,
    key: &FrameKey,
) -> Result<Vec<(Checkpoint, PathBuf)>, DiskError> {
    let mut named: Vec<(Checkpoint, PathBuf)> = Vec::new();
    for entry in directory::list(&places.checkpoints())? {
        let path = places.checkpoints().join(&entry.name);
        if checkpoint_frame(&entry.name).is_none() {
            continue;
        }
        let Some(header) = readable(read_header(&path))? else { continue };
        match Checkpoint::decode_header(&header, key, superblock.ledger) {
            Ok(checkpoint) => named.push((checkpoint, path)),
            Err(error) => tracing::warn!(path = %path.display(), "checkpoint is left out: {error}"),
        }
    }
    named.sort_unstable_by_key(|(checkpoint, _)| std::cmp::Reverse(checkpoint.frame));
    Ok(named)
}

/// The first bytes of a file, as many as a header has or fewer.
fn read_header(path: &Path) -> Result<Vec<u8>, DiskError> {
    let file = PlainFile::open(path, Access::ReadOnly)?;
    let len = usize::try_from(file.len_bytes()?).unwrap_or(CHECKPOINT_HEADER_BYTES);
    let mut header = vec![0; len.min(CHECKPOINT_HEADER_BYTES)];
    file.read_at(0, &mut header)?;
    Ok(header)
}

/// `None` for bytes that cannot be had: then another checkpoint counts, or none.
fn readable(read: Result<Vec<u8>, DiskError>) -> Result<Option<Vec<u8>>, DiskError> {
    match read {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.is_shortage() => Err(error),
        Err(error) => {
            tracing::warn!("checkpoint is left out: {error}");
            Ok(None)
        }
    }
}

/// Reads the payload of a checkpoint file and gives it to `decode`.
pub(super) fn load_checkpoint(
    path: &Path,
    superblock: &Superblock,
    key: &FrameKey,
    decode: impl FnOnce(&[u8]) -> Option<(Ledger, Tree)>,
) -> Result<Option<(Ledger, Tree)>, DiskError> {
    let Some(bytes) = readable(directory::read_file(path, CHECKPOINT_BYTES_MAX))? else { return Ok(None) };
    match Checkpoint::decode(&bytes, key, superblock.ledger) {
        Ok((_, payload)) => Ok(decode(payload)),
        Err(error) => {
            tracing::warn!(path = %path.display(), "checkpoint is left out: {error}");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests;
