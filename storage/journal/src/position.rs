//! Where a byte of the journal lies: a segment's number and an offset in it.

use core::fmt;

/// A segment's number, from 0, in the order of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct SegmentNumber(pub u32);

impl SegmentNumber {
    /// The segment after this one.
    ///
    /// # Panics
    /// After 2^32 segments, which no disk holds.
    #[must_use]
    pub const fn next(self) -> Self {
        assert!(self.0 < u32::MAX);
        Self(self.0 + 1)
    }
}

impl fmt::Display for SegmentNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A place in the journal. Positions are ordered as the journal is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Position {
    /// The segment.
    pub segment: SegmentNumber,
    /// Bytes from the segment's beginning: a multiple of the stride where a frame begins.
    pub offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.segment, self.offset)
    }
}
