//! The superblock: who the ledger is, how its journal is laid out, which start this is, its keys.
//!
//! Holds: written at creation and once at each start, both copies, one after the other with a flush
//! before, between and after, the copy that counts last ([`Superblock::write_order`]): so one is
//! always whole. Its hash has no key: the key is inside.
//! The file is for its owner alone (0600).

use core::fmt;

use model::{Epoch, Incarnation, LedgerId, Timestamp};

use crate::{
    Geometry, IMAGE_BYTES, ImageCopy, ImageError,
    fields::{Reader, Writer},
    image,
};

/// The format of the data directory that this build writes and reads. 0 may still change.
pub const SUPERBLOCK_FORMAT: u16 = 0;

const MAGIC: [u8; 8] = *b"MNSUPER\0";
const HASHED_BYTES: usize = IMAGE_BYTES - 32;

/// The hash of the ledger's tree, chosen at creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashKind {
    /// SHA-256, the shape and prefixes of RFC 6962.
    Sha256,
    /// BLAKE3, the same shape.
    Blake3,
}

impl HashKind {
    const fn code(self) -> u16 {
        match self {
            Self::Sha256 => 1,
            Self::Blake3 => 2,
        }
    }

    const fn from_code(code: u16) -> Option<Self> {
        match code {
            1 => Some(Self::Sha256),
            2 => Some(Self::Blake3),
            _ => None,
        }
    }
}

/// What the superblock says.
#[derive(Clone, PartialEq, Eq)]
pub struct Superblock {
    /// Whose data directory.
    pub ledger: LedgerId,
    /// Which life of the ledger.
    pub incarnation: Incarnation,
    /// Which start: grows by one at each, before anything else is written.
    pub epoch: Epoch,
    /// The hash of the tree.
    pub hash: HashKind,
    /// When the ledger was created.
    pub created: Timestamp,
    /// The sizes of the journal.
    pub geometry: Geometry,
    /// What frames, slots and checkpoints are keyed with.
    pub frame_key: [u8; 32],
    /// What the ledger derives its blinds from.
    pub ledger_secret: [u8; 32],
    /// Fingerprint of the name and key under which the log signs; zeros until it is known.
    pub log_key: [u8; 32],
}

impl fmt::Debug for Superblock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Superblock")
            .field("ledger", &self.ledger)
            .field("incarnation", &self.incarnation)
            .field("epoch", &self.epoch)
            .field("hash", &self.hash)
            .field("created", &self.created)
            .field("geometry", &self.geometry)
            .finish_non_exhaustive()
    }
}

impl Superblock {
    /// The bytes of one copy.
    pub fn encode(&self, image: &mut [u8; IMAGE_BYTES]) {
        let mut fields = Writer::new(image);
        fields.bytes(&MAGIC);
        fields.u16(SUPERBLOCK_FORMAT);
        fields.u16(self.hash.code());
        fields.u32(self.geometry.stride());
        fields.u64(self.geometry.segment_bytes());
        fields.bytes(&self.ledger.0);
        fields.u32(self.incarnation.0);
        fields.u32(self.epoch.0);
        fields.u64(self.created.0);
        fields.bytes(&self.frame_key);
        fields.bytes(&self.ledger_secret);
        fields.bytes(&self.log_key);
        fields.zeros_to(HASHED_BYTES);
        let hash = blake3::hash(&image[..HASHED_BYTES]);
        image[HASHED_BYTES..].copy_from_slice(hash.as_bytes());
    }

    /// Reads one copy.
    ///
    /// # Errors
    /// `ImageError`, and which: another file, another format, damage, a field out of range.
    pub fn decode(image: &[u8]) -> Result<Self, ImageError> {
        let image: &[u8; IMAGE_BYTES] = image.first_chunk().ok_or(ImageError::Truncated)?;
        image::check(image, MAGIC, |body| *blake3::hash(body).as_bytes(), SUPERBLOCK_FORMAT)?;
        let mut fields = Reader::new(image);
        let _magic_and_format: [u8; 10] = fields.take();
        let hash = HashKind::from_code(fields.u16()).ok_or(ImageError::Field("hash"))?;
        let (stride, segment_bytes) = (fields.u32(), fields.u64());
        let geometry = Geometry::new(stride, segment_bytes).map_err(|_| ImageError::Field("geometry"))?;
        let superblock = Self {
            ledger: LedgerId(fields.take()),
            incarnation: Incarnation(fields.u32()),
            epoch: Epoch(fields.u32()),
            created: Timestamp(fields.u64()),
            frame_key: fields.take(),
            ledger_secret: fields.take(),
            log_key: fields.take(),
            hash,
            geometry,
        };
        if fields.zeros_to(HASHED_BYTES) { Ok(superblock) } else { Err(ImageError::Field("reserved")) }
    }

