//! Memory whose address and length direct I/O accepts.
//!
//! Holds: the address is a multiple of [`ALIGNMENT_BYTES`], the length never changes, and the bytes
//! never move while the value is moved. Which buffer is whose is the pool's and the backends' business.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// Alignment of every buffer's address and length, and of every direct offset, in bytes.
///
/// 4096 is the page size, and no smaller than the logical block of any disk that Linux drives with
/// direct I/O by default; a file system that asks for more is refused at open.
pub const ALIGNMENT_BYTES: usize = 4096;

/// A zeroed, aligned, fixed-length buffer on the heap.
///
/// Untouched pages cost no memory until they are first written.
pub struct AlignedBuf {
    /// One page more than the length, so that an aligned range of it always exists.
    bytes: Vec<u8>,
    start: usize,
    len: usize,
    /// The number of the pool that it belongs to, and its own number there.
    pool: Option<(u64, u16)>,
}

impl AlignedBuf {
    /// A zeroed buffer of `len_bytes`.
    ///
    /// # Panics
    /// If the length is zero, not a multiple of [`ALIGNMENT_BYTES`], or over 1 GiB (a larger
    /// transfer would not fit the kernel's count of one operation).
    #[must_use]
    pub fn new(len_bytes: usize) -> Self {
        assert!(len_bytes > 0 && len_bytes.is_multiple_of(ALIGNMENT_BYTES), "whole pages");
        assert!(len_bytes <= 1 << 30, "one operation moves less than 2 GiB");
        let bytes = vec![0_u8; len_bytes + ALIGNMENT_BYTES];
        let misaligned = bytes.as_ptr().addr() % ALIGNMENT_BYTES;
        let start = (ALIGNMENT_BYTES - misaligned) % ALIGNMENT_BYTES;
        let buffer = Self { bytes, start, len: len_bytes, pool: None };
        assert!(buffer.as_ptr().addr().is_multiple_of(ALIGNMENT_BYTES));
        buffer
    }

    /// The same, belonging to a pool.
    pub(crate) fn pooled(len_bytes: usize, pool: u64, index: u16) -> Self {
        Self { pool: Some((pool, index)), ..Self::new(len_bytes) }
    }

    /// The number of the pool that it belongs to.
    pub(crate) fn pool(&self) -> Option<u64> {
        self.pool.map(|(pool, _)| pool)
    }

    /// Its place in the table of registered buffers, if they are those of its pool.
    pub(crate) fn registered(&self, pool: Option<u64>) -> Option<u16> {
        let (own, index) = self.pool?;
        (pool == Some(own)).then_some(index)
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }
}

impl fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlignedBuf").field("len", &self.len).field("pool", &self.pool).finish_non_exhaustive()
    }
}

/// The length as the kernel takes it.
///
/// # Panics
/// If `len_bytes` is not a multiple of [`ALIGNMENT_BYTES`] or more than the buffer holds.
pub(crate) fn checked_len(buffer: &AlignedBuf, len_bytes: usize) -> u32 {
    assert!(len_bytes > 0 && len_bytes <= buffer.len(), "the transfer fits its buffer");
    assert!(len_bytes.is_multiple_of(ALIGNMENT_BYTES), "direct transfers are whole pages");
    u32::try_from(len_bytes).expect("a buffer is at most 1 GiB")
}

/// Checks that a direct transfer may begin here.
///
/// # Panics
/// If `offset` is not a multiple of [`ALIGNMENT_BYTES`].
pub(crate) fn check_offset(offset: u64) {
    assert!(offset.is_multiple_of(ALIGNMENT_BYTES as u64), "direct offsets are whole pages");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_zeroed_and_do_not_move() {
        for pages in [1, 2, 3, 256, 2048] {
            let mut buffer = AlignedBuf::new(pages * ALIGNMENT_BYTES);
            assert_eq!(buffer.len(), pages * ALIGNMENT_BYTES);
            assert!(buffer.iter().all(|byte| *byte == 0));
            buffer[pages * ALIGNMENT_BYTES - 1] = 7;
            let address = buffer.as_ptr().addr();
            let moved = [buffer];
            assert_eq!(moved[0].as_ptr().addr(), address);
            assert_eq!(moved[0].last(), Some(&7));
        }
    }

    #[test]
    #[should_panic(expected = "whole pages")]
    fn a_length_between_pages_is_a_bug() {
        let _buffer = AlignedBuf::new(ALIGNMENT_BYTES + 512);
    }

    #[test]
    #[should_panic(expected = "fits its buffer")]
    fn a_transfer_longer_than_its_buffer_is_a_bug() {
        checked_len(&AlignedBuf::new(ALIGNMENT_BYTES), 2 * ALIGNMENT_BYTES);
    }
}
