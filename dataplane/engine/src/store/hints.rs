//! `Hints`: leaf hashes that an earlier run left in the derived files, for a replay that would
//! otherwise hash every record again.
//!
//! Holds: nothing is believed that the root in a frame's header does not bear out; the first hints
//! that lead to another root end them all. Leaves to others: hashing where there are none.

use std::path::Path;

use ledger::Hash;

use crate::tile_files;

/// Leaves at most: 32 MiB.
const LEAVES_MAX: usize = 1 << 20;

/// Leaf hashes of the records to come, if they are right.
#[derive(Debug, Default)]
pub(super) struct Hints {
    leaves: Vec<Hash>,
    used: usize,
}

impl Hints {
    /// What lies in `directory` after the first `from` leaves. To be read before the files are cut.
    pub(super) fn left_in(directory: &Path, from: u64) -> Self {
        Self { leaves: tile_files::leaves(directory, from, LEAVES_MAX), used: 0 }
    }

    /// How many leaves an earlier run had.
    pub(super) fn count(&self) -> u64 {
        u64::try_from(self.leaves.len()).expect("a length fits in 64 bits")
    }

    /// Those of the next `count` records: all of them, or none.
    pub(super) fn next(&mut self, count: usize) -> Vec<Hash> {
        let rest = self.leaves.get(self.used..).unwrap_or_default();
        let Some(next) = rest.get(..count).map(<[Hash]>::to_vec) else {
            self.end();
            return Vec::new();
        };
        self.used += count;
        next
    }

    /// There are no more.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_gets_all_of_its_leaves_or_none() {
        let home = tempfile::tempdir().unwrap();
        let leaves: Vec<Hash> = (0..10).map(|byte| [byte; 32]).collect();
        std::fs::write(home.path().join("level-0"), leaves.as_flattened()).unwrap();
        let mut hints = Hints::left_in(home.path(), 3);
        assert_eq!(hints.count(), 7);
        assert_eq!(hints.next(2), leaves[3..5]);
        assert!(hints.next(0).is_empty());
        assert_eq!(hints.next(4), leaves[5..9]);
        assert!(hints.next(2).is_empty(), "one is left");
        assert!(hints.next(1).is_empty(), "and is not the next frame's");
        for none in [Hints::left_in(home.path(), 10), Hints::left_in(home.path(), u64::MAX / 64)] {
            assert_eq!(none.count(), 0);
        }
        assert_eq!(Hints::left_in(&home.path().join("none"), 0).count(), 0);
    }
}
