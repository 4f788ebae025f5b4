//! Up to which frame a snapshot reaches: the last that is known to be durable when it is made.
//!
//! Holds: nothing is taken that nobody has vouched for; damage is told from a frame that was on its
//! way while it was read. Leaves to others: what is packed (`create`).

use journal::{
    FrameHash, FrameHeader, FrameNumber, Input, Position, ReadFailure, RecoveryError, Rot, SegmentFile,
    SegmentNumber, SegmentSource, Tail, Witness, recover, recovery_buffer_bytes,
};
use model::{Seq, Timestamp};

use super::{SnapshotError, pace::Pace};
use crate::verify::{VerifyError, files::Files, holder_of, segments::Segments};

/// How often a journal that moves while it is read is read again.
const TRIES: usize = 3;

/// A frame up to which everything is durable.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) frame: FrameNumber,
    pub(super) hash: FrameHash,
    pub(super) next: Position,
    pub(super) through: Seq,
    pub(super) root: [u8; 32],
    pub(super) at: Timestamp,
}

/// Reads the journal from its first frame to the last that is known to be durable.
pub(super) fn boundary(files: &Files, pace: &mut Pace) -> Result<Mark, SnapshotError> {
    let lock = files.root.join(journal::LOCK_FILE);
    let segments = files.root.join(journal::SEGMENT_DIR);
    for left in (0..TRIES).rev() {
        let held = holder_of(&lock).is_some();
        let mut source = Paced { segments: Segments::open(&segments)?, pace };
        is_complete(files, source.segments())?;
        let slot = files.slot.as_ref();
        let known = slot.map_or(FrameNumber::ZERO, |slot| slot.frame);
        let mut trail = Trail { known, marks: Vec::new() };
        let input = Input {
            geometry: files.superblock.geometry,
            ledger: files.superblock.ledger,
            incarnation: files.superblock.incarnation,
            epoch: files.superblock.epoch,
            key: &files.key,
            slot,
            checkpoint: None,
            checkpoint_frame_max: FrameNumber::ZERO,
        };
        let mut buffer = vec![0; recovery_buffer_bytes(files.superblock.geometry)];
        let recovered = recover(&input, &mut source, &mut buffer, |frame| {
            trail.take(frame);
            Ok::<(), std::convert::Infallible>(())
        });
        let recovered = match recovered {
            Ok(recovered) => recovered,
            Err(RecoveryError::Replay { error, .. }) => match error {},
            Err(error) => return Err(refused(&error, source.segments.refused.take())),
        };
        if let Tail::Rot(rot) = recovered.tail {
            // Beside a running node a frame may have been on its way when it was read, and a later
            // one that vouches for it have been read after that. What was durable is there by now.
            if !held || !has_arrived(files, &mut source, &rot) {
                if left > 0 && held {
                    continue;
                }
                return Err(SnapshotError::Damaged { at: rot.at.to_string() });
            }
        }
        if !held && holder_of(&lock).is_none() {
            // Nobody writes: what can be read is durable once it is flushed, and all of it is taken.
            for file in source.segments().to_vec() {
                source.segments.datasync(file.segment)?;
            }
            trail.known = recovered.last.frame;
        }
        let mark = trail.newest().ok_or_else(|| SnapshotError::Empty { path: files.root.clone() })?;
        return Ok(mark);
    }
    unreachable!("the last try returns")
}

/// Whether the frame that was missing is there, whole and in its place, when it is read again.
fn has_arrived(files: &Files, source: &mut Paced<'_>, rot: &Rot) -> bool {
    if !matches!(rot.witness, Witness::LaterFrame(_)) {
        return false;
    }
    let geometry = files.superblock.geometry;
    let beyond = Position { segment: rot.at.segment.next(), offset: 0 };
    [rot.at, beyond].into_iter().any(|place| {
        if place.offset >= geometry.segment_bytes() {
            return false;
        }
        let mut bytes = vec![0; geometry.stride_len()];
        // A place that does not read has not got the frame.
        if source.read(place.segment, place.offset, &mut bytes).is_err() {
            return false;
        }
        let Ok(parsed) = FrameHeader::parse(&bytes, &files.key, geometry) else { return false };
        bytes.resize(parsed.frame_bytes, 0);
        if source.read(place.segment, place.offset, &mut bytes).is_err() {
            return false;
        }
        let frame = journal::open(&bytes, &files.key, geometry);
        frame.is_ok_and(|frame| frame.header.frame == rot.expected && frame.header.position == place)
    })
}

/// A journal of which something is released, or lost, at its beginning is no whole ledger.
pub(super) fn is_complete(files: &Files, segments: &[SegmentFile]) -> Result<(), SnapshotError> {
    let Some(first) = segments.first().filter(|first| first.segment.0 > 0) else { return Ok(()) };
    let path = files.root.join(journal::SEGMENT_DIR);
    match &files.release {
        Ok(Some(record)) if record.first_retained() >= first.segment => {
            Err(SnapshotError::Released { path, archive: record.archive.clone() })
        }
        _ => Err(SnapshotError::Incomplete { path }),
    }
}

fn refused(
    error: &RecoveryError<std::convert::Infallible>,
    refused: Option<disk::DiskError>,
) -> SnapshotError {
    match (error, refused) {
        (_, Some(refused)) => VerifyError::from(refused).into(),
        (RecoveryError::Format { position, format }, None) => {
            VerifyError::Format { position: position.to_string(), format: *format }.into()
        }
        (other, None) => SnapshotError::Damaged { at: other.to_string() },
    }
}

/// The frames that nobody has vouched for yet, and the newest that somebody has.
struct Trail {
    known: FrameNumber,
    marks: Vec<Mark>,
}

impl Trail {
    fn take(&mut self, frame: &journal::Frame<'_>) {
        let header = &frame.header;
        self.known = self.known.max(header.durable_frame);
        self.marks.push(Mark {
            frame: header.frame,
            hash: frame.hash,
            next: Position { offset: header.position.offset + frame.frame_bytes as u64, ..header.position },
            through: header.last_seq(),
            root: header.root,
            at: header.at,
        });
        // At most as many as were in flight are not vouched for; of the others the newest is kept.
        let vouched = self.marks.iter().take_while(|mark| mark.frame <= self.known).count();
        self.marks.drain(..vouched.saturating_sub(1));
    }

    fn newest(&self) -> Option<Mark> {
        self.marks.iter().rev().find(|mark| mark.frame <= self.known).copied()
    }
}

/// Segments that are read no faster than the pace allows.
struct Paced<'a> {
    segments: Segments,
    pace: &'a mut Pace,
}

impl SegmentSource for Paced<'_> {
    fn segments(&self) -> &[SegmentFile] {
        self.segments.segments()
    }

    fn read(&mut self, segment: SegmentNumber, offset: u64, buffer: &mut [u8]) -> Result<(), ReadFailure> {
        self.pace.take(buffer.len() as u64);
        self.segments.read(segment, offset, buffer)
    }
}
