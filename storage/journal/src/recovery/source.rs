//! Where recovery reads from.

use crate::SegmentNumber;

/// Bytes of one read, where there is as much to read.
pub const READ_BYTES: usize = 2 << 20;

/// How a read failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFailure {
    /// The kernel's error number.
    Error(i32),
    /// The file ended before the read did.
    Short,
}

/// A segment that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentFile {
    /// Its number.
    pub segment: SegmentNumber,
    /// Bytes of its file: less than a segment's while it is being prepared.
    pub bytes: u64,
}

/// The journal's segments, wherever they lie.
pub trait SegmentSource {
    /// The segments that are there, in ascending order.
    fn segments(&self) -> &[SegmentFile];

    /// Fills `buffer` from the segment's bytes at `offset`. Offsets and lengths are whole strides.
    ///
    /// # Errors
    /// `ReadFailure` if any byte of it cannot be had.
    fn read(&mut self, segment: SegmentNumber, offset: u64, buffer: &mut [u8]) -> Result<(), ReadFailure>;
}
