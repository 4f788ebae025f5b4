//! The index of an archive: which sealed segments it holds, what each says, and how its file is known
//! again.
//!
//! Holds: rows are the segments from 0 on without a gap, each chained to the one before; nothing is
//! taken from bytes that break one of these relations. Leaves to others: the signature that follows
//! the body in its file, and the files themselves (`ctl`).

use alloc::vec::Vec;

use model::{Epoch, Incarnation, LedgerId, Seq, Timestamp};

use crate::{
    ChainStart, FrameHash, FrameNumber, ImageError, LastFrame, Position, SegmentNumber,
    fields::{Reader, Writer},
};

/// Bytes before the rows of an archive's index.
pub const ARCHIVE_HEADER_BYTES: usize = 128;
/// Bytes of one row.
pub const ARCHIVE_ROW_BYTES: usize = 256;
/// Segments of one archive at most: 256 MiB of index.
pub const ARCHIVE_SEGMENTS_MAX: u32 = 1 << 20;

const MAGIC: [u8; 8] = *b"MNARCHIV";
const FORMAT: u16 = 0;

/// One segment that an archive holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShippedSegment {
    /// Its number.
    pub segment: SegmentNumber,
    /// Incarnation of its last frame.
    pub incarnation: Incarnation,
    /// Epoch of its last frame.
    pub epoch: Epoch,
    /// Its first frame and that frame's hash.
    pub first: (FrameNumber, FrameHash),
    /// Its last frame and that frame's hash.
    pub last: (FrameNumber, FrameHash),
    /// Its first entry; the number that comes next if it has none.
    pub first_seq: Seq,
    /// Entries in it.
    pub entries: u64,
    /// Ledger time of its last frame.
    pub at: Timestamp,
    /// Leaves of the tree after it.
    pub tree_size: u64,
    /// The root of that tree.
    pub root: [u8; 32],
    /// Bytes from the segment's beginning to the end of its last frame: what is shipped.
    pub bytes: u64,
    /// BLAKE3 of those bytes.
    pub digest: [u8; 32],
    /// Bytes of the file, compressed.
    pub file_bytes: u64,
    /// BLAKE3 of the file.
    pub file_digest: [u8; 32],
}

/// What an archive holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveIndex {
    /// Whose segments.
    pub ledger: LedgerId,
    /// Which life of the ledger.
    pub incarnation: Incarnation,
    /// BLAKE3 of the archive's superblock file.
    pub superblock: [u8; 32],
    /// The segments, from 0 on.
    pub segments: Vec<ShippedSegment>,
}

impl ShippedSegment {
    /// The last entry up to here.
    #[must_use]
    pub const fn last_seq(&self) -> Seq {
        Seq(self.first_seq.0 + self.entries - 1)
    }

    /// Where a walk along the chain goes on after this segment.
    #[must_use]
    pub const fn after(&self) -> ChainStart {
        let last = LastFrame {
            frame: self.last.0,
            hash: self.last.1,
            seq: self.last_seq(),
            epoch: self.epoch,
            incarnation: self.incarnation,
            tree_size: self.tree_size,
            root: self.root,
            quiet: false,
        };
        ChainStart { last, next: Position { segment: self.segment.next(), offset: 0 } }
    }

    fn write(&self, fields: &mut Writer<'_>) {
        fields.u32(self.segment.0);
        fields.u32(self.incarnation.0);
        fields.u32(self.epoch.0);
        fields.u32(0);
        fields.u64(self.first.0.0);
        fields.u64(self.last.0.0);
        fields.u64(self.first_seq.0);
        fields.u64(self.entries);
        fields.u64(self.at.0);
        fields.u64(self.tree_size);
        fields.u64(self.bytes);
        fields.u64(self.file_bytes);
        for hash in [&self.first.1.0, &self.last.1.0, &self.root, &self.digest, &self.file_digest] {
            fields.bytes(hash);
        }
    }

