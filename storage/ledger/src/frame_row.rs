//! `FrameRow`: where one frame lies and which root it left, as the frame index keeps it.
//!
//! Derived: it follows from the frame. Holds: a check over the ledger's id and the row, so a damaged
//! row, or one of another ledger, is never followed.

use model::{LedgerId, Seq, Timestamp};

use crate::HashKind;

/// Bytes of a row.
pub const FRAME_ROW_BYTES: usize = 72;
const BODY_BYTES: usize = FRAME_ROW_BYTES - 8;
/// Set beside the count if the frame carries slices.
const SLICES_FLAG: u64 = 1 << 31;

/// Where one frame lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRow {
    /// Its first entry.
    pub first_seq: Seq,
    /// Entries in it; at least one.
    pub count: u32,
    /// Its segment.
    pub segment: u32,
    /// Where it begins in the segment, in bytes.
    pub offset: u64,
    /// Ledger time of its batch.
    pub at: Timestamp,
    /// The root after it.
    pub root: [u8; 32],
    /// Whether there are slices among its entries.
    pub has_slices: bool,
}

impl FrameRow {
    /// Its last entry.
    ///
    /// # Panics
    /// If it has no entry.
    #[must_use]
    pub const fn last_seq(&self) -> Seq {
        assert!(self.count > 0);
        self.first_seq.plus(self.count as u64 - 1)
    }

    /// The row of a ledger as it is stored.
    #[must_use]
    pub fn encode(&self, hash: HashKind, ledger: LedgerId) -> [u8; FRAME_ROW_BYTES] {
        let flag = if self.has_slices { SLICES_FLAG } else { 0 };
        let place = u64::from(self.segment) << 32 | flag | u64::from(self.count);
        let mut row = [0; FRAME_ROW_BYTES];
        let (words, rest) = row.split_at_mut(32);
        for (bytes, word) in
            words.as_chunks_mut::<8>().0.iter_mut().zip([self.first_seq.0, place, self.offset, self.at.0])
        {
            *bytes = word.to_le_bytes();
        }
        rest.split_at_mut(32).0.copy_from_slice(&self.root);
        let (body, place) = row.split_at_mut(BODY_BYTES);
        place.copy_from_slice(&check(hash, ledger, body));
        row
    }

    /// Reads a row back; `None` if it is damaged or another ledger's.
    #[must_use]
    pub fn decode(row: &[u8; FRAME_ROW_BYTES], hash: HashKind, ledger: LedgerId) -> Option<Self> {
        let (body, stored) = row.split_at(BODY_BYTES);
        let (front, tail) = body.split_at(32);
        let mut words = front.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
        let mut word = || words.next().expect("four words in 32 bytes");
        let (first_seq, place, offset, at) = (word(), word(), word(), word());
        let mut root = [0; 32];
        root.copy_from_slice(tail);
        let found = Self {
            first_seq: Seq(first_seq),
            count: u32::try_from(place & (SLICES_FLAG - 1)).expect("masked"),
            segment: u32::try_from(place >> 32).expect("shifted"),
            offset,
            at: Timestamp(at),
            root,
            has_slices: place & SLICES_FLAG != 0,
        };
        // The check is no secret: what it vouches for may still be no row.
        let counted = found.count > 0 && first_seq.checked_add(u64::from(found.count)).is_some();
        (stored == check(hash, ledger, body) && counted).then_some(found)
    }
}

fn check(hash: HashKind, ledger: LedgerId, body: &[u8]) -> [u8; FRAME_ROW_BYTES - BODY_BYTES] {
    let mut bytes = [0; 16 + BODY_BYTES];
    let (front, back) = bytes.split_at_mut(16);
    front.copy_from_slice(&ledger.0);
    back.copy_from_slice(body);
    *hash.leaf(&bytes).first_chunk().expect("a hash is longer")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_the_ones_of_the_page() {
        let row = FrameRow {
            first_seq: Seq(7),
            count: 3,
            segment: 5,
            offset: 8192,
            at: Timestamp(99),
            root: [6; 32],
            has_slices: true,
        };
        let ledger = LedgerId([1; 16]);
        let hash = HashKind::Sha256;
        let bytes = row.encode(hash, ledger);
        assert_eq!(bytes[..8], 7_u64.to_le_bytes());
        assert_eq!(bytes[8..12], (3 | 1_u32 << 31).to_le_bytes());
        assert_eq!(bytes[12..16], 5_u32.to_le_bytes());
        assert_eq!(bytes[16..24], 8192_u64.to_le_bytes());
        assert_eq!(bytes[24..32], 99_u64.to_le_bytes());
        assert_eq!(bytes[32..64], [6; 32]);
        let checked = hash.leaf(&[&[1; 16], &bytes[..64]].concat());
        assert_eq!(bytes[64..], checked[..8]);
        assert_eq!(FrameRow::decode(&bytes, hash, ledger), Some(row));
        assert_eq!(FrameRow::decode(&bytes, hash, LedgerId([2; 16])), None, "another ledger's");
        for at in 0..FRAME_ROW_BYTES {
            let mut damaged = bytes;
            damaged[at] ^= 1;
            assert_eq!(FrameRow::decode(&damaged, hash, ledger), None, "byte {at}");
        }
    }
}
