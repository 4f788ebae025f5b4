//! `Bounds`: how far a journal may be released.
//!
//! Holds: what a start replays, what it takes up of usage, and what a repeated request is answered from
//! stay; the older of two proven checkpoints lies after what goes, so that one that is lost later does
//! not cost the ledger its start.

use journal::{
    Checkpoint, FrameNumber, RecoveryError, SegmentNumber, SegmentSource, follow, recovery_buffer_bytes,
    verify_checkpoint,
};
use model::{BatchView, Nanos, RecordRef, Seq, Timestamp};

use crate::{
    archive::{Archive, ArchiveError, chain_input},
    verify::{
        beginning::load,
        files::{CheckpointFile, Files},
        segments::Segments,
    },
};

/// Slices of this age may have batches that are sent again: a day late, a window of an hour that was
/// sealed five minutes ahead, and an hour for clocks, as a start of the usage role reckons.
const SLICES_KEPT: Nanos = Nanos::from_secs(27 * 3_600);

/// How far a journal may be released.
pub(super) struct Bounds {
    /// The segment of the older of the two newest proven checkpoints.
    checkpoint: SegmentNumber,
    /// The oldest last slice of a stream: a start takes it up.
    slice: Option<Seq>,
    keep: Nanos,
    now: Timestamp,
}

impl Bounds {
    /// Reads the checkpoints and proves them.
    pub(super) fn of(files: &Files, keep: Nanos, now: Timestamp) -> Result<Self, ArchiveError> {
        let mut proven: Vec<(Checkpoint, Option<Seq>)> = Vec::new();
        for file in &files.checkpoints {
            if let Some(slice) = prove(files, file)? {
                proven.push((file.header, slice));
            }
            if proven.len() == 2 {
                break;
            }
        }
        let [newest, older] = proven.as_slice() else {
            let what = format!(
                "two proven checkpoints must lie after what is released, and {} is there: with storage.checkpoints_kept at 2 or more, start the node, let it write, and stop it",
                proven.len()
            );
            return Err(ArchiveError::Refused(what));
        };
        Ok(Self { checkpoint: older.0.position.segment, slice: newest.1, keep, now })
    }

    /// The first segment from `from` on that does not go, and why.
    pub(super) fn until(
        &self,
        archive: &Archive,
        from: SegmentNumber,
    ) -> Result<(SegmentNumber, String), ArchiveError> {
        let mut until = from;
        loop {
            let stays = |why: &str| Ok((until, format!("segment {until} stays: {why}")));
            if until >= self.checkpoint {
                return stays("the older of the two newest checkpoints lies in it");
            }
            let Some(row) = archive.row(until) else {
                return stays("the archive does not hold it: ship it first");
            };
            if self.now.since(row.at) < self.keep {
                return stays("it is younger than --keep-hours");
            }
            if self.slice.is_some_and(|slice| slice <= row.last_seq()) {
                return stays("it holds the last slice of a stream of usage, which a start takes up");
            }
            if self.now.since(row.at) < SLICES_KEPT && has_slices(archive, until)? {
                return stays("it holds slices of usage younger than 27 hours, which a start takes up");
            }
            until = until.next();
        }
    }
}

/// The oldest last slice of any stream, if the checkpoint is whole, loads, and has its last frame in the
/// journal; `None` if it proves nothing.
fn prove(files: &Files, file: &CheckpointFile) -> Result<Option<Option<Seq>>, ArchiveError> {
    if file.whole.is_err() {
        return Ok(None);
    }
    let Some((ledger, _)) = load(files, file)? else { return Ok(None) };
    let mut source = Segments::open(&files.root.join(journal::SEGMENT_DIR)).map_err(ArchiveError::from)?;
    let mut buffer = vec![0; recovery_buffer_bytes(files.superblock.geometry)];
    let input = chain_input(&files.superblock, &files.key);
    match verify_checkpoint(&input, &file.header, &mut source, &mut buffer) {
        Ok(true) => Ok(Some(ledger.streams().map(|stream| stream.seq).min())),
        Ok(false) | Err(_) => Ok(None),
    }
}

/// Whether there are slices among the entries of an archived segment.
fn has_slices(archive: &Archive, segment: SegmentNumber) -> Result<bool, ArchiveError> {
    let start = match segment.0.checked_sub(1).and_then(|before| archive.row(SegmentNumber(before))) {
        Some(row) => row.after(),
        None => journal::ChainStart::GENESIS,
    };
    let mut buffer = vec![0; recovery_buffer_bytes(archive.superblock.geometry)];
    let input = chain_input(&archive.superblock, &archive.key);
    let mut source = archive.source();
    assert!(source.segments().iter().any(|file| file.segment == segment), "its row was found");
    let walked = follow(&input, &start, &mut source, &mut buffer, |frame| {
        if frame.header.position.segment != segment {
            return Err(false);
        }
        let batch = if frame.header.count > 0 { BatchView::parse(frame.payload).ok() } else { None };
        let is_slice = |record: Result<RecordRef<'_>, _>| matches!(record, Ok(RecordRef::Slice(..)));
        if batch.is_some_and(|batch| batch.iter().any(is_slice)) { Err(true) } else { Ok(()) }
    });
    let damaged = |what: String| ArchiveError::Damaged { path: archive.file(segment), what };
    match walked {
        Err(RecoveryError::Replay { error, .. }) => Ok(error),
        Ok((end, _)) if end.next.segment == segment && end.last.frame > FrameNumber::ZERO => Ok(false),
        Ok((_, bad)) => Err(damaged(bad.to_string())),
        Err(error) => Err(damaged(error.to_string())),
    }
}
