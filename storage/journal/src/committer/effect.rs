//! What a committer wants done.

use model::{Seq, limits::FRAMES_IN_FLIGHT_MAX};

use super::WriteFailure;
use crate::{FrameNumber, ImageCopy, Membership, Position, SegmentNumber, Slot};

/// The most effects of one event.
pub const EFFECTS_MAX: usize = FRAMES_IN_FLIGHT_MAX + 8;

/// Why a batch was not begun. Nothing of it was written; the caller still has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declined {
    /// As many frames as may be are in flight, or one waits for its segment.
    Busy,
    /// The payload is larger than the largest frame.
    TooLarge,
    /// The committer was told to stop.
    Stopping,
    /// A write failed.
    Poisoned,
}

/// What ended the writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poison {
    /// A frame's write.
    Frame {
        /// Which frame.
        frame: FrameNumber,
        /// How.
        failure: WriteFailure,
    },
    /// The slot's write.
    Slot {
        /// How.
        failure: WriteFailure,
    },
    /// The zeros of a segment, on one of two members.
    Segment {
        /// How.
        failure: WriteFailure,
    },
    /// The write of the record that says who is left.
    Membership {
        /// How.
        failure: WriteFailure,
    },
    /// What carries the writes failed: no fate of any can be known.
    Backend {
        /// How.
        failure: WriteFailure,
    },
    /// A completion of something that was never asked for: the books do not agree.
    Unasked,
}

/// One effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write the sealed frame, durably, on every active member.
    Persist {
        /// Which.
        frame: FrameNumber,
        /// Where.
        position: Position,
        /// Bytes, whole strides.
        bytes: usize,
    },
    /// The frame is durable with all before it: its answers may leave, its entries may be read.
    Release {
        /// Which.
        frame: FrameNumber,
        /// Its last entry.
        through: Seq,
    },
    /// A write failed on the member that is not in this record: write nothing there any more, and
    /// write the record, durably, in its holder's directory. Said once, before the first release
    /// that rests on the holder alone.
    WriteMembership {
        /// The record.
        membership: Membership,
        /// What failed.
        cause: Poison,
    },
    /// Make this segment ready, or say how much of it is.
    PrepareSegment(SegmentNumber),
    /// Write the slot, durably, on every active member.
    WriteSlot {
        /// To which copy.
        copy: ImageCopy,
        /// What it says.
        slot: Slot,
    },
    /// The slot that names this tree is durable: its root may be signed and served.
    Published {
        /// Leaves.
        tree_size: u64,
        /// The root.
        root: [u8; 32],
    },
    /// Begin an empty frame: the journal has been quiet, and its last frame's durability is
    /// claimed by nothing in it. Asked again each second until it is begun.
    WantIdleFrame,
    /// The batch was not begun.
    Declined(Declined),
    /// A write failed: nothing more is submitted or released, and what is in flight has an
    /// unknown fate. Said once.
    Poisoned(Poison),
    /// All that will be written is written.
    Stopped {
        /// Whether the slot says so: `false` after a failed write.
        clean: bool,
    },
}

/// The effects of one event, in the order in which they are to be done. Never allocates.
#[derive(Debug, Default)]
pub struct Effects {
    items: [Option<Effect>; EFFECTS_MAX],
    count: usize,
}

impl Effects {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Takes all of them, leaving none.
    pub fn drain(&mut self) -> impl Iterator<Item = Effect> + '_ {
        let count = core::mem::take(&mut self.count);
        self.items[..count].iter_mut().filter_map(Option::take)
    }

    pub(super) fn push(&mut self, effect: Effect) {
        assert!(self.count < EFFECTS_MAX, "one event has a bounded number of effects");
        self.items[self.count] = Some(effect);
        self.count += 1;
    }
}
