//! `TileFiles`: the node hashes of the Merkle tree, in files. Derived, rebuilt from the journal.
//!
//! File `k` holds, 32 bytes each, the hashes of the tree's full nodes at level `8 k`: the leaves,
//! then the roots of 256 leaves, of 65,536, and so on, so that file `k` cut into pieces of 8 KiB is
//! the full tiles of level `k` (C2SP `tlog-tiles`). Any other full node is computed from at most
//! 128 of them.
//!
//! Holds: what is in a file was pushed in order; what cannot be written yet stays in memory and is
//! found there. Leaves to others: whether it is right (`Derived` checks the root at start, the
//! follower each proof before it is given out).

use std::path::{Path, PathBuf};

use disk::{Access, DiskError, PlainFile};
use ledger::{Hash, HashKind, HashSource};

const HASH_BYTES: usize = 32;
const HASH_BYTES_U64: u64 = 32;
/// Levels of the tree between two files.
pub(crate) const LEVELS_PER_FILE: u8 = 8;
/// Nodes of one tile.
const TILE: u64 = 1 << LEVELS_PER_FILE;

/// The node hashes of the tree, in files.
#[derive(Debug)]
pub struct TileFiles {
    hash: HashKind,
    directory: PathBuf,
    files: Vec<LevelFile>,
}

#[derive(Debug)]
struct LevelFile {
    path: PathBuf,
    /// `None` until something is written: a disk that is full now may not be so then.
    file: Option<PlainFile>,
    written: u64,
    unwritten: Vec<Hash>,
}

impl LevelFile {
    fn new(directory: &Path, level: usize) -> Self {
        Self { path: level_path(directory, level), file: None, written: 0, unwritten: Vec::new() }
    }

    fn open(directory: &Path, level: usize) -> Result<Self, DiskError> {
        let path = level_path(directory, level);
        let file = PlainFile::open_or_create(&path)?;
        let written = file.len_bytes()? / HASH_BYTES_U64;
        Ok(Self { path, file: Some(file), written, unwritten: Vec::new() })
    }

    fn count(&self) -> u64 {
        self.written + u64::try_from(self.unwritten.len()).expect("a length fits in 64 bits")
    }

    fn read(&self, index: u64, hashes: &mut [Hash]) -> Result<bool, DiskError> {
        for (number, hash) in (index..).zip(hashes.iter_mut()) {
            if number >= self.written {
                let waiting = usize::try_from(number - self.written).ok();
                let Some(found) = waiting.and_then(|waiting| self.unwritten.get(waiting)) else {
                    return Ok(false);
                };
                *hash = *found;
            }
        }
        let on_disk =
            usize::try_from(self.written.saturating_sub(index)).unwrap_or(usize::MAX).min(hashes.len());
        let mut bytes = vec![0; on_disk * HASH_BYTES];
        if let Some(file) = &self.file
            && !bytes.is_empty()
        {
            file.read_at(index * HASH_BYTES_U64, &mut bytes)?;
        }
        for (hash, bytes) in hashes.iter_mut().zip(bytes.as_chunks::<HASH_BYTES>().0) {
            *hash = *bytes;
        }
        Ok(true)
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        if self.file.is_none() {
            self.file = Some(PlainFile::open_or_create(&self.path)?);
        }
        let file = self.file.as_ref().expect("opened above");
        file.write_at(self.written * HASH_BYTES_U64, self.unwritten.as_flattened())?;
        self.written = self.count();
        self.unwritten.clear();
        Ok(())
    }

    fn cut(&mut self, count: u64) -> Result<bool, DiskError> {
        self.flush()?;
        if self.written < count {
            return Ok(false);
        }
        if let Some(file) = &self.file {
            file.truncate(count * HASH_BYTES_U64)?;
        }
        self.written = count;
        Ok(true)
    }
}

/// The leaves that lie in `directory` from number `from` on, at most `max`. Whoever asks has to find
/// out whether they are right; where they cannot be read there are none.
pub(crate) fn leaves(directory: &Path, from: u64, max: usize) -> Vec<Hash> {
    let read = || -> Result<Vec<Hash>, DiskError> {
        let file = PlainFile::open(&level_path(directory, 0), Access::ReadOnly)?;
        let there = (file.len_bytes()? / HASH_BYTES_U64).saturating_sub(from);
        let mut leaves = vec![[0; HASH_BYTES]; usize::try_from(there).unwrap_or(max).min(max)];
        file.read_at(from * HASH_BYTES_U64, leaves.as_flattened_mut())?;
        Ok(leaves)
    };
    read().unwrap_or_default()
}

fn level_path(directory: &Path, level: usize) -> PathBuf {
    directory.join(format!("level-{level}"))
}

impl TileFiles {
    /// Opens or creates the files of a tree in `directory`.
    ///
    /// # Errors
    /// If a file cannot be opened.
    pub fn open(directory: &Path, hash: HashKind) -> Result<Self, DiskError> {
        let files = vec![LevelFile::open(directory, 0)?];
        let mut tiles = Self { hash, directory: directory.into(), files };
        while level_path(directory, tiles.files.len()).exists() {
            tiles.files.push(LevelFile::open(&tiles.directory, tiles.files.len())?);
        }
        Ok(tiles)
    }

