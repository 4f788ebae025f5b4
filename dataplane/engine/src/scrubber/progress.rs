//! `Progress`: how far the scrub came, over restarts.
//!
//! One line of text in `scrub`: the format, the next segment, and when the last pass ended. It implies
//! nothing: one that is lost, damaged or false costs a pass from the beginning, or one that begins late.

use std::path::Path;

use disk::{DiskError, directory};
use journal::SegmentNumber;
use model::Timestamp;

use crate::store::FIRST;

/// The file in the ledger's directory.
const FILE: &str = "scrub";
const FORMAT: &str = "0";
const BYTES_MAX: u64 = 64;

/// How far the scrub came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// The segment to go on with; the first one if no pass is under way.
    pub(super) next: SegmentNumber,
    /// When the last pass ended.
    pub(super) passed: Timestamp,
}

impl Progress {
    const NONE: Self = Self { next: FIRST, passed: Timestamp(0) };

    /// What the last process noted; nothing if that cannot be read.
    pub(super) fn read(root: &Path) -> Self {
        let bytes = directory::read_file(&root.join(FILE), BYTES_MAX).unwrap_or_default();
        Self::parse(&bytes).unwrap_or(Self::NONE)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut words = text.split_ascii_whitespace();
        if words.next() != Some(FORMAT) {
            return None;
        }
        let next = SegmentNumber(words.next()?.parse().ok()?);
        let passed = Timestamp(words.next()?.parse().ok()?);
        words.next().is_none().then_some(Self { next, passed })
    }

    /// Notes it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn write(&self, root: &Path) -> Result<(), DiskError> {
        let text = format!("{FORMAT} {} {}\n", self.next.0, self.passed.0);
        directory::replace_file(&root.join(FILE), text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_back_and_anything_else_begins_anew() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(Progress::read(home.path()), Progress::NONE);
        let progress = Progress { next: SegmentNumber(u32::MAX), passed: Timestamp(u64::MAX) };
        progress.write(home.path()).unwrap();
        assert_eq!(Progress::read(home.path()), progress);
        for other in ["", "0", "1 2 3", "0 -1 3", "0 2 3 4", "0 4294967296 1", "\u{fffd}", &"0 ".repeat(99)] {
            std::fs::write(home.path().join(FILE), other).unwrap();
            assert_eq!(Progress::read(home.path()), Progress::NONE, "{other:?}");
        }
    }
}
