//! `RunReader` and `RunBuilder`: a run's rows, looked up block by block and written in order.

use alloc::vec::Vec;

use model::Seq;

use super::{
    block::{BlockWriter, HISTORY_BLOCK_BYTES, HistoryBlock, RunError, RunName, decode_block},
    header::RunHeader,
    row::{HistoryKey, HistoryRow},
};

/// Where the blocks of a run come from.
pub trait Blocks {
    /// Why one cannot be had.
    type Error;

    /// Reads block `number`, counted from the first one after the header.
    ///
    /// # Errors
    /// What the source says.
    fn read(&self, number: u64, block: &mut HistoryBlock) -> Result<(), Self::Error>;
}

/// Why a lookup has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError<E> {
    /// The source has no bytes.
    #[error("{0}")]
    Source(E),
    /// The bytes are not a block of this run.
    #[error("block {number} of the run is damaged: {error}")]
    Damaged {
        /// Which.
        number: u64,
        /// How.
        error: RunError,
    },
}

/// Up to where: rows of one key have one order, by entry and by sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The last row at or before this entry.
    Seq(Seq),
    /// The last row at or before this sequence of the account.
    AccountSeq(u64),
}

impl Place {
    /// Whether `row` is at or before this place of `key`.
    #[must_use]
    pub fn reaches(&self, key: &HistoryKey, row: &HistoryRow) -> bool {
        let within = match self {
            Self::Seq(seq) => row.seq <= *seq,
            Self::AccountSeq(seq) => row.account_seq <= *seq,
        };
        row.key < *key || (row.key == *key && within)
    }
}

/// A block's number and its rows.
type NumberedBlock = (u64, Vec<HistoryRow>);

/// A run that is looked up.
#[derive(Clone, Copy, Debug)]
pub struct RunReader<'a, B> {
    header: &'a RunHeader,
    source: &'a B,
}

impl<'a, B: Blocks> RunReader<'a, B> {
    /// The run with this header, in `source`.
    pub const fn new(header: &'a RunHeader, source: &'a B) -> Self {
        Self { header, source }
    }

    /// The last row of `key` at or before `place`.
    ///
    /// # Errors
    /// `LookupError`.
    pub fn last_at(
        &self,
        key: &HistoryKey,
        place: Place,
    ) -> Result<Option<HistoryRow>, LookupError<B::Error>> {
        let found = self.block_at(key, place)?.and_then(|(_, rows)| {
            let before = rows.partition_point(|row| place.reaches(key, row));
            rows.get(before.checked_sub(1)?).copied()
        });
        Ok(found.filter(|row| row.key == *key))
    }

    /// Adds to `found` the rows of `key` from sequence `from` on, until it holds `most`.
    ///
    /// # Errors
    /// `LookupError`.
    pub fn rows_from(
        &self,
        key: &HistoryKey,
        from: u64,
        most: usize,
        found: &mut Vec<HistoryRow>,
    ) -> Result<(), LookupError<B::Error>> {
        let (mut number, mut rows) = self.block_at(key, Place::AccountSeq(from))?.unwrap_or((0, Vec::new()));
        if rows.is_empty() && number < self.header.blocks {
            rows = self.rows(number)?;
        }
        while found.len() < most {
            let wanted = rows.iter().filter(|row| row.key == *key && row.account_seq >= from);
            found.extend(wanted.take(most - found.len()));
            number += 1;
            if number >= self.header.blocks || rows.last().is_none_or(|row| row.key > *key) {
                break;
            }
            rows = self.rows(number)?;
        }
        Ok(())
    }

    /// All rows in order.
    #[must_use]
    pub const fn all(self) -> RunRows<'a, B> {
        RunRows { run: self, next: 0, rows: Vec::new(), at: 0 }
    }

    /// The last block whose first row is at or before the place.
    fn block_at(
        &self,
        key: &HistoryKey,
        place: Place,
    ) -> Result<Option<NumberedBlock>, LookupError<B::Error>> {
        let (mut low, mut high) = (0, self.header.blocks);
        let mut found = None;
        while low < high {
            let middle = low + (high - low) / 2;
            let rows = self.rows(middle)?;
            if rows.first().is_some_and(|row| place.reaches(key, row)) {
                found = Some((middle, rows));
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(found)
    }

    fn rows(&self, number: u64) -> Result<Vec<HistoryRow>, LookupError<B::Error>> {
        let mut rows = Vec::new();
        self.rows_into(number, &mut rows)?;
        Ok(rows)
    }

    fn rows_into(&self, number: u64, rows: &mut Vec<HistoryRow>) -> Result<(), LookupError<B::Error>> {
        let mut block = [0; HISTORY_BLOCK_BYTES];
        self.source.read(number, &mut block).map_err(LookupError::Source)?;
        decode_block(&block, &self.header.name, number, rows)
            .map_err(|error| LookupError::Damaged { number, error })
    }
}

/// All rows of a run, a block in memory at a time.
#[derive(Clone, Debug)]
pub struct RunRows<'a, B> {
    run: RunReader<'a, B>,
    next: u64,
    rows: Vec<HistoryRow>,
    at: usize,
}

impl<B: Blocks> Iterator for RunRows<'_, B> {
    type Item = Result<HistoryRow, LookupError<B::Error>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at == self.rows.len() {
            if self.next == self.run.header.blocks {
                return None;
            }
            self.at = 0;
            let read = self.run.rows_into(self.next, &mut self.rows);
            self.next += 1;
            if let Err(error) = read {
                // What comes after damage is not given out.
                self.rows.clear();
                self.next = self.run.header.blocks;
                return Some(Err(error));
            }
        }
        let row = self.rows.get(self.at).copied();
        self.at += 1;
        row.map(Ok)
    }
}

/// Writes the blocks of a run; rows come in order.
#[derive(Clone, Debug)]
pub struct RunBuilder {
    name: RunName,
    block: BlockWriter,
    last: Option<HistoryRow>,
    rows: u64,
    blocks: u64,
}

impl RunBuilder {
    /// A run of this name, empty.
    #[must_use]
    pub const fn new(name: RunName) -> Self {
        Self { name, block: BlockWriter::new(), last: None, rows: 0, blocks: 0 }
    }

    /// Adds the next row; `write` gets each block that is full.
    ///
    /// # Errors
    /// What `write` says.
    ///
    /// # Panics
    /// If the row does not follow the one before, or its entry is not one that the run covers.
    pub fn push<E>(
        &mut self,
        row: &HistoryRow,
        write: &mut impl FnMut(&HistoryBlock) -> Result<(), E>,
    ) -> Result<(), E> {
        assert!(self.last.is_none_or(|last| row.follows(&last)), "rows of a run are in order");
        assert!(self.name.first <= row.seq && row.seq <= self.name.last, "a run covers its rows");
        if !self.block.push(row) {
            self.write_block(write)?;
            assert!(self.block.push(row), "an empty block has room for a row");
        }
        self.last = Some(*row);
        self.rows += 1;
        Ok(())
    }

    /// Writes what is left; how many rows and blocks there are.
    ///
    /// # Errors
    /// What `write` says.
    pub fn finish<E>(
        mut self,
        write: &mut impl FnMut(&HistoryBlock) -> Result<(), E>,
    ) -> Result<(u64, u64), E> {
        if !self.block.is_empty() {
            self.write_block(write)?;
        }
        Ok((self.rows, self.blocks))
    }

    fn write_block<E>(&mut self, write: &mut impl FnMut(&HistoryBlock) -> Result<(), E>) -> Result<(), E> {
        write(&self.block.finish(&self.name, self.blocks))?;
        self.blocks += 1;
        Ok(())
    }
}