    /// The newest of the two copies that is whole: the higher epoch.
    ///
    /// # Errors
    /// `BothDamaged`, or what says more of the two; `OtherLedger` if they are of two ledgers.
    pub fn pick(first: &[u8], second: &[u8]) -> Result<Self, ImageError> {
        match (Self::decode(first), Self::decode(second)) {
            (Ok(first), Ok(second)) if first.ledger != second.ledger => Err(ImageError::OtherLedger),
            (Ok(first), Ok(second)) => {
                let newest = (second.incarnation, second.epoch) > (first.incarnation, first.epoch);
                Ok(if newest { second } else { first })
            }
            // The first copy is written first, so a later build may have got no further than it.
            (Err(error @ ImageError::Newer { .. }), _) | (_, Err(error @ ImageError::Newer { .. })) => {
                Err(error)
            }
            (Ok(whole), Err(_)) | (Err(_), Ok(whole)) => Ok(whole),
            (Err(first), Err(second)) => Err(image::worse_of(first, second)),
        }
    }

    /// In which order the copies are to be written, with a flush between, over what lies there now:
    /// the one that counts is overwritten last. If it were overwritten first while the other is
    /// torn from an earlier start, a power loss would leave none.
    #[must_use]
    pub fn write_order(first: &[u8], second: &[u8]) -> [ImageCopy; 2] {
        let age = |copy: Result<Self, ImageError>| copy.ok().map(|found| (found.incarnation, found.epoch));
        if age(Self::decode(first)) > age(Self::decode(second)) {
            [ImageCopy::Second, ImageCopy::First]
        } else {
            [ImageCopy::First, ImageCopy::Second]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn superblock(epoch: u32) -> Superblock {
        Superblock {
            ledger: LedgerId([1; 16]),
            incarnation: Incarnation(2),
            epoch: Epoch(epoch),
            hash: HashKind::Sha256,
            created: Timestamp(5),
            geometry: Geometry::new(4096, 1 << 20).unwrap(),
            frame_key: [3; 32],
            ledger_secret: [4; 32],
            log_key: [5; 32],
        }
    }

    fn image(superblock: &Superblock) -> [u8; IMAGE_BYTES] {
        let mut image = [0xff; IMAGE_BYTES];
        superblock.encode(&mut image);
        image
    }

    /// The image with the bytes at `at` replaced and the hash made right again.
    fn forged(at: usize, bytes: &[u8]) -> [u8; IMAGE_BYTES] {
        let mut forged = image(&superblock(7));
        forged[at..at + bytes.len()].copy_from_slice(bytes);
        let hash = blake3::hash(&forged[..HASHED_BYTES]);
        forged[HASHED_BYTES..].copy_from_slice(hash.as_bytes());
        forged
    }

    #[test]
    fn reads_back_and_keeps_its_secrets_out_of_logs() {
        let superblock = superblock(7);
        assert_eq!(Superblock::decode(&image(&superblock)), Ok(superblock.clone()));
        let printed = alloc::format!("{superblock:?}");
        assert!(!printed.contains("frame_key") && !printed.contains("secret"), "{printed}");
    }

    #[test]
    fn every_flipped_bit_is_damage() {
        let whole = image(&superblock(7));
        for byte in (8..160).chain([HASHED_BYTES - 1, HASHED_BYTES, IMAGE_BYTES - 1]) {
            let mut flipped = whole;
            flipped[byte] ^= 1;
            assert_eq!(Superblock::decode(&flipped), Err(ImageError::Damaged), "byte {byte}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (bytes, expected) in [
            (forged(0, b"SQLite f"), ImageError::Foreign),
            (forged(0, &[0; 8]), ImageError::Damaged),
            (forged(8, &[1, 0]), ImageError::Newer { found: 1, known: 0 }),
            (forged(10, &[9, 0]), ImageError::Field("hash")),
            (forged(12, &[1, 0, 0, 0]), ImageError::Field("geometry")),
            (forged(200, &[1]), ImageError::Field("reserved")),
        ] {
            assert_eq!(Superblock::decode(&bytes), Err(expected));
        }
        assert_eq!(Superblock::decode(&[0; 100]), Err(ImageError::Truncated));
    }

    #[test]
    fn the_newest_whole_copy_counts() {
        let (old, new) = (image(&superblock(7)), image(&superblock(8)));
        let torn = [0; IMAGE_BYTES];
        for (first, second, written_first) in [
            (&old, &new, ImageCopy::First),
            (&new, &old, ImageCopy::Second),
            (&torn, &new, ImageCopy::First),
            (&new, &torn, ImageCopy::Second),
            (&new, &new, ImageCopy::First),
        ] {
            assert_eq!(Superblock::write_order(first, second)[0], written_first);
        }
        let other = image(&Superblock { ledger: LedgerId([9; 16]), ..superblock(9) });
        let epoch = |first: &[u8], second: &[u8]| Superblock::pick(first, second).map(|s| s.epoch.0);
        for (first, second, expected) in [
            (&old, &new, Ok(8)),
            (&new, &old, Ok(8)),
            (&torn, &old, Ok(7)),
            (&new, &torn, Ok(8)),
            (&torn, &torn, Err(ImageError::BothDamaged)),
            (&torn, &forged(0, b"12345678"), Err(ImageError::Foreign)),
            (&forged(8, &[1, 0]), &old, Err(ImageError::Newer { found: 1, known: 0 })),
            (&new, &other, Err(ImageError::OtherLedger)),
        ] {
            assert_eq!(epoch(first, second), expected);
        }
    }
}
