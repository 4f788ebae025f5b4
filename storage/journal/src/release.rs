//! The release record: which segments the archive alone has, and whether any may be given to it.
//!
//! Holds: it is durable before the first of those segments is removed, in two copies of which the
//! newest whole one counts; it names the frame that the journal goes on after, so that what is missing
//! is exactly what it says, or is damage. Keyed as slots are. Leaves to others: when a segment may go
//! (`ctl`), what a start does without it (`engine`).

use alloc::string::String;

use model::{Epoch, Incarnation, LedgerId, Seq, limits::ARCHIVE_PATH_BYTES_MAX};

use crate::{
    ChainStart, FrameHash, FrameKey, FrameNumber, IMAGE_BYTES, ImageCopy, ImageError, LastFrame, Position,
    SegmentNumber,
    fields::{Reader, Writer},
    image,
};

const MAGIC: [u8; 8] = *b"MNRELEAS";
const FORMAT: u16 = 0;
const HASHED_BYTES: usize = IMAGE_BYTES - 32;

/// What is released, and what may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Whose segments.
    pub ledger: LedgerId,
    /// Which life of the ledger.
    pub incarnation: Incarnation,
    /// Grows by one with each change.
    pub sequence: u64,
    /// Whether the node was last started with leave to release.
    pub allowed: bool,
    /// The last frame of the released segments, and where the retained journal begins; the genesis if
    /// none is released.
    pub after: ChainStart,
    /// Where the archive was that holds them.
    pub archive: String,
}

impl Release {
    /// The record of a ledger that has released nothing.
    #[must_use]
    pub const fn none(ledger: LedgerId, incarnation: Incarnation) -> Self {
        let archive = String::new();
        Self { ledger, incarnation, sequence: 0, allowed: false, after: ChainStart::GENESIS, archive }
    }

    /// The first segment that is retained.
    #[must_use]
    pub const fn first_retained(&self) -> SegmentNumber {
        self.after.next.segment
    }

    /// The last entry that the archive alone has; zero for none.
    #[must_use]
    pub const fn last_released(&self) -> Seq {
        self.after.last.seq
    }

    /// The bytes of one copy.
    ///
    /// # Panics
    /// If the archive's path is longer than `limits::ARCHIVE_PATH_BYTES_MAX`.
    pub fn encode(&self, key: &FrameKey, image: &mut [u8; IMAGE_BYTES]) {
        assert!(self.archive.len() <= ARCHIVE_PATH_BYTES_MAX && self.after.next.offset == 0);
        let last = &self.after.last;
        let mut fields = Writer::new(image);
        fields.bytes(&MAGIC);
        fields.u16(FORMAT);
        fields.u16(u16::from(self.allowed));
        fields.u32(self.first_retained().0);
        fields.bytes(&self.ledger.0);
        fields.u32(self.incarnation.0);
        fields.u32(last.epoch.0);
        fields.u64(self.sequence);
        fields.u64(last.frame.0);
        fields.bytes(&last.hash.0);
        fields.u64(last.seq.0);
        fields.u64(last.tree_size);
        fields.bytes(&last.root);
        fields.u32(last.incarnation.0);
        fields.u32(u32::try_from(self.archive.len()).expect("bounded above"));
        fields.bytes(self.archive.as_bytes());
        fields.zeros_to(HASHED_BYTES);
        let hash = key.release_hash(&image[..HASHED_BYTES]);
        image[HASHED_BYTES..].copy_from_slice(&hash);
    }

    /// Reads one copy.
    ///
    /// # Errors
    /// `ImageError`: which of foreign, another format, damaged, another ledger's, out of range.
    pub fn decode(image: &[u8], key: &FrameKey, ledger: LedgerId) -> Result<Self, ImageError> {
        let image: &[u8; IMAGE_BYTES] = image.first_chunk().ok_or(ImageError::Truncated)?;
        image::check(image, MAGIC, |body| key.release_hash(body), FORMAT)?;
        let mut fields = Reader::new(image);
        let _magic_and_format: [u8; 10] = fields.take();
        let allowed = match fields.u16() {
            0 => false,
            1 => true,
            _ => return Err(ImageError::Field("allowed")),
        };
        let segment = SegmentNumber(fields.u32());
        let (found, incarnation) = (LedgerId(fields.take()), Incarnation(fields.u32()));
        let epoch = Epoch(fields.u32());
        let sequence = fields.u64();
        let (frame, hash) = (FrameNumber(fields.u64()), FrameHash(fields.take()));
        let (seq, tree_size, root) = (Seq(fields.u64()), fields.u64(), fields.take());
        let (of, path_bytes) = (Incarnation(fields.u32()), fields.u32());
        let path_bytes = usize::try_from(path_bytes).unwrap_or(usize::MAX);
        if path_bytes > ARCHIVE_PATH_BYTES_MAX {
            return Err(ImageError::Field("archive"));
        }
        let path: [u8; ARCHIVE_PATH_BYTES_MAX] = fields.take();
        let (path, rest) = path.split_at(path_bytes);
        if rest.iter().any(|byte| *byte != 0) || !fields.zeros_to(HASHED_BYTES) {
            return Err(ImageError::Field("reserved"));
        }
        if found != ledger {
            return Err(ImageError::OtherLedger);
        }
        let archive = core::str::from_utf8(path).map_err(|_| ImageError::Field("archive"))?.into();
        let last = LastFrame { frame, hash, seq, epoch, incarnation: of, tree_size, root, quiet: true };
        let after = ChainStart { last, next: Position { segment, offset: 0 } };
        let nothing = segment == SegmentNumber(0);
        if nothing != (frame == FrameNumber::ZERO) || nothing && after != ChainStart::GENESIS {
            return Err(ImageError::Field("segment"));
        }
        if frame.0 == u64::MAX || seq.0 == u64::MAX {
            return Err(ImageError::Field("last frame"));
        }
        if tree_size > seq.0 {
            return Err(ImageError::Field("tree size"));
        }
        Ok(Self { ledger: found, incarnation, sequence, allowed, after, archive })
    }

