//! Inclusion and consistency proofs (RFC 6962 section 2.1, RFC 9162 section 2.1.3 and 2.1.4).
//!
//! Paths are made from a `HashSource` of complete nodes and checked without one. Leaves to
//! others: where nodes are kept (`tile` says which tile holds which).

use alloc::vec::Vec;

use crate::{Hash, HashKind};

/// A path is never longer than this, whatever the size of the tree.
pub const PATH_HASHES_MAX: usize = 64;

/// Why a proof cannot be made, or does not prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The index is not below the size, or the older size is above the newer.
    #[error("the index or size is outside the tree")]
    OutOfRange,
    /// A node that the path needs is not in the source.
    #[error("node {index} of level {level} is missing")]
    MissingNode {
        /// 0 for leaves.
        level: u8,
        /// From 0.
        index: u64,
    },
    /// The path has too many or too few hashes.
    #[error("the path has the wrong length")]
    PathLength,
    /// The path leads to another root.
    #[error("the path leads to another root")]
    RootMismatch,
}

/// Gives the hashes of complete nodes: at level `n`, node `index` is over the leaves
/// `index * 2^n` to `(index + 1) * 2^n - 1`.
pub trait HashSource {
    /// The node's hash, or `None` if it is not known.
    fn node(&self, level: u8, index: u64) -> Option<Hash>;
}

/// The path from leaf `index` to the root of the first `size` leaves, siblings from the leaf up.
///
/// # Errors
/// `OutOfRange` unless `index < size`; `MissingNode` where the source has no answer.
pub fn inclusion_path(
    hash: HashKind,
    source: &impl HashSource,
    index: u64,
    size: u64,
) -> Result<Vec<Hash>, ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange);
    }
    let mut span = Span { from: 0, to: size };
    let mut path = Vec::with_capacity(PATH_HASHES_MAX);
    while span.len() > 1 {
        let (left, right) = span.halves();
        let sibling = if index < left.to { right } else { left };
        span = if index < left.to { left } else { right };
        path.push(sibling.root(hash, source)?);
    }
    path.reverse();
    Ok(path)
}

/// The proof that the tree of `old` leaves is a prefix of the tree of `new` leaves. Empty if
/// `old` is zero or equal to `new`.
///
/// # Errors
/// `OutOfRange` if `old > new`; `MissingNode` where the source has no answer.
pub fn consistency_path(
    hash: HashKind,
    source: &impl HashSource,
    old: u64,
    new: u64,
) -> Result<Vec<Hash>, ProofError> {
    if old > new {
        return Err(ProofError::OutOfRange);
    }
    let mut path = Vec::with_capacity(PATH_HASHES_MAX);
    if old == 0 || old == new {
        return Ok(path);
    }
    let mut span = Span { from: 0, to: new };
    while span.to != old {
        let (left, right) = span.halves();
        let sibling = if old <= left.to { right } else { left };
        span = if old <= left.to { left } else { right };
        path.push(sibling.root(hash, source)?);
    }
    // A verifier that holds the old root knows this node already if it is the whole old tree.
    if span.from != 0 {
        path.push(span.root(hash, source)?);
    }
    path.reverse();
    Ok(path)
}

/// Leaves `from` to `to - 1`; `from` is a multiple of a power of two that is at least the length.
#[derive(Clone, Copy)]
struct Span {
    from: u64,
    to: u64,
}

impl Span {
    const fn len(self) -> u64 {
        self.to - self.from
    }

    /// Splits at the largest power of two below the length, which is at least 2.
    fn halves(self) -> (Self, Self) {
        assert!(self.len() > 1);
        let half = 1 << (63 - (self.len() - 1).leading_zeros());
        let middle = self.from + half;
        (Self { from: self.from, to: middle }, Self { from: middle, to: self.to })
    }

    /// The root over these leaves: complete subtrees from the left, folded from the right.
    fn root(self, hash: HashKind, source: &impl HashSource) -> Result<Hash, ProofError> {
        let mut right: Option<Hash> = None;
        let mut end = self.to;
        while end > self.from {
            let in_span = end - self.from;
            // The smallest complete subtree lies at the right end.
            let level = in_span.trailing_zeros();
            let index = (end >> level) - 1;
            let level = u8::try_from(level).expect("below 64");
            let node = source.node(level, index).ok_or(ProofError::MissingNode { level, index })?;
            right = Some(right.map_or(node, |right| hash.node(&node, &right)));
            end -= 1 << level;
        }
        Ok(right.expect("a span is not empty"))
    }
}

/// The root that `path` leads to from the leaf hash at `index` of a tree of `size` leaves
/// (RFC 9162 section 2.1.3.2).
///
/// # Errors
/// `OutOfRange` unless `index < size`; `PathLength` if the path is too long or too short.
pub fn root_of_inclusion(
    hash: HashKind,
    leaf: &Hash,
    index: u64,
    size: u64,
    path: &[Hash],
) -> Result<Hash, ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange);
    }
    let (mut node, mut last) = (index, size - 1);
    let mut root = *leaf;
    for sibling in path {
        if last == 0 {
            return Err(ProofError::PathLength);
        }
        if node & 1 == 1 || node == last {
            root = hash.node(sibling, &root);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            root = hash.node(&root, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 { Ok(root) } else { Err(ProofError::PathLength) }
}

/// Checks that the leaf hash is at `index` of the tree of `size` leaves with this root.
///
/// # Errors
/// As `root_of_inclusion`, and `RootMismatch`.
pub fn verify_inclusion(
    hash: HashKind,
    leaf: &Hash,
    index: u64,
    size: u64,
    path: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    let found = root_of_inclusion(hash, leaf, index, size, path)?;
    if found == *root { Ok(()) } else { Err(ProofError::RootMismatch) }
}

/// Checks that the tree of `old` leaves is a prefix of the tree of `new` leaves
/// (RFC 9162 section 2.1.4.2). An `old` of zero is a prefix of every tree.
///
/// # Errors
/// `OutOfRange` if `old > new`, `PathLength`, `RootMismatch`.
pub fn verify_consistency(
    hash: HashKind,
    (old, old_root): (u64, &Hash),
    (new, new_root): (u64, &Hash),
    path: &[Hash],
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::OutOfRange);
    }
    if old == 0 || old == new {
        let roots_fit = if old == new { old_root == new_root } else { *old_root == hash.empty() };
        return match (path.is_empty(), roots_fit) {
            (false, _) => Err(ProofError::PathLength),
            (true, false) => Err(ProofError::RootMismatch),
            (true, true) => Ok(()),
        };
    }
    let (first, rest) = if old.is_power_of_two() {
        (old_root, path)
    } else {
        path.split_first().ok_or(ProofError::PathLength)?
    };
    let (mut node, mut last) = (old - 1, new - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (mut from_old, mut from_new) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return Err(ProofError::PathLength);
        }
        if node & 1 == 1 || node == last {
            from_old = hash.node(sibling, &from_old);
            from_new = hash.node(sibling, &from_new);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            from_new = hash.node(&from_new, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::PathLength);
    }
    if from_old == *old_root && from_new == *new_root { Ok(()) } else { Err(ProofError::RootMismatch) }
}
