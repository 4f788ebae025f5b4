//! The sizes a journal is made with: written once in the superblock, never changed.

use model::limits::FRAME_BYTES_MAX;

/// The stride of a journal whose device was not measured, in bytes.
pub const STRIDE_BYTES_DEFAULT: u32 = 4096;
/// The largest stride, in bytes. The two copies of the superblock and of the slot lie this far
/// apart, so that one torn physical block never holds both.
pub const STRIDE_BYTES_MAX: u32 = 65_536;
/// The smallest stride, in bytes: the smallest sector there is. A header fits in it.
const STRIDE_BYTES_MIN: u32 = 512;
/// Strides of the smallest segment.
const SEGMENT_STRIDES_MIN: u64 = 4;
/// The largest segment, in bytes.
const SEGMENT_BYTES_MAX: u64 = 1 << 32;

const _: () = assert!(crate::HEADER_BYTES <= STRIDE_BYTES_MIN as usize, "a header is never torn in two");

/// Why a journal cannot have these sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GeometryError {
    /// The stride is not a power of two from 512 to 65,536.
    #[error("a stride of {0} bytes is not a power of two from 512 to 65536")]
    Stride(u32),
    /// The segment is not a multiple of the stride, of at least 4 strides and at most 4 GiB.
    #[error("a segment of {0} bytes is not a multiple of the stride, of at least 4 strides, at most 4 GiB")]
    Segment(u64),
}

/// The stride (what the device writes whole or not at all) and the size of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    stride: u32,
    segment_bytes: u64,
}

impl Geometry {
    /// Sizes in bytes.
    ///
    /// # Errors
    /// `GeometryError` for a size out of range.
    pub const fn new(stride: u32, segment_bytes: u64) -> Result<Self, GeometryError> {
        if !stride.is_power_of_two() || stride < STRIDE_BYTES_MIN || stride > STRIDE_BYTES_MAX {
            return Err(GeometryError::Stride(stride));
        }
        let wide = stride as u64;
        if !segment_bytes.is_multiple_of(wide)
            || segment_bytes < SEGMENT_STRIDES_MIN * wide
            || segment_bytes > SEGMENT_BYTES_MAX
        {
            return Err(GeometryError::Segment(segment_bytes));
        }
        Ok(Self { stride, segment_bytes })
    }

    /// Bytes of one stride.
    #[must_use]
    pub const fn stride(self) -> u32 {
        self.stride
    }

    /// Bytes of one segment.
    #[must_use]
    pub const fn segment_bytes(self) -> u64 {
        self.segment_bytes
    }

    /// The stride as a length in memory.
    #[must_use]
    pub const fn stride_len(self) -> usize {
        self.stride as usize
    }

    /// Bytes of the largest frame: `limits::FRAME_BYTES_MAX`, or a whole segment if that is less.
    #[must_use]
    pub fn frame_bytes_max(self) -> usize {
        usize::try_from(self.segment_bytes).map_or(FRAME_BYTES_MAX, |segment| segment.min(FRAME_BYTES_MAX))
    }

    /// Bytes on disk of a frame with `payload` bytes of payload; `None` if it would be too large.
    #[must_use]
    pub fn frame_bytes(self, payload: usize) -> Option<usize> {
        let bare = payload.checked_add(crate::HEADER_BYTES)?;
        let padded = bare.checked_next_multiple_of(self.stride_len())?;
        (padded <= self.frame_bytes_max()).then_some(padded)
    }

    /// The largest payload of one frame, in bytes.
    #[must_use]
    pub fn payload_bytes_max(self) -> usize {
        self.frame_bytes_max() - crate::HEADER_BYTES
    }
}

const _: () = assert!(FRAME_BYTES_MAX.is_multiple_of(STRIDE_BYTES_MAX as usize));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_out_of_range_are_refused() {
        for (stride, segment, expected) in [
            (0, 1 << 20, Err(GeometryError::Stride(0))),
            (256, 1 << 20, Err(GeometryError::Stride(256))),
            (4095, 1 << 20, Err(GeometryError::Stride(4095))),
            (131_072, 1 << 20, Err(GeometryError::Stride(131_072))),
            (4096, 0, Err(GeometryError::Segment(0))),
            (4096, 8192, Err(GeometryError::Segment(8192))),
            (4096, 16_385, Err(GeometryError::Segment(16_385))),
            (4096, 1 << 33, Err(GeometryError::Segment(1 << 33))),
            (512, 2048, Ok(())),
            (65_536, 1 << 32, Ok(())),
        ] {
            assert_eq!(Geometry::new(stride, segment).map(|_| ()), expected, "{stride} {segment}");
        }
    }

    #[test]
    fn a_frame_is_whole_strides_and_fits_a_segment() {
        let small = Geometry::new(512, 4096).unwrap();
        assert_eq!(small.frame_bytes_max(), 4096);
        assert_eq!(small.payload_bytes_max(), 4096 - crate::HEADER_BYTES);
        for (payload, expected) in [
            (0, Some(512)),
            (256, Some(512)),
            (257, Some(1024)),
            (3840, Some(4096)),
            (3841, None),
            (usize::MAX, None),
        ] {
            assert_eq!(small.frame_bytes(payload), expected, "{payload}");
        }
        let large = Geometry::new(4096, 256 << 20).unwrap();
        assert_eq!(large.frame_bytes_max(), FRAME_BYTES_MAX);
    }
}
