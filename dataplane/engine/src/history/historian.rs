//! `Historian`: one thread of low priority that writes, merges and rebuilds the runs of the history.
//!
//! Holds: neither committer nor reader waits for it; it reads the journal only up to what the reader
//! has taken, which is durable; a run that is damaged, or that ends with a frame which the journal
//! does not have, is removed and its entries are read again. Leaves to others: lookups (`History`).

use std::{path::Path, sync::Arc, thread::JoinHandle};

use disk::{AlignedBuf, DiskError, directory};
use journal::{
    Checkpoint, Frame, FrameHash, FrameHeader, FrameNumber, Input, Position, RecoveryError, SegmentNumber,
    recover, recovery_buffer_bytes,
};
use ledger::{HistoryBlock, HistoryRow, MergeError, RUN_ROWS, RunEnd, RunName, history_rows, merge};
use model::{BatchError, BatchView, Nanos, RecordRef, Seq};

use super::{
    batch::{Batch, end_at},
    chain::{Chain, Hole},
    line::Line,
    run_file::{RunFile, RunWriter},
};
use crate::{
    checkpointer::Recipe,
    store::{Copies, Segments},
};

/// How long after a failure it is tried again.
const RETRY_AFTER: Nanos = Nanos::from_secs(1);
/// Blocks of a merge after which the thread looks whether something else waits: 1 MiB.
const LOOK_BLOCKS: u64 = 256;

