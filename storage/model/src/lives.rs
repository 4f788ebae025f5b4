//! `Lives`: the incarnations of a ledger after its first, in their order.
//!
//! Holds: numbers and first entries ascend. An entry belongs to the last life that began at or before
//! it, so that an id given out for an entry that was dropped is never that of another one.

use alloc::{format, string::String, vec::Vec};

use crate::{Beginning, Incarnation, Seq, limits::INCARNATIONS_MAX};

/// Between the ledger's name and the life's in an origin.
const LIFE: &str = "/incarnation/";

/// One incarnation after the first: from which entry on, and which of those with its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// Its number.
    pub incarnation: Incarnation,
    /// Drawn when it was begun.
    pub id: [u8; 8],
    /// Its first entry.
    pub first: Seq,
}

impl Life {
    /// The life that this entry begins.
    #[must_use]
    pub const fn of(beginning: &Beginning) -> Self {
        Self { incarnation: beginning.incarnation, id: beginning.life, first: beginning.head.seq }
    }

    /// What a log of this life signs under: each life is a log of its own, because no tree of it past
    /// its first entry is consistent with one of the life before.
    #[must_use]
    pub fn origin(&self, ledger: &str) -> String {
        let id = u64::from_be_bytes(self.id);
        format!("{ledger}{LIFE}{}-{id:016x}", self.incarnation.0)
    }

    /// What the ledger's log signed under in its first life, from what it signs under in any.
    #[must_use]
    pub fn ledger(origin: &str) -> &str {
        origin.rsplit_once(LIFE).map_or(origin, |(ledger, _)| ledger)
    }
}

/// The incarnations after the first.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Lives(Vec<Life>);

impl Lives {
    /// The newest one; `None` while the first lasts.
    #[must_use]
    pub fn newest(&self) -> Option<&Life> {
        self.0.last()
    }

    /// The number of the newest one.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.newest().map_or(Incarnation::FIRST, |life| life.incarnation)
    }

    /// Which one this entry belongs to.
    #[must_use]
    pub fn of(&self, seq: Seq) -> Incarnation {
        let life = self.0.iter().rev().find(|life| life.first <= seq);
        life.map_or(Incarnation::FIRST, |life| life.incarnation)
    }

    /// All of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Life> + '_ {
        self.0.iter()
    }

    /// Adds one; false, and nothing is added, if it does not follow or there is no room.
    #[must_use]
    pub fn push(&mut self, life: Life) -> bool {
        let first = self.newest().map_or(Seq::ZERO, |newest| newest.first);
        let follows = life.incarnation > self.incarnation() && life.first > first;
        let takes = follows && self.0.len() < INCARNATIONS_MAX;
        if takes {
            self.0.push(life);
        }
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn life(incarnation: u32, first: u64) -> Life {
        Life { incarnation: Incarnation(incarnation), id: [0; 8], first: Seq(first) }
    }

    #[test]
    fn an_entry_belongs_to_the_life_that_it_was_written_in() {
        let mut lives = Lives::default();
        assert_eq!((lives.of(Seq(9)), lives.incarnation()), (Incarnation(1), Incarnation(1)));
        assert!(lives.push(life(2, 5)) && lives.push(life(7, 9)));
        for (seq, incarnation) in [(1, 1), (4, 1), (5, 2), (8, 2), (9, 7), (100, 7)] {
            assert_eq!(lives.of(Seq(seq)), Incarnation(incarnation), "entry {seq}");
        }
        for wrong in [life(7, 10), life(8, 9)] {
            assert!(!lives.push(wrong), "{wrong:?}");
        }
        for more in 3..=u64::try_from(INCARNATIONS_MAX).unwrap() {
            assert!(lives.push(life(u32::try_from(more).unwrap() + 5, more + 7)));
        }
        assert!(!lives.push(life(9_999, 9_999)), "no room");
    }

    #[test]
    fn a_life_signs_under_a_name_of_its_own() {
        let life = Life { id: [3; 8], ..life(2, 8) };
        let origin = life.origin("example.org/log");
        assert_eq!(origin, "example.org/log/incarnation/2-0303030303030303");
        assert_eq!((Life::ledger(&origin), Life::ledger("x")), ("example.org/log", "x"));
    }
}
