//! The journal's files on the simulated disk: what a real engine does with system calls.

use std::sync::LazyLock;

use journal::{
    Checkpoint, Frame, FrameKey, FrameNumber, Geometry, HashKind, IMAGE_BYTES, ImageCopy, Input, Position,
    ReadFailure, Recovered, RecoveryError, SegmentFile, SegmentNumber, SegmentSource, Slot, Superblock, Tail,
    recover, recovery_buffer_bytes,
};
use model::{Epoch, Incarnation, LedgerId, Timestamp};

use crate::{
    disk::{BLOCK_BYTES, Disk, FileName},
    flaw::Flaw,
    forged::Forged,
    oracle::{SealedFrame, Violation},
};

/// The ledger of every simulated world.
pub const LEDGER: LedgerId = LedgerId([0x5a; 16]);
/// The root of the empty tree.
pub const EMPTY_ROOT: [u8; 32] = [0; 32];
/// The frame key of every simulated world.
const FRAME_KEY: [u8; 32] = [0x17; 32];

/// The kernel's number for an input or output error.
pub const EIO: i32 = 5;

/// The keys of the simulated journal, derived once.
#[must_use]
pub fn key() -> &'static FrameKey {
    static KEY: LazyLock<FrameKey> = LazyLock::new(|| FrameKey::new(&FRAME_KEY));
    &KEY
}

/// A copy's place in its file, where the copies lie side by side.
#[must_use]
pub const fn image_offset(copy: ImageCopy) -> usize {
    match copy {
        ImageCopy::First => 0,
        ImageCopy::Second => IMAGE_BYTES,
    }
}

/// Makes the files of a ledger that has no frames.
pub fn create(disk: &mut Disk, geometry: Geometry) {
    disk.create(FileName::Slot, 2 * IMAGE_BYTES);
    disk.create(FileName::Superblock, 2 * IMAGE_BYTES);
    let mut image = [0; IMAGE_BYTES];
    let slot = Slot::genesis(LEDGER, Incarnation(0), EMPTY_ROOT);
    slot.encode(key(), &mut image);
    disk.write_cached(FileName::Slot, image_offset(slot.copy()), &image);
    disk.flush(FileName::Slot);
    let superblock = Superblock {
        ledger: LEDGER,
        incarnation: Incarnation(0),
        epoch: Epoch(0),
        hash: HashKind::Blake3,
        created: Timestamp(0),
        geometry,
        frame_key: FRAME_KEY,
        ledger_secret: [0; 32],
        log_key: [0; 32],
    };
    superblock.encode(&mut image);
    for copy in ImageCopy::BOTH {
        disk.write_cached(FileName::Superblock, image_offset(copy), &image);
        disk.flush(FileName::Superblock);
    }
}

/// The newest superblock.
///
/// # Errors
/// `Recovery` if neither copy is whole, which no crash may bring about.
pub fn superblock(disk: &Disk) -> Result<Superblock, Violation> {
    let (first, second) = disk.view(FileName::Superblock).split_at(IMAGE_BYTES);
    Superblock::pick(first, second).map_err(|error| Violation::Recovery(format!("superblock: {error}")))
}

/// In which order the copies of the superblock are written.
#[must_use]
pub fn superblock_order(disk: &Disk) -> [ImageCopy; 2] {
    let (first, second) = disk.view(FileName::Superblock).split_at(IMAGE_BYTES);
    Superblock::write_order(first, second)
}

/// The newest slot, if one is whole.
#[must_use]
pub fn slot(disk: &Disk) -> Option<Slot> {
    let (first, second) = disk.view(FileName::Slot).split_at(IMAGE_BYTES);
    Slot::pick(first, second, key(), LEDGER).ok()
}

/// Writes one copy of the superblock and flushes it.
pub fn write_superblock(disk: &mut Disk, superblock: &Superblock, copy: ImageCopy, flush: bool) {
    let mut image = [0; IMAGE_BYTES];
    superblock.encode(&mut image);
    disk.write_cached(FileName::Superblock, image_offset(copy), &image);
    if flush {
        disk.flush(FileName::Superblock);
    }
}

struct Source<'a> {
    disk: &'a Disk,
    files: Vec<SegmentFile>,
}

impl SegmentSource for Source<'_> {
    fn segments(&self) -> &[SegmentFile] {
        &self.files
    }

    fn read(&mut self, segment: SegmentNumber, offset: u64, buffer: &mut [u8]) -> Result<(), ReadFailure> {
        let from = usize::try_from(offset).expect("a small segment");
        assert!(from.is_multiple_of(BLOCK_BYTES) && buffer.len().is_multiple_of(BLOCK_BYTES));
        let name = FileName::Segment(segment.0);
        let bytes = self.disk.read(name, from, buffer.len()).map_err(|_| ReadFailure::Error(EIO))?;
        buffer.copy_from_slice(bytes.ok_or(ReadFailure::Short)?);
        Ok(())
    }
}

