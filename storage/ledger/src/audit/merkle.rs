//! `Stack`: the Merkle root by the textbook: two subtrees of one height become one.

use alloc::{collections::VecDeque, vec::Vec};

use crate::{Hash, HashKind, Tree};

/// Heads of ended frames that a later frame may still claim.
const HEADS_KEPT: usize = 32;

#[derive(Debug)]
pub(super) struct Stack {
    hash: HashKind,
    size: u64,
    /// Height and root of each complete subtree, from the left.
    subtrees: Vec<(u32, Hash)>,
    heads: VecDeque<(u64, Hash)>,
}

impl Stack {
    pub(super) fn new(hash: HashKind) -> Self {
        let heads = VecDeque::from([(0, hash.digest(b""))]);
        Self { hash, size: 0, subtrees: Vec::new(), heads }
    }

    /// The stack that stands where the tree does.
    pub(super) fn resume(tree: &Tree) -> Self {
        let mut stack = Self::new(tree.hash());
        let heights = (0..u64::BITS).rev().filter(|height| tree.size() >> height & 1 == 1);
        (stack.size, stack.subtrees) = (tree.size(), heights.zip(tree.frontier()).collect());
        stack.mark();
        stack
    }

    pub(super) fn push(&mut self, data: &[u8]) {
        let mut top = (0, self.hash.digest(&[&[0x00], data].concat()));
        while let Some(left) = self.subtrees.pop_if(|left| left.0 == top.0) {
            top = (top.0 + 1, self.join(&left.1, &top.1));
        }
        self.subtrees.push(top);
        self.size += 1;
    }

    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn root(&self) -> Hash {
        let joined =
            self.subtrees.iter().rev().map(|(_, hash)| *hash).reduce(|right, left| self.join(&left, &right));
        joined.unwrap_or_else(|| self.hash.digest(b""))
    }

    /// Keeps the head as it stands, and gives it.
    pub(super) fn mark(&mut self) -> (u64, Hash) {
        let head = (self.size, self.root());
        if self.heads.len() == HEADS_KEPT {
            self.heads.pop_front();
        }
        self.heads.push_back(head);
        head
    }

    /// The root at a size that was marked, or at the present one.
    pub(super) fn root_at(&self, size: u64) -> Option<Hash> {
        let kept = self.heads.iter().rev().find(|(marked, _)| *marked == size).map(|(_, root)| *root);
        kept.or_else(|| (size == self.size).then(|| self.root()))
            .or_else(|| (size == 0).then(|| self.hash.digest(b"")))
    }

    fn join(&self, left: &Hash, right: &Hash) -> Hash {
        let mut bytes = [0x01; 65];
        for (place, byte) in bytes.iter_mut().skip(1).zip(left.iter().chain(right)) {
            *place = *byte;
        }
        self.hash.digest(&bytes)
    }
}
