//! The membership record of a mirror: which of the two copies of a ledger's journal count.
//!
//! Holds: a record of a higher generation says more than one of a lower; a copy whose own record is
//! older than the other's is behind it, however well it reads. Two copies in a file of their own,
//! written in turns by the parity of the generation, as the slot's are by its sequence. A ledger
//! without a mirror has no record, which is generation zero.
//! Leaves to others: reading and writing (`engine`), when a copy is given up (`Committer`).

mod plan;

use core::fmt;

use model::{Incarnation, LedgerId};
pub use plan::{Directory, Other, Plan, Refused, plan};

use crate::{
    FrameKey, IMAGE_BYTES, ImageCopy, ImageError,
    fields::{Reader, Writer},
    image,
};

const MAGIC: [u8; 8] = *b"MNMEMBR\0";
const FORMAT: u16 = 0;
const HASHED_BYTES: usize = IMAGE_BYTES - 32;

/// One of the two places that a journal lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Member {
    /// The ledger's own directory.
    First,
    /// The mirror's.
    Second,
}

impl Member {
    /// Both, the ledger's own first.
    pub const BOTH: [Self; 2] = [Self::First, Self::Second];

    /// The one that this is not.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    /// Its place in an array of two.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::First => 0,
            Self::Second => 1,
        }
    }

    const fn bit(self) -> u32 {
        1 << self.index()
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "first",
            Self::Second => "second",
        })
    }
}

/// Who has to have a frame before it is answered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Active {
    /// Both members.
    Both,
    /// One: there is no other, or it failed.
    Only(Member),
}

impl Active {
    /// Whether this member is one of them.
    #[must_use]
    pub fn has(self, member: Member) -> bool {
        self == Self::Both || self == Self::Only(member)
    }

    /// Those that there are.
    pub fn members(self) -> impl Iterator<Item = Member> {
        Member::BOTH.into_iter().filter(move |member| self.has(*member))
    }
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Whose.
    pub ledger: LedgerId,
    /// Which life of the ledger.
    pub incarnation: Incarnation,
    /// Grows by one with each change; its parity names the copy. Zero: no record was ever written.
    pub generation: u64,
    /// In which member's directory the record lies.
    pub holder: Member,
    /// Who counts.
    pub active: Active,
}

impl Membership {
    /// Of a ledger that has no mirror.
    #[must_use]
    pub const fn alone(ledger: LedgerId, incarnation: Incarnation) -> Self {
        let active = Active::Only(Member::First);
        Self { ledger, incarnation, generation: 0, holder: Member::First, active }
    }

    /// The record of the next generation, as it lies in `holder`'s directory.
    #[must_use]
    pub const fn next(self, holder: Member, active: Active) -> Self {
        Self { generation: self.generation + 1, holder, active, ..self }
    }

    /// What is written to a member that is behind before anything is copied to it: below this record,
    /// which the survivor holds, and above everything that the member said of itself.
    #[must_use]
    pub const fn in_the_making(self, holder: Member) -> Self {
        let generation = match self.active {
            Active::Both => self.generation - 1,
            Active::Only(_) => self.generation,
        };
        Self { generation, holder, active: Active::Only(holder.other()), ..self }
    }

    /// What is newer: a later life of the ledger, then a later generation.
    #[must_use]
    pub const fn rank(&self) -> (u32, u64) {
        (self.incarnation.0, self.generation)
    }

    /// Which copy this record is written to.
    #[must_use]
    pub const fn copy(&self) -> ImageCopy {
        if self.generation.is_multiple_of(2) { ImageCopy::First } else { ImageCopy::Second }
    }

    /// The bytes of this record.
    pub fn encode(&self, key: &FrameKey, image: &mut [u8; IMAGE_BYTES]) {
        let active = Member::BOTH.iter().filter(|member| self.active.has(**member));
        let mut fields = Writer::new(image);
        fields.bytes(&MAGIC);
        fields.u16(FORMAT);
        fields.u16(match self.holder {
            Member::First => 1,
            Member::Second => 2,
        });
        fields.u32(active.map(|member| member.bit()).sum());
        fields.bytes(&self.ledger.0);
        fields.u32(self.incarnation.0);
        fields.u32(0);
        fields.u64(self.generation);
        fields.zeros_to(HASHED_BYTES);
        let hash = key.membership_hash(&image[..HASHED_BYTES]);
        image[HASHED_BYTES..].copy_from_slice(&hash);
    }

