//! `History`: how accounts stood in the past, for the reader: from runs on disk and, of the newest
//! entries, from rows in memory.
//!
//! Holds: a lookup finds the last row at or before an entry, or says that the entries it needs are not
//! covered yet; the reader never waits for a run to be written or merged. At most `SEALED_MAX + 1`
//! batches are in memory, about 60 MiB at the very most and 5 MiB for each 65,536 rows. Leaves to
//! others: writing, merging and rebuilding runs (`Historian`), what entries look like (`Follower`).

mod batch;
mod chain;
mod historian;
mod line;
mod run_file;

use std::{collections::VecDeque, sync::Arc};

use journal::{FrameHash, FrameHeader};
use ledger::{HistoryKey, HistoryRow, Place};
use model::Seq;

use self::{
    batch::{Batch, end_at},
    chain::Chain,
    historian::Historian,
    line::{Line, SEALED_MAX},
    run_file::{RunFile, RunLookupError},
};
use crate::store::{OpenError, Recipe};

/// Entries that are needed are not covered yet: they are being read from the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the history of entry {0} is not there yet")]
pub(crate) struct Behind(pub(crate) Seq);

/// What is known of the past.
#[derive(Debug)]
pub(crate) struct History {
    line: Arc<Line>,
    /// Handed over and not seen as runs yet, the oldest first.
    sealed: VecDeque<Arc<Batch>>,
    open: Batch,
    /// The thread; `None` once it was stopped.
    historian: Option<Historian>,
}

impl History {
    /// Of a ledger that stands at `through`; the entries up to there are in runs or come from the
    /// journal, beside the reader.
    ///
    /// # Errors
    /// If no descriptor is left.
    pub(crate) fn start(recipe: Recipe, through: Seq) -> Result<Self, OpenError> {
        let line = Arc::new(Line::new(through)?);
        let historian = Historian::start(recipe, Arc::clone(&line));
        Ok(Self { line, sealed: VecDeque::new(), open: Batch::after(through), historian: Some(historian) })
    }

    /// Adds the rows of the next frame.
    pub(crate) fn take(&mut self, header: &FrameHeader, hash: FrameHash, rows: &mut Vec<HistoryRow>) {
        let segment = header.position.segment.0;
        if self.open.end.is_some_and(|end| end.segment != segment) {
            self.seal();
        }
        if header.count > 0 {
            self.open.push(header.first_seq, header.last_seq(), end_at(header, hash), rows.drain(..));
        }
        if self.open.is_full() {
            self.seal();
        }
    }

    /// Hands what is in memory over. What finds no place comes from the journal later.
    fn seal(&mut self) {
        let next = Batch::after(self.open.last);
        let batch = Arc::new(std::mem::replace(&mut self.open, next));
        self.forget_written();
        if self.sealed.len() < SEALED_MAX && self.line.seal(Arc::clone(&batch)) {
            self.sealed.push_back(batch);
        }
        self.tell_through();
    }

    /// Forgets batches that are runs by now.
    fn forget_written(&mut self) {
        if let Some(runs) = self.line.runs() {
            self.sealed.retain(|batch| !runs.covers(batch.first, batch.last));
        }
        self.tell_through();
    }

    fn tell_through(&self) {
        let oldest = self.sealed.front().map_or(self.open.first, |batch| batch.first);
        self.line.set_through(Seq(oldest.0 - 1));
    }

    /// The last row of `key` at or before `seq`; `None` if there is none.
    ///
    /// # Errors
    /// `Behind`.
    pub(crate) fn last_at(&mut self, key: &HistoryKey, seq: Seq) -> Result<Option<HistoryRow>, Behind> {
        self.forget_written();
        // What is not yet answered for: everything up to here.
        let mut upto = seq.min(self.open.last);
        if upto >= self.open.first {
            if let Some(row) = self.open.last_at(key, upto) {
                return Ok(Some(row));
            }
            upto = Seq(self.open.first.0 - 1);
        }
        for batch in self.sealed.iter().rev() {
            if batch.first > upto {
                continue;
            }
            if batch.last < upto {
                break;
            }
            if let Some(row) = batch.last_at(key, upto) {
                return Ok(Some(row));
            }
            upto = Seq(batch.first.0 - 1);
        }
        let runs = self.line.runs().unwrap_or_default();
        let older = runs.runs().partition_point(|run| run.first() <= upto);
        for run in runs.runs().iter().take(older).rev() {
            if run.last() < upto {
                break;
            }
            let found = run.reader().last_at(key, Place::Seq(upto));
            if let Some(row) = self.believe(run, found)? {
                return Ok(Some(row));
            }
            upto = Seq(run.first().0 - 1);
        }
        if upto == Seq::ZERO { Ok(None) } else { Err(Behind(upto)) }
    }

    /// The rows of `key` from sequence `from` on, `most` at most, in order.
    ///
    /// # Errors
    /// `Behind`.
    pub(crate) fn rows_from(
        &mut self,
        key: &HistoryKey,
        from: u64,
        most: usize,
    ) -> Result<Vec<HistoryRow>, Behind> {
        self.forget_written();
        let runs = self.line.runs().unwrap_or_default();
        if let Some(hole) = self.first_hole(&runs) {
            return Err(Behind(hole));
        }
        let mut found = Vec::new();
        for run in runs.runs() {
            let read = run.reader().rows_from(key, from, most, &mut found);
            self.believe(run, read)?;
        }
        let in_memory = self.sealed.iter().map(AsRef::as_ref).chain([&self.open]);
        for batch in in_memory.filter(|batch| batch.first > runs.last()) {
            batch.rows_from(key, from, most, &mut found);
        }
        Ok(found)
    }

    /// The first entry of all that nothing covers.
    fn first_hole(&self, runs: &Chain) -> Option<Seq> {
        let mut covered = match runs.first_hole(runs.last()) {
            Some(hole) => return Some(hole.first),
            None => runs.last(),
        };
        for batch in self.sealed.iter().map(AsRef::as_ref).chain([&self.open]) {
            if batch.first > covered.next() {
                return Some(covered.next());
            }
            covered = covered.max(batch.last);
        }
        None
    }

    fn believe<T>(&self, run: &RunFile, found: Result<T, RunLookupError>) -> Result<T, Behind> {
        found.map_err(|error| {
            tracing::warn!(
                "history: {} is damaged, it is made anew from the journal: {error}",
                run.path().display()
            );
            self.line.tell_damaged(run.header.name);
            Behind(run.last())
        })
    }

    /// The row of this entry is not what the journal says.
    pub(crate) fn disbelieve(&self, seq: Seq) {
        let runs = self.line.runs().unwrap_or_default();
        for run in runs.runs().iter().filter(|run| run.first() <= seq && seq <= run.last()) {
            tracing::warn!("history: {} contradicts the journal, it is made anew", run.path().display());
            self.line.tell_damaged(run.header.name);
        }
    }

    /// Writes what is in memory and ends the thread.
    pub(crate) fn stop(&mut self) {
        if !self.open.is_empty() {
            self.seal();
        }
        drop(self.historian.take());
    }
}
