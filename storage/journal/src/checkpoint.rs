//! The container of a checkpoint: a header that ties an opaque payload to a place in the journal.
//!
//! Holds: a checkpoint counts only if the frame it ends with lies in the journal, at the place and
//! with the hash that it names. Its file appears under its name whole or not at all (written beside,
//! synced, renamed, directory synced).
//! Leaves to others: what the payload means, and to take only frames that are durable.

use model::{Incarnation, LedgerId, Seq};

use crate::{
    FrameHash, FrameKey, FrameNumber, ImageError, Position, SegmentNumber,
    fields::{Reader, Writer},
    image,
};

/// Bytes before the payload.
pub const CHECKPOINT_HEADER_BYTES: usize = 256;

const MAGIC: [u8; 8] = *b"MNCHECK\0";
const FORMAT: u16 = 0;
const HASHED_BYTES: usize = CHECKPOINT_HEADER_BYTES - 32;

/// What a checkpoint says: the state of the ledger after `frame`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose checkpoint.
    pub ledger: LedgerId,
    /// Which life of the ledger.
    pub incarnation: Incarnation,
    /// The last frame it contains; never zero.
    pub frame: FrameNumber,
    /// That frame's hash.
    pub hash: FrameHash,
    /// Where that frame begins; replay goes on after it.
    pub position: Position,
    /// The last entry it contains.
    pub through: Seq,
    /// Leaves of the tree that its payload holds.
    pub tree_size: u64,
    /// The root of that tree.
    pub root: [u8; 32],
}

impl Checkpoint {
    /// The header of a file whose payload is `payload`.
    ///
    /// # Panics
    /// If `frame` is zero: a ledger without frames needs no checkpoint.
    pub fn encode_header(&self, key: &FrameKey, payload: &[u8], header: &mut [u8; CHECKPOINT_HEADER_BYTES]) {
        assert!(self.frame > FrameNumber::ZERO && self.tree_size <= self.through.0);
        let mut fields = Writer::new(header);
        fields.bytes(&MAGIC);
        fields.u16(FORMAT);
        fields.u16(0);
        fields.u32(self.incarnation.0);
        fields.bytes(&self.ledger.0);
        fields.u64(self.frame.0);
        fields.bytes(&self.hash.0);
        fields.u32(self.position.segment.0);
        fields.u32(0);
        fields.u64(self.position.offset);
        fields.u64(self.through.0);
        fields.u64(self.tree_size);
        fields.bytes(&self.root);
        fields.u64(payload.len() as u64);
        fields.bytes(&key.checkpoint_hash(payload));
        fields.zeros_to(HASHED_BYTES);
        let hash = key.checkpoint_hash(&header[..HASHED_BYTES]);
        header[HASHED_BYTES..].copy_from_slice(&hash);
    }

    /// Reads the header alone: what it claims, before the payload is worth reading.
    ///
    /// # Errors
    /// `ImageError`: which of foreign, another format, damaged, another ledger's, out of range.
    pub fn decode_header(bytes: &[u8], key: &FrameKey, ledger: LedgerId) -> Result<Self, ImageError> {
        Self::parse(bytes, key, ledger).map(|(checkpoint, _, _)| checkpoint)
    }

    /// Reads a whole file: the header and the payload after it.
    ///
    /// # Errors
    /// As `decode_header`; `Truncated` or `Damaged` also for the payload.
    pub fn decode<'a>(
        bytes: &'a [u8],
        key: &FrameKey,
        ledger: LedgerId,
    ) -> Result<(Self, &'a [u8]), ImageError> {
        let (checkpoint, payload_bytes, payload_hash) = Self::parse(bytes, key, ledger)?;
        let payload = &bytes[CHECKPOINT_HEADER_BYTES..];
        if payload.len() as u64 != payload_bytes {
            return Err(ImageError::Truncated);
        }
        if key.checkpoint_hash(payload) != payload_hash {
            return Err(ImageError::Damaged);
        }
        Ok((checkpoint, payload))
    }

    fn parse(bytes: &[u8], key: &FrameKey, ledger: LedgerId) -> Result<(Self, u64, [u8; 32]), ImageError> {
        let header: &[u8; CHECKPOINT_HEADER_BYTES] = bytes.first_chunk().ok_or(ImageError::Truncated)?;
        image::check(header, MAGIC, |body| key.checkpoint_hash(body), FORMAT)?;
        let mut fields = Reader::new(header);
        let _magic_and_format: [u8; 10] = fields.take();
        let flags = fields.u16();
        let incarnation = Incarnation(fields.u32());
        let found = LedgerId(fields.take());
        let (frame, hash) = (FrameNumber(fields.u64()), FrameHash(fields.take()));
        let segment = SegmentNumber(fields.u32());
        let gap = fields.u32();
        let position = Position { segment, offset: fields.u64() };
        let (through, tree_size, root) = (Seq(fields.u64()), fields.u64(), fields.take());
        let (payload_bytes, payload_hash) = (fields.u64(), fields.take());
        if flags != 0 || gap != 0 || !fields.zeros_to(HASHED_BYTES) {
            return Err(ImageError::Field("reserved"));
        }
        if found != ledger {
            return Err(ImageError::OtherLedger);
        }
        if frame == FrameNumber::ZERO {
            return Err(ImageError::Field("frame number"));
        }
        if tree_size > through.0 {
            return Err(ImageError::Field("tree size"));
        }
        let checkpoint = Self { ledger, incarnation, frame, hash, position, through, tree_size, root };
        Ok((checkpoint, payload_bytes, payload_hash))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    const LEDGER: LedgerId = LedgerId([1; 16]);

    fn key() -> FrameKey {
        FrameKey::new(&[3; 32])
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            ledger: LEDGER,
            incarnation: Incarnation(2),
            frame: FrameNumber(5),
            hash: FrameHash([6; 32]),
            position: Position { segment: SegmentNumber(1), offset: 8192 },
            through: Seq(40),
            tree_size: 39,
            root: [7; 32],
        }
    }

    fn file(payload: &[u8]) -> Vec<u8> {
        let mut header = [0xff; CHECKPOINT_HEADER_BYTES];
        checkpoint().encode_header(&key(), payload, &mut header);
        let mut file = header.to_vec();
        file.extend_from_slice(payload);
        file
    }

    #[test]
    fn reads_back() {
        for payload in [&b""[..], b"balances"] {
            let file = file(payload);
            assert_eq!(Checkpoint::decode(&file, &key(), LEDGER), Ok((checkpoint(), payload)));
            assert_eq!(Checkpoint::decode_header(&file, &key(), LEDGER), Ok(checkpoint()));
        }
    }

    #[test]
    fn every_flipped_bit_and_every_missing_byte_is_refused() {
        let whole = file(b"balances");
        for byte in 8..whole.len() {
            let mut flipped = whole.clone();
            flipped[byte] ^= 4;
            assert_eq!(Checkpoint::decode(&flipped, &key(), LEDGER), Err(ImageError::Damaged), "byte {byte}");
        }
        for length in 0..whole.len() {
            let cut = Checkpoint::decode(&whole[..length], &key(), LEDGER);
            assert_eq!(cut, Err(ImageError::Truncated), "{length} bytes");
        }
        assert_eq!(Checkpoint::decode(&whole, &key(), LedgerId([2; 16])), Err(ImageError::OtherLedger));
        assert_eq!(Checkpoint::decode(&[b'x'; 300], &key(), LEDGER), Err(ImageError::Foreign));
    }
}