    /// The row, and whether its reserved bytes are zero.
    fn read(bytes: &[u8; ARCHIVE_ROW_BYTES]) -> (Self, bool) {
        let mut fields = Reader::new(bytes);
        let (segment, incarnation, epoch) =
            (SegmentNumber(fields.u32()), Incarnation(fields.u32()), Epoch(fields.u32()));
        let reserved = fields.u32();
        let (first, last) = (FrameNumber(fields.u64()), FrameNumber(fields.u64()));
        let (first_seq, entries, at) = (Seq(fields.u64()), fields.u64(), Timestamp(fields.u64()));
        let (tree_size, bytes, file_bytes) = (fields.u64(), fields.u64(), fields.u64());
        let (first, last) = ((first, FrameHash(fields.take())), (last, FrameHash(fields.take())));
        let (root, digest, file_digest) = (fields.take(), fields.take(), fields.take());
        let row = Self {
            segment,
            incarnation,
            epoch,
            first,
            last,
            first_seq,
            entries,
            at,
            tree_size,
            root,
            bytes,
            digest,
            file_bytes,
            file_digest,
        };
        (row, reserved == 0 && fields.zeros_to(ARCHIVE_ROW_BYTES))
    }

    /// Whether it comes after what `last` and `next` describe.
    fn follows(&self, before: &ChainStart) -> Result<(), ImageError> {
        let ChainStart { last, next } = before;
        if self.segment != next.segment {
            return Err(ImageError::Field("segment"));
        }
        if self.first.0 != last.frame.next() || self.last.0 < self.first.0 || self.last.0.0 == u64::MAX {
            return Err(ImageError::Field("frames"));
        }
        let end = self.first_seq.0.checked_add(self.entries);
        if self.first_seq != last.seq.next() || end.is_none() {
            return Err(ImageError::Field("entries"));
        }
        if self.tree_size < last.tree_size || self.tree_size > self.last_seq().0 {
            return Err(ImageError::Field("tree size"));
        }
        Ok(())
    }
}

impl ArchiveIndex {
    /// Where the chain goes on after the last segment.
    #[must_use]
    pub fn after(&self) -> ChainStart {
        self.segments.last().map_or(ChainStart::GENESIS, ShippedSegment::after)
    }

