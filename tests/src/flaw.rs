//! `Flaw`: a defect planted in what surrounds the machines under test: the simulated engine, the
//! start, the bytes that recovery is given. Nothing in the shipped code knows of any of them. A
//! harness that does not find one is broken.

/// One planted defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    /// None: nothing may be found.
    None,
    /// Answers leave when a frame is handed to the disk.
    EarlyAnswer,
    /// Answers leave in the order of completions.
    UnorderedAnswer,
    /// A failed write is taken for a good one.
    FailureIgnored,
    /// A short write is taken for a whole one.
    ShortIgnored,
    /// The root of a frame is published when it is handed to the disk.
    RootAboveDurable,
    /// The root of a frame is published when it is durable, before the slot names it.
    RootBeforeSlot,
    /// What was recovered is shown without a flush.
    NoFlush,
    /// Of several segments that hold recovered frames the first is not flushed.
    SegmentForgotten,
    /// A flush that failed is tried again in the same start, and what it says is believed.
    FlushRetried,
    /// What no slot vouches for is flushed and not written again.
    NotRewritten,
    /// Superblock and slot are written over without a flush of what an earlier start left in the cache.
    ImagesUnflushed,
    /// The two copies of the superblock are written without a flush between.
    SuperblockUnflushed,
    /// Every bad frame is taken for a torn tail.
    BlindCut,
    /// A start does not wait for the writes of the process before.
    LockIgnored,
    /// A checkpoint takes frames that are written and not yet durable.
    CheckpointAhead,
    /// A checkpoint's payload is taken without its hash.
    CheckpointTrusted,
    /// A segment is used before its name in the directory is durable.
    DirectoryUnsynced,
    /// A segment is told as prepared before its zeros are written.
    ZerosLate,
    /// A segment is made of an old one, whose bytes stay.
    SegmentReused,
    /// What was cut is not zeroed. The chain and the epoch bear it: not a defect by itself.
    CutKept,
    /// `CutKept`, and each frame is given the hash of the one before, so that the chain always holds.
    ChainUnchecked,
    /// `CutKept`, and each frame is given the epoch of the one before, so that none is ever too low.
    EpochUnchecked,
    /// `CutKept` without chain and epoch: nothing is left that tells an old frame from a new one.
    Unchecked,
}

impl Flaw {
    /// Whether what was cut stays where it lies.
    #[must_use]
    pub const fn keeps_cut(self) -> bool {
        matches!(self, Self::CutKept | Self::ChainUnchecked | Self::EpochUnchecked | Self::Unchecked)
    }

    /// Whether recovery is given frames whose chain always holds.
    #[must_use]
    pub const fn forges_chain(self) -> bool {
        matches!(self, Self::ChainUnchecked | Self::Unchecked)
    }

    /// Whether recovery is given frames whose epoch is never too low.
    #[must_use]
    pub const fn forges_epoch(self) -> bool {
        matches!(self, Self::EpochUnchecked | Self::Unchecked)
    }
}
