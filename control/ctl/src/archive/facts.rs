//! `SegmentFacts`: what the frames of one segment say, gathered frame by frame.

use journal::{Frame, FrameHash, FrameNumber, SegmentNumber, ShippedSegment};
use model::{Epoch, Incarnation, Seq, Timestamp};

use super::Digest;

/// What the frames of one segment say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentFacts {
    segment: SegmentNumber,
    incarnation: Incarnation,
    epoch: Epoch,
    first: (FrameNumber, FrameHash),
    last: (FrameNumber, FrameHash),
    first_seq: Seq,
    entries: u64,
    at: Timestamp,
    tree_size: u64,
    root: [u8; 32],
    end: u64,
}

impl SegmentFacts {
    /// Of a segment that begins with this frame.
    pub(crate) fn begin(frame: &Frame<'_>) -> Self {
        let header = &frame.header;
        let named = (header.frame, frame.hash);
        let facts = Self {
            segment: header.position.segment,
            incarnation: header.incarnation,
            epoch: header.epoch,
            first: named,
            last: named,
            first_seq: header.first_seq,
            entries: 0,
            at: header.at,
            tree_size: header.tree_size,
            root: header.root,
            end: 0,
        };
        facts.and(frame)
    }

    /// With the next frame.
    pub(crate) fn and(self, frame: &Frame<'_>) -> Self {
        let header = &frame.header;
        Self {
            incarnation: header.incarnation,
            epoch: header.epoch,
            last: (header.frame, frame.hash),
            entries: self.entries + u64::from(header.count),
            at: header.at,
            tree_size: header.tree_size,
            root: header.root,
            end: header.position.offset + frame.frame_bytes as u64,
            ..self
        }
    }

    /// Which segment.
    pub(crate) const fn segment(&self) -> SegmentNumber {
        self.segment
    }

    /// Its last frame.
    pub(crate) const fn last_frame(&self) -> FrameNumber {
        self.last.0
    }

    /// Bytes up to the end of the last frame.
    pub(crate) const fn end(&self) -> u64 {
        self.end
    }

    /// The row of the index: with the digests of what was read and of the file.
    pub(crate) fn row(&self, read: Digest, file: Digest) -> ShippedSegment {
        assert_eq!(read.bytes, self.end, "all of the frames and nothing else");
        ShippedSegment {
            segment: self.segment,
            incarnation: self.incarnation,
            epoch: self.epoch,
            first: self.first,
            last: self.last,
            first_seq: self.first_seq,
            entries: self.entries,
            at: self.at,
            tree_size: self.tree_size,
            root: self.root,
            bytes: self.end,
            digest: read.blake3,
            file_bytes: file.bytes,
            file_digest: file.blake3,
        }
    }

    /// Whether a row says the same of the frames.
    pub(crate) fn are_of(&self, row: &ShippedSegment) -> bool {
        let read = Digest { bytes: self.end, blake3: row.digest };
        let file = Digest { bytes: row.file_bytes, blake3: row.file_digest };
        self.row(read, file) == *row
    }
}
