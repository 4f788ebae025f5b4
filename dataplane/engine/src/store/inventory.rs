//! `Inventory`: which segments there are and how long, against which there must be.
//!
//! Holds: it looks at names and lengths alone, so it costs a start next to nothing. Every segment from
//! the first retained one to the one in use has its whole length: it was written with zeros before the journal left
//! it. Leaves to others: what is in them.

use std::path::Path;

use disk::{DiskError, directory};
use journal::{SegmentFile, SegmentNumber, segment_number};

/// The first segment of a journal of which none is released.
pub(crate) const FIRST: SegmentNumber = SegmentNumber(0);

/// The segments of a data directory, and what else lies there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inventory {
    files: Vec<SegmentFile>,
    /// Names that no segment has, and what has a segment's name and is no file.
    pub(crate) strangers: Vec<String>,
}

/// A segment that is not as it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Which.
    pub segment: SegmentNumber,
    /// Bytes of its file; `None` if there is none.
    pub bytes: Option<u64>,
}

impl Inventory {
    /// Lists `directory`.
    ///
    /// # Errors
    /// If it cannot be listed.
    pub(crate) fn take(directory: &Path) -> Result<Self, DiskError> {
        let mut inventory = Self::default();
        for entry in directory::list(directory)? {
            match segment_number(&entry.name).filter(|_| entry.is_file) {
                Some(segment) => inventory.files.push(SegmentFile { segment, bytes: entry.len_bytes }),
                None => inventory.strangers.push(entry.name),
            }
        }
        Ok(inventory)
    }

    /// The segments from `first` on that are there.
    pub(crate) fn from(&self, first: SegmentNumber) -> impl Iterator<Item = SegmentNumber> + '_ {
        self.files.iter().map(|file| file.segment).filter(move |segment| *segment >= first)
    }

    /// What is not as it must be from `first` up to the segment in use, which is still being filled.
    pub(crate) fn gaps(&self, first: SegmentNumber, in_use: SegmentNumber, segment_bytes: u64) -> Vec<Gap> {
        let numbers = (first.0..in_use.0).map(SegmentNumber);
        numbers.filter_map(|segment| self.gap(segment, segment_bytes)).collect()
    }

    /// Whether a segment that the journal has left is not as it must be.
    pub(crate) fn gap(&self, segment: SegmentNumber, segment_bytes: u64) -> Option<Gap> {
        let found = self.files.iter().find(|file| file.segment == segment).map(|file| file.bytes);
        (found != Some(segment_bytes)).then_some(Gap { segment, bytes: found })
    }
}

#[cfg(test)]
mod tests {
    use journal::segment_file_name;

    use super::*;

    #[test]
    fn what_is_missing_short_or_strange_is_told() {
        let home = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: usize| std::fs::write(home.path().join(name), vec![0; bytes]).unwrap();
        for (segment, bytes) in [(0, 4_096), (1, 4_095), (3, 8_192), (4, 4_096), (5, 100), (6, 0)] {
            file(&segment_file_name(SegmentNumber(segment)), bytes);
        }
        file("0000000004.segment.bak", 1);
        file("4.segment", 1);
        std::fs::create_dir(home.path().join("0000000009.segment")).unwrap();
        let inventory = Inventory::take(home.path()).unwrap();
        assert_eq!(inventory.strangers, ["0000000004.segment.bak", "0000000009.segment", "4.segment"]);
        let gaps = |in_use| {
            let gaps = inventory.gaps(FIRST, SegmentNumber(in_use), 4_096);
            gaps.into_iter().map(|gap| (gap.segment.0, gap.bytes)).collect::<Vec<_>>()
        };
        assert_eq!(gaps(0), []);
        assert_eq!(gaps(1), []);
        assert_eq!(gaps(5), [(1, Some(4_095)), (2, None), (3, Some(8_192))]);
        assert_eq!(
            gaps(6).last(),
            Some(&(5, Some(100))),
            "nothing is before the segment in use but whole ones"
        );
    }
}