/// Why something could not be done now.
#[derive(Debug, thiserror::Error)]
enum HistorianError {
    #[error("{0}")]
    Disk(#[from] DiskError),
    #[error("{0}")]
    Journal(RecoveryError<Stopped>),
    #[error("the journal ends before entry {0}")]
    Ends(Seq),
}

/// Why the journal is not read on.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error("enough")]
    Enough,
    #[error("{0}")]
    Batch(#[from] BatchError),
    #[error("{0}")]
    Disk(#[from] DiskError),
}

/// The thread; dropped, it writes what was handed over and ends.
#[derive(Debug)]
pub(super) struct Historian {
    line: Arc<Line>,
    thread: Option<JoinHandle<()>>,
}

impl Historian {
    /// Starts the thread.
    pub(super) fn start(recipe: Recipe, line: Arc<Line>) -> Self {
        let work =
            Work { recipe, line: Arc::clone(&line), chain: Chain::default(), pending: None, told: false };
        let thread = std::thread::Builder::new()
            .name("historian".into())
            .spawn(move || crate::fatal::guard("historian", || work.run()))
            .expect("the process may start a thread");
        Self { line, thread: Some(thread) }
    }
}

impl Drop for Historian {
    fn drop(&mut self) {
        self.line.stop();
        if let Some(thread) = self.thread.take() {
            // Its panic has ended the process already.
            drop(thread.join());
        }
    }
}

struct Work {
    recipe: Recipe,
    line: Arc<Line>,
    chain: Chain,
    /// Could not be written when it was its turn.
    pending: Option<Arc<Batch>>,
    /// A failure was told and has not ended.
    told: bool,
}

/// What a step found to do.
enum Step {
    Done,
    Idle,
}

impl Work {
    fn run(mut self) {
        // In no hurry. A kernel that refuses costs nothing but that.
        let _ = rustix::process::nice(10);
        let mut opened = false;
        loop {
            let step = if opened { self.step() } else { self.open().map(|()| Step::Done) };
            opened |= step.is_ok();
            let span = match step {
                Ok(Step::Done) => {
                    self.told = false;
                    continue;
                }
                Ok(Step::Idle) => Nanos::from_secs(60),
                Err(error) => {
                    if !self.told {
                        tracing::warn!("the history of accounts is behind, and is tried again: {error}");
                    }
                    self.told = true;
                    RETRY_AFTER
                }
            };
            if self.line.is_stopping() {
                break;
            }
            let through = self.line.through();
            let idle = matches!(span, Nanos(nanos) if nanos > RETRY_AFTER.0);
            let busy = || {
                self.line.is_stopping() || (idle && (self.line.has_work() || self.line.through() != through))
            };
            self.line.bell().wait(span, busy);
        }
    }

    /// Looks at what is there: runs whose last frame the journal has.
    fn open(&mut self) -> Result<(), HistorianError> {
        let directory = self.recipe.places.history();
        if let Err(error) = directory::sweep(&directory)
            && !error.is_not_found()
        {
            return Err(error.into());
        }
        let ledger = self.recipe.superblock.ledger;
        let mut chain = Chain::open(&directory, ledger, |path, error| match error {
            Some(error) => {
                tracing::warn!("a run of the history is made anew: {error}");
                remove(path);
            }
            None => remove(path),
        })?;
        let mut copies = self.copies()?;
        let through = self.line.through();
        let stale = chain.remove(|run| run.last() > through);
        let mut lost = Vec::new();
        for run in chain.runs() {
            if !self.is_in_journal(&mut copies, run)? {
                lost.push(run.header.name);
            }
        }
        let lost = chain.remove(|run| lost.contains(&run.header.name));
        for run in stale.iter().chain(&lost) {
            tracing::warn!("{} does not fit the journal, it is made anew", run.path().display());
            remove(run.path());
        }
        self.chain = chain;
        self.line.publish(&self.chain);
        Ok(())
    }

    /// Whether a copy of the journal holds the frame that the run ends with.
    fn is_in_journal(&self, copies: &mut [Segments], run: &RunFile) -> Result<bool, DiskError> {
        let mut found = Ok(false);
        for segments in copies {
            match self.is_in_copy(segments, run) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => found = Err(error),
            }
        }
        found
    }

    /// Whether the frame that the run ends with lies in this copy; a segment that is not there any
    /// more cannot say otherwise.
    fn is_in_copy(&self, segments: &mut Segments, run: &RunFile) -> Result<bool, DiskError> {
        let (end, geometry) = (&run.header.end, self.recipe.superblock.geometry);
        let mut stride = vec![0; geometry.stride_len().max(disk::ALIGNMENT_BYTES)];
        if end
            .offset
            .checked_add(u64::from(geometry.stride()))
            .is_none_or(|end| end > geometry.segment_bytes())
        {
            return Ok(false);
        }
        match segments.read_at(SegmentNumber(end.segment), end.offset, &mut stride) {
            Ok(()) => {}
            Err(error) if error.is_not_found() => return Ok(true),
            Err(DiskError::ShortRead { .. }) => return Ok(false),
            Err(error) => return Err(error),
        }
        let parsed = FrameHeader::parse(&stride, &self.recipe.key, geometry);
        Ok(parsed.is_ok_and(|parsed| {
            end_at(&parsed.header, parsed.hash) == *end && parsed.header.last_seq() == run.last()
        }))
    }

    /// Each copy of the journal by itself.
    fn copies(&self) -> Result<Vec<Segments>, DiskError> {
        let Recipe { copies, params, .. } = &self.recipe;
        copies.iter().map(|copy| Segments::open(&copy.segments(), params.direct)).collect()
    }

    fn step(&mut self) -> Result<Step, HistorianError> {
        self.drop_damaged();
        if self.write_sealed()? {
            return Ok(Step::Done);
        }
        if self.line.is_stopping() {
            return Ok(Step::Idle);
        }
        if let Some(hole) = self.chain.first_hole(self.line.through()) {
            self.fill(&hole)?;
            return Ok(Step::Done);
        }
        if let Some(due) = self.chain.due() {
            let runs = self.chain.runs().get(due).expect("what is due is there").to_vec();
            self.merge(&runs)?;
            return Ok(Step::Done);
        }
        Ok(Step::Idle)
    }

    fn drop_damaged(&mut self) {
        while let Some(name) = self.line.next_damaged() {
            self.drop_runs(|run| run.header.name == name);
        }
    }

    /// Takes runs out of the chain, tells the reader, and removes their files.
    fn drop_runs(&mut self, gone: impl Fn(&RunFile) -> bool) {
        let gone = self.chain.remove(gone);
        self.line.publish(&self.chain);
        gone.iter().for_each(|run| remove(run.path()));
    }

    /// Writes the next batch that was handed over, if there is one.
    fn write_sealed(&mut self) -> Result<bool, HistorianError> {
        let Some(batch) = self.pending.take().or_else(|| self.line.next_sealed()) else { return Ok(false) };
        let Batch { first, last, end: Some(end), .. } = *batch else { return Ok(true) };
        let written = self.write_run(first, last, end, &batch.sorted());
        if written.is_err() {
            self.pending = Some(batch);
        }
        Ok(written.map(|()| true)?)
    }

    fn write_run(
        &mut self,
        first: Seq,
        last: Seq,
        end: RunEnd,
        rows: &[HistoryRow],
    ) -> Result<(), DiskError> {
        let name = RunName { ledger: self.recipe.superblock.ledger, first, last };
        let mut writer = RunWriter::begin(&self.recipe.places.history(), name, end)?;
        let fresh = writer.fresh().to_path_buf();
        let mut builder = writer.builder();
        let mut write = |block: &HistoryBlock| writer.write(block);
        let written = rows
            .iter()
            .try_for_each(|row| builder.push(row, &mut write))
            .and_then(|()| builder.finish(&mut write))
            .and_then(|(rows, blocks)| writer.finish(rows, blocks));
        let run = written.inspect_err(|_| remove(&fresh))?;
        self.add(run);
        Ok(())
    }

    fn add(&mut self, run: RunFile) {
        if !self.chain.insert(Arc::new(run)) {
            // Its entries were read from the journal meanwhile. The next start clears the file away.
            tracing::debug!("a run of the history was not needed");
        }
        self.line.publish(&self.chain);
    }

    /// Reads the entries of the hole from the journal and writes them as runs.
    fn fill(&mut self, hole: &Hole) -> Result<(), HistorianError> {
        let Recipe { superblock, key, copies, params, .. } = self.recipe.clone();
        let checkpoint = hole.after.map(|(through, end)| Checkpoint {
            ledger: superblock.ledger,
            incarnation: end.incarnation,
            frame: FrameNumber(end.frame),
            hash: FrameHash(end.hash),
            position: Position { segment: SegmentNumber(end.segment), offset: end.offset },
            through,
            tree_size: through.0,
            root: end.root,
        });
        let input = Input {
            geometry: superblock.geometry,
            ledger: superblock.ledger,
            incarnation: superblock.incarnation,
            epoch: superblock.epoch,
            key: &key,
            // No verdict is wanted, and without a slot none is searched for.
            slot: None,
            checkpoint: checkpoint.as_ref(),
            checkpoint_frame_max: FrameNumber::ZERO,
        };
        let mut segments = Copies::open(&copies, &superblock, &key, params.direct)?;
        let bytes = recovery_buffer_bytes(superblock.geometry).next_multiple_of(disk::ALIGNMENT_BYTES);
        let mut buffer = AlignedBuf::new(bytes);
        let mut misfit = false;
        let mut gathered = Gathered { first: hole.first, last: Seq(hole.first.0 - 1), ..Gathered::default() };
        let read = recover(&input, &mut segments, &mut buffer, |frame| {
            if frame.header.count > 0 {
                misfit = frame.header.last_seq() > hole.last;
                if misfit {
                    return Err(Stopped::Enough);
                }
                gathered.take(frame)?;
            }
            let whole = gathered.last == hole.last;
            if whole || gathered.is_full() {
                self.write_gathered(&mut gathered)?;
                if whole || self.line.has_work() {
                    return Err(Stopped::Enough);
                }
            }
            Ok(())
        });
        match read {
            Err(RecoveryError::Replay { error: Stopped::Enough, .. }) if misfit => {
                // The run after the hole begins within a frame, which no run of ours does.
                self.drop_runs(|run| run.first() == hole.last.next());
                Ok(())
            }
            Err(RecoveryError::Replay { error: Stopped::Enough, .. }) => Ok(()),
            Err(RecoveryError::Replay { error: Stopped::Disk(error), .. }) => Err(error.into()),
            Err(RecoveryError::Checkpoint) => {
                let last = hole.first.0 - 1;
                self.drop_runs(|run| run.last().0 == last);
                Ok(())
            }
            Err(error) => Err(HistorianError::Journal(error)),
            Ok(_) => Err(HistorianError::Ends(hole.last)),
        }
    }

    fn write_gathered(&mut self, gathered: &mut Gathered) -> Result<(), DiskError> {
        let Some(end) = gathered.end.take() else { return Ok(()) };
        gathered.rows.sort_unstable_by_key(|row| (row.key, row.account_seq));
        self.write_run(gathered.first, gathered.last, end, &gathered.rows)?;
        gathered.rows.clear();
        gathered.first = gathered.last.next();
        Ok(())
    }

    /// Merges runs that follow one another into one. Between its blocks it goes on writing what is
    /// handed over, so that nothing waits for a large merge.
    fn merge(&mut self, runs: &[Arc<RunFile>]) -> Result<(), HistorianError> {
        let (Some(oldest), Some(newest)) = (runs.first(), runs.last()) else { return Ok(()) };
        let name = RunName { last: newest.last(), ..oldest.header.name };
        let mut writer = RunWriter::begin(&self.recipe.places.history(), name, newest.header.end)?;
        let fresh = writer.fresh().to_path_buf();
        let mut builder = writer.builder();
        let mut blocks = 0;
        let mut write = |block: &HistoryBlock| -> Result<(), Interrupted> {
            writer.write(block)?;
            blocks += 1;
            if blocks % LOOK_BLOCKS == 0 {
                if self.line.is_stopping() {
                    return Err(Interrupted::Stop);
                }
                while self.write_sealed()? {}
            }
            Ok(())
        };
        let inputs = runs.iter().map(|run| run.reader().all()).collect();
        let merged = merge(inputs, &mut builder, &mut write)
            .and_then(|()| builder.finish(&mut write).map_err(MergeError::Write));
        match merged {
            Ok((rows, blocks)) => {
                let run = writer.finish(rows, blocks).inspect_err(|_| remove(&fresh))?;
                // The files of those that it replaces go after the reader was told.
                let gone = self.chain.remove(|run| name.first <= run.first() && run.last() <= name.last);
                self.add(run);
                gone.iter().for_each(|run| remove(run.path()));
                Ok(())
            }
            Err(error) => {
                remove(&fresh);
                match error {
                    MergeError::Write(Interrupted::Stop) => Ok(()),
                    MergeError::Write(Interrupted::Failed(error)) => Err(error),
                    MergeError::Read { index, error } => {
                        let damaged = runs.get(index).map(|run| run.header.name);
                        tracing::warn!("a run of the history is damaged, it is made anew: {error}");
                        self.drop_runs(|run| Some(run.header.name) == damaged);
                        Ok(())
                    }
                    MergeError::Contradiction { .. } => {
                        tracing::warn!("runs of the history contradict each other, they are made anew");
                        self.drop_runs(|run| name.first <= run.first() && run.last() <= name.last);
                        Ok(())
                    }
                }
            }
        }
    }
}

/// Why a merge does not go on.
enum Interrupted {
    Stop,
    Failed(HistorianError),
}

impl From<DiskError> for Interrupted {
    fn from(error: DiskError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<HistorianError> for Interrupted {
    fn from(error: HistorianError) -> Self {
        Self::Failed(error)
    }
}

/// Rows read from the journal that are not a run yet.
#[derive(Default)]
struct Gathered {
    first: Seq,
    last: Seq,
    end: Option<RunEnd>,
    rows: Vec<HistoryRow>,
}

impl Gathered {
    fn take(&mut self, frame: &Frame<'_>) -> Result<(), BatchError> {
        for record in BatchView::parse(frame.payload)?.iter() {
            if let RecordRef::Posting(posting) = record? {
                self.rows.extend(history_rows(&posting));
            }
        }
        self.last = frame.header.last_seq();
        self.end = Some(end_at(&frame.header, frame.hash));
        Ok(())
    }

    fn is_full(&self) -> bool {
        u64::try_from(self.rows.len()).is_ok_and(|rows| rows >= RUN_ROWS)
    }
}

/// Removes a file that is not needed. One that stays is cleared away by the next start.
fn remove(path: &Path) {
    if let Err(error) = directory::remove_file(path)
        && !error.is_not_found()
    {
        tracing::warn!("a run of the history that is not needed stays: {error}");
    }
}
