//! `Chain`: the runs that there are, in the order of their entries, and the holes between them.

use std::{ops::Range, path::Path, sync::Arc};

use disk::{DiskError, directory};
use ledger::RunEnd;
use model::{LedgerId, Seq};

use super::run_file::{RunFile, RunFileError};

/// Runs in the order of their entries; none overlaps another.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain {
    runs: Vec<Arc<RunFile>>,
}

/// Entries that no run covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    /// The frame before it; `None` at the beginning of the journal.
    pub(super) after: Option<(Seq, RunEnd)>,
    pub(super) first: Seq,
    pub(super) last: Seq,
}

impl Chain {
    /// The runs in `directory`. What is no run of this ledger, or is covered by another, is told to
    /// `left_out`.
    pub(super) fn open(
        directory: &Path,
        ledger: LedgerId,
        mut left_out: impl FnMut(&Path, Option<&RunFileError>),
    ) -> Result<Self, DiskError> {
        let entries = match directory::list(directory) {
            Ok(entries) => entries,
            Err(error) if error.is_not_found() => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let mut found = Vec::new();
        for entry in entries.into_iter().filter(|entry| entry.is_file && entry.name.ends_with(".run")) {
            let path = directory.join(&entry.name);
            match RunFile::open(&path, ledger) {
                Ok(run) => found.push(Arc::new(run)),
                Err(RunFileError::Disk(error)) if error.is_shortage() => return Err(error),
                Err(error) => left_out(&path, Some(&error)),
            }
        }
        found.sort_unstable_by_key(|run| (run.first(), std::cmp::Reverse(run.last())));
        let mut chain = Self::default();
        for run in found {
            if run.first() > chain.last() {
                chain.runs.push(run);
            } else {
                left_out(run.path(), None);
            }
        }
        Ok(chain)
    }

    /// The runs, the oldest first.
    pub(super) fn runs(&self) -> &[Arc<RunFile>] {
        &self.runs
    }

    /// The last entry that any covers.
    pub(super) fn last(&self) -> Seq {
        self.runs.last().map_or(Seq::ZERO, |run| run.last())
    }

    /// Whether one run covers all of these entries.
    pub(super) fn covers(&self, first: Seq, last: Seq) -> bool {
        self.runs.iter().any(|run| run.first() <= first && run.last() >= last)
    }

    /// Adds a run; false if another covers some of its entries.
    pub(super) fn insert(&mut self, run: Arc<RunFile>) -> bool {
        let at = self.runs.partition_point(|other| other.first() < run.first());
        let before = at.checked_sub(1).and_then(|before| self.runs.get(before));
        let after = self.runs.get(at);
        let fits = before.is_none_or(|before| before.last() < run.first())
            && after.is_none_or(|after| after.first() > run.last());
        if fits {
            self.runs.insert(at, run);
        }
        fits
    }

    /// Takes out those for which `gone` holds.
    pub(super) fn remove(&mut self, gone: impl Fn(&RunFile) -> bool) -> Vec<Arc<RunFile>> {
        let (gone, kept) = std::mem::take(&mut self.runs).into_iter().partition(|run| gone(run));
        self.runs = kept;
        gone
    }

    /// The first hole at or before `through`.
    pub(super) fn first_hole(&self, through: Seq) -> Option<Hole> {
        let mut after = None;
        let mut covered = Seq::ZERO;
        for run in &self.runs {
            if run.first() > covered.next() {
                let last = Seq((run.first().0 - 1).min(through.0));
                return (last > covered).then_some(Hole { after, first: covered.next(), last });
            }
            covered = run.last();
            after = Some((covered, run.header.end));
        }
        (through > covered).then_some(Hole { after, first: covered.next(), last: through })
    }

    /// Which runs are to be merged now: all of them follow one another.
    pub(super) fn due(&self) -> Option<Range<usize>> {
        let mut from = 0;
        while from < self.runs.len() {
            let rest = self.runs.get(from..).unwrap_or_default();
            let joined = rest.windows(2).take_while(|pair| {
                pair.first().map(|run| run.last().next()) == pair.last().map(|run| run.first())
            });
            let count = joined.count() + 1;
            let rows: Vec<u64> = rest.iter().take(count).map(|run| run.header.rows).collect();
            if let Some(due) = ledger::due(&rows) {
                return Some(from + due.start..from + due.end);
            }
            from += count;
        }
        None
    }
}
