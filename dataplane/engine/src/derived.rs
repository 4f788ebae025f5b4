//! `Derived`: tiles and frame index together. They can all be computed from the journal, so nothing
//! that happens to them stops the ledger: what cannot be opened is made anew, what cannot be written
//! waits in memory, what is damaged is not used (ADR 0006).
//!
//! Holds: a lookup gives what was pushed, or says that it cannot. Leaves to others: pushing
//! everything from the beginning where `begin` says that nothing is there (`store`).

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use disk::{Access, DiskError, PlainFile, directory};
use ledger::{FrameRow, Hash, HashKind, HashSource};
use model::{Instant, LedgerId, Nanos, Seq};
use wire::Root;

use crate::{
    clock,
    frame_index::{FrameIndex, IndexError},
    space::{Room, SpaceWatch},
    tile_files::TileFiles,
};

/// Nodes that may wait in memory to be written; 32 bytes each, and a row for each frame.
const UNWRITTEN_MAX: u64 = 1 << 21;
/// How long after a failure the files are written again.
const RETRY_AFTER: Nanos = Nanos::from_secs(1);

/// Why a lookup has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DerivedError {
    /// They are damaged or were given up, and are derived anew.
    #[error("tiles and frame index are not there until they are derived anew")]
    Absent,
    /// The index cannot be followed.
    #[error("{0}")]
    Index(#[from] IndexError),
}

/// Tiles and frame index.
#[derive(Debug)]
pub(crate) struct Derived {
    directory: PathBuf,
    files: Option<Files>,
    unwritten: u64,
    failed: Option<Instant>,
    /// Asked before anything is written, once there is one.
    space: Option<Arc<SpaceWatch>>,
}

#[derive(Debug)]
struct Files {
    tiles: TileFiles,
    index: FrameIndex,
}

impl Files {
    fn open(directory: &Path, hash: HashKind, ledger: LedgerId) -> Result<Self, DiskError> {
        directory::create_private_dir(directory)?;
        let tiles = TileFiles::open(directory, hash)?;
        let index = FrameIndex::open(&directory.join("frames"), hash, ledger)?;
        Ok(Self { tiles, index })
    }

    /// Cuts both back; true if they hold exactly this tree then.
    fn stand_at(&mut self, size: u64, root: &Hash) -> Result<bool, IndexError> {
        let reach = self.tiles.cut(size)? && self.index.cut(Seq(size))?;
        Ok(reach && self.tiles.root(size) == Some(*root))
    }
}

impl Derived {
    /// None: what a replay that only wants the state needs.
    pub(crate) fn absent() -> Self {
        Self { directory: PathBuf::new(), files: None, unwritten: 0, failed: None, space: None }
    }

    /// The files of a tree of `size` leaves with this root; `None` if what is there is not that, and
    /// must be derived from the beginning.
    ///
    /// # Errors
    /// Only a shortage of descriptors or memory: that is no reason to throw them away.
    pub(crate) fn at(
        directory: &Path,
        hash: HashKind,
        ledger: LedgerId,
        size: u64,
        root: &Hash,
    ) -> Result<Option<Self>, DiskError> {
        let opened = Files::open(directory, hash, ledger);
        let stands = opened.map_err(IndexError::Disk).and_then(|mut files| {
            let stands = files.stand_at(size, root)?;
            Ok(stands.then_some(files))
        });
        match stands {
            Ok(Some(files)) => Ok(Some(Self::new(directory, Some(files)))),
            Ok(None) => {
                tracing::warn!("tiles or frame index do not fit the checkpoint; they are derived anew");
                Ok(None)
            }
            Err(IndexError::Disk(error)) if error.is_shortage() => Err(error),
            Err(error) => {
                tracing::warn!("tiles or frame index are not usable, they are derived anew: {error}");
                Ok(None)
            }
        }
    }

    /// Empty files, whatever was there before. Where not even that can be had, none.
    ///
    /// # Errors
    /// Only a shortage of descriptors or memory.
    pub(crate) fn empty(directory: &Path, hash: HashKind, ledger: LedgerId) -> Result<Self, DiskError> {
        let gone = directory::remove_tree(&aside(directory)).and_then(|()| directory::remove_tree(directory));
        let made = gone.and_then(|()| Files::open(directory, hash, ledger));
        match made {
            Ok(files) => Ok(Self::new(directory, Some(files))),
            Err(error) if error.is_shortage() => Err(error),
            Err(error) => {
                tracing::error!("no proofs and no history: tiles and frame index cannot be made: {error}");
                Ok(Self::new(directory, None))
            }
        }
    }

