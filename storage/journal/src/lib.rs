//! The journal: bytes that must survive. Frames, the committer machine, recovery, the superblock,
//! the frontier slot and checkpoints.
//!
//! Holds: what is acknowledged can be read back after a killed process or a lost supply, and what
//! cannot be read back is told apart from what was never finished. `docs/format-journal.md` has
//! every byte, `docs/recovery.md` the table of decisions.
//! Leaves to others: what a payload means (`ledger`), reading and writing (`disk`, `engine`).
//! Pure: no file, clock, thread or random source can be reached from here.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod archive;
mod checkpoint;
mod committer;
mod fields;
mod frame;
mod frontiers;
mod geometry;
mod image;
mod key;
mod layout;
mod membership;
mod position;
mod recovery;
mod release;
mod slot;
mod superblock;

pub use archive::{
    ARCHIVE_HEADER_BYTES, ARCHIVE_ROW_BYTES, ARCHIVE_SEGMENTS_MAX, ArchiveIndex, ShippedSegment,
};
pub use checkpoint::{CHECKPOINT_HEADER_BYTES, Checkpoint};
pub use committer::{
    Batch, Committer, Declined, EFFECTS_MAX, Effect, Effects, Event, IDLE_FRAME_AFTER, Identity, Poison,
    Resume, SLOT_EVERY, Start, WriteFailure,
};
pub use frame::{
    FRAME_FORMAT, Frame, FrameError, FrameHeader, HEADER_BYTES, ParsedHeader, Sealed, open, seal,
};
pub use frontiers::Frontiers;
pub use geometry::{Geometry, GeometryError, STRIDE_BYTES_DEFAULT, STRIDE_BYTES_MAX};
pub use image::{COPY_SPACING_BYTES, IMAGE_BYTES, IMAGE_FILE_BYTES, ImageCopy, ImageError};
pub use key::{FrameHash, FrameKey, FrameNumber};
pub use layout::{
    CHECKPOINT_DIR, CUT_DIR, LOCK_FILE, MEMBERSHIP_FILE, RELEASE_FILE, SEGMENT_DIR, SLOT_FILE,
    SUPERBLOCK_FILE, checkpoint_file_name, checkpoint_frame, cut_file_name, segment_file_name,
    segment_number,
};
pub use membership::{Active, Directory, Member, Membership, Other, Plan, Refused, plan};
pub use position::{Position, SegmentNumber};
pub use recovery::{
    BadFrame, ChainStart, Cut, CutRange, Damage, Expected, Input, LastFrame, Mirrored, READ_BYTES,
    ReadFailure, Recovered, RecoveryError, Repair, Rot, ScrubInput, SegmentFile, SegmentSource, Tail,
    Witness, follow, recover, recovery_buffer_bytes, scrub_begin, scrub_segment, verify_checkpoint,
};
pub use release::Release;
pub use slot::Slot;
pub use superblock::{HashKind, SUPERBLOCK_FORMAT, Superblock};