    /// The bytes that are signed.
    ///
    /// # Panics
    /// With more than `ARCHIVE_SEGMENTS_MAX` segments.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let count = u32::try_from(self.segments.len()).expect("segments are counted in 32 bits");
        assert!(count <= ARCHIVE_SEGMENTS_MAX);
        let mut bytes = alloc::vec![0; ARCHIVE_HEADER_BYTES + self.segments.len() * ARCHIVE_ROW_BYTES];
        let (header, rows) = bytes.split_at_mut(ARCHIVE_HEADER_BYTES);
        let mut fields = Writer::new(header);
        fields.bytes(&MAGIC);
        fields.u16(FORMAT);
        fields.u16(0);
        fields.u32(count);
        fields.bytes(&self.ledger.0);
        fields.u32(self.incarnation.0);
        fields.u32(0);
        fields.bytes(&self.superblock);
        for (row, bytes) in self.segments.iter().zip(rows.chunks_exact_mut(ARCHIVE_ROW_BYTES)) {
            row.write(&mut Writer::new(bytes));
        }
        bytes
    }

    /// Reads the body at the beginning of `bytes`; what follows it is the second value.
    ///
    /// # Errors
    /// `ImageError`: which of foreign, another format, too short, out of range.
    pub fn decode(bytes: &[u8]) -> Result<(Self, &[u8]), ImageError> {
        let (header, rest) =
            bytes.split_first_chunk::<ARCHIVE_HEADER_BYTES>().ok_or(ImageError::Truncated)?;
        let mut fields = Reader::new(header);
        if fields.take() != MAGIC {
            return Err(ImageError::Foreign);
        }
        match fields.u16() {
            FORMAT => {}
            found => return Err(ImageError::Newer { found, known: FORMAT }),
        }
        let flags = fields.u16();
        let count = fields.u32();
        let (ledger, incarnation) = (LedgerId(fields.take()), Incarnation(fields.u32()));
        let gap = fields.u32();
        let superblock = fields.take();
        if flags != 0 || gap != 0 || !fields.zeros_to(ARCHIVE_HEADER_BYTES) {
            return Err(ImageError::Field("reserved"));
        }
        if count > ARCHIVE_SEGMENTS_MAX {
            return Err(ImageError::Field("segments"));
        }
        let len = ARCHIVE_ROW_BYTES * count as usize;
        let (rows, rest) = rest.split_at_checked(len).ok_or(ImageError::Truncated)?;
        let mut index = Self { ledger, incarnation, superblock, segments: Vec::new() };
        for bytes in rows.as_chunks::<ARCHIVE_ROW_BYTES>().0 {
            let (row, clean) = ShippedSegment::read(bytes);
            if !clean {
                return Err(ImageError::Field("reserved"));
            }
            row.follows(&index.after())?;
            index.segments.push(row);
        }
        Ok((index, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(segment: u32) -> ShippedSegment {
        let n = u64::from(segment);
        ShippedSegment {
            segment: SegmentNumber(segment),
            incarnation: Incarnation(1),
            epoch: Epoch(segment + 1),
            first: (FrameNumber(n * 10 + 1), FrameHash([1; 32])),
            last: (FrameNumber(n * 10 + 10), FrameHash([2; 32])),
            first_seq: Seq(n * 100 + 1),
            entries: 100,
            at: Timestamp(7 + n),
            tree_size: n * 100 + 100,
            root: [3; 32],
            bytes: 1 << 20,
            digest: [4; 32],
            file_bytes: 1 << 18,
            file_digest: [5; 32],
        }
    }

    fn index(count: u32) -> ArchiveIndex {
        let segments = (0..count).map(row).collect();
        ArchiveIndex { ledger: LedgerId([1; 16]), incarnation: Incarnation(2), superblock: [9; 32], segments }
    }

    #[test]
    fn reads_back_and_leaves_what_follows() {
        for count in [0, 1, 3] {
            let mut bytes = index(count).encode();
            bytes.extend_from_slice(b"a signature");
            assert_eq!(ArchiveIndex::decode(&bytes), Ok((index(count), &b"a signature"[..])));
            for length in 0..bytes.len() - 11 {
                assert_eq!(ArchiveIndex::decode(&bytes[..length]), Err(ImageError::Truncated));
            }
        }
        assert_eq!(index(2).after().next, Position { segment: SegmentNumber(2), offset: 0 });
        assert_eq!((index(2).after().last.seq, index(0).after()), (Seq(200), ChainStart::GENESIS));
    }

    #[test]
    fn what_does_not_follow_is_refused_by_its_field() {
        let wrong = |change: fn(&mut ShippedSegment), field| {
            let mut index = index(3);
            change(&mut index.segments[1]);
            assert_eq!(ArchiveIndex::decode(&index.encode()), Err(ImageError::Field(field)));
        };
        wrong(|row| row.segment.0 = 2, "segment");
        wrong(|row| row.first.0.0 += 1, "frames");
        wrong(|row| row.last.0.0 = 10, "frames");
        wrong(|row| row.last.0.0 = u64::MAX, "frames");
        wrong(|row| row.first_seq.0 -= 1, "entries");
        wrong(|row| row.entries = u64::MAX, "entries");
        wrong(|row| row.tree_size = 99, "tree size");
        wrong(|row| row.tree_size = 201, "tree size");
        let bytes = index(1).encode();
        let changed = |at: usize, to: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = to;
            ArchiveIndex::decode(&bytes).map(|_| ())
        };
        assert_eq!(changed(0, b'X'), Err(ImageError::Foreign));
        assert_eq!(changed(8, 1), Err(ImageError::Newer { found: 1, known: 0 }));
        for at in [10, 36, 100, ARCHIVE_HEADER_BYTES + 12, ARCHIVE_HEADER_BYTES + 255] {
            assert_eq!(changed(at, 1), Err(ImageError::Field("reserved")), "{at}");
        }
        assert_eq!(changed(15, 1), Err(ImageError::Field("segments")));
    }
}
