//! Merging runs that follow one another into one.

use alloc::vec::Vec;

use super::{
    block::HistoryBlock,
    row::HistoryRow,
    run::{Blocks, LookupError, RunBuilder, RunRows},
};

/// Why runs cannot be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError<R, W> {
    /// The run of this index cannot be read.
    #[error("run {index}: {error}")]
    Read {
        /// Which of those given.
        index: usize,
        /// Why.
        error: LookupError<R>,
    },
    /// The row of this run does not follow the one before it, though each run is whole: one of them
    /// says what the journal does not.
    #[error("run {index} contradicts another")]
    Contradiction {
        /// Which of those given.
        index: usize,
    },
    /// The block cannot be written.
    #[error("{0}")]
    Write(W),
}

/// Pushes all rows of `runs`, which are in the order of their entries, into `builder`. Holds one
/// block of each run.
///
/// # Errors
/// `MergeError`.
pub fn merge<B: Blocks, W>(
    runs: Vec<RunRows<'_, B>>,
    builder: &mut RunBuilder,
    write: &mut impl FnMut(&HistoryBlock) -> Result<(), W>,
) -> Result<(), MergeError<B::Error, W>> {
    let mut heads = Vec::with_capacity(runs.len());
    for (index, mut rows) in runs.into_iter().enumerate() {
        if let Some(row) = take(index, &mut rows)? {
            heads.push((row, index, rows));
        }
    }
    let mut last: Option<HistoryRow> = None;
    loop {
        let least = heads.iter_mut().min_by_key(|(row, index, _)| (row.key, *index));
        let Some((row, index, rows)) = least else { return Ok(()) };
        let (next, index) = (*row, *index);
        if last.is_some_and(|last| !next.follows(&last)) {
            return Err(MergeError::Contradiction { index });
        }
        builder.push(&next, write).map_err(MergeError::Write)?;
        last = Some(next);
        match take(index, rows)? {
            Some(after) => *row = after,
            None => heads.retain(|(_, ended, _)| *ended != index),
        }
    }
}

fn take<B: Blocks, W>(
    index: usize,
    rows: &mut RunRows<'_, B>,
) -> Result<Option<HistoryRow>, MergeError<B::Error, W>> {
    rows.next().transpose().map_err(|error| MergeError::Read { index, error })
}
