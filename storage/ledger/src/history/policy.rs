//! Which runs are merged, and when: levels, each eight times as large as the one below.
//!
//! Holds: of runs that follow one another, what is not due leaves at most seven of a level where
//! none of a higher one lies between, and never more than `RUNS_MAX` in all; so a lookup reads a
//! number of runs that grows with the logarithm of the rows, and a row is written once for each
//! level.

use core::ops::Range;

/// Rows after which a run is written.
pub const RUN_ROWS: u64 = 1 << 16;
/// Runs that make one of the next level.
pub const MERGED_AT_ONCE: usize = 8;
/// Runs that follow one another at most, when nothing is due.
pub const RUNS_MAX: usize = 64;

/// Rows up to which runs are of the lowest level: starts and stops leave small ones.
const SMALL_ROWS: u64 = RUN_ROWS / 64;

/// The level of a run of so many rows.
fn level(rows: u64) -> u32 {
    (rows / SMALL_ROWS).checked_ilog2().map_or(0, |doublings| doublings / 3)
}

/// Which of the runs, given by their rows in the order of their entries, are to be merged now.
#[must_use]
pub fn due(rows: &[u64]) -> Option<Range<usize>> {
    let top = rows.iter().map(|rows| level(*rows)).max()?;
    for at in 0..=top {
        let mut from = 0;
        let mut count = 0;
        for (index, rows) in rows.iter().enumerate() {
            if level(*rows) > at {
                (from, count) = (index + 1, 0);
            } else if level(*rows) == at {
                count += 1;
            }
            if count == MERGED_AT_ONCE {
                return Some(from..index + 1);
            }
        }
    }
    if rows.len() <= RUNS_MAX {
        return None;
    }
    // Many small holes were filled: what is smallest together goes together.
    let (from, _) =
        rows.windows(MERGED_AT_ONCE).enumerate().min_by_key(|(_, some)| some.iter().sum::<u64>())?;
    Some(from..from + MERGED_AT_ONCE)
}
