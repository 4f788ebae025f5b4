//! The journal's key, the hash of a frame and a frame's number.

use core::fmt;

/// A frame's number: from 1, no gaps, empty frames counted. A number that was cut is given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct FrameNumber(pub u64);

impl FrameNumber {
    /// Before the first frame.
    pub const ZERO: Self = Self(0);

    /// The next number.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for FrameNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The keyed BLAKE3 hash of a frame's header, which holds the hash of its payload: one hash
/// vouches for the frame and, through `previous`, for every frame before it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FrameHash(pub [u8; 32]);

impl FrameHash {
    /// What the first frame of a journal names as its previous one.
    pub const GENESIS: Self = Self([0; 32]);
}

impl fmt::Debug for FrameHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in &self.0[..8] {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

const HEADER_CONTEXT: &str = "macronode journal 2025 frame header";
const PAYLOAD_CONTEXT: &str = "macronode journal 2025 frame payload";
const SLOT_CONTEXT: &str = "macronode journal 2025 frontier slot";
const ID_CONTEXT: &str = "macronode journal 2025 key id";
const CHECKPOINT_CONTEXT: &str = "macronode journal 2025 checkpoint";
const RELEASE_CONTEXT: &str = "macronode journal 2026 release record";
const MEMBERSHIP_CONTEXT: &str = "macronode journal 2025 membership";

/// The keys of one ledger's journal, derived from the superblock's frame key, one for each use, so
/// that no bytes written as one thing verify as another. Who does not hold it (a client that
/// chooses payload bytes) cannot make bytes that pass for a frame.
#[derive(Clone)]
pub struct FrameKey {
    header: [u8; 32],
    payload: [u8; 32],
    slot: [u8; 32],
    checkpoint: [u8; 32],
    release: [u8; 32],
    membership: [u8; 32],
    id: [u8; 32],
}

impl FrameKey {
    /// The keys of the 32 bytes in the superblock.
    #[must_use]
    pub fn new(frame_key: &[u8; 32]) -> Self {
        Self {
            header: blake3::derive_key(HEADER_CONTEXT, frame_key),
            payload: blake3::derive_key(PAYLOAD_CONTEXT, frame_key),
            slot: blake3::derive_key(SLOT_CONTEXT, frame_key),
            checkpoint: blake3::derive_key(CHECKPOINT_CONTEXT, frame_key),
            release: blake3::derive_key(RELEASE_CONTEXT, frame_key),
            membership: blake3::derive_key(MEMBERSHIP_CONTEXT, frame_key),
            id: blake3::derive_key(ID_CONTEXT, frame_key),
        }
    }

    /// Tells one key from another and gives neither away: what was keyed with it says so in the open.
    #[must_use]
    pub const fn id(&self) -> [u8; 32] {
        self.id
    }

    pub(crate) fn header_hash(&self, bytes: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(&self.header, bytes).as_bytes()
    }

    pub(crate) fn payload_hash(&self, bytes: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(&self.payload, bytes).as_bytes()
    }

    pub(crate) fn slot_hash(&self, bytes: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(&self.slot, bytes).as_bytes()
    }

    pub(crate) fn release_hash(&self, bytes: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(&self.release, bytes).as_bytes()
    }

    pub(crate) fn checkpoint_hash(&self, bytes: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(&self.checkpoint, bytes).as_bytes()
    }

    pub(crate) fn membership_hash(&self, bytes: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(&self.membership, bytes).as_bytes()
    }
}

impl fmt::Debug for FrameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FrameKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_use_has_its_own_key_and_the_key_does_not_print() {
        let key = FrameKey::new(&[7; 32]);
        let hashes = [
            key.header_hash(b"x"),
            key.payload_hash(b"x"),
            key.slot_hash(b"x"),
            key.checkpoint_hash(b"x"),
            key.release_hash(b"x"),
            key.membership_hash(b"x"),
        ];
        for (index, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..index].contains(hash));
        }
        assert_ne!(FrameKey::new(&[8; 32]).header_hash(b"x"), hashes[0]);
        assert_eq!(alloc::format!("{key:?}"), "FrameKey(..)");
    }
}
