//! Recovery: from the bytes of the segments to the last frame that counts, and a verdict on what
//! lies after it.
//!
//! Holds: a frame counts if it is whole, authentic, in its own place and chained to the one before.
//! What follows the last one is a torn tail only if nothing says that it was ever durable: no later
//! frame's frontier, no slot, no checkpoint. Otherwise it is rot, and nothing is cut.
//! Leaves to others: reading (`SegmentSource`), what payloads mean (the callback), and to flush
//! every segment that holds a recovered frame before the first answer: a frame that can be read is
//! not yet a frame that is durable.

mod chain;
mod mirror;
mod search;
mod source;
mod verdict;
mod window;

pub use chain::{ChainStart, follow};
pub use mirror::{Expected, Mirrored, Repair};
use model::{Epoch, Incarnation, LedgerId, Seq};
pub use source::{READ_BYTES, ReadFailure, SegmentFile, SegmentSource};
pub use verdict::{Cut, CutRange, Rot, Tail, Witness};

use crate::{
    Checkpoint, Frame, FrameError, FrameHash, FrameHeader, FrameKey, FrameNumber, Geometry, HEADER_BYTES,
    Position, Resume, SegmentNumber, Slot,
};
use search::Search;
use window::Window;

/// What recovery knows before it reads the journal.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The journal's sizes, from the superblock.
    pub geometry: Geometry,
    /// The ledger, from the superblock.
    pub ledger: LedgerId,
    /// Which life of it, from the superblock.
    pub incarnation: Incarnation,
    /// The epoch in the superblock, before this start raises it.
    pub epoch: Epoch,
    /// The journal's key.
    pub key: &'a FrameKey,
    /// The newest slot; `None` if both copies are damaged.
    pub slot: Option<&'a Slot>,
    /// Where to begin: a checkpoint whose payload was loaded; `None` is the beginning.
    pub checkpoint: Option<&'a Checkpoint>,
    /// The highest frame that any checkpoint names whose header is whole and not of a life before this
    /// one, used or not: what an earlier life had, this one may have dropped.
    pub checkpoint_frame_max: FrameNumber,
}

/// Why a journal could not be read through. None of them changes a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryError<E> {
    /// The device did not give up the bytes.
    #[error("segment {segment} cannot be read at {offset}")]
    Read {
        /// Which segment.
        segment: SegmentNumber,
        /// From its beginning.
        offset: u64,
        /// How.
        failure: ReadFailure,
    },
    /// An authentic frame of a format that this build does not read.
    #[error("the frame at {position} has format {format}, which is not known to this build")]
    Format {
        /// Where.
        position: Position,
        /// What it says.
        format: u16,
    },
    /// The frame that the checkpoint ends with is not in the journal: begin with an older one.
    #[error("the checkpoint's last frame is not in the journal")]
    Checkpoint,
    /// The buffer is smaller than `recovery_buffer_bytes`.
    #[error("the buffer is too small")]
    Buffer,
    /// The callback refused a frame: the ledger and the journal do not agree.
    #[error("the frame at {position} was refused")]
    Replay {
        /// Where.
        position: Position,
        /// Why.
        error: E,
    },
}

/// Why the bytes after the last frame are not the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// They are no frame at all.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A frame, but not this ledger's.
    #[error("the frame belongs to another ledger")]
    OtherLedger,
    /// A frame, but it was written for another place.
    #[error("the frame was written for {0}")]
    Misplaced(Position),
    /// A frame of a life of the ledger that the superblock does not know: begun, and not finished.
    #[error("the frame belongs to incarnation {}, which the superblock does not know", .0.0)]
    Unborn(Incarnation),
    /// A frame that does not follow the one before: another chain, an older epoch, a gap.
    #[error("the frame does not follow the one before it")]
    Unchained,
    /// The journal's files end here.
    #[error("there is no segment to go on in")]
    End,
}

/// The last frame that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastFrame {
    /// Its number; zero if there is none.
    pub frame: FrameNumber,
    /// Its hash.
    pub hash: FrameHash,
    /// The last entry.
    pub seq: Seq,
    /// Its epoch.
    pub epoch: Epoch,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// Leaves of the tree that it names.
    pub tree_size: u64,
    /// The root of that tree; all zeros if there is no frame.
    pub root: [u8; 32],
    /// Whether it is empty.
    pub quiet: bool,
}

