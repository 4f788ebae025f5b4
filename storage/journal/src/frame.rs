//! A frame: one batch on disk. 256 bytes of header, the payload, zeros up to the stride.
//!
//! Holds: the header has its own keyed hash and holds the payload's, so a header is believed before
//! its length is used, and nobody without the key can make one. A frame names its own place, so a
//! frame that lies anywhere else is not a frame.
//! Leaves to others: whether a frame follows the one before (`recovery`).

use model::{Epoch, Incarnation, LedgerId, Seq, Timestamp, limits::FRAME_ENTRIES_MAX};

use crate::{
    FrameHash, FrameKey, FrameNumber, Geometry, Position, SegmentNumber,
    fields::{Reader, Writer, is_zero},
};

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 256;
/// The frame format that this build writes and reads. 0 may still change.
pub const FRAME_FORMAT: u16 = 0;

const MAGIC: [u8; 8] = *b"MNFRAME\0";
/// Where the hash of the header begins: it covers everything before it.
const HASHED_BYTES: usize = 224;

/// Why bytes are not a frame of this journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Only zeros: nothing was written here.
    #[error("nothing is written here")]
    Empty,
    /// Fewer bytes than a header, or than the header says.
    #[error("the bytes end before the frame does")]
    Truncated,
    /// No frame begins here.
    #[error("no frame begins here")]
    Magic,
    /// The header is damaged, or was not written with this key.
    #[error("the header's hash does not match")]
    Header,
    /// A format that this build does not read.
    #[error("frame format {0} is not known to this build")]
    Format(u16),
    /// A field of an authentic header is outside its range.
    #[error("a field of the header is outside its range: {0}")]
    Field(&'static str),
    /// The payload is damaged.
    #[error("the payload's hash does not match")]
    Payload,
}

/// What a frame says about itself and about the journal at the time it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Whose frame.
    pub ledger: LedgerId,
    /// Which life of the ledger.
    pub incarnation: Incarnation,
    /// Which start of the ledger.
    pub epoch: Epoch,
    /// The frame's number.
    pub frame: FrameNumber,
    /// Where the frame lies.
    pub position: Position,
    /// The first entry's number; of an empty frame, the number the next entry will have.
    pub first_seq: Seq,
    /// Entries, 0 to `limits::FRAME_ENTRIES_MAX`.
    pub count: u32,
    /// Ledger time of the batch.
    pub at: Timestamp,
    /// The hash of the frame before.
    pub previous: FrameHash,
    /// The last frame that was durable, with all before it, when this one was written.
    pub durable_frame: FrameNumber,
    /// The last entry that was durable when this frame was written.
    pub durable: Seq,
    /// Leaves of the newest finished tree; at most the last entry of this frame.
    pub tree_size: u64,
    /// The root of that tree.
    pub root: [u8; 32],
    /// Bytes that recovery cut before this epoch: told once, in the first frame after the cut.
    pub cut_bytes: u64,
    /// Bytes of payload.
    pub payload_bytes: u32,
}

impl FrameHeader {
    /// The last entry's number; of an empty frame, that of the entry before.
    #[must_use]
    pub fn last_seq(&self) -> Seq {
        Seq(self.first_seq.0 + u64::from(self.count) - 1)
    }

    /// Believes the first 256 of `bytes` or says why not. Nothing is read from a header whose hash
    /// does not match.
    ///
    /// # Errors
    /// Every `FrameError` but `Payload`.
    pub fn parse(bytes: &[u8], key: &FrameKey, geometry: Geometry) -> Result<ParsedHeader, FrameError> {
        let bytes: &[u8; HEADER_BYTES] = bytes.first_chunk().ok_or(FrameError::Truncated)?;
        if bytes[..MAGIC.len()] != MAGIC {
            let empty = is_zero(bytes);
            return Err(if empty { FrameError::Empty } else { FrameError::Magic });
        }
        let hash = key.header_hash(&bytes[..HASHED_BYTES]);
        if bytes[HASHED_BYTES..] != hash {
            return Err(FrameError::Header);
        }
        let mut fields = Reader::new(bytes);
        let _magic: [u8; 8] = fields.take();
        let format = fields.u16();
        if format != FRAME_FORMAT {
            return Err(FrameError::Format(format));
        }
        let reserved = fields.u16();
        let payload_bytes = fields.u32();
        let header = Self::fields(&mut fields, payload_bytes);
        if reserved != 0 || !fields.zeros_to(HASHED_BYTES - 32) {
            return Err(FrameError::Field("reserved"));
        }
        let payload_hash = fields.take();
        let frame_bytes = header.check(geometry)?;
        Ok(ParsedHeader { header, hash: FrameHash(hash), payload_hash, frame_bytes })
    }

    fn fields(fields: &mut Reader<'_>, payload_bytes: u32) -> Self {
        Self {
            payload_bytes,
            ledger: LedgerId(fields.take()),
            incarnation: Incarnation(fields.u32()),
            epoch: Epoch(fields.u32()),
            frame: FrameNumber(fields.u64()),
            first_seq: Seq(fields.u64()),
            count: fields.u32(),
            position: Position { segment: SegmentNumber(fields.u32()), offset: fields.u64() },
            at: Timestamp(fields.u64()),
            durable_frame: FrameNumber(fields.u64()),
            durable: Seq(fields.u64()),
            tree_size: fields.u64(),
            root: fields.take(),
            previous: FrameHash(fields.take()),
            cut_bytes: fields.u64(),
        }
    }

