//! A part of a segment in memory, read forward in large pieces.

use alloc::vec::Vec;

use super::{READ_BYTES, RecoveryError, SegmentFile, SegmentSource};
use crate::{Geometry, Position, SegmentNumber};

/// Bytes `start..start + len` of `segment` lie at the buffer's beginning.
pub(super) struct Window<'a> {
    buffer: &'a mut [u8],
    geometry: Geometry,
    files: Vec<SegmentFile>,
    segment: SegmentNumber,
    start: u64,
    len: usize,
}

impl<'a> Window<'a> {
    pub(super) fn new(buffer: &'a mut [u8], geometry: Geometry, files: &[SegmentFile]) -> Self {
        assert!(files.windows(2).all(|pair| pair[0].segment < pair[1].segment), "segments are in order");
        let files = files.to_vec();
        Self { buffer, geometry, files, segment: SegmentNumber(0), start: 0, len: 0 }
    }

    /// Segments from `first` on that are there.
    pub(super) fn segments_from(&self, first: SegmentNumber) -> Vec<SegmentNumber> {
        self.files.iter().map(|file| file.segment).filter(|segment| *segment >= first).collect()
    }

    /// Whole strides that the segment's file has, in bytes; zero if there is no file.
    pub(super) fn segment_bytes(&self, segment: SegmentNumber) -> u64 {
        let found = self.files.binary_search_by_key(&segment, |file| file.segment);
        let bytes = found.map_or(0, |index| self.files[index].bytes).min(self.geometry.segment_bytes());
        bytes - bytes % u64::from(self.geometry.stride())
    }

    /// The bytes at `place`: at least `want` of them, or as many as the segment has. `want` is at
    /// most a frame, and `place` at a stride.
    pub(super) fn bytes<S: SegmentSource, E>(
        &mut self,
        source: &mut S,
        place: Position,
        want: usize,
    ) -> Result<&[u8], RecoveryError<E>> {
        assert!(want <= self.geometry.frame_bytes_max());
        let left = self.segment_bytes(place.segment).saturating_sub(place.offset);
        let want = usize::try_from(left).map_or(want, |left| want.min(left));
        if want == 0 {
            return Ok(&[]);
        }
        let inside = self.segment == place.segment
            && place.offset >= self.start
            && place.offset - self.start <= self.len as u64;
        let at = if inside { distance(self.start, place.offset) } else { 0 };
        if inside && self.len - at >= want {
            return Ok(&self.buffer[at..self.len]);
        }
        if inside {
            self.buffer.copy_within(at..self.len, 0);
            self.len -= at;
        } else {
            self.len = 0;
        }
        (self.segment, self.start) = (place.segment, place.offset);
        while self.len < want {
            let offset = self.start + self.len as u64;
            let rest = usize::try_from(left - self.len as u64).unwrap_or(READ_BYTES);
            let end = self.len + rest.min(READ_BYTES);
            source
                .read(self.segment, offset, &mut self.buffer[self.len..end])
                .map_err(|failure| RecoveryError::Read { segment: place.segment, offset, failure })?;
            self.len = end;
        }
        Ok(&self.buffer[..self.len])
    }
}

fn distance(from: u64, to: u64) -> usize {
    usize::try_from(to - from).expect("the window is in memory")
}