impl LastFrame {
    /// Before the first frame.
    pub const NONE: Self = Self {
        frame: FrameNumber::ZERO,
        hash: FrameHash::GENESIS,
        seq: Seq::ZERO,
        epoch: Epoch(0),
        incarnation: Incarnation(0),
        tree_size: 0,
        root: [0; 32],
        quiet: true,
    };

    const fn of(frame: &Frame<'_>, last_seq: Seq) -> Self {
        Self {
            frame: frame.header.frame,
            hash: frame.hash,
            seq: last_seq,
            epoch: frame.header.epoch,
            incarnation: frame.header.incarnation,
            tree_size: frame.header.tree_size,
            root: frame.header.root,
            quiet: frame.header.count == 0,
        }
    }
}

/// What recovery found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The last frame that counts.
    pub last: LastFrame,
    /// Where the next frame would begin.
    pub next: Position,
    /// Frames and bytes replayed.
    pub frames: u64,
    /// Bytes of those frames on disk.
    pub bytes: u64,
    /// First and last segment that hold a replayed frame: to be flushed, and the flush checked,
    /// before the first acknowledgement, read or root. The superblock's and the slot's files are
    /// flushed with them, before either is written: the copy that an earlier start wrote may lie in
    /// the device's cache alone, and a power loss while the other copy is written would tear both.
    pub flush: Option<(SegmentNumber, SegmentNumber)>,
    /// The epoch of this start: above every epoch seen. To be written to the superblock.
    pub next_epoch: Epoch,
    /// What lies after the last frame.
    pub tail: Tail,
}

impl Recovered {
    /// Where a committer goes on; `None` on rot, where nothing may be written. Call it only after
    /// the segments in `flush` were flushed, and what was cut was copied aside, zeroed and flushed.
    #[must_use]
    pub fn resume_after_flush(&self, empty_root: [u8; 32]) -> Option<Resume> {
        let cut_bytes = match &self.tail {
            Tail::Clean => 0,
            Tail::Torn(cut) => cut.bytes,
            Tail::Rot(_) => return None,
        };
        let LastFrame { frame, hash, seq, tree_size, root, quiet, .. } = self.last;
        let root = if frame == FrameNumber::ZERO { empty_root } else { root };
        Some(Resume { next: self.next, frame, hash, seq, tree_size, root, quiet, cut_bytes })
    }
}

/// Bytes of the buffer that `recover` and `verify_checkpoint` need: a frame and one read more.
#[must_use]
pub fn recovery_buffer_bytes(geometry: Geometry) -> usize {
    geometry.frame_bytes_max() + READ_BYTES
}

/// Whether the frame that `checkpoint` ends with lies in the journal, whole, where it says and with
/// the hash that it names.
///
/// # Errors
/// `Read` and `Buffer`.
pub fn verify_checkpoint<S: SegmentSource>(
    input: &Input<'_>,
    checkpoint: &Checkpoint,
    source: &mut S,
    buffer: &mut [u8],
) -> Result<bool, RecoveryError<core::convert::Infallible>> {
    let mut walk = Walk::new(input, source, buffer)?;
    walk.begin_at(checkpoint)
}

/// Replays the journal: `replay` gets each frame after the checkpoint, in order, and may refuse it.
/// Reads at least `READ_BYTES` at a time where there is as much; `buffer` holds
/// `recovery_buffer_bytes`, aligned as the source wants it.
///
/// # Errors
/// `RecoveryError`. Damage is not an error but a verdict: `Recovered::tail`.
pub fn recover<S: SegmentSource, E>(
    input: &Input<'_>,
    source: &mut S,
    buffer: &mut [u8],
    mut replay: impl FnMut(&Frame<'_>) -> Result<(), E>,
) -> Result<Recovered, RecoveryError<E>> {
    let mut walk = Walk::new(input, source, buffer)?;
    if let Some(checkpoint) = input.checkpoint
        && !walk.begin_at(checkpoint)?
    {
        return Err(RecoveryError::Checkpoint);
    }
    let bad = loop {
        match walk.step(&mut replay)? {
            Step::Took => {}
            Step::Bad(bad) => break bad,
        }
    };
    let tail = walk.verdict(bad)?;
    Ok(Recovered {
        last: walk.last,
        next: walk.next,
        frames: walk.frames,
        bytes: walk.bytes,
        flush: walk.flush,
        next_epoch: Epoch(walk.epoch_max.0.max(input.epoch.0) + 1),
        tail,
    })
}

enum Step {
    Took,
    Bad(BadFrame),
}

/// The way along the chain.
struct Walk<'a, S> {
    input: &'a Input<'a>,
    source: &'a mut S,
    window: Window<'a>,
    last: LastFrame,
    next: Position,
    frames: u64,
    bytes: u64,
    flush: Option<(SegmentNumber, SegmentNumber)>,
    epoch_max: Epoch,
    /// The slot names a frame or a tree that the journal contradicts.
    forked: bool,
}