    /// Reads one copy.
    ///
    /// # Errors
    /// `ImageError`: which of foreign, another format, damaged, another ledger's, out of range.
    pub fn decode(image: &[u8], key: &FrameKey, ledger: LedgerId) -> Result<Self, ImageError> {
        let image: &[u8; IMAGE_BYTES] = image.first_chunk().ok_or(ImageError::Truncated)?;
        image::check(image, MAGIC, |body| key.membership_hash(body), FORMAT)?;
        let mut fields = Reader::new(image);
        let _magic_and_format: [u8; 10] = fields.take();
        let holder = match fields.u16() {
            1 => Member::First,
            2 => Member::Second,
            _ => return Err(ImageError::Field("holder")),
        };
        let active = match fields.u32() {
            1 => Active::Only(Member::First),
            2 => Active::Only(Member::Second),
            3 => Active::Both,
            _ => return Err(ImageError::Field("active")),
        };
        let found = LedgerId(fields.take());
        let incarnation = Incarnation(fields.u32());
        let reserved = fields.u32();
        let generation = fields.u64();
        if reserved != 0 || !fields.zeros_to(HASHED_BYTES) {
            return Err(ImageError::Field("reserved"));
        }
        if found != ledger {
            return Err(ImageError::OtherLedger);
        }
        Ok(Self { ledger, incarnation, generation, holder, active })
    }

    /// The newest of the two copies that is whole.
    ///
    /// # Errors
    /// `BothDamaged`, or what says more of the two.
    pub fn pick(first: &[u8], second: &[u8], key: &FrameKey, ledger: LedgerId) -> Result<Self, ImageError> {
        match (Self::decode(first, key, ledger), Self::decode(second, key, ledger)) {
            (Ok(first), Ok(second)) => Ok(if second.rank() > first.rank() { second } else { first }),
            (Ok(whole), Err(_)) | (Err(_), Ok(whole)) => Ok(whole),
            (Err(first), Err(second)) => Err(image::worse_of(first, second)),
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

    fn record(generation: u64) -> Membership {
        Membership {
            ledger: LEDGER,
            incarnation: Incarnation(0x0403_0201),
            generation,
            holder: Member::Second,
            active: Active::Only(Member::Second),
        }
    }

    fn image(record: &Membership) -> [u8; IMAGE_BYTES] {
        let mut image = [0xff; IMAGE_BYTES];
        record.encode(&key(), &mut image);
        image
    }

    #[test]
    fn reads_back() {
        for active in [Active::Both, Active::Only(Member::First), Active::Only(Member::Second)] {
            for holder in Member::BOTH {
                let record = Membership { holder, active, ..record(9) };
                assert_eq!(Membership::decode(&image(&record), &key(), LEDGER), Ok(record));
            }
        }
    }

    #[test]
    fn the_bytes_lie_where_the_page_says() {
        let image = image(&record(0x0102_0304_0506_0708));
        assert_eq!(image[..8], *b"MNMEMBR\0");
        assert_eq!(image[8..16], [0, 0, 2, 0, 2, 0, 0, 0], "format, holder, active");
        assert_eq!(image[16..32], [1; 16]);
        assert_eq!(image[32..40], [1, 2, 3, 4, 0, 0, 0, 0]);
        assert_eq!(image[40..48], [8, 7, 6, 5, 4, 3, 2, 1]);
        assert!(image[48..HASHED_BYTES].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn damage_strangers_and_other_keys_are_refused() {
        let whole = image(&record(9));
        for byte in (8..64).chain([HASHED_BYTES - 1, HASHED_BYTES, IMAGE_BYTES - 1]) {
            let mut flipped = whole;
            flipped[byte] ^= 0x80;
            assert_eq!(Membership::decode(&flipped, &key(), LEDGER), Err(ImageError::Damaged), "byte {byte}");
        }
        let other_key = FrameKey::new(&[4; 32]);
        assert_eq!(Membership::decode(&whole, &other_key, LEDGER), Err(ImageError::Damaged));
        assert_eq!(Membership::decode(&whole, &key(), LedgerId([2; 16])), Err(ImageError::OtherLedger));
        assert_eq!(Membership::decode(&whole[..100], &key(), LEDGER), Err(ImageError::Truncated));
    }

    #[test]
    fn copies_take_turns_and_the_newest_whole_one_counts() {
        let (old, new, torn) = (image(&record(8)), image(&record(9)), [0; IMAGE_BYTES]);
        assert_eq!((record(8).copy(), record(9).copy()), (ImageCopy::First, ImageCopy::Second));
        for (first, second, expected) in [
            (&old, &new, Ok(9)),
            (&old, &torn, Ok(8)),
            (&torn, &new, Ok(9)),
            (&torn, &torn, Err(ImageError::BothDamaged)),
        ] {
            let picked = Membership::pick(first, second, &key(), LEDGER);
            assert_eq!(picked.map(|record| record.generation), expected);
        }
        let reborn = Membership { incarnation: Incarnation(0x0403_0202), ..record(2) };
        let picked = Membership::pick(&image(&reborn), &new, &key(), LEDGER);
        assert_eq!(picked, Ok(reborn), "a later life counts for more than a later generation");
    }
}
