//! A disk with a cache: what was written can be read at once, and is gone after a power loss unless
//! it was flushed or written through.
//!
//! Holds: the physical block is what lands whole or not at all. A write in flight may land in part,
//! in any order of its blocks and beside any other. A killed process loses no cache.

use std::collections::BTreeMap;

use crate::random::Random;

/// Bytes of one physical block, and the stride of every simulated journal.
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
}

/// The disk.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    files: BTreeMap<FileName, File>,
    in_flight: Vec<Write>,
    tickets: u64,
}

impl Disk {
    /// Makes a file of zeros, durable with its name.
    pub fn create(&mut self, name: FileName, bytes: usize) {
        let file = File { media: vec![0; bytes], view: vec![0; bytes] };
        let before = self.files.insert(name, file);
        assert!(before.is_none(), "{name:?} is made once");
    }

    /// Bytes of a file, if it is there.
    #[must_use]
    pub fn len(&self, name: FileName) -> Option<usize> {
        self.files.get(&name).map(|file| file.view.len())
    }

    /// The names of all files.
    pub fn names(&self) -> impl Iterator<Item = FileName> + '_ {
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
        for block in 0..write.blocks() {
            self.land(&write, block, true);
        }
    }

    /// The write comes back with an error: any of its blocks landed in the cache, on the media, or
    /// nowhere.
    pub fn fail(&mut self, ticket: Ticket, random: &mut Random) {
        let write = self.take(ticket);
        for block in 0..write.blocks() {
            if random.one_in(2) {
                self.land(&write, block, random.one_in(2));
            }
        }
    }

    /// Writes to the cache alone.
    pub fn write_cached(&mut self, file: FileName, offset: usize, bytes: &[u8]) {
        self.file(file).view[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// Everything of the file that was written is durable.
    pub fn flush(&mut self, name: FileName) {
        let file = self.file(name);
        file.media.copy_from_slice(&file.view);
    }

    /// The process is killed: each write in flight is done whole or not at all, in the cache or
    /// through it.
    pub fn kill(&mut self, random: &mut Random) {
        for write in core::mem::take(&mut self.in_flight) {
            let (lands, through) = (random.one_in(2), random.one_in(3));
            for block in (0..write.blocks()).filter(|_| lands) {
                self.land(&write, block, through);
            }
        }
    }

    /// The power is lost: each block in flight or in the cache landed or did not.
    pub fn lose_power(&mut self, random: &mut Random) {
        for write in core::mem::take(&mut self.in_flight) {
            // Whole and absent writes are likelier than the blocks' own chances make them.
            let fate = random.below(0..4);
            for block in 0..write.blocks() {
                if fate == 0 || fate > 1 && random.one_in(2) {
                    self.land(&write, block, true);
                }
            }
        }
        for file in self.files.values_mut() {
            let blocks = file.media.chunks_mut(BLOCK_BYTES).zip(file.view.chunks_mut(BLOCK_BYTES));
            for (media, view) in blocks {
                if media != view {
                    if random.one_in(2) { media.copy_from_slice(view) } else { view.copy_from_slice(media) }
                }
            }
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

    /// Changes what lies on the media, behind everybody's back.
    pub fn damage(&mut self, name: FileName, offset: usize, change: impl FnOnce(&mut [u8])) {
        let file = self.file(name);
        change(&mut file.view[offset..offset + BLOCK_BYTES]);
        let view = file.view[offset..offset + BLOCK_BYTES].to_vec();
        file.media[offset..offset + BLOCK_BYTES].copy_from_slice(&view);
    }

    /// The file is gone.
    pub fn remove(&mut self, name: FileName) {
        assert!(self.files.remove(&name).is_some(), "it was there");
    }

    fn take(&mut self, ticket: Ticket) -> Write {
        let found = self.in_flight.iter().position(|write| write.ticket == ticket);
        self.in_flight.swap_remove(found.expect("the write is in flight"))
    }

    fn land(&mut self, write: &Write, block: usize, through: bool) {
        let from = block * BLOCK_BYTES;
        let bytes = &write.bytes[from..from + BLOCK_BYTES];
        let at = write.offset + from;
        let file = self.file(write.file);
        file.view[at..at + BLOCK_BYTES].copy_from_slice(bytes);
        if through {
            file.media[at..at + BLOCK_BYTES].copy_from_slice(bytes);
        }
    }

    fn file(&mut self, name: FileName) -> &mut File {
        self.files.get_mut(&name).expect("the file is there")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: FileName = FileName::Segment(0);

    fn disk() -> Disk {
        let mut disk = Disk::default();
        disk.create(NAME, 4 * BLOCK_BYTES);
        disk
    }

    #[test]
    fn a_cache_survives_a_kill_and_a_flush_survives_a_power_loss() {
        let (mut lost, mut kept) = (0, 0);
        for seed in 0..64 {
            let mut random = Random::new(seed);
            let mut disk = disk();
            disk.write_cached(NAME, 0, &[1; BLOCK_BYTES]);
            disk.flush(NAME);
            disk.write_cached(NAME, BLOCK_BYTES, &[2; BLOCK_BYTES]);
            disk.kill(&mut random);
            assert_eq!(disk.view(NAME)[BLOCK_BYTES], 2);
            disk.lose_power(&mut random);
            assert_eq!(disk.view(NAME)[0], 1);
            if disk.view(NAME)[BLOCK_BYTES] == 2 { kept += 1 } else { lost += 1 }
        }
        assert!(lost > 0 && kept > 0, "lost {lost} kept {kept}");
    }

    #[test]
    fn a_write_in_flight_tears_at_the_block_and_a_complete_one_does_not() {
        let mut fates = std::collections::BTreeSet::new();
        for seed in 0..256 {
            let mut disk = disk();
            let done = disk.submit(NAME, 0, vec![3; BLOCK_BYTES]);
            disk.submit(NAME, BLOCK_BYTES, vec![4; 3 * BLOCK_BYTES]);
            disk.complete(done);
            disk.lose_power(&mut Random::new(seed));
            assert_eq!(disk.view(NAME)[BLOCK_BYTES - 1], 3);
            let landed = disk.view(NAME)[BLOCK_BYTES..].chunks(BLOCK_BYTES).map(|block| {
                assert!(block.iter().all(|byte| *byte == block[0]), "a block is whole");
                block[0] == 4
            });
            fates.insert(landed.collect::<Vec<_>>());
        }
        assert_eq!(fates.len(), 8, "every subset of three blocks");
    }
}
