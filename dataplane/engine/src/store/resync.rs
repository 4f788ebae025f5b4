//! Bringing a member up again: its journal is made equal to the survivor's, byte for byte.
//!
//! Holds: what was written is flushed and read again before it counts; a start that ends in the
//! middle finds a member that is still behind. Leaves to others: the records that say who counts
//! (`open`). It reads both copies whole: nothing that a member says of itself is believed.

use disk::{Access, AlignedBuf, Direct, DirectFile, DiskError, Errno, Operation, directory};
use journal::{
    Position, READ_BYTES, ReadFailure, Repair, SegmentFile, SegmentNumber, SegmentSource, segment_file_name,
};

use super::{Places, Segments, copies::Copies};

/// What was copied or repaired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Bytes that were written.
    pub bytes: u64,
    /// Runs of bytes that one copy lacked.
    pub ranges: u64,
}

/// Makes the segments in `to` equal to those in `from`.
///
/// # Errors
/// What the kernel refuses, on either side; a read that gives other bytes than were written.
pub(super) fn segments(from: &Places, to: &Places, direct: Direct) -> Result<Copied, DiskError> {
    for directory in [&to.root, &to.segments()] {
        directory::create_private_dir(directory)?;
    }
    let mut source = Segments::open(&from.segments(), direct)?;
    let files = source.segments().to_vec();
    let mut copied = Copied::default();
    for stale in Segments::open(&to.segments(), direct)?.segments() {
        // Nothing serves yet, so that no stall is felt. What lies there could pass for a later segment.
        if files.iter().all(|file| file.segment != stale.segment) {
            directory::remove_file(&to.segments().join(segment_file_name(stale.segment)))?;
        }
    }
    for file in &files {
        copied.bytes += segment(&mut source, *file, 0, to, direct)?;
    }
    directory::sync_directory(&to.segments())?;
    copied.ranges = u64::from(copied.bytes > 0);
    Ok(copied)
}

/// Makes one segment in `to` equal to the source's, from this offset on; the bytes that were written.
fn segment(
    source: &mut Segments,
    file: SegmentFile,
    from: u64,
    to: &Places,
    direct: Direct,
) -> Result<u64, DiskError> {
    let SegmentFile { segment, bytes } = file;
    let bytes = bytes - bytes % PAGE;
    let target = open(to, segment, bytes, direct)?;
    let len = target.len_bytes()?;
    if len > bytes {
        target.write_zeros(bytes, len.next_multiple_of(PAGE))?;
    }
    let mut expected = vec![0; READ_BYTES];
    let mut found = AlignedBuf::new(READ_BYTES);
    let mut written = 0;
    // Twice: the second time nothing differs, as the device gives it back.
    for pass in 0..2 {
        let mut offset = from;
        while offset < bytes {
            let len = piece(bytes - offset);
            let wanted = expected.get_mut(..len).expect("a piece is no longer than a read");
            source.read_at(segment, offset, wanted)?;
            let read = target.read_at(offset, &mut found, len)?;
            if read < len || found.get(..len) != Some(&*wanted) {
                if pass == 1 {
                    // It took the bytes and gives back others.
                    let path = target.path().into();
                    return Err(DiskError::File { operation: Operation::Read, path, errno: Errno::IO });
                }
                found.get_mut(..len).expect("as long as a read").copy_from_slice(wanted);
                target.write_at_durable(offset, &found, len)?;
                written += u64::try_from(len).expect("a length fits in 64 bits");
            }
            offset += u64::try_from(len).expect("a length fits in 64 bits");
        }
        target.datasync()?;
        if written == 0 {
            break;
        }
    }
    Ok(written)
}

/// Gives each of two believed members what it lacks and the other has: first the segments that are
/// missing or short, then the frames that are damaged.
///
/// # Errors
/// As `segments`.
pub(super) fn repair(
    places: [&Places; 2],
    mut copies: Copies,
    repairs: &[Repair],
    end: Position,
    direct: Direct,
) -> Result<Copied, DiskError> {
    let mut copied = Copied::default();
    for (from, to) in [(places[0], places[1]), (places[1], places[0])] {
        let mut source = Segments::open(&from.segments(), direct)?;
        let there = Segments::open(&to.segments(), direct)?;
        for file in source.segments().to_vec() {
            let has = there.segments().iter().find(|there| there.segment == file.segment);
            let has = has.map_or(0, |there| there.bytes - there.bytes % PAGE);
            // What lies after the end the preparer fills with zeros.
            if file.segment <= end.segment && has < file.bytes {
                tracing::warn!(segment = %file.segment, to = %to.root.display(), "a copy lacks this segment");
                copied.bytes += segment(&mut source, file, has, to, direct)?;
                copied.ranges += 1;
            }
        }
        directory::sync_directory(&to.segments())?;
    }
    for repair in repairs {
        let Repair { onto, segment, from, to } = *repair;
        let target = places[onto.index()];
        tracing::warn!(%segment, from, to, copy = %target.root.display(), "a frame is damaged on this copy and whole on the other: repaired");
        let file = open(target, segment, to, direct)?;
        let mut buffer = AlignedBuf::new(READ_BYTES);
        let mut offset = from;
        while offset < to {
            let len = piece(to - offset);
            let bytes = buffer.get_mut(..len).expect("a piece is no longer than a read");
            if let Err(failure) = copies.read(segment, offset, bytes) {
                return Err(unreadable(&mut copies, &file, offset, len, failure));
            }
            file.write_at_durable(offset, &buffer, len)?;
            offset += u64::try_from(len).expect("a length fits in 64 bits");
        }
        copied.bytes += to - from;
        copied.ranges += 1;
    }
    Ok(copied)
}

/// Direct transfers are whole pages.
const PAGE: u64 = 4096;

fn piece(rest: u64) -> usize {
    usize::try_from(rest).unwrap_or(READ_BYTES).min(READ_BYTES)
}

/// The segment's file, as long as `bytes` at least.
fn open(
    places: &Places,
    segment: SegmentNumber,
    bytes: u64,
    direct: Direct,
) -> Result<DirectFile, DiskError> {
    let path = places.segments().join(segment_file_name(segment));
    let access = if path.exists() { Access::ReadWrite } else { Access::CreateNew };
    let file = DirectFile::open(&path, access, direct)?;
    let len = file.len_bytes()?;
    let len = len - len % PAGE;
    if len < bytes {
        file.write_zeros(len, bytes)?;
    }
    Ok(file)
}

fn unreadable(
    copies: &mut Copies,
    file: &DirectFile,
    offset: u64,
    wanted: usize,
    failure: ReadFailure,
) -> DiskError {
    let short = DiskError::ShortRead { path: file.path().into(), offset, wanted, read: 0 };
    copies.take_failure().unwrap_or_else(|| {
        tracing::error!(?failure, "a range that was read before cannot be read again");
        short
    })
}
