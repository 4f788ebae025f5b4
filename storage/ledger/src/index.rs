//! `Index`: finds a row's position by the keyed hash of its key.
//!
//! Open addressing with linear probing at a load of at most one half, and deletion by shifting
//! back, so there are no tombstones, no rehash and no growth: its cost does not depend on
//! history. The rows themselves lie in order in their owner's vector; nothing is ever read in the
//! order of this table. A table that was reserved and not touched costs no resident memory.

use alloc::{vec, vec::Vec};

const POSITION_MASK: u64 = 0xffff_ffff;
/// Slots in a page of memory.
const PAGE_SLOTS: u64 = 512;

/// The keyed hash of every table. Keys are digests already, but a caller can grind names.
#[derive(Clone)]
pub(crate) struct Seed {
    words: [u64; 5],
}

impl Seed {
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        let mut bytes = [0; 40];
        let mut stream =
            blake3::Hasher::new_derive_key("macronode 2026 ledger tables").update(secret).finalize_xof();
        stream.fill(&mut bytes);
        let mut words = [0; 5];
        for (word, chunk) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*chunk);
        }
        Self { words }
    }

    /// The hash of one 128-bit key.
    pub(crate) fn one(&self, key: u128) -> u64 {
        let [a, b, _, _, e] = self.words;
        fold(fold(low(key) ^ a, low(key >> 64) ^ b) ^ e, b | 1)
    }

    /// The hash of a pair of 128-bit keys.
    pub(crate) fn pair(&self, key: u128, other: u128) -> u64 {
        let [a, b, c, d, e] = self.words;
        let mixed = fold(low(key) ^ a, low(key >> 64) ^ b) ^ fold(low(other) ^ c, low(other >> 64) ^ d);
        fold(mixed ^ e, d | 1)
    }
}

fn low(value: u128) -> u64 {
    u64::try_from(value & u128::from(u64::MAX)).expect("the mask leaves 64 bits")
}

/// The two halves of the 128-bit product, folded together.
fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    low(product) ^ low(product >> 64)
}

/// A slot is zero when empty; otherwise the upper half of the hash and the position plus one.
pub(crate) struct Index {
    slots: Vec<u64>,
    mask: u64,
    count: u32,
    rows_max: u32,
}

fn slots(rows_max: u32) -> u64 {
    (u64::from(rows_max) * 2).next_power_of_two().max(8)
}

impl Index {
    /// An index of at most `rows_max` rows.
    pub(crate) fn new(rows_max: u32) -> Self {
        let slots = slots(rows_max);
        let len = usize::try_from(slots).expect("a table fits in the address space");
        Self { slots: vec![0; len], mask: slots - 1, count: 0, rows_max }
    }

    /// Bytes that an index of at most `rows_max` rows reserves.
    pub(crate) fn reserved_bytes(rows_max: u32) -> usize {
        usize::try_from(slots(rows_max)).map_or(usize::MAX, |slots| slots.saturating_mul(size_of::<u64>()))
    }

    /// Tells an empty index that `rows` come at once. Where they would touch most of its pages, all
    /// are touched now in order: in the order of hashes each would be faulted in twice, first by a
    /// search that finds nothing and then by the row. `advise` sees the memory before it is touched.
    pub(crate) fn expect(&mut self, rows: u64, advise: fn(&mut [u64])) {
        if self.count == 0 && rows >= (self.mask + 1) / PAGE_SLOTS {
            advise(&mut self.slots);
            // The compiler may know that they are zero; the kernel shall know it too.
            core::hint::black_box(&mut self.slots).fill(0);
        }
    }

