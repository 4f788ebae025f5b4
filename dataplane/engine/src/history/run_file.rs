//! `RunFile`: a run on disk, written in one step and read block by block.
//!
//! Holds: a run has its name whole or not at all; what is written is flushed in pieces, so that a
//! large one does not fill the device's queue at its end. Leaves to others: which runs there are.

use std::path::{Path, PathBuf};

use disk::{Access, DiskError, PlainFile, directory};
use ledger::{
    Blocks, HISTORY_BLOCK_BYTES, HistoryBlock, LookupError, RunBuilder, RunEnd, RunError, RunHeader, RunName,
    RunReader,
};
use model::{LedgerId, Seq};

const BLOCK_BYTES: u64 = 4096;
/// Blocks between two flushes: 8 MiB.
const FLUSH_BLOCKS: u64 = 2_048;
/// Blocks that are written together.
const WRITE_BLOCKS: usize = 64;

const _: () = assert!(HISTORY_BLOCK_BYTES == 4096);

/// Why a run cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunFileError {
    /// The kernel refuses.
    #[error("{0}")]
    Disk(#[from] DiskError),
    /// It is no run of this ledger.
    #[error("{path}: {error}", path = path.display())]
    Run {
        /// The file.
        path: PathBuf,
        /// Why.
        error: RunError,
    },
}

/// What a lookup in it may say.
pub(super) type RunLookupError = LookupError<DiskError>;

/// A run on disk.
#[derive(Debug)]
pub(crate) struct RunFile {
    pub(super) header: RunHeader,
    file: PlainFile,
}

impl Blocks for RunFile {
    type Error = DiskError;

    fn read(&self, number: u64, block: &mut HistoryBlock) -> Result<(), DiskError> {
        self.file.read_at((number + 1) * BLOCK_BYTES, block)
    }
}

impl RunFile {
    /// Opens the run at `path`: its header is whole and counts the blocks that are there.
    pub(super) fn open(path: &Path, ledger: LedgerId) -> Result<Self, RunFileError> {
        let file = PlainFile::open(path, Access::ReadOnly)?;
        let wrong = |error| RunFileError::Run { path: path.into(), error };
        let bytes = file.len_bytes()?;
        if bytes < BLOCK_BYTES {
            return Err(wrong(RunError::Truncated));
        }
        let mut block = [0; HISTORY_BLOCK_BYTES];
        file.read_at(0, &mut block)?;
        let header = RunHeader::decode(&block, ledger).map_err(wrong)?;
        if header.blocks.checked_add(1).and_then(|blocks| blocks.checked_mul(BLOCK_BYTES)) != Some(bytes) {
            return Err(wrong(RunError::Truncated));
        }
        if path.file_name().is_none_or(|name| name.to_str() != Some(&file_name(&header.name))) {
            return Err(wrong(RunError::Field("the file has another run's name")));
        }
        Ok(Self { header, file })
    }

    /// For lookups.
    pub(super) const fn reader(&self) -> RunReader<'_, Self> {
        RunReader::new(&self.header, self)
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    /// The first entry that it covers.
    pub(super) const fn first(&self) -> Seq {
        self.header.name.first
    }

    /// The last one.
    pub(super) const fn last(&self) -> Seq {
        self.header.name.last
    }
}

/// The name of a run's file.
pub(super) fn file_name(name: &RunName) -> String {
    format!("{:020}-{:020}.run", name.first.0, name.last.0)
}

/// A run that is being written.
#[derive(Debug)]
pub(super) struct RunWriter {
    name: RunName,
    end: RunEnd,
    fresh: PathBuf,
    path: PathBuf,
    file: PlainFile,
    waiting: Vec<u8>,
    written: u64,
    flushed: u64,
}

impl RunWriter {
    /// Begins the run of this name in `directory`, which is made if it is not there.
    pub(super) fn begin(directory: &Path, name: RunName, end: RunEnd) -> Result<Self, DiskError> {
        directory::create_private_dir(directory)?;
        let path = directory.join(file_name(&name));
        let fresh = directory.join(format!(".{}.new", file_name(&name)));
        let file = PlainFile::open_or_create(&fresh)?;
        file.truncate(0)?;
        let waiting = Vec::with_capacity(WRITE_BLOCKS * HISTORY_BLOCK_BYTES);
        Ok(Self { name, end, fresh, path, file, waiting, written: 0, flushed: 0 })
    }

    /// The builder of its blocks.
    pub(super) const fn builder(&self) -> RunBuilder {
        RunBuilder::new(self.name)
    }

    /// Adds the next block.
    pub(super) fn write(&mut self, block: &HistoryBlock) -> Result<(), DiskError> {
        self.waiting.extend_from_slice(block);
        if self.waiting.len() >= WRITE_BLOCKS * HISTORY_BLOCK_BYTES { self.write_out() } else { Ok(()) }
    }

    fn write_out(&mut self) -> Result<(), DiskError> {
        self.file.write_at((self.written + 1) * BLOCK_BYTES, &self.waiting)?;
        let blocks = self.waiting.len() / HISTORY_BLOCK_BYTES;
        self.written += u64::try_from(blocks).expect("a count fits in 64 bits");
        self.waiting.clear();
        if self.written - self.flushed >= FLUSH_BLOCKS {
            self.file.datasync()?;
            self.flushed = self.written;
        }
        Ok(())
    }

    /// Gives the run its name, durably.
    pub(super) fn finish(mut self, rows: u64, blocks: u64) -> Result<RunFile, DiskError> {
        self.write_out()?;
        assert_eq!(self.written, blocks, "every block was written");
        let header = RunHeader { name: self.name, end: self.end, rows, blocks };
        self.file.write_at(0, &header.encode())?;
        self.file.datasync()?;
        directory::rename(&self.fresh, &self.path)?;
        let file = PlainFile::open(&self.path, Access::ReadOnly)?;
        Ok(RunFile { header, file })
    }

    /// Where it is being written.
    pub(super) fn fresh(&self) -> &Path {
        &self.fresh
    }
}