    fn write(&self, fields: &mut Writer<'_>, payload_hash: &[u8; 32]) {
        fields.bytes(&MAGIC);
        fields.u16(FRAME_FORMAT);
        fields.u16(0);
        fields.u32(self.payload_bytes);
        fields.bytes(&self.ledger.0);
        fields.u32(self.incarnation.0);
        fields.u32(self.epoch.0);
        fields.u64(self.frame.0);
        fields.u64(self.first_seq.0);
        fields.u32(self.count);
        fields.u32(self.position.segment.0);
        fields.u64(self.position.offset);
        fields.u64(self.at.0);
        fields.u64(self.durable_frame.0);
        fields.u64(self.durable.0);
        fields.u64(self.tree_size);
        fields.bytes(&self.root);
        fields.bytes(&self.previous.0);
        fields.u64(self.cut_bytes);
        fields.zeros_to(HASHED_BYTES - 32);
        fields.bytes(payload_hash);
    }

    /// The relations that every frame keeps; returns its bytes on disk.
    fn check(&self, geometry: Geometry) -> Result<usize, FrameError> {
        let payload = usize::try_from(self.payload_bytes).map_err(|_| FrameError::Field("payload length"))?;
        let bytes = geometry.frame_bytes(payload).ok_or(FrameError::Field("payload length"))?;
        let end = self.position.offset.checked_add(bytes as u64).ok_or(FrameError::Field("offset"))?;
        if !self.position.offset.is_multiple_of(u64::from(geometry.stride()))
            || end > geometry.segment_bytes()
        {
            return Err(FrameError::Field("offset"));
        }
        if self.frame == FrameNumber::ZERO || self.durable_frame >= self.frame {
            return Err(FrameError::Field("frame number"));
        }
        if self.count as usize > FRAME_ENTRIES_MAX {
            return Err(FrameError::Field("count"));
        }
        let next = self.first_seq.0.checked_add(u64::from(self.count));
        let Some(last) = next.and_then(|next| next.checked_sub(1)) else {
            return Err(FrameError::Field("first seq"));
        };
        if self.first_seq == Seq::ZERO || self.durable >= self.first_seq {
            return Err(FrameError::Field("durable"));
        }
        if self.tree_size > last {
            return Err(FrameError::Field("tree size"));
        }
        Ok(bytes)
    }
}

/// A header that is authentic; its payload has not been looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParsedHeader {
    /// The header.
    pub header: FrameHeader,
    /// The frame's hash.
    pub hash: FrameHash,
    /// Bytes of the frame on disk, padding included.
    pub frame_bytes: usize,
    payload_hash: [u8; 32],
}

/// A frame that is whole and authentic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The header.
    pub header: FrameHeader,
    /// The frame's hash.
    pub hash: FrameHash,
    /// The payload, in place.
    pub payload: &'a [u8],
    /// The bytes from the payload to the frame's end, zeros as they were sealed; no hash covers them,
    /// and empty if the caller's bytes end before.
    pub padding: &'a [u8],
    /// Bytes of the frame on disk, padding included.
    pub frame_bytes: usize,
}

/// What sealing made of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The frame's hash.
    pub hash: FrameHash,
    /// Bytes to write: header, payload and zeros up to the stride.
    pub frame_bytes: usize,
}

/// Makes a frame of `buffer`, in which the payload already lies at `HEADER_BYTES..`: writes the
/// header before it and zeros after it.
///
/// # Panics
/// If a field is out of range or the buffer is smaller than the frame.
pub fn seal(header: &FrameHeader, key: &FrameKey, geometry: Geometry, buffer: &mut [u8]) -> Sealed {
    let frame_bytes = match header.check(geometry) {
        Ok(bytes) => bytes,
        Err(error) => panic!("a frame to be sealed is in range: {error}"),
    };
    let end = HEADER_BYTES + header.payload_bytes as usize;
    assert!(buffer.len() >= frame_bytes, "the buffer holds the frame");
    buffer[end..frame_bytes].fill(0);
    let payload_hash = key.payload_hash(&buffer[HEADER_BYTES..end]);
    header.write(&mut Writer::new(&mut buffer[..HASHED_BYTES]), &payload_hash);
    let hash = key.header_hash(&buffer[..HASHED_BYTES]);
    buffer[HASHED_BYTES..HEADER_BYTES].copy_from_slice(&hash);
    Sealed { hash: FrameHash(hash), frame_bytes }
}

/// The frame at the beginning of `bytes`, which may go on after it. The padding is not looked at.
///
/// # Errors
/// `FrameError` if the bytes are not a whole frame written with this key.
pub fn open<'a>(bytes: &'a [u8], key: &FrameKey, geometry: Geometry) -> Result<Frame<'a>, FrameError> {
    let parsed = FrameHeader::parse(bytes, key, geometry)?;
    parsed.open(bytes, key)
}

impl ParsedHeader {
    /// Checks the payload that follows the header in `bytes`.
    ///
    /// # Errors
    /// `Truncated` if `bytes` are too few, `Payload` if the payload is damaged.
    pub fn open<'a>(&self, bytes: &'a [u8], key: &FrameKey) -> Result<Frame<'a>, FrameError> {
        let end = HEADER_BYTES + self.header.payload_bytes as usize;
        let payload = bytes.get(HEADER_BYTES..end).ok_or(FrameError::Truncated)?;
        if key.payload_hash(payload) != self.payload_hash {
            return Err(FrameError::Payload);
        }
        let padding = bytes.get(end..self.frame_bytes).unwrap_or_default();
        Ok(Frame { header: self.header, hash: self.hash, payload, padding, frame_bytes: self.frame_bytes })
    }
}

#[cfg(test)]
mod tests;