    /// The position for which `is_it` holds among those with this hash.
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut at = self.home(hash);
        loop {
            let slot = self.slot(at);
            if slot == 0 {
                return None;
            }
            if (slot ^ hash) & !POSITION_MASK == 0 && is_it(position(slot)) {
                return Some(position(slot));
            }
            at = (at + 1) & self.mask;
        }
    }

    /// Adds a position that is not there yet.
    pub(crate) fn insert(&mut self, hash: u64, position: u32) {
        assert!(self.count < self.rows_max, "the owner of an index asks for room first");
        let mut at = self.home(hash);
        while self.slot(at) != 0 {
            at = (at + 1) & self.mask;
        }
        self.set(at, (hash & !POSITION_MASK) | (u64::from(position) + 1));
        self.count += 1;
    }

    /// Takes out a position that is there.
    pub(crate) fn remove(&mut self, hash: u64, gone: u32) {
        let mut at = self.home(hash);
        loop {
            let slot = self.slot(at);
            assert!(slot != 0, "a row that is removed is in its index");
            if position(slot) == gone {
                break;
            }
            at = (at + 1) & self.mask;
        }
        let mut next = at;
        loop {
            next = (next + 1) & self.mask;
            let slot = self.slot(next);
            if slot == 0 {
                break;
            }
            // A slot may move back to the hole unless its home lies after the hole.
            let from_home = next.wrapping_sub(self.home(slot)) & self.mask;
            let from_hole = next.wrapping_sub(at) & self.mask;
            if from_home >= from_hole {
                self.set(at, slot);
                at = next;
            }
        }
        self.set(at, 0);
        self.count -= 1;
    }

    pub(crate) const fn count(&self) -> u32 {
        self.count
    }

    /// The first position that the hash alone does not rule out. Reads no row.
    pub(crate) fn candidate(&self, hash: u64) -> Option<u32> {
        let mut at = self.home(hash);
        loop {
            let slot = self.slot(at);
            if slot == 0 {
                return None;
            }
            if (slot ^ hash) & !POSITION_MASK == 0 {
                return Some(position(slot));
            }
            at = (at + 1) & self.mask;
        }
    }

    /// Reads the slot where a search for `hash` begins, so that it is in the cache.
    pub(crate) fn touch(&self, hash: u64) -> u64 {
        self.slot(self.home(hash))
    }

    const fn home(&self, hash: u64) -> u64 {
        (hash >> 32) & self.mask
    }

    fn slot(&self, at: u64) -> u64 {
        let at = usize::try_from(at).expect("the mask keeps it in the table");
        *self.slots.get(at).expect("the mask keeps it in the table")
    }

    fn set(&mut self, at: u64, slot: u64) {
        let at = usize::try_from(at).expect("the mask keeps it in the table");
        *self.slots.get_mut(at).expect("the mask keeps it in the table") = slot;
    }
}

fn position(slot: u64) -> u32 {
    u32::try_from((slot & POSITION_MASK) - 1).expect("the mask leaves 32 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every hash falls into a few homes, so that runs wrap and deletions shift.
    #[test]
    fn agrees_with_a_plain_list_through_insertions_and_removals() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut index = Index::new(40);
        let mut plain: Vec<(u64, u32)> = Vec::new();
        for step in 0..20_000_u32 {
            let hash = ((random() % 6) * 25) << 32 | random() & 0xffff;
            if plain.len() == 40 || (!plain.is_empty() && random() % 2 == 0) {
                let victim = usize::try_from(random()).unwrap() % plain.len();
                let (hash, position) = plain.swap_remove(victim);
                index.remove(hash, position);
                assert_eq!(index.find(hash, |found| found == position), None);
            } else {
                plain.push((hash, step));
                index.insert(hash, step);
            }
            for (hash, position) in &plain {
                assert_eq!(index.find(*hash, |found| found == *position), Some(*position));
            }
            assert_eq!(usize::try_from(index.count()).unwrap(), plain.len());
        }
    }

    #[test]
    fn what_is_expected_changes_no_row() {
        let mut index = Index::new(10_000);
        index.expect(10_000, |slots| assert!(slots.len() >= 20_000));
        assert_eq!(index.find(7 << 32, |_| true), None);
        index.insert(7 << 32, 3);
        index.expect(10_000, |_| panic!("it is not empty"));
        assert_eq!(index.find(7 << 32, |found| found == 3), Some(3));
        assert_eq!(index.count(), 1);
    }

    #[test]
    fn the_seed_moves_every_hash() {
        let (one, other) = (Seed::new(&[1; 32]), Seed::new(&[2; 32]));
        for key in 0..100 {
            assert_ne!(one.one(key), other.one(key));
            assert_ne!(one.pair(key, 1), one.pair(key, 2));
            assert_ne!(one.pair(key, 1), one.pair(key + 1, 1));
            assert_ne!(one.one(key), one.one(key + 1));
        }
    }
}
