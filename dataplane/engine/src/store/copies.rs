//! `Copies`: a ledger's journal as it is read, from one directory or from two.
//!
//! Leaves to others: which directories are believed (`Members`), which copy of a frame counts
//! (`journal::Mirrored`).

use disk::{Direct, DiskError};
use journal::{
    Expected, FrameKey, Mirrored, Position, ReadFailure, Repair, SegmentFile, SegmentNumber, SegmentSource,
    Superblock,
};

use super::{Places, Segments};

/// One copy or two.
#[derive(Debug)]
pub(crate) enum Copies {
    One(Box<Segments>),
    Two(Box<Mirrored<Segments, Segments>>),
}

impl Copies {
    /// Lists the segments of one or two directories.
    ///
    /// # Errors
    /// If a directory cannot be listed.
    pub(crate) fn open<'a>(
        places: impl IntoIterator<Item = &'a Places>,
        superblock: &Superblock,
        key: &FrameKey,
        direct: Direct,
    ) -> Result<Self, DiskError> {
        let mut places = places.into_iter();
        let first = places.next().expect("a ledger has a directory");
        let first = Segments::open(&first.segments(), direct)?;
        let Some(second) = places.next() else { return Ok(Self::One(Box::new(first))) };
        let second = Segments::open(&second.segments(), direct)?;
        let expected =
            Expected { geometry: superblock.geometry, ledger: superblock.ledger, key: key.clone() };
        Ok(Self::Two(Box::new(Mirrored::new(first, second, expected))))
    }

    /// As [`Segments::read_ahead`], of each copy.
    pub(crate) fn read_ahead(&mut self) {
        match self {
            Self::One(segments) => segments.read_ahead(),
            Self::Two(copies) => {
                let (first, second) = copies.parts();
                first.read_ahead();
                second.read_ahead();
            }
        }
    }

    /// Why the last read failed, in full.
    pub(crate) fn take_failure(&mut self) -> Option<DiskError> {
        match self {
            Self::One(segments) => segments.take_failure(),
            Self::Two(copies) => {
                let (first, second) = copies.parts();
                first.take_failure().or_else(|| second.take_failure())
            }
        }
    }

    /// What one copy lacks of the frames before `end`.
    pub(crate) fn repairs_before(&self, end: Position) -> Vec<Repair> {
        match self {
            Self::One(_) => Vec::new(),
            Self::Two(copies) => copies.repairs_before(end).collect(),
        }
    }
}

impl SegmentSource for Copies {
    fn segments(&self) -> &[SegmentFile] {
        match self {
            Self::One(segments) => segments.segments(),
            Self::Two(copies) => copies.segments(),
        }
    }

    fn read(&mut self, segment: SegmentNumber, offset: u64, buffer: &mut [u8]) -> Result<(), ReadFailure> {
        match self {
            Self::One(segments) => segments.read(segment, offset, buffer),
            Self::Two(copies) => copies.read(segment, offset, buffer),
        }
    }
}