impl<'a, S: SegmentSource> Walk<'a, S> {
    fn new<E>(
        input: &'a Input<'a>,
        source: &'a mut S,
        buffer: &'a mut [u8],
    ) -> Result<Self, RecoveryError<E>> {
        if buffer.len() < recovery_buffer_bytes(input.geometry) {
            return Err(RecoveryError::Buffer);
        }
        let window = Window::new(buffer, input.geometry, source.segments());
        Ok(Self {
            input,
            source,
            window,
            last: LastFrame::NONE,
            next: Position::default(),
            frames: 0,
            bytes: 0,
            flush: None,
            epoch_max: Epoch(0),
            forked: false,
        })
    }

    /// Stands after the checkpoint's last frame; `false` if that frame is not there.
    fn begin_at<E>(&mut self, checkpoint: &Checkpoint) -> Result<bool, RecoveryError<E>> {
        let place = checkpoint.position;
        let Ok(frame) = self.read(place)? else { return Ok(false) };
        let header = &frame.header;
        if frame.hash != checkpoint.hash
            || header.frame != checkpoint.frame
            || header.last_seq() != checkpoint.through
            || header.incarnation != checkpoint.incarnation
        {
            return Ok(false);
        }
        let last = LastFrame::of(&frame, header.last_seq());
        let end = place.offset + frame.frame_bytes as u64;
        self.epoch_max = header.epoch;
        self.last = last;
        self.next = Position { segment: place.segment, offset: end };
        self.flush = Some((place.segment, place.segment));
        Ok(true)
    }

