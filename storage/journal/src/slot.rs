//! The frontier slot: evidence, outside the journal's tail, of how far the journal had come.
//!
//! Holds: two copies in a file of their own, written in turns by the parity of the sequence number,
//! so the newest but one is whole while the newest is being written. Keyed as frames are.

use model::{Epoch, Incarnation, LedgerId, Seq};

use crate::{
    FrameHash, FrameKey, FrameNumber, IMAGE_BYTES, ImageCopy, ImageError, SegmentNumber,
    fields::{Reader, Writer},
    image,
};

const MAGIC: [u8; 8] = *b"MNSLOT\0\0";
const FORMAT: u16 = 0;
const HASHED_BYTES: usize = IMAGE_BYTES - 32;
/// Where the id of the key stands: readable without the key.
const KEY_ID_AT: usize = 136;

/// What a slot says. All of it was durable when it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Whose slot.
    pub ledger: LedgerId,
    /// Which life of the ledger.
    pub incarnation: Incarnation,
    /// Which start of the ledger wrote it.
    pub epoch: Epoch,
    /// Grows by one with each write; its parity names the copy.
    pub sequence: u64,
    /// No frame lies in a later segment than this.
    pub segment: SegmentNumber,
    /// The last durable frame.
    pub frame: FrameNumber,
    /// That frame's hash.
    pub hash: FrameHash,
    /// The last durable entry.
    pub durable: Seq,
    /// Leaves of the newest tree that may be published: its root is durable.
    pub tree_size: u64,
    /// The root of that tree.
    pub root: [u8; 32],
    /// Written at a clean stop: nothing follows `frame` unless a later epoch began.
    pub clean: bool,
}

impl Slot {
    /// The slot of a ledger without frames, as it is created: before the superblock, so that a
    /// ledger that exists has its slot.
    #[must_use]
    pub const fn genesis(ledger: LedgerId, incarnation: Incarnation, root: [u8; 32]) -> Self {
        Self {
            ledger,
            incarnation,
            epoch: Epoch(0),
            sequence: 0,
            segment: SegmentNumber(0),
            frame: FrameNumber::ZERO,
            hash: FrameHash::GENESIS,
            durable: Seq::ZERO,
            tree_size: 0,
            root,
            clean: false,
        }
    }

    /// Which copy this slot is written to.
    #[must_use]
    pub const fn copy(&self) -> ImageCopy {
        if self.sequence.is_multiple_of(2) { ImageCopy::First } else { ImageCopy::Second }
    }

    /// The bytes of this slot.
    pub fn encode(&self, key: &FrameKey, image: &mut [u8; IMAGE_BYTES]) {
        let mut fields = Writer::new(image);
        fields.bytes(&MAGIC);
        fields.u16(FORMAT);
        fields.u16(u16::from(self.clean));
        fields.u32(self.segment.0);
        fields.bytes(&self.ledger.0);
        fields.u32(self.incarnation.0);
        fields.u32(self.epoch.0);
        fields.u64(self.sequence);
        fields.u64(self.frame.0);
        fields.bytes(&self.hash.0);
        fields.u64(self.durable.0);
        fields.u64(self.tree_size);
        fields.bytes(&self.root);
        fields.bytes(&key.id());
        fields.zeros_to(HASHED_BYTES);
        let hash = key.slot_hash(&image[..HASHED_BYTES]);
        image[HASHED_BYTES..].copy_from_slice(&hash);
    }

    /// Reads one copy.
    ///
    /// # Errors
    /// `ImageError`: which of foreign, another format, damaged, another ledger's, out of range.
    pub fn decode(image: &[u8], key: &FrameKey, ledger: LedgerId) -> Result<Self, ImageError> {
        let image: &[u8; IMAGE_BYTES] = image.first_chunk().ok_or(ImageError::Truncated)?;
        image::check(image, MAGIC, |body| key.slot_hash(body), FORMAT)?;
        let mut fields = Reader::new(image);
        let _magic_and_format: [u8; 10] = fields.take();
        let clean = match fields.u16() {
            0 => false,
            1 => true,
            _ => return Err(ImageError::Field("clean")),
        };
        let slot = Self {
            clean,
            segment: SegmentNumber(fields.u32()),
            ledger: LedgerId(fields.take()),
            incarnation: Incarnation(fields.u32()),
            epoch: Epoch(fields.u32()),
            sequence: fields.u64(),
            frame: FrameNumber(fields.u64()),
            hash: FrameHash(fields.take()),
            durable: Seq(fields.u64()),
            tree_size: fields.u64(),
            root: fields.take(),
        };
        if fields.take() != key.id() {
            return Err(ImageError::Field("key id"));
        }
        if !fields.zeros_to(HASHED_BYTES) {
            return Err(ImageError::Field("reserved"));
        }
        if slot.ledger != ledger {
            return Err(ImageError::OtherLedger);
        }
        if slot.tree_size > slot.durable.0 {
            return Err(ImageError::Field("tree size"));
        }
        Ok(slot)
    }