/// What recovery gave back.
#[derive(Clone, Debug)]
pub struct Reopened {
    /// The verdict and the place to go on.
    pub recovered: Recovered,
    /// The frames, from the first.
    pub frames: Vec<SealedFrame>,
    /// The superblock that was read.
    pub superblock: Superblock,
    /// The slot that was read.
    pub slot: Option<Slot>,
}

/// Reads the journal as a start does, from the beginning or from `checkpoint`.
///
/// # Errors
/// `Recovery` if it cannot be read at all.
pub fn reopen(disk: &Disk, checkpoint: Option<&Checkpoint>) -> Result<Reopened, Violation> {
    reopen_with(disk, checkpoint, |_| Ok(()))
}

/// As `reopen`, and `replay` gets each frame.
///
/// # Errors
/// As `reopen`, and `Recovery` if `replay` refuses a frame.
pub fn reopen_with(
    disk: &Disk,
    checkpoint: Option<&Checkpoint>,
    replay: impl FnMut(&Frame<'_>) -> Result<(), String>,
) -> Result<Reopened, Violation> {
    let known = checkpoint.map_or(FrameNumber::ZERO, |checkpoint| checkpoint.frame);
    reopen_knowing(disk, checkpoint, known, replay)
}

/// As `reopen_with`, and the header of some checkpoint names the frame `known`.
///
/// # Errors
/// As `reopen_with`.
pub fn reopen_knowing(
    disk: &Disk,
    checkpoint: Option<&Checkpoint>,
    known: FrameNumber,
    replay: impl FnMut(&Frame<'_>) -> Result<(), String>,
) -> Result<Reopened, Violation> {
    reopen_through(Flaw::None, disk, checkpoint, known, replay)
}

/// As `reopen_knowing`, and what is read passes through the hands of a forger if the flaw says so.
///
/// # Errors
/// As `reopen_with`.
pub fn reopen_through(
    flaw: Flaw,
    disk: &Disk,
    checkpoint: Option<&Checkpoint>,
    known: FrameNumber,
    mut replay: impl FnMut(&Frame<'_>) -> Result<(), String>,
) -> Result<Reopened, Violation> {
    let superblock = superblock(disk)?;
    let slot = slot(disk);
    let segments = disk.names().filter_map(|name| match name {
        FileName::Segment(number) => {
            Some(SegmentFile { segment: SegmentNumber(number), bytes: disk.view(name).len() as u64 })
        }
        FileName::Superblock | FileName::Slot | FileName::Checkpoint(_) => None,
    });
    let source = Source { disk, files: segments.collect() };
    let mut source = Forged::new(source, flaw, superblock.geometry);
    let key = key();
    let input = Input {
        geometry: superblock.geometry,
        ledger: LEDGER,
        incarnation: superblock.incarnation,
        epoch: superblock.epoch,
        key,
        slot: slot.as_ref(),
        checkpoint,
        checkpoint_frame_max: known,
    };
    let mut buffer = vec![0; recovery_buffer_bytes(superblock.geometry)];
    let mut frames = Vec::new();
    let recovered = recover(&input, &mut source, &mut buffer, |frame| {
        frames.push(SealedFrame::of(frame));
        replay(frame)
    })
    .map_err(|error: RecoveryError<String>| Violation::Recovery(format!("{error:?}")))?;
    Ok(Reopened { recovered, frames, superblock, slot })
}

/// Zeroes what recovery cut, in the cache.
pub fn zero_cut(disk: &mut Disk, tail: &Tail) {
    let Tail::Torn(cut) = tail else { return };
    for range in &cut.ranges {
        let (from, to) = (usize::try_from(range.from), usize::try_from(range.to));
        let (from, to) = (from.expect("a small segment"), to.expect("a small segment"));
        disk.write_cached(FileName::Segment(range.segment.0), from, &vec![0; to - from]);
    }
}

/// Writes again, in the cache, the copy that counts of superblock or slot.
pub fn write_image_again(disk: &mut Disk, name: FileName) {
    let counts = match name {
        FileName::Slot => slot(disk).map(|slot| slot.copy()),
        FileName::Superblock | FileName::Segment(_) | FileName::Checkpoint(_) => {
            Some(superblock_order(disk)[1])
        }
    };
    let Some(from) = counts.map(image_offset) else { return };
    let image = disk.view(name)[from..from + IMAGE_BYTES].to_vec();
    disk.write_cached(name, from, &image);
}

/// Writes again, in the cache, what recovery found and no slot vouches for.
pub fn write_again(disk: &mut Disk, recovered: &Recovered) {
    let Some(Position { segment: SegmentNumber(first), offset }) = recovered.unproven else { return };
    for number in first..=recovered.next.segment.0 {
        let name = FileName::Segment(number);
        let from = if number == first { usize::try_from(offset).expect("a small segment") } else { 0 };
        let bytes = disk.view(name)[from..].to_vec();
        disk.write_cached(name, from, &bytes);
    }
}