    /// Takes the next frame of the chain: here, or, where no frame follows here, at the beginning
    /// of the next segment. A frame that did not fit went there, and only one that names the last
    /// frame's hash is taken.
    fn step<E>(
        &mut self,
        replay: &mut impl FnMut(&Frame<'_>) -> Result<(), E>,
    ) -> Result<Step, RecoveryError<E>> {
        let here = self.take(self.next, replay)?;
        let Step::Bad(bad) = here else { return Ok(Step::Took) };
        if self.next.offset == 0 {
            return Ok(Step::Bad(bad));
        }
        let beyond = Position { segment: self.next.segment.next(), offset: 0 };
        match self.take(beyond, replay)? {
            Step::Took => Ok(Step::Took),
            Step::Bad(_) => Ok(Step::Bad(bad)),
        }
    }

    fn take<E>(
        &mut self,
        place: Position,
        replay: &mut impl FnMut(&Frame<'_>) -> Result<(), E>,
    ) -> Result<Step, RecoveryError<E>> {
        let Input { slot, incarnation, .. } = *self.input;
        let last = self.last;
        let frame = match self.read(place)? {
            Ok(frame) => frame,
            Err(bad) => return Ok(Step::Bad(bad)),
        };
        let header = frame.header;
        if header.incarnation > incarnation {
            return Ok(Step::Bad(BadFrame::Unborn(header.incarnation)));
        }
        if !follows(&header, &last) {
            return Ok(Step::Bad(BadFrame::Unchained));
        }
        let forked = slot.is_some_and(|slot| contradicts(slot, &frame));
        replay(&frame).map_err(|error| RecoveryError::Replay { position: place, error })?;

        let (taken, bytes) = (LastFrame::of(&frame, header.last_seq()), frame.frame_bytes as u64);
        self.forked |= forked;
        self.last = taken;
        self.next = Position { segment: place.segment, offset: place.offset + bytes };
        self.frames += 1;
        self.bytes += bytes;
        self.epoch_max = header.epoch;
        let first = self.flush.map_or(place.segment, |(first, _)| first);
        self.flush = Some((first, place.segment));
        Ok(Step::Took)
    }

    /// The frame at `place`, if one of this ledger lies there that was written for there.
    fn read<E>(&mut self, place: Position) -> Result<Result<Frame<'_>, BadFrame>, RecoveryError<E>> {
        let Input { key, geometry, .. } = *self.input;
        let bytes = self.window.bytes(self.source, place, HEADER_BYTES)?;
        if bytes.is_empty() {
            return Ok(Err(BadFrame::End));
        }
        let parsed = match FrameHeader::parse(bytes, key, geometry) {
            Ok(parsed) => parsed,
            Err(FrameError::Format(format)) => {
                return Err(RecoveryError::Format { position: place, format });
            }
            Err(error) => return Ok(Err(error.into())),
        };
        if let Err(bad) = belongs(&parsed.header, self.input, place) {
            return Ok(Err(bad));
        }
        let bytes = self.window.bytes(self.source, place, parsed.frame_bytes)?;
        Ok(parsed.open(bytes, key).map_err(BadFrame::from))
    }

    /// What the bytes after the last frame are.
    fn verdict<E>(&mut self, bad: BadFrame) -> Result<Tail, RecoveryError<E>> {
        let Input { slot, epoch, incarnation, checkpoint_frame_max, .. } = *self.input;
        let expected = self.last.frame.next();
        let (at, seq) = (self.next, self.last.seq.next());
        let rot = |witness, claimed| Ok(Tail::Rot(Rot { at, expected, seq, bad, witness, claimed }));
        let Some(slot) = slot else { return rot(Witness::SlotLost, FrameNumber::ZERO) };
        if self.forked {
            return rot(Witness::SlotContradicts, slot.frame);
        }
        // The superblock takes a new incarnation only when its first frame is durable.
        if incarnation > Incarnation::FIRST && self.last.incarnation < incarnation {
            return rot(Witness::Superblock(incarnation), expected);
        }
        // A slot of a life before this one may name frames that this life dropped. What it says of
        // those that were kept is compared above; of this life it cannot speak.
        let speaks = slot.incarnation >= incarnation;
        if speaks && slot.frame >= expected {
            return rot(Witness::Slot, slot.frame);
        }
        if checkpoint_frame_max >= expected {
            return rot(Witness::Checkpoint, checkpoint_frame_max);
        }
        if speaks && let Some(lost) = self.lost_segment(slot) {
            return rot(Witness::SegmentLost(lost), slot.frame);
        }
        // A clean stop that no later start followed: there is nothing after the last frame, and no
        // need to read what is not there.
        if speaks && slot.clean && slot.epoch == epoch && slot.frame == self.last.frame {
            return Ok(Tail::Clean);
        }
        let search = Search::run(self.input, &self.last, self.next, self.source, &mut self.window)?;
        self.epoch_max = self.epoch_max.max(search.epoch_max);
        match search.witness {
            Some((witness, claimed)) => rot(Witness::LaterFrame(witness), claimed),
            None => Ok(search.cut.map_or(Tail::Clean, |cut| Tail::Torn(Cut { bad, ..cut }))),
        }
    }

    /// The first segment from here to the slot's that has no file. A ledger whose slot still names
    /// segment 0 may never have made one.
    fn lost_segment(&self, slot: &Slot) -> Option<SegmentNumber> {
        let announced = slot.segment.0;
        let missing = |number: &u32| self.window.segment_bytes(SegmentNumber(*number)) == 0;
        (self.next.segment.0..=announced).find(|number| announced > 0 && missing(number)).map(SegmentNumber)
    }
}

/// Whether the header is one of this ledger, written for this place.
fn belongs(header: &FrameHeader, input: &Input<'_>, place: Position) -> Result<(), BadFrame> {
    if header.ledger != input.ledger {
        return Err(BadFrame::OtherLedger);
    }
    if header.position != place {
        return Err(BadFrame::Misplaced(header.position));
    }
    Ok(())
}

/// Whether a frame with this header comes after `last` in the chain.
fn follows(header: &FrameHeader, last: &LastFrame) -> bool {
    header.previous == last.hash
        && header.frame == last.frame.next()
        && header.first_seq == last.seq.next()
        && header.epoch >= last.epoch
        && header.incarnation >= last.incarnation
        && header.tree_size >= last.tree_size
}

/// Whether the slot says something else of this frame, or of the tree it names.
fn contradicts(slot: &Slot, frame: &Frame<'_>) -> bool {
    let header = &frame.header;
    let same_incarnation = slot.incarnation == header.incarnation;
    let frame_differs = header.frame == slot.frame && frame.hash != slot.hash;
    let tree_differs = header.tree_size == slot.tree_size && header.root != slot.root;
    same_incarnation && (frame_differs || tree_differs)
}

#[cfg(test)]
mod mirror_tests;
#[cfg(test)]
mod tests;
