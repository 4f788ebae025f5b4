//! `Tree`: the growing edge of the Merkle tree over all leaves (RFC 6962 section 2.1).
//!
//! Keeps one complete subtree per bit of the size, so a leaf costs two hashes on average and the
//! root at most 63. Leaves to others: the nodes below (`proof`, `tile`).

use alloc::vec::Vec;

use crate::{Hash, HashKind};

/// The frontier of a Merkle tree.
#[derive(Clone, PartialEq, Eq)]
pub struct Tree {
    hash: HashKind,
    size: u64,
    /// At level `n` the root of the complete subtree of `2^n` leaves, where bit `n` of the size
    /// is set; what else lies here means nothing and is zero.
    peaks: [Hash; 64],
}

impl Tree {
    /// The empty tree.
    #[must_use]
    pub const fn new(hash: HashKind) -> Self {
        Self { hash, size: 0, peaks: [[0; 32]; 64] }
    }

    /// The tree of `size` leaves whose complete subtrees have these roots, the largest first;
    /// `None` unless there is one for each bit of `size`.
    #[must_use]
    pub fn from_frontier(hash: HashKind, size: u64, frontier: &[Hash]) -> Option<Self> {
        let mut tree = Self::new(hash);
        let mut rest = frontier.iter();
        for (level, peak) in tree.peaks.iter_mut().enumerate().rev() {
            if size >> level & 1 == 1 {
                *peak = *rest.next()?;
            }
        }
        tree.size = size;
        rest.next().is_none().then_some(tree)
    }

    /// The roots of the complete subtrees, the largest first.
    #[must_use]
    pub fn frontier(&self) -> Vec<Hash> {
        let peaks = self.peaks.iter().enumerate().rev();
        peaks.filter(|(level, _)| self.size >> level & 1 == 1).map(|(_, peak)| *peak).collect()
    }

    /// Adds a leaf hash.
    pub fn push(&mut self, leaf: Hash) {
        self.push_each(leaf, |_, _, _| ());
    }

    /// Adds a leaf hash and tells every node that is complete by it, leaf first: its level (0 for
    /// a leaf), its index in the level, its hash.
    pub fn push_each(&mut self, leaf: Hash, mut node: impl FnMut(u8, u64, &Hash)) {
        let mut carry = leaf;
        let mut level = 0;
        node(level, self.size, &carry);
        for peak in &mut self.peaks {
            if self.size >> level & 1 == 0 {
                *peak = carry;
                break;
            }
            carry = self.hash.node(peak, &carry);
            *peak = [0; 32];
            level += 1;
            node(level, self.size >> level, &carry);
        }
        self.size += 1;
    }

    /// Leaves in the tree.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Which hash it uses.
    #[must_use]
    pub const fn hash(&self) -> HashKind {
        self.hash
    }

    /// The root over all leaves.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut root: Option<Hash> = None;
        for (level, peak) in self.peaks.iter().enumerate() {
            if self.size >> level & 1 == 1 {
                root = Some(root.map_or(*peak, |right| self.hash.node(peak, &right)));
            }
        }
        root.unwrap_or_else(|| self.hash.empty())
    }
}

impl core::fmt::Debug for Tree {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Tree").field("hash", &self.hash).field("size", &self.size).finish_non_exhaustive()
    }
}
