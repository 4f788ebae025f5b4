//! What a committer is told.

use model::{Seq, Timestamp};

use crate::{FrameNumber, Member, SegmentNumber};

/// A batch that shall become a frame. An empty one (no entries, no payload) carries the frontier.
#[derive(Debug)]
pub struct Batch<'a> {
    /// The payload lies at `HEADER_BYTES..`; the buffer has room for the frame's padding.
    pub buffer: &'a mut [u8],
    /// Bytes of payload.
    pub payload_bytes: usize,
    /// The number of the first entry: `Committer::next_seq`.
    pub first_seq: Seq,
    /// Entries.
    pub count: u32,
    /// Ledger time of the batch.
    pub at: Timestamp,
    /// Leaves of the newest finished tree, at most the last entry of this batch.
    pub tree_size: u64,
    /// The root of that tree.
    pub root: [u8; 32],
}

/// How a write or a flush failed. Either form ends the writing, on that member at least; neither is
/// retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteFailure {
    /// The kernel's error number.
    Error(i32),
    /// Fewer bytes than asked for.
    Short(u32),
}

/// One event.
#[derive(Debug)]
pub enum Event<'a> {
    /// Seal this batch: answered by `Persist`, at once or when its segment is ready, or by
    /// `Declined`.
    Begin(Batch<'a>),
    /// A frame is durable on one member, or its write failed there.
    Persisted {
        /// Where.
        member: Member,
        /// Which.
        frame: FrameNumber,
        /// How it went.
        result: Result<(), WriteFailure>,
    },
    /// The first `bytes` of a segment are written with zeros or hold frames, on every active member;
    /// its file and its directory are synced. May be told again as `bytes` grows.
    Prepared {
        /// Which segment.
        segment: SegmentNumber,
        /// From its beginning.
        bytes: u64,
    },
    /// A segment cannot be prepared on one member, and not for want of space. Where it is the only one
    /// nothing comes of it: the preparer tries again.
    PrepareFailed {
        /// Where.
        member: Member,
        /// How.
        failure: WriteFailure,
    },
    /// The slot is durable on one member, or its write failed there.
    SlotWritten {
        /// Where.
        member: Member,
        /// The slot's sequence number.
        sequence: u64,
        /// How it went.
        result: Result<(), WriteFailure>,
    },
    /// The membership record is durable on the member that is left, or its write failed.
    MembershipWritten {
        /// The record's generation.
        generation: u64,
        /// How it went.
        result: Result<(), WriteFailure>,
    },
    /// What carries the writes failed: nothing that is in flight has a known fate, on any member.
    BackendFailed {
        /// How.
        failure: WriteFailure,
    },
    /// Write the slot now if it would say anything new: somebody waits for `Published`.
    Publish,
    /// Time has passed.
    Tick,
    /// Finish what is in flight, write the slot, and begin nothing more.
    Stop,
}