    /// The newest of the two copies that is whole: the higher sequence number.
    ///
    /// # Errors
    /// `BothDamaged`, or what says more of the two.
    pub fn pick(first: &[u8], second: &[u8], key: &FrameKey, ledger: LedgerId) -> Result<Self, ImageError> {
        match (Self::decode(first, key, ledger), Self::decode(second, key, ledger)) {
            (Ok(first), Ok(second)) => Ok(if second.sequence > first.sequence { second } else { first }),
            (Ok(whole), Err(_)) | (Err(_), Ok(whole)) => Ok(whole),
            (Err(first), Err(second)) => Err(image::worse_of(first, second)),
        }
    }

    /// In which order the copies are written over what lies there now, with a flush between: the one
    /// that counts last.
    #[must_use]
    pub fn write_order(first: &[u8], second: &[u8], key: &FrameKey, ledger: LedgerId) -> [ImageCopy; 2] {
        let age = |copy| Self::decode(copy, key, ledger).ok().map(|record| record.sequence);
        if age(first) > age(second) {
            [ImageCopy::Second, ImageCopy::First]
        } else {
            [ImageCopy::First, ImageCopy::Second]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEDGER: LedgerId = LedgerId([1; 16]);

    fn key() -> FrameKey {
        FrameKey::new(&[3; 32])
    }

    fn record(sequence: u64) -> Release {
        let last = LastFrame {
            frame: FrameNumber(900),
            hash: FrameHash([5; 32]),
            seq: Seq(8_000),
            epoch: Epoch(4),
            incarnation: Incarnation(1),
            tree_size: 8_000,
            root: [6; 32],
            quiet: true,
        };
        let after = ChainStart { last, next: Position { segment: SegmentNumber(3), offset: 0 } };
        let archive = "/mnt/offsite/ledger".into();
        Release { ledger: LEDGER, incarnation: Incarnation(2), sequence, allowed: true, after, archive }
    }

    fn image(record: &Release) -> [u8; IMAGE_BYTES] {
        let mut image = [0xff; IMAGE_BYTES];
        record.encode(&key(), &mut image);
        image
    }

    #[test]
    fn reads_back() {
        let none = Release::none(LEDGER, Incarnation(1));
        let allowed = Release { allowed: true, ..none.clone() };
        for record in [record(9), none, allowed] {
            assert_eq!(Release::decode(&image(&record), &key(), LEDGER), Ok(record));
        }
        assert_eq!((record(9).first_retained(), record(9).last_released()), (SegmentNumber(3), Seq(8_000)));
    }

    #[test]
    fn damage_strangers_and_what_contradicts_itself_are_refused() {
        let whole = image(&record(9));
        for byte in 0..IMAGE_BYTES {
            let mut flipped = whole;
            flipped[byte] ^= 0x10;
            let decoded = Release::decode(&flipped, &key(), LEDGER);
            assert!(matches!(decoded, Err(ImageError::Damaged | ImageError::Foreign)), "byte {byte}");
        }
        assert_eq!(Release::decode(&whole, &key(), LedgerId([2; 16])), Err(ImageError::OtherLedger));
        assert_eq!(Release::decode(&whole[..100], &key(), LEDGER), Err(ImageError::Truncated));
        let mut wrong = record(9);
        wrong.after.next.segment = SegmentNumber(0);
        assert_eq!(Release::decode(&image(&wrong), &key(), LEDGER), Err(ImageError::Field("segment")));
        let mut wrong = record(9);
        wrong.after.last.tree_size = 8_001;
        assert_eq!(Release::decode(&image(&wrong), &key(), LEDGER), Err(ImageError::Field("tree size")));
    }

    #[test]
    fn the_newest_whole_copy_counts_and_is_overwritten_last() {
        let (old, new, torn) = (image(&record(8)), image(&record(9)), [0; IMAGE_BYTES]);
        let pick = |first, second| Release::pick(first, second, &key(), LEDGER).map(|record| record.sequence);
        assert_eq!([pick(&old, &new), pick(&new, &old), pick(&torn, &new)], [Ok(9); 3]);
        assert_eq!(pick(&old, &torn), Ok(8));
        assert_eq!(pick(&torn, &torn), Err(ImageError::BothDamaged));
        let order = |first, second| Release::write_order(first, second, &key(), LEDGER)[0];
        assert_eq!(order(&new, &old), ImageCopy::Second);
        assert_eq!([order(&old, &new), order(&torn, &new)], [ImageCopy::First; 2]);
    }
}
