//! `Slice`: one sealed slice of usage, as it stands in the ledger. Moves no money.

use rkyv::{Archive, Deserialize, Serialize};

use crate::{
    BatchError, Head, Seq, Timestamp,
    limits::{RECORD_BYTES, SLICE_BODY_BYTES_MAX},
    posting::HeadRecord,
};

/// A sealed slice: identity, place in its stream's chain, totals. Its rows are the body that
/// lies in the same frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// What every entry has.
    pub head: Head,
    /// Digest of tenant and stream name: which stream it belongs to.
    pub stream: [u8; 16],
    /// Its number in the stream, from 1.
    pub number: u64,
    /// Start of its window, milliseconds since 1970.
    pub window_start_millis: u64,
    /// Length of its window in milliseconds.
    pub window_millis: u32,
    /// Rows in its body.
    pub rows: u32,
    /// BLAKE3 of the body.
    pub digest: [u8; 32],
    /// BLAKE3 of the body of the slice before it in the stream, zero for the first.
    pub previous: [u8; 32],
    /// Requests in all rows.
    pub requests: u128,
    /// Inbound bytes in all rows.
    pub bytes_in: u128,
    /// Outbound bytes in all rows.
    pub bytes_out: u128,
    /// Blind of its leaf.
    pub blind: [u8; 16],
    /// Where its body begins among the bodies of the frame.
    pub body_at: u32,
    /// Bytes of its body.
    pub body_len: u32,
}

/// The stored form of `Slice`: 216 bytes.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug)]
pub(crate) struct SliceRecord {
    head: HeadRecord,
    number: u64,
    stream: [u8; 16],
    digest: [u8; 32],
    previous: [u8; 32],
    requests: u128,
    bytes_in: u128,
    bytes_out: u128,
    blind: [u8; 16],
    window_start_millis: u64,
    window_millis: u32,
    rows: u32,
    body_at: u32,
    body_len: u32,
    spare: [u8; 32],
}

const _: () = assert!(size_of::<ArchivedSliceRecord>() == RECORD_BYTES);
const _: () = assert!(align_of::<ArchivedSliceRecord>() == 1);

impl SliceRecord {
    pub(crate) fn new(slice: &Slice) -> Self {
        Self {
            head: HeadRecord::new(&slice.head, 0),
            number: slice.number,
            stream: slice.stream,
            digest: slice.digest,
            previous: slice.previous,
            requests: slice.requests,
            bytes_in: slice.bytes_in,
            bytes_out: slice.bytes_out,
            blind: slice.blind,
            window_start_millis: slice.window_start_millis,
            window_millis: slice.window_millis,
            rows: slice.rows,
            body_at: slice.body_at,
            body_len: slice.body_len,
            spare: [0; 32],
        }
    }
}

impl ArchivedSliceRecord {
    pub(crate) fn parse(&self, seq: Seq, at: Timestamp) -> Result<Slice, BatchError> {
        let body_len = self.body_len.to_native();
        if usize::try_from(body_len).map_or(true, |len| len > SLICE_BODY_BYTES_MAX) {
            return Err(BatchError::Field("slice body length"));
        }
        if self.spare != [0; 32] {
            return Err(BatchError::Field("spare bytes of a slice"));
        }
        Ok(Slice {
            head: self.head.parse(seq, at)?,
            stream: self.stream,
            number: self.number.to_native(),
            window_start_millis: self.window_start_millis.to_native(),
            window_millis: self.window_millis.to_native(),
            rows: self.rows.to_native(),
            digest: self.digest,
            previous: self.previous,
            requests: self.requests.to_native(),
            bytes_in: self.bytes_in.to_native(),
            bytes_out: self.bytes_out.to_native(),
            blind: self.blind,
            body_at: self.body_at.to_native(),
            body_len,
        })
    }
}