    /// Leaves in the tree.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.files.first().map_or(0, LevelFile::count)
    }

    /// Adds the next node that is full, as [`ledger::Tree::push_each`] tells them: it hashes each once.
    /// Levels without a file are passed over.
    ///
    /// # Panics
    /// If a node comes before the tile below it is full.
    pub fn push(&mut self, level: u8, node: Hash) {
        if !level.is_multiple_of(LEVELS_PER_FILE) {
            return;
        }
        let number = usize::from(level / LEVELS_PER_FILE);
        if number == self.files.len() {
            self.files.push(LevelFile::new(&self.directory, number));
        }
        let file = self.files.get_mut(number).expect("nodes come from the leaves upwards");
        file.unwritten.push(node);
        let count = file.count();
        if let Some(below) = number.checked_sub(1).and_then(|below| self.files.get(below)) {
            assert_eq!(below.count(), count * TILE, "a node completes its tile");
        }
    }

    /// Writes what was pushed.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn flush(&mut self) -> Result<(), DiskError> {
        self.files.iter_mut().try_for_each(LevelFile::flush)
    }

    /// Flushes, and makes the files durable.
    ///
    /// # Errors
    /// If a file cannot be written or synced.
    pub fn sync(&mut self) -> Result<(), DiskError> {
        self.flush()?;
        self.files.iter().filter_map(|level| level.file.as_ref()).try_for_each(PlainFile::datasync)
    }

    /// Cuts the tree back to `size` leaves; false if it has fewer, or lacks a node.
    ///
    /// # Errors
    /// If a file cannot be cut.
    pub fn cut(&mut self, size: u64) -> Result<bool, DiskError> {
        let mut count = size;
        let mut whole = true;
        for file in &mut self.files {
            whole &= file.cut(count)?;
            count /= TILE;
        }
        Ok(whole && count == 0)
    }

    /// The root of the tree of `size` leaves, from its full subtrees; `None` if a node is missing.
    #[must_use]
    pub fn root(&self, size: u64) -> Option<Hash> {
        let mut root = None;
        let mut end = size;
        // From the smallest subtree, at the right, to the largest.
        for level in (0..64_u8).filter(|level| size >> level & 1 == 1) {
            let left = self.node(level, (end >> level) - 1)?;
            root = Some(root.map_or(left, |right| self.hash.node(&left, &right)));
            end -= 1 << level;
        }
        Some(root.unwrap_or_else(|| self.hash.empty()))
    }

    /// The hash over `count` nodes (a power of two) of file `level` from `index`.
    fn fold(&self, level: usize, index: u64, count: u64) -> Result<Option<Hash>, DiskError> {
        assert!(count.is_power_of_two() && count <= TILE);
        let Some(file) = self.files.get(level) else { return Ok(None) };
        let mut hashes = vec![[0; HASH_BYTES]; usize::try_from(count).expect("at most 256")];
        if !file.read(index, &mut hashes)? {
            return Ok(None);
        }
        while hashes.len() > 1 {
            hashes =
                hashes.as_chunks::<2>().0.iter().map(|[left, right]| self.hash.node(left, right)).collect();
        }
        Ok(hashes.pop())
    }
}

impl HashSource for TileFiles {
    fn node(&self, level: u8, index: u64) -> Option<Hash> {
        let file = usize::from(level / LEVELS_PER_FILE);
        let span = 1 << (level % LEVELS_PER_FILE);
        // A read error looks like a missing node: the proof fails, and the follower says so.
        self.fold(file, index.checked_mul(span)?, span).ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_the_ones_of_the_tree_and_survive_reopening() {
        let directory = std::env::temp_dir().join(format!("macronode-tiles-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&directory));
        std::fs::create_dir(&directory).unwrap();
        let leaf = |number: u64| HashKind::Sha256.leaf(&number.to_le_bytes());
        let mut tiles = TileFiles::open(&directory, HashKind::Sha256).unwrap();
        let mut tree = ledger::Tree::new(HashKind::Sha256);
        for number in 0..70_000 {
            tree.push_each(leaf(number), |level, _, node| tiles.push(level, *node));
            if number % 1_000 == 0 {
                tiles.flush().unwrap();
            }
        }
        tiles.sync().unwrap();
        let mut tiles = TileFiles::open(&directory, HashKind::Sha256).unwrap();
        assert_eq!(tiles.size(), 70_000);
        assert_eq!(tiles.root(70_000), Some(tree.root()));
        assert_eq!(tiles.root(0), Some(HashKind::Sha256.empty()));
        let mut level: Vec<Hash> = (0..70_000).map(leaf).collect();
        for number in 0..17 {
            for index in [0, level.len() / 2, level.len() - 1] {
                let expected = level.get(index).copied();
                assert_eq!(
                    tiles.node(number, u64::try_from(index).unwrap()),
                    expected,
                    "level {number}, {index}"
                );
            }
            level = level.as_chunks::<2>().0.iter().map(|[l, r]| HashKind::Sha256.node(l, r)).collect();
        }
        assert_eq!(tiles.node(0, 70_000), None);
        assert!(tiles.cut(65_536).unwrap());
        assert!(tiles.node(16, 0).is_some());
        assert!(tiles.cut(65_535).unwrap());
        assert_eq!(tiles.node(16, 0), None);
        assert!(!tiles.cut(70_000).unwrap());
        std::fs::remove_dir_all(directory).unwrap();
    }
}
