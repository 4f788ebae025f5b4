//! A disk with a cache: what was written can be read at once, and is gone after a power loss unless
//! it was flushed or written through.
//!
//! Holds: the physical block is what lands whole or not at all. A write in flight may land in part,
//! in any order of its blocks and beside any other, long before it is told as done. A killed process
//! loses no cache, and its writes go on. After a failed write or flush a block may be read as it was
//! written and never reach the media, whatever is flushed later: the kernel has forgotten that it is
//! dirty. Leaves to others: which fault comes when (`World`, `Node`), damage at rest (`Damage`).

mod faults;

use std::collections::{BTreeMap, BTreeSet};

use crate::random::Random;

/// Bytes of one physical block.
pub const BLOCK_BYTES: usize = 512;

/// A file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileName {
    /// The two copies of the superblock, one after the other.
    Superblock,
    /// The two copies of the slot, one after the other.
    Slot,
    /// A segment.
    Segment(u32),
    /// The checkpoint that ends with this frame.
    Checkpoint(u64),
}

/// A write in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// A write that has not come back.
#[derive(Clone, Debug)]
pub struct Write {
    /// Which.
    pub ticket: Ticket,
    /// To which file.
    pub file: FileName,
    /// From the file's beginning: whole blocks.
    pub offset: usize,
    /// What: whole blocks.
    pub bytes: Vec<u8>,
}

impl Write {
    /// Blocks of the write.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.bytes.len() / BLOCK_BYTES
    }
}

#[derive(Clone, Debug)]
struct File {
    /// What survives a power loss.
    media: Vec<u8>,
    /// What a read gives.
    view: Vec<u8>,
    /// Whether its name survives a power loss.
    named: bool,
    /// Blocks that no flush writes any more, though the media has them otherwise.
    forgotten: BTreeSet<usize>,
}

/// The disk.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    files: BTreeMap<FileName, File>,
    in_flight: Vec<Write>,
    /// Writes of a process that is gone.
    orphans: Vec<Write>,
    tickets: u64,
    /// Blocks that files may still grow by; `None` for as many as they like.
    room: Option<usize>,
    unreadable: Option<(FileName, usize)>,
    harmed: bool,
}

/// There is no room for all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSpace;

impl Disk {
    /// Makes a file of zeros, durable with its name.
    pub fn create(&mut self, name: FileName, bytes: usize) {
        self.put(name, vec![0; bytes]);
        self.flush(name);
        self.sync_names();
    }

    /// Makes a file with these bytes in the cache, and a name that no directory sync made durable.
    pub fn put(&mut self, name: FileName, bytes: Vec<u8>) {
        let file = File { media: Vec::new(), view: bytes, named: false, forgotten: BTreeSet::new() };
        let before = self.files.insert(name, file);
        assert!(before.is_none(), "{name:?} is made once");
    }

    /// Makes the file longer by zeros in the cache, as far as there is room.
    ///
    /// # Errors
    /// `NoSpace` if it did not become as long.
    pub fn extend(&mut self, name: FileName, bytes: usize) -> Result<(), NoSpace> {
        let len = self.view(name).len();
        let wanted = bytes.saturating_sub(len);
        let given = self.room.map_or(wanted, |room| wanted.min(room * BLOCK_BYTES));
        if let Some(room) = &mut self.room {
            *room -= given / BLOCK_BYTES;
        }
        self.file(name).view.resize(len + given, 0);
        if given < wanted { Err(NoSpace) } else { Ok(()) }
    }

    /// Says how many blocks files may still grow by.
    pub const fn set_room(&mut self, blocks: Option<usize>) {
        self.room = blocks;
    }

    /// The names of all files are durable.
    pub fn sync_names(&mut self) {
        self.files.values_mut().for_each(|file| file.named = true);
    }

    /// Bytes of a file, if it is there.
    #[must_use]
    pub fn len(&self, name: FileName) -> Option<usize> {
        self.files.get(&name).map(|file| file.view.len())
    }

