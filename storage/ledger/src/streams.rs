//! `Streams`: the chain of slices of each usage stream.
//!
//! A stream remembers its last slices, so that one sent again is told from one that differs.

use alloc::vec::Vec;

use model::Seq;

use crate::index::{Index, Seed};

/// Slices that a stream remembers, the newest ones.
pub const RECENT_SLICES: usize = 8;
const RECENT_COUNT: u64 = 8;

/// Where a stream stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamView {
    /// Number of its last slice.
    pub number: u64,
    /// BLAKE3 of the body of its last slice.
    pub digest: [u8; 32],
    /// The entry that holds its last slice.
    pub seq: Seq,
}

/// One slice as its stream remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) digest: [u8; 32],
    pub(crate) seq: Seq,
}

#[derive(Clone)]
pub(crate) struct Stream {
    pub(crate) id: [u8; 16],
    /// Number of the last slice; at least 1.
    number: u64,
    /// Slice `n` is at `n % RECENT_SLICES`.
    links: [Link; RECENT_SLICES],
}

impl Stream {
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// The slice with this number, if it is among those remembered.
    pub(crate) fn link(&self, number: u64) -> Option<Link> {
        let remembered = number >= 1 && number <= self.number && self.number - number < RECENT_COUNT;
        remembered.then(|| self.links[place(number)])
    }

    pub(crate) fn view(&self) -> StreamView {
        let link = self.last();
        StreamView { number: self.number, digest: link.digest, seq: link.seq }
    }

    pub(crate) fn last(&self) -> Link {
        self.link(self.number).expect("a stream has at least one slice")
    }

    /// The remembered slices from the oldest.
    pub(crate) fn recent(&self) -> impl Iterator<Item = Link> + '_ {
        let first = self.number.saturating_sub(RECENT_COUNT) + 1;
        (first..=self.number).filter_map(|number| self.link(number))
    }
}

pub(crate) struct Streams {
    rows: Vec<Stream>,
    index: Index,
    seed: Seed,
    rows_max: u32,
}

impl Streams {
    pub(crate) fn new(rows_max: u32, seed: Seed) -> Self {
        let capacity = usize::try_from(rows_max).expect("a bound fits in the address space");
        Self { rows: Vec::with_capacity(capacity), index: Index::new(rows_max), seed, rows_max }
    }

    pub(crate) fn find(&self, id: &[u8; 16]) -> Option<&Stream> {
        self.position(id).map(|at| self.rows.get(at).expect("positions are never removed"))
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.index.count() == self.rows_max
    }

    pub(crate) fn rows(&self) -> &[Stream] {
        &self.rows
    }

    /// Adds a slice at the end of its stream, or the first of a new one.
    pub(crate) fn push(&mut self, id: [u8; 16], link: Link) {
        match self.position(&id) {
            Some(at) => {
                let stream = self.rows.get_mut(at).expect("positions are never removed");
                stream.number += 1;
                stream.links[place(stream.number)] = link;
            }
            None => self.add(id, 1, &[link]),
        }
    }

    /// Adds a stream with its remembered slices, the newest of which has this number.
    pub(crate) fn add(&mut self, id: [u8; 16], number: u64, recent: &[Link]) {
        assert!(self.position(&id).is_none() && !recent.is_empty() && recent.len() <= RECENT_SLICES);
        let newest = *recent.last().expect("not empty");
        let mut stream = Stream { id, number, links: [newest; RECENT_SLICES] };
        for (link, number) in recent.iter().rev().zip((1..=number).rev()) {
            stream.links[place(number)] = *link;
        }
        self.index.insert(self.hash(&id), self.index.count());
        self.rows.push(stream);
    }

    fn position(&self, id: &[u8; 16]) -> Option<usize> {
        let row = |at| self.rows.get(usize::try_from(at).ok()?);
        let found = self.index.find(self.hash(id), |at| row(at).is_some_and(|row| row.id == *id))?;
        usize::try_from(found).ok()
    }

    fn hash(&self, id: &[u8; 16]) -> u64 {
        self.seed.one(u128::from_le_bytes(*id))
    }
}

impl Clone for Streams {
    /// A copy with the same reserve. Only what is in use is copied.
    fn clone(&self) -> Self {
        let mut copy = Self::new(self.rows_max, self.seed.clone());
        for row in &self.rows {
            copy.index.insert(copy.hash(&row.id), copy.index.count());
            copy.rows.push(row.clone());
        }
        copy
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number % RECENT_COUNT).expect("a remainder below eight")
}
