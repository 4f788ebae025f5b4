//! The files beside the segments: checkpoints, both copies of superblock and slot.

use std::path::Path;

use disk::{Access, AlignedBuf, DirectFile, DiskError, directory};
use journal::{Checkpoint, IMAGE_BYTES, ImageCopy, ImageError, Slot, Superblock, checkpoint_frame};

use super::{PIECE_BYTES, Pace, Work};
use crate::findings::{Finding, Place, Wrong};

/// Looks at all of them.
pub(super) fn scrub(work: &Work, pace: &mut Pace) {
    let places = &work.recipe.places;
    for entry in directory::list(&places.checkpoints()).unwrap_or_default() {
        if checkpoint_frame(&entry.name).is_some() {
            let name = format!("{}/{}", journal::CHECKPOINT_DIR, entry.name);
            let found = checkpoint(work, &places.checkpoints().join(&entry.name), entry.len_bytes, pace);
            // Others make and remove them meanwhile.
            report(work, name, found.filter(|wrong| !matches!(wrong, Found::Gone)));
        }
        if work.stopping() {
            return;
        }
    }
    let key = &work.recipe.key;
    let ledger = work.recipe.superblock.ledger;
    copies(work, journal::SUPERBLOCK_FILE, |image| Superblock::decode(image).map(drop), pace);
    copies(work, journal::SLOT_FILE, |image| Slot::decode(image, key, ledger).map(drop), pace);
}

enum Found {
    Wrong(ImageError),
    Unreadable(DiskError),
    Gone,
}

impl From<DiskError> for Found {
    fn from(error: DiskError) -> Self {
        if error.is_not_found() { Self::Gone } else { Self::Unreadable(error) }
    }
}

fn checkpoint(work: &Work, path: &Path, len: u64, pace: &mut Pace) -> Option<Found> {
    let recipe = &work.recipe;
    let mut read = || -> Result<Vec<u8>, DiskError> {
        let file = DirectFile::open(path, Access::ReadOnly, recipe.params.direct)?;
        let mut bytes = Vec::new();
        let mut piece = AlignedBuf::new(PIECE_BYTES);
        let mut offset = 0;
        while offset < len {
            let asked = u64::try_from(PIECE_BYTES).expect("a length fits in 64 bits");
            if !work.breathe(pace, asked) {
                break;
            }
            let read = file.read_at(offset, &mut piece, PIECE_BYTES)?;
            bytes.extend_from_slice(piece.get(..read).expect("no more than was asked for"));
            offset += asked;
        }
        Ok(bytes)
    };
    match read() {
        Err(error) => Some(error.into()),
        Ok(_) if work.stopping() => None,
        Ok(bytes) => {
            Checkpoint::decode(&bytes, &recipe.key, recipe.superblock.ledger).err().map(Found::Wrong)
        }
    }
}

/// Checks both copies of an image, each by itself: the one that does not count is the one that would
/// be missed. The committer may be writing a copy just now, so one that is bad is read once more.
fn copies(work: &Work, name: &str, decode: impl Fn(&[u8]) -> Result<(), ImageError>, pace: &mut Pace) {
    let path = work.recipe.places.root.join(name);
    for copy in ImageCopy::BOTH {
        let mut look = || -> Option<Found> {
            let bytes = u64::try_from(IMAGE_BYTES).expect("a length fits in 64 bits");
            if !work.breathe(pace, bytes) {
                return None;
            }
            match image(&path, copy, work) {
                Ok(image) => decode(&image).err().map(Found::Wrong),
                Err(error) => Some(error.into()),
            }
        };
        let found = look().and_then(|_| look());
        report(work, format!("{name}, copy at {}", copy.offset()), found);
    }
}

fn image(path: &Path, copy: ImageCopy, work: &Work) -> Result<Vec<u8>, DiskError> {
    let file = DirectFile::open(path, Access::ReadOnly, work.recipe.params.direct)?;
    let mut buffer = AlignedBuf::new(IMAGE_BYTES);
    let read = file.read_at(copy.offset(), &mut buffer, IMAGE_BYTES)?;
    Ok(buffer.get(..read).expect("no more than was asked for").to_vec())
}

fn report(work: &Work, name: String, found: Option<Found>) {
    let (wrong, detail) = match found {
        None => return,
        Some(Found::Wrong(error)) => (Wrong::Damaged, error.to_string()),
        Some(Found::Unreadable(error)) if error.is_shortage() => return,
        Some(Found::Unreadable(error)) => (Wrong::Unreadable, error.to_string()),
        Some(Found::Gone) => (Wrong::Lost, "there is no such file".into()),
    };
    work.board.findings().report(Finding { place: Place::File(name), wrong, frame: None, detail });
}