    /// The names of all files.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = FileName> + '_ {
        self.files.keys().copied()
    }

    /// What a read of the whole file gives.
    ///
    /// # Panics
    /// If there is no such file.
    #[must_use]
    pub fn view(&self, name: FileName) -> &[u8] {
        &self.files.get(&name).expect("the file is there").view
    }

    /// Submits a write that is durable when it completes.
    pub fn submit(&mut self, file: FileName, offset: usize, bytes: Vec<u8>) -> Ticket {
        assert!(offset.is_multiple_of(BLOCK_BYTES) && bytes.len().is_multiple_of(BLOCK_BYTES));
        assert!(offset + bytes.len() <= self.view(file).len(), "the commit path never grows a file");
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.in_flight.push(Write { ticket, file, offset, bytes });
        ticket
    }

    /// The writes that have not come back.
    #[must_use]
    pub fn in_flight(&self) -> &[Write] {
        &self.in_flight
    }

    /// The write comes back: it is durable.
    pub fn complete(&mut self, ticket: Ticket) {
        let write = self.take(ticket);
        self.land_whole(&write);
    }

    /// Writes to the cache alone.
    pub fn write_cached(&mut self, file: FileName, offset: usize, bytes: &[u8]) {
        let file = self.file(file);
        file.view[offset..offset + bytes.len()].copy_from_slice(bytes);
        file.forgotten.retain(|block| !(offset..offset + bytes.len()).contains(&(block * BLOCK_BYTES)));
    }

    /// Everything of the file that was written is durable, but for what the kernel has forgotten.
    pub fn flush(&mut self, name: FileName) {
        let file = self.file(name);
        if file.forgotten.is_empty() {
            file.media.clone_from(&file.view);
            return;
        }
        file.media.resize(file.view.len(), 0);
        for block in 0..file.view.len().div_ceil(BLOCK_BYTES) {
            if !file.forgotten.contains(&block) {
                file.land_from_cache(block);
            }
        }
    }

    /// The process is killed: its writes in flight go on without it.
    pub fn kill(&mut self) {
        self.orphans.append(&mut self.in_flight);
    }

    /// Whether writes of a killed process are still under way: so long its locks are held.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        !self.orphans.is_empty()
    }

    /// One write of the killed process ends: done whole, not at all, or in part; in the cache or
    /// through it.
    pub fn end_orphan(&mut self, random: &mut Random) {
        if self.orphans.is_empty() {
            return;
        }
        let index = random.index(self.orphans.len());
        let write = self.orphans.swap_remove(index);
        let (fate, through) = (random.below(0..3), random.one_in(3));
        for block in 0..write.blocks() {
            if fate == 0 || fate == 1 && random.one_in(2) {
                self.land(&write, block, through);
            }
        }
    }

    /// All writes of the killed process have ended.
    pub fn end_orphans(&mut self, random: &mut Random) {
        while self.is_locked() {
            self.end_orphan(random);
        }
    }

    /// A block of any write in flight lands, though nobody is told yet.
    pub fn land_early(&mut self, random: &mut Random) {
        if self.in_flight.is_empty() {
            return;
        }
        let write = self.in_flight[random.index(self.in_flight.len())].clone();
        self.land(&write, random.index(write.blocks()), random.one_in(2));
    }

    /// The power is lost: each block in flight or in the cache landed or did not, and so with what
    /// was not synced of names and lengths.
    pub fn lose_power(&mut self, random: &mut Random) {
        self.kill();
        for write in core::mem::take(&mut self.orphans) {
            // Whole and absent writes are likelier than the blocks' own chances make them.
            let fate = random.below(0..4);
            for block in 0..write.blocks() {
                if fate == 0 || fate > 1 && random.one_in(2) {
                    self.land(&write, block, true);
                }
            }
        }
        self.files.retain(|_, file| file.named || random.one_in(2));
        for file in self.files.values_mut() {
            file.lose_cache(random);
        }
    }

    /// Lands one block of a write in flight on the media: how the enumerations build their images.
    pub fn land_block(&mut self, write: &Write, block: usize) {
        self.land(write, block, true);
    }

    /// Forgets the writes in flight.
    pub fn drop_in_flight(&mut self) {
        self.in_flight.clear();
    }

    /// Changes what lies on the media, behind everybody's back: one block, or what the file has of it.
    pub fn damage(&mut self, name: FileName, offset: usize, change: impl FnOnce(&mut [u8])) {
        self.harmed = true;
        let file = self.file(name);
        let end = (offset + BLOCK_BYTES).min(file.view.len());
        change(&mut file.view[offset..end]);
        if file.media.len() < end {
            file.media.resize(end, 0);
        }
        file.media[offset..end].copy_from_slice(&file.view[offset..end]);
    }

    /// Whether anything that was told as done was ever changed, lost or put elsewhere.
    #[must_use]
    pub const fn is_harmed(&self) -> bool {
        self.harmed
    }

    /// The file is gone.
    pub fn remove(&mut self, name: FileName) {
        assert!(self.files.remove(&name).is_some(), "it was there");
    }

    fn take(&mut self, ticket: Ticket) -> Write {
        let found = self.in_flight.iter().position(|write| write.ticket == ticket);
        self.in_flight.swap_remove(found.expect("the write is in flight"))
    }

    fn land_whole(&mut self, write: &Write) {
        for block in 0..write.blocks() {
            self.land(write, block, true);
        }
    }

    fn land(&mut self, write: &Write, block: usize, through: bool) {
        let from = block * BLOCK_BYTES;
        let at = write.offset + from;
        // A power loss may have taken the file, or what it had grown by, from under an old write.
        let Some(file) = self.files.get_mut(&write.file).filter(|file| at + BLOCK_BYTES <= file.view.len())
        else {
            return;
        };
        file.view[at..at + BLOCK_BYTES].copy_from_slice(&write.bytes[from..from + BLOCK_BYTES]);
        file.forgotten.remove(&(at / BLOCK_BYTES));
        if through {
            file.media.resize(file.media.len().max(at + BLOCK_BYTES), 0);
            file.land_from_cache(at / BLOCK_BYTES);
        }
    }

    fn file(&mut self, name: FileName) -> &mut File {
        self.files.get_mut(&name).expect("the file is there")
    }
}

impl File {
    fn land_from_cache(&mut self, block: usize) {
        let from = block * BLOCK_BYTES;
        let to = (from + BLOCK_BYTES).min(self.view.len());
        self.media[from..to].copy_from_slice(&self.view[from..to]);
    }

    fn lose_cache(&mut self, random: &mut Random) {
        let blocks = (self.media.len() / BLOCK_BYTES, self.view.len() / BLOCK_BYTES);
        if blocks.0 < blocks.1 {
            let kept = random.below(blocks.0 as u64..blocks.1 as u64 + 1);
            let kept = usize::try_from(kept).expect("a small file") * BLOCK_BYTES;
            self.view.truncate(kept.max(self.media.len()));
            self.media.resize(self.view.len(), 0);
        }
        for block in 0..self.view.len().div_ceil(BLOCK_BYTES) {
            let from = block * BLOCK_BYTES;
            let to = (from + BLOCK_BYTES).min(self.view.len());
            if self.media[from..to] == self.view[from..to] {
                continue;
            }
            if !self.forgotten.contains(&block) && random.one_in(2) {
                self.land_from_cache(block);
            } else {
                self.view[from..to].copy_from_slice(&self.media[from..to]);
            }
        }
        self.forgotten.clear();
    }
}

#[cfg(test)]
mod tests;
