//! What goes wrong with one call: a write or a flush that fails, is short, goes astray or is lost, a
//! read that fails.

use super::{BLOCK_BYTES, Disk, FileName, Ticket, Write};
use crate::random::Random;

/// The device does not give up the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl Disk {
    /// The write comes back with an error: any of its blocks landed in the cache, on the media, or
    /// nowhere.
    pub fn fail(&mut self, ticket: Ticket, random: &mut Random) {
        let write = self.take(ticket);
        self.land_in_part(&write, 0, random);
    }

    /// The write comes back short: its first blocks are durable, and any of the others landed.
    /// Returns the bytes that it is said to have written, fewer than all.
    pub fn fall_short(&mut self, ticket: Ticket, random: &mut Random) -> u32 {
        let write = self.take(ticket);
        let written = random.index(write.blocks());
        for block in 0..written {
            self.land(&write, block, true);
        }
        self.land_in_part(&write, written, random);
        u32::try_from(written * BLOCK_BYTES).expect("a small write")
    }

    /// The write comes back as done, and nothing of it landed.
    pub fn lose(&mut self, ticket: Ticket) {
        drop(self.take(ticket));
        self.harmed = true;
    }

    /// The write comes back as done, and lies elsewhere in its file.
    pub fn go_astray(&mut self, ticket: Ticket, random: &mut Random) {
        let write = self.take(ticket);
        let places = (self.view(write.file).len() - write.bytes.len()) / BLOCK_BYTES + 1;
        let offset = random.index(places) * BLOCK_BYTES;
        self.land_whole(&Write { offset, ..write });
        self.harmed = true;
    }

    /// The flush fails: of what was in the cache, each block landed, or is gone, or is read as if it
    /// had landed until the power is lost.
    pub fn fail_flush(&mut self, name: FileName, random: &mut Random) {
        let file = self.file(name);
        file.media.resize(file.view.len(), 0);
        for block in 0..file.view.len().div_ceil(BLOCK_BYTES) {
            let from = block * BLOCK_BYTES;
            let to = (from + BLOCK_BYTES).min(file.view.len());
            if file.media[from..to] == file.view[from..to] {
                continue;
            }
            match random.below(0..3) {
                0 => file.land_from_cache(block),
                1 => file.view[from..to].copy_from_slice(&file.media[from..to]),
                _ => drop(file.forgotten.insert(block)),
            }
        }
    }

    /// Reads of this block fail until `mend_reads`.
    pub const fn fail_reads(&mut self, name: FileName, offset: usize) {
        self.unreadable = Some((name, offset));
    }

    /// Every block can be read again.
    pub const fn mend_reads(&mut self) {
        self.unreadable = None;
    }

    /// Reads a part of a file; `None` where the file ends before.
    ///
    /// # Errors
    /// `Unreadable` if it holds the block whose reads fail.
    pub fn read(&self, name: FileName, offset: usize, bytes: usize) -> Result<Option<&[u8]>, Unreadable> {
        let fails = |(file, at): (FileName, usize)| file == name && (offset..offset + bytes).contains(&at);
        if self.unreadable.is_some_and(fails) {
            return Err(Unreadable);
        }
        Ok(self.view(name).get(offset..offset + bytes))
    }

    fn land_in_part(&mut self, write: &Write, from: usize, random: &mut Random) {
        for block in from..write.blocks() {
            if random.one_in(2) {
                self.land(write, block, random.one_in(2));
                if random.one_in(2) {
                    self.file(write.file).forgotten.insert(write.offset / BLOCK_BYTES + block);
                }
            }
        }
    }
}
