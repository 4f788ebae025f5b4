//! The release record at a start: which segments only an archive has, and whether the operator's
//! command may release more.
//!
//! Holds: with segments released, a start begins at a checkpoint or not at all. Nothing is removed here. Leaves to others: releasing (`ctl`).

use std::path::PathBuf;

use journal::{Checkpoint, FrameKey, IMAGE_BYTES, RELEASE_FILE, Release, SegmentNumber, Superblock};

use super::{FIRST, Inventory, OpenError, StoreParams, images, open::Places, replay::Wanted};

/// A checkpoint and its file.
type Named = (Checkpoint, PathBuf);

/// What the record says; that nothing is released, if there is none.
///
/// # Errors
/// `Segments` if it is damaged and the first segment is not there; what the kernel refuses.
pub(super) fn read(
    places: &Places,
    superblock: &Superblock,
    key: &FrameKey,
    inventory: &Inventory,
) -> Result<Release, OpenError> {
    let first = inventory.from(FIRST).min();
    let record = read_record(places, superblock, key, first)?;
    let left = inventory.from(FIRST).filter(|segment| *segment < record.first_retained()).count();
    if left > 0 {
        tracing::info!(left, "released segments are still here; `ron-ledgerctl release` removes them");
    }
    Ok(record)
}

fn read_record(
    places: &Places,
    superblock: &Superblock,
    key: &FrameKey,
    first_here: Option<SegmentNumber>,
) -> Result<Release, OpenError> {
    let none = Release::none(superblock.ledger, superblock.incarnation);
    let path = places.root.join(RELEASE_FILE);
    if !path.exists() {
        return Ok(none);
    }
    let [first, second] = images::read_both(&path)?;
    match Release::pick(&first, &second, key, superblock.ledger) {
        Ok(record) => Ok(record),
        Err(error) if first_here.is_none_or(|segment| segment == FIRST) => {
            tracing::warn!(path = %path.display(), "release record is written anew, nothing is released: {error}");
            Ok(none)
        }
        Err(error) => {
            let what = format!(
                "{}: {error}, and the first segments are not here; bring them back with `ron-ledgerctl recall \
                 --archive DIR`",
                path.display()
            );
            Err(OpenError::Segments { what })
        }
    }
}

/// Where a replay may begin, the best first: with segments released not at the beginning, and if need be
/// without derived files, which cannot be derived then.
pub(super) fn starts(record: &Release, named: Vec<Named>) -> Vec<(Option<Named>, Wanted)> {
    let whole: Vec<_> = named.iter().cloned().map(|start| (Some(start), Wanted::All)).collect();
    if record.first_retained() == FIRST {
        return whole.into_iter().chain([(None, Wanted::All)]).collect();
    }
    let bare = named.into_iter().map(|start| (Some(start), Wanted::State));
    whole.into_iter().chain(bare).collect()
}

/// No checkpoint is left to begin at, and the journal's beginning is released.
pub(super) fn no_start(record: &Release) -> OpenError {
    let what = format!(
        "no checkpoint is whole, and entries 1 to {} are only in the archive at {}; bring them back with \
         `ron-ledgerctl recall --archive {}`",
        record.last_released(),
        record.archive,
        record.archive
    );
    OpenError::Segments { what }
}

/// Writes down whether the operator's command may release, if that has changed.
///
/// # Errors
/// What the kernel refuses.
pub(super) fn keep_leave(
    params: &StoreParams,
    places: &Places,
    key: &FrameKey,
    record: Release,
) -> Result<Release, OpenError> {
    if record.allowed == params.may_release {
        return Ok(record);
    }
    let record = Release { allowed: params.may_release, sequence: record.sequence + 1, ..record };
    let path = places.root.join(RELEASE_FILE);
    let file = images::open_or_create(&path, params.direct)?;
    let [first, second] = images::read_both(&path)?;
    let mut image = [0; IMAGE_BYTES];
    record.encode(key, &mut image);
    // The copy that an earlier run wrote may lie in the device's cache alone.
    file.datasync()?;
    images::write_both(&file, Release::write_order(&first, &second, key, record.ledger), &image)?;
    Ok(record)
}
