//! `release` and `recall`: segments are left to the archive alone, and brought back from it, lost ones
//! too.
//!
//! Holds: both work under the ledger's lock, so on a stopped node; a segment is removed only after the
//! release record says so durably, and the record says so only of segments that the archive was seen to
//! hold, byte for byte, a moment before. A kill at any step leaves what the next start takes, and what
//! the next run ends. Leaves to others: what a start does without the segments (`engine`).

mod bounds;
mod held;

use std::path::Path;

use disk::directory;
use journal::{
    ChainStart, MEMBERSHIP_FILE, READ_BYTES, Release, SegmentNumber, SegmentSource, ShippedSegment,
    segment_file_name,
};
use model::{Nanos, Timestamp, limits::ARCHIVE_PATH_BYTES_MAX};
use serde::Serialize;

use crate::{
    archive::{Archive, ArchiveError, check_file},
    verify::segments::Segments,
};
use bounds::Bounds;
use held::Held;

/// What `release` or `recall` did.
#[derive(Debug, Serialize)]
pub struct ReleaseReport {
    /// The archive.
    pub archive: String,
    /// Segments removed, or brought back.
    pub segments: u64,
    /// The first segment that the data directory holds now.
    pub first_retained: u32,
    /// The last entry that the archive alone holds; zero for none.
    pub last_released: u64,
    /// Why no further segment goes.
    pub ends: String,
}

impl ReleaseReport {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { archive, segments, first_retained, last_released, ends } = self;
        let ends = if ends.is_empty() { String::new() } else { format!("; {ends}") };
        if *last_released == 0 {
            return format!(
                "{segments} segments are back from {archive}; the journal is whole, nothing is released\n"
            );
        }
        format!(
            "{segments} segments removed; the journal begins with segment {first_retained}, entries 1 to {last_released} are in {archive} alone{ends}\n"
        )
    }
}

/// Leaves to the archive what may go: entries younger than `keep` stay.
///
/// # Errors
/// `Refused` with the condition that does not hold, `Damaged` if the archive is, or what the kernel
/// refuses.
pub(crate) fn release(
    data_dir: &Path,
    archive: &Path,
    keep: Nanos,
    now: Timestamp,
) -> Result<ReleaseReport, ArchiveError> {
    let held = Held::take(data_dir)?;
    let record = held.record()?;
    if !record.allowed {
        return Err(ArchiveError::Refused(
            "the node was last started with storage.release = \"never\": set it to \"archived\", start the node, \
             stop it and run this again"
                .into(),
        ));
    }
    if held.files.root.join(MEMBERSHIP_FILE).exists() {
        let what =
            "this ledger has or had a mirror, whose copy would have to go with it; that is not built yet";
        return Err(ArchiveError::Refused(what.into()));
    }
    let archive = Archive::of(archive, &held.files.superblock)?;
    let bounds = Bounds::of(&held.files, keep, now)?;
    let from = record.first_retained();
    let (until, ends) = bounds.until(&archive, from)?;
    let mut source = Segments::open(&held.segments()).map_err(ArchiveError::from)?;
    let there: Vec<SegmentNumber> = source.segments().iter().map(|file| file.segment).collect();
    let goes: Vec<SegmentNumber> = there.into_iter().filter(|segment| *segment < until).collect();
    if goes.is_empty() {
        return Err(ArchiveError::Refused(ends));
    }
    for segment in &goes {
        let row = archive.row(*segment).ok_or(ArchiveError::Gap { wanted: *segment })?;
        is_held(&archive, row, &mut source)?;
    }
    let record = if until > from { next(&record, &archive, until)? } else { record };
    held.write(&record)?;
    for segment in &goes {
        directory::remove_file(&held.segments().join(segment_file_name(*segment)))?;
    }
    Ok(report(&archive, goes.len(), &record, ends))
}

/// Brings every segment back that the archive has and the data directory lacks: what was released, and
/// what was lost.
///
/// # Errors
/// `Gap` or `Damaged` if the archive does not hold them, or what the kernel refuses.
pub(crate) fn recall(data_dir: &Path, archive: &Path) -> Result<ReleaseReport, ArchiveError> {
    let held = Held::take(data_dir)?;
    let archive = Archive::of(archive, &held.files.superblock)?;
    let source = Segments::open(&held.segments()).map_err(ArchiveError::from)?;
    let there: Vec<SegmentNumber> = source.segments().iter().map(|file| file.segment).collect();
    let record = held.record().unwrap_or_else(|_| held.lost_record(&there));
    let mut back = 0;
    let reached = archive.index.after().next.segment;
    if reached < record.first_retained() {
        return Err(ArchiveError::Gap { wanted: reached });
    }
    for row in archive.index.segments.iter().filter(|row| !there.contains(&row.segment)) {
        held.bring_back(&archive, row)?;
        back += 1;
    }
    let record = Release {
        sequence: record.sequence + 1,
        after: ChainStart::GENESIS,
        archive: String::new(),
        ..record
    };
    held.write(&record)?;
    Ok(report(&archive, back, &record, String::new()))
}

fn report(archive: &Archive, count: usize, record: &Release, ends: String) -> ReleaseReport {
    ReleaseReport {
        archive: archive.root.display().to_string(),
        segments: count as u64,
        first_retained: record.first_retained().0,
        last_released: record.last_released().0,
        ends,
    }
}

/// The record of a journal that begins with `until`.
fn next(record: &Release, archive: &Archive, until: SegmentNumber) -> Result<Release, ArchiveError> {
    let last = archive.row(SegmentNumber(until.0 - 1)).ok_or(ArchiveError::Gap { wanted: until })?;
    let path = std::path::absolute(&archive.root).unwrap_or_else(|_| archive.root.clone());
    let path = path.display().to_string();
    if path.len() > ARCHIVE_PATH_BYTES_MAX {
        let what = format!("the archive's path has more than {ARCHIVE_PATH_BYTES_MAX} bytes: shorten it");
        return Err(ArchiveError::Refused(what));
    }
    Ok(Release { sequence: record.sequence + 1, after: last.after(), archive: path, ..record.clone() })
}

/// Decompresses the archive's file and compares it with what lies in the data directory.
fn is_held(archive: &Archive, row: &ShippedSegment, source: &mut Segments) -> Result<(), ArchiveError> {
    let damaged = |what| ArchiveError::Damaged { path: archive.file(row.segment), what };
    check_file(archive, row)?.map_err(damaged)?;
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; READ_BYTES];
    let mut at = 0;
    while at < row.bytes {
        let len = usize::try_from(row.bytes - at).unwrap_or(READ_BYTES).min(READ_BYTES);
        source.read(row.segment, at, &mut piece[..len]).map_err(|failure| {
            let what = format!("segment {} cannot be read at {at} ({failure:?})", row.segment);
            ArchiveError::Refused(what)
        })?;
        hasher.update(&piece[..len]);
        at += len as u64;
    }
    if *hasher.finalize().as_bytes() == row.digest {
        return Ok(());
    }
    let what = format!(
        "segment {} is not what was shipped: `ron-ledgerctl verify` says more, and the archive may be the better copy",
        row.segment
    );
    Err(ArchiveError::Refused(what))
}

#[cfg(test)]
mod tests;
