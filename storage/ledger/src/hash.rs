//! `HashKind`: the ledger's one hash, and the domain-separated ways in which it is used.
//!
//! `Sha256` is exactly RFC 6962 section 2. `Blake3` has the same shape (prefix 0x00 for a leaf,
//! 0x01 for a node, the hash of nothing for the empty tree) with BLAKE3 in its place; other
//! people's tools do not verify it, so the log's origin says so.

use sha2::{Digest, Sha256};

/// A hash value.
pub type Hash = [u8; 32];

/// Prefix of a leaf (RFC 6962).
const LEAF_PREFIX: u8 = 0x00;
/// Prefix of a node (RFC 6962).
const NODE_PREFIX: u8 = 0x01;
/// Leaf data up to this length is hashed from a buffer on the stack.
const SHORT_BYTES: usize = 160;

/// Which hash a ledger uses, chosen when it is created. The numbers are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum HashKind {
    /// SHA-256 (FIPS 180-4): the tree is RFC 6962's.
    Sha256 = 1,
    /// BLAKE3, the same tree with a faster hash.
    Blake3 = 2,
}

impl HashKind {
    /// The number on disk and in leaves.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The kind with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Sha256),
            2 => Some(Self::Blake3),
            _ => None,
        }
    }

    /// The word used in settings and reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Blake3 => "blake3",
        }
    }

    /// The hash of `bytes`.
    #[must_use]
    pub fn digest(self, bytes: &[u8]) -> Hash {
        match self {
            Self::Sha256 => Sha256::digest(bytes).into(),
            Self::Blake3 => *blake3::hash(bytes).as_bytes(),
        }
    }

    /// The root of the empty tree.
    #[must_use]
    pub fn empty(self) -> Hash {
        self.digest(&[])
    }

    /// The hash of a leaf: `H(0x00 || data)`.
    #[must_use]
    pub fn leaf(self, data: &[u8]) -> Hash {
        let mut buffer = [LEAF_PREFIX; 1 + SHORT_BYTES];
        if let Some(place) = buffer.get_mut(1..=data.len()) {
            place.copy_from_slice(data);
            return self.digest(buffer.split_at(1 + data.len()).0);
        }
        match self {
            Self::Sha256 => Sha256::new().chain_update([LEAF_PREFIX]).chain_update(data).finalize().into(),
            Self::Blake3 => *blake3::Hasher::new().update(&[LEAF_PREFIX]).update(data).finalize().as_bytes(),
        }
    }

    /// The hash of a node over its two children: `H(0x01 || left || right)`.
    #[must_use]
    pub fn node(self, left: &Hash, right: &Hash) -> Hash {
        let mut buffer = [NODE_PREFIX; 65];
        let (_, children) = buffer.split_at_mut(1);
        let (first, second) = children.split_at_mut(32);
        first.copy_from_slice(left);
        second.copy_from_slice(right);
        self.digest(&buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_leaves_hash_alike() {
        let data = [7; 400];
        for kind in [HashKind::Sha256, HashKind::Blake3] {
            assert_eq!(HashKind::from_number(kind.number()), Some(kind));
            for len in [0, 1, SHORT_BYTES - 1, SHORT_BYTES, SHORT_BYTES + 1, 400] {
                let mut whole = [0; 401];
                whole[1..=len].copy_from_slice(&data[..len]);
                assert_eq!(kind.leaf(&data[..len]), kind.digest(&whole[..=len]), "{len}");
            }
        }
        assert_eq!(HashKind::from_number(0), None);
        assert_eq!(HashKind::from_number(3), None);
    }
}
