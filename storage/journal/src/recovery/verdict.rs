//! What recovery says of the bytes after the last frame.

use alloc::vec::Vec;
use core::fmt;

use model::{Incarnation, Seq};

use super::BadFrame;
use crate::{FrameNumber, Position, SegmentNumber};

/// The verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tail {
    /// Nothing was ever written there.
    Clean,
    /// What was written there was never durable, so it was never answered for: cut it.
    Torn(Cut),
    /// Something that was durable cannot be read: write nothing, cut nothing.
    Rot(Rot),
}

/// A part of a segment that is not zero: whole strides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutRange {
    /// The segment.
    pub segment: SegmentNumber,
    /// The first byte.
    pub from: u64,
    /// The byte after the last.
    pub to: u64,
}

/// A torn tail: to be copied aside, then zeroed and flushed, then written over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// What is wrong with the first of it.
    pub bad: BadFrame,
    /// From the first to the last stride that is not zero, for each segment that has such.
    pub ranges: Vec<CutRange>,
    /// Bytes of all ranges.
    pub bytes: u64,
    /// Authentic headers among them: frames in flight beside the torn one, whose places did not
    /// depend on it, and what an earlier cut left.
    pub headers: u32,
}

/// Who says that the missing frame was durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Witness {
    /// The frontier slot.
    Slot,
    /// The frontier in the header of a frame after it, here.
    LaterFrame(Position),
    /// A checkpoint, which contains only durable frames.
    Checkpoint,
    /// Nobody: both copies of the slot are damaged, so nobody can say that it was not.
    SlotLost,
    /// The slot announced a segment, which was synced before, and whose file is gone.
    SegmentLost(SegmentNumber),
    /// The superblock: it has this incarnation, which begins with a frame that was durable before.
    Superblock(Incarnation),
    /// The slot, of a frame that is there: it names another hash, or another root.
    SlotContradicts,
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slot => f.write_str("the frontier slot knows it to have been durable"),
            Self::LaterFrame(at) => write!(f, "a later frame, at {at}, knows it to have been durable"),
            Self::Checkpoint => f.write_str("a checkpoint contains it"),
            Self::SlotLost => f.write_str(
                "neither copy of the frontier slot can be read, so nobody can say what was durable",
            ),
            Self::SegmentLost(segment) => write!(f, "segment {segment} was announced, and its file is gone"),
            Self::Superblock(incarnation) => {
                write!(f, "the superblock knows that incarnation {} begins with it", incarnation.0)
            }
            Self::SlotContradicts => {
                f.write_str("the frontier slot names another hash or root than the journal has")
            }
        }
    }
}

/// Damage to what was durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rot {
    /// Where the journal stops making sense.
    pub at: Position,
    /// The frame that should be there.
    pub expected: FrameNumber,
    /// The entry that it would begin with.
    pub seq: Seq,
    /// What is wrong with it.
    pub bad: BadFrame,
    /// Who says that it was durable.
    pub witness: Witness,
    /// The frame that the witness knows to have been durable.
    pub claimed: FrameNumber,
}
