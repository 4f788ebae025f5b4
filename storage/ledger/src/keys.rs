//! `Keys`: the first outcome of every idempotency key, as long as it is kept.
//!
//! Rows lie in a ring in the order of their entries. A row is forgotten when ledger time is more
//! than `KEY_RETENTION_MILLIS` past its entry: by then a key that carries its own time is refused
//! as too old, so that forgetting it cannot let it execute twice. A key without a time is exactly
//! once inside the retention only.

use alloc::vec::Vec;

use model::{Nanos, Seq, Timestamp, limits::KEY_AHEAD_MILLIS_MAX};

use crate::index::{Index, Seed};

/// A key whose own time is further than this behind ledger time is refused, in milliseconds.
pub(crate) const KEY_AGE_MILLIS_MAX: u64 = 24 * 60 * 60 * 1000;
/// How long the outcome of a key is kept, in milliseconds of ledger time: the age at which it is
/// refused, and how far ahead of ledger time it may have been when it came.
pub const KEY_RETENTION_MILLIS: u64 = KEY_AGE_MILLIS_MAX + KEY_AHEAD_MILLIS_MAX;
/// Rows that one entry forgets at most; more than the one that it adds, so the ring drains.
const FORGOTTEN_PER_ENTRY: u32 = 4;

/// The first outcome of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyView {
    /// Fingerprint of the request that came with it.
    pub fingerprint: u64,
    /// The entry that says how it went.
    pub seq: Seq,
    /// Ledger time of that entry.
    pub at: Timestamp,
}

#[derive(Clone, Copy)]
pub(crate) struct KeyRow {
    pub(crate) digest: [u8; 16],
    pub(crate) outcome: KeyView,
}

pub(crate) struct Keys {
    ring: Vec<KeyRow>,
    front: u32,
    index: Index,
    seed: Seed,
    rows_max: u32,
}

impl Keys {
    pub(crate) fn new(rows_max: u32, seed: Seed) -> Self {
        let capacity = usize::try_from(rows_max).expect("a bound fits in the address space");
        Self { ring: Vec::with_capacity(capacity), front: 0, index: Index::new(rows_max), seed, rows_max }
    }

    pub(crate) fn find(&self, digest: &[u8; 16]) -> Option<KeyView> {
        let is_it = |at| self.at(at).digest == *digest;
        self.index.find(self.hash(digest), is_it).map(|at| self.at(at).outcome)
    }

    /// Reads where a search for `digest` begins, so that it is in the cache.
    pub(crate) fn touch(&self, digest: &[u8; 16]) -> u64 {
        self.index.touch(self.hash(digest))
    }

    pub(crate) const fn count(&self) -> u32 {
        self.index.count()
    }

    /// Tells that this many keys come at once; `advise` sees memory before it is touched for them.
    pub(crate) fn expect(&mut self, keys: u64, advise: fn(&mut [u64])) {
        self.index.expect(keys, advise);
    }

    /// Whether an entry at `at` can keep one more key.
    pub(crate) fn room_at(&self, at: Timestamp) -> bool {
        self.count() < self.rows_max || is_forgotten(&self.at(self.front), at)
    }

    /// Forgets a bounded number of rows that are too old at `at`.
    pub(crate) fn forget(&mut self, at: Timestamp) {
        for _ in 0..FORGOTTEN_PER_ENTRY {
            if self.count() == 0 || !is_forgotten(&self.at(self.front), at) {
                return;
            }
            let digest = self.at(self.front).digest;
            self.index.remove(self.hash(&digest), self.front);
            self.front = (self.front + 1) % self.rows_max;
        }
    }

    /// Keeps the outcome of a key. The caller has seen that it is not there and asked for room.
    pub(crate) fn add(&mut self, row: KeyRow) {
        assert!(self.count() < self.rows_max);
        let at = (self.front + self.count()) % self.rows_max;
        self.index.insert(self.hash(&row.digest), at);
        match self.ring.get_mut(slot(at)) {
            Some(place) => *place = row,
            None => self.ring.push(row),
        }
        assert!(self.ring.len() > slot(at));
    }

    /// The rows from the oldest.
    pub(crate) fn iter(&self) -> impl Iterator<Item = KeyRow> + '_ {
        (0..self.count()).map(|offset| self.at((self.front + offset) % self.rows_max))
    }

    fn at(&self, at: u32) -> KeyRow {
        *self.ring.get(slot(at)).expect("positions in use are in the ring")
    }

    fn hash(&self, digest: &[u8; 16]) -> u64 {
        self.seed.one(u128::from_le_bytes(*digest))
    }
}

impl Clone for Keys {
    /// A copy with the same reserve. Only what is in use is copied.
    fn clone(&self) -> Self {
        let mut copy = Self::new(self.rows_max, self.seed.clone());
        copy.expect(u64::from(self.count()), |_| {});
        for row in self.iter() {
            copy.add(row);
        }
        copy
    }
}

fn is_forgotten(row: &KeyRow, at: Timestamp) -> bool {
    at.since(row.outcome.at) > Nanos::from_millis(KEY_RETENTION_MILLIS)
}

fn slot(at: u32) -> usize {
    usize::try_from(at).expect("a position fits in the address space")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u64, millis: u64) -> KeyRow {
        let outcome = KeyView { fingerprint: 0, seq: Seq(number), at: Timestamp::from_millis(millis) };
        KeyRow { digest: u128::from(number).to_le_bytes(), outcome }
    }

    #[test]
    fn the_ring_wraps_and_forgets_in_order_of_age() {
        let mut keys = Keys::new(3, Seed::new(&[1; 32]));
        let mut at = 0;
        for number in 1..=50 {
            at += KEY_RETENTION_MILLIS / 2;
            let now = Timestamp::from_millis(at);
            assert!(keys.room_at(now), "{number}");
            keys.forget(now);
            keys.add(row(number, at));
            assert!(keys.count() <= 3);
            for back in 0..3 {
                let kept = keys.find(&u128::from(number.saturating_sub(back)).to_le_bytes());
                assert_eq!(kept.is_some(), number > back, "{number} {back}");
            }
        }
        assert_eq!(keys.iter().map(|row| row.outcome.seq.0).collect::<Vec<_>>(), [48, 49, 50]);
        assert!(!keys.room_at(Timestamp::from_millis(at)));
        let copy = keys.clone();
        assert_eq!(copy.find(&49_u128.to_le_bytes()), keys.find(&49_u128.to_le_bytes()));
    }
}