    /// The newest of the two copies that is whole: the higher sequence number.
    ///
    /// # Errors
    /// `BothDamaged`, or what says more of the two.
    pub fn pick(first: &[u8], second: &[u8], key: &FrameKey, ledger: LedgerId) -> Result<Self, ImageError> {
        match (Self::decode(first, key, ledger), Self::decode(second, key, ledger)) {
            (Ok(first), Ok(second)) => Ok(if second.sequence > first.sequence { second } else { first }),
            (Ok(whole), Err(_)) | (Err(_), Ok(whole)) => Ok(whole),
            (Err(ImageError::Damaged), Err(ImageError::Damaged)) if is_of_other_key(first, second, key) => {
                Err(ImageError::OtherKey)
            }
            (Err(first), Err(second)) => Err(image::worse_of(first, second)),
        }
    }
}

/// Whether both copies name one key, and it is not this one. Damage does not do the same to both.
fn is_of_other_key(first: &[u8], second: &[u8], key: &FrameKey) -> bool {
    let id = |image: &[u8]| image.get(KEY_ID_AT..KEY_ID_AT + 32).map(<[u8]>::to_vec);
    let (first, second) = (id(first), id(second));
    first == second && first.is_some_and(|id| id != key.id() && id.iter().any(|byte| *byte != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEDGER: LedgerId = LedgerId([1; 16]);

    fn key() -> FrameKey {
        FrameKey::new(&[3; 32])
    }

    fn slot(sequence: u64) -> Slot {
        Slot {
            ledger: LEDGER,
            incarnation: Incarnation(1),
            epoch: Epoch(4),
            sequence,
            segment: SegmentNumber(2),
            frame: FrameNumber(77),
            hash: FrameHash([5; 32]),
            durable: Seq(900),
            tree_size: 899,
            root: [6; 32],
            clean: true,
        }
    }

    fn image(slot: &Slot) -> [u8; IMAGE_BYTES] {
        let mut image = [0xff; IMAGE_BYTES];
        slot.encode(&key(), &mut image);
        image
    }

    #[test]
    fn reads_back() {
        for slot in
            [slot(9), Slot { clean: false, ..slot(10) }, Slot::genesis(LEDGER, Incarnation(0), [9; 32])]
        {
            assert_eq!(Slot::decode(&image(&slot), &key(), LEDGER), Ok(slot));
        }
    }

    #[test]
    fn damage_strangers_and_other_keys_are_refused() {
        let whole = image(&slot(9));
        for byte in (8..160).chain([HASHED_BYTES - 1, HASHED_BYTES, IMAGE_BYTES - 1]) {
            let mut flipped = whole;
            flipped[byte] ^= 0x80;
            assert_eq!(Slot::decode(&flipped, &key(), LEDGER), Err(ImageError::Damaged), "byte {byte}");
        }
        let other_key = FrameKey::new(&[4; 32]);
        assert_eq!(Slot::decode(&whole, &other_key, LEDGER), Err(ImageError::Damaged));
        assert_eq!(Slot::decode(&whole, &key(), LedgerId([2; 16])), Err(ImageError::OtherLedger));
        assert_eq!(Slot::decode(&whole[..100], &key(), LEDGER), Err(ImageError::Truncated));
        let ahead = Slot { tree_size: 901, ..slot(9) };
        assert_eq!(Slot::decode(&image(&ahead), &key(), LEDGER), Err(ImageError::Field("tree size")));
    }

    #[test]
    fn another_key_is_told_from_damage() {
        let (old, new) = (image(&slot(8)), image(&slot(9)));
        let other = FrameKey::new(&[4; 32]);
        assert_eq!(Slot::pick(&old, &new, &other, LEDGER), Err(ImageError::OtherKey));
        let mut damaged = new;
        damaged[KEY_ID_AT] ^= 1;
        assert_eq!(Slot::pick(&old, &damaged, &other, LEDGER), Err(ImageError::BothDamaged));
        assert_eq!(Slot::pick(&[0; IMAGE_BYTES], &damaged, &key(), LEDGER), Err(ImageError::BothDamaged));
    }

    #[test]
    fn copies_take_turns_and_the_newest_whole_one_counts() {
        let (old, new, torn) = (image(&slot(8)), image(&slot(9)), [0; IMAGE_BYTES]);
        assert_eq!((slot(8).copy(), slot(9).copy()), (ImageCopy::First, ImageCopy::Second));
        for (first, second, expected) in [
            (&old, &new, Ok(9)),
            (&new, &old, Ok(9)),
            (&old, &torn, Ok(8)),
            (&torn, &new, Ok(9)),
            (&torn, &torn, Err(ImageError::BothDamaged)),
        ] {
            assert_eq!(Slot::pick(first, second, &key(), LEDGER).map(|slot| slot.sequence), expected);
        }
    }
}