    fn new(directory: &Path, files: Option<Files>) -> Self {
        Self { directory: directory.into(), files, unwritten: 0, failed: None, space: None }
    }

    /// From now on nothing is written while the disk is under its hard mark.
    pub(crate) fn mind(&mut self, space: Arc<SpaceWatch>) {
        self.space = Some(space);
    }

    /// Whether nothing may be taken from the disk.
    pub(crate) fn is_shut(&self) -> bool {
        self.space.as_ref().is_some_and(|space| space.room() == Room::Gone)
    }

    /// Whether lookups have answers.
    pub(crate) const fn is_there(&self) -> bool {
        self.files.is_some()
    }

    /// Adds nodes of the tree that are full now, each with its level, in the order in which the tree
    /// told them.
    pub(crate) fn push_nodes(&mut self, nodes: &[(u8, Hash)]) {
        let Some(files) = &mut self.files else { return };
        self.unwritten += u64::try_from(nodes.len()).expect("a length fits in 64 bits");
        if self.unwritten > UNWRITTEN_MAX {
            return self.give_up("too much waits to be written");
        }
        nodes.iter().for_each(|(level, node)| files.tiles.push(*level, *node));
    }

    /// Adds the row of the frame that brought the leaves pushed before.
    pub(crate) fn push_row(&mut self, row: FrameRow) {
        if let Some(files) = &mut self.files {
            files.index.push(row);
        }
    }

    /// Writes what waits. What cannot be written goes on waiting.
    pub(crate) fn flush(&mut self) {
        let is_shut = self.is_shut();
        let Some(files) = &mut self.files else { return };
        let now = clock::monotonic();
        if self.failed.is_some_and(|failed| now.since(failed) < RETRY_AFTER) {
            return;
        }
        if is_shut {
            return;
        }
        match files.tiles.flush().and_then(|()| files.index.flush()) {
            Ok(()) => {
                self.unwritten = 0;
                if self.failed.take().is_some() {
                    tracing::info!("tiles and frame index are written again");
                }
            }
            Err(error) => {
                if self.failed.replace(now).is_none() {
                    tracing::warn!("tiles and frame index wait in memory, nothing else does: {error}");
                }
            }
        }
    }

    /// Makes the files durable, as a checkpoint that they shall reach needs.
    ///
    /// # Errors
    /// If they cannot be written or synced.
    pub(crate) fn sync(&mut self) -> Result<(), DiskError> {
        let Some(files) = &mut self.files else { return Ok(()) };
        files.tiles.sync()?;
        files.index.sync()
    }

    /// They have proven wrong: they are not used any more, and are derived anew.
    pub(crate) fn give_up(&mut self, why: impl std::fmt::Display) {
        if self.files.take().is_none() {
            return;
        }
        tracing::error!(
            "tiles and frame index are given up and derived anew, proofs and history wait: {why}"
        );
        if let Err(error) = directory::rename(&self.directory, &aside(&self.directory)) {
            tracing::error!("they could not be put aside: {error}");
        }
    }

    /// The index, for lookups.
    ///
    /// # Errors
    /// `Absent`.
    pub(crate) fn index(&self) -> Result<&FrameIndex, DerivedError> {
        self.files.as_ref().map(|files| &files.index).ok_or(DerivedError::Absent)
    }
}

/// Makes the files in `directory` durable as they are, while their owner goes on writing them.
///
/// # Errors
/// If one cannot be opened or flushed.
pub(crate) fn sync_files(directory: &Path) -> Result<(), DiskError> {
    for entry in directory::list(directory)?.into_iter().filter(|entry| entry.is_file) {
        PlainFile::open(&directory.join(entry.name), Access::ReadOnly)?.datasync()?;
    }
    Ok(())
}

/// Where files go that have proven wrong.
fn aside(directory: &Path) -> PathBuf {
    directory.with_file_name("derived-wrong")
}

impl HashSource for Derived {
    fn node(&self, level: u8, index: u64) -> Option<Hash> {
        self.files.as_ref()?.tiles.node(level, index)
    }
}

impl Derived {
    /// The roots after `since`, at most `limit`.
    ///
    /// # Errors
    /// `DerivedError`.
    pub(crate) fn roots(&self, since: Seq, limit: usize) -> Result<Vec<Root>, DerivedError> {
        Ok(self.index()?.roots(since, limit)?)
    }
}

#[cfg(test)]
mod tests;
