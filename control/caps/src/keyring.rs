//! `Keyring`: the keys that tokens are signed with, one active, the others only verifying.

use alloc::vec::Vec;
use core::fmt;

use model::Text;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{
    limits::{KEY_ID_BYTES_MAX, KEYS_MAX},
    sign::Secret,
};

/// Why a text is not a key's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key's id has 1 to 32 characters of a-z 0-9 _ -")]
pub struct KeyIdError;

/// A key's public name: 1 to 32 of `[a-z0-9_-]`. Safe in logs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(Text);

impl KeyId {
    /// Parses a key's id.
    ///
    /// # Errors
    /// `KeyIdError` unless it is 1 to 32 of `[a-z0-9_-]`.
    pub fn parse(id: &str) -> Result<Self, KeyIdError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        if id.is_empty() || id.len() > KEY_ID_BYTES_MAX || !id.bytes().all(allowed) {
            return Err(KeyIdError);
        }
        Text::new(id).map(Self).ok_or(KeyIdError)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// 32 random bytes that tokens are rooted in. Wiped when dropped, never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct RootKey([u8; 32]);

impl RootKey {
    /// Takes 32 bytes from a good random source, or those read from a key file.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKey(..)")
    }
}

/// Why a key is not taken into a keyring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// A key with this id is there.
    #[error("a key with this id is in the keyring already")]
    Duplicate,
    /// `limits::KEYS_MAX` keys are there.
    #[error("the keyring is full")]
    Full,
}

/// The active key and the older ones that still verify. Holds derived keys only.
#[derive(Clone, Debug)]
pub struct Keyring {
    /// The active key stands first.
    keys: Vec<(KeyId, Secret)>,
}

impl Keyring {
    /// A keyring that signs and verifies with this key.
    #[must_use]
    pub fn new(id: KeyId, key: &RootKey) -> Self {
        Self { keys: alloc::vec![(id, Secret::derived(&key.0))] }
    }

    /// Takes a key that verifies tokens signed earlier.
    ///
    /// # Errors
    /// `Duplicate` for an id that is there, `Full` at the limit.
    pub fn add_older(&mut self, id: KeyId, key: &RootKey) -> Result<(), KeyringError> {
        if self.secret(id.as_str()).is_some() {
            return Err(KeyringError::Duplicate);
        }
        if self.keys.len() >= KEYS_MAX {
            return Err(KeyringError::Full);
        }
        self.keys.push((id, Secret::derived(&key.0)));
        Ok(())
    }

    /// Makes a new key the active one; the one before it still verifies.
    ///
    /// # Errors
    /// As `add_older`; nothing is changed then.
    pub fn rotate(&mut self, id: KeyId, key: &RootKey) -> Result<(), KeyringError> {
        self.add_older(id, key)?;
        let newest = self.keys.len() - 1;
        self.keys.swap(0, newest);
        assert_eq!(self.active(), id, "the new key stands first");
        Ok(())
    }

    /// The id of the key that signs.
    #[must_use]
    pub fn active(&self) -> KeyId {
        self.keys.first().expect("a keyring is made with a key and loses none").0
    }

    /// Every id, the active one first.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.keys.iter().map(|(id, _)| *id)
    }

    /// The key that signs.
    pub(crate) fn active_secret(&self) -> &Secret {
        &self.keys.first().expect("a keyring is made with a key and loses none").1
    }

    /// The key with this id. Ids are public: the search need not take constant time, and it is
    /// bounded by `KEYS_MAX`.
    pub(crate) fn secret(&self, id: &str) -> Option<(KeyId, &Secret)> {
        self.keys.iter().find(|(known, _)| known.as_str() == id).map(|(known, key)| (*known, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_parsed_strictly() {
        for good in ["a", "2026-10", "root_1", &"k".repeat(32)] {
            assert_eq!(KeyId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "A", "a.b", "a b", &"k".repeat(33)] {
            assert_eq!(KeyId::parse(bad), Err(KeyIdError), "{bad:?}");
        }
    }

    #[test]
    fn rotation_keeps_the_older_keys() {
        let id = |text: &str| KeyId::parse(text).unwrap();
        let mut ring = Keyring::new(id("a"), &RootKey::new([1; 32]));
        ring.rotate(id("b"), &RootKey::new([2; 32])).unwrap();
        assert_eq!(ring.active(), id("b"));
        assert!(ring.secret("a").is_some() && ring.secret("c").is_none());
        assert_eq!(ring.rotate(id("a"), &RootKey::new([3; 32])), Err(KeyringError::Duplicate));
        for number in 2..KEYS_MAX {
            ring.add_older(id(&alloc::format!("k{number}")), &RootKey::new([4; 32])).unwrap();
        }
        assert_eq!(ring.rotate(id("z"), &RootKey::new([5; 32])), Err(KeyringError::Full));
        assert_eq!(ring.active(), id("b"));
        assert_eq!(ring.ids().count(), KEYS_MAX);
    }

    #[test]
    fn secrets_do_not_print() {
        let ring = Keyring::new(KeyId::parse("a").unwrap(), &RootKey::new([0xab; 32]));
        let shown = alloc::format!("{ring:?} {:?}", RootKey::new([0xab; 32]));
        assert!(shown.contains("Secret(..)") && shown.contains("RootKey(..)"), "{shown}");
        assert!(!shown.contains("171") && !shown.contains("ab"), "{shown}");
    }
}
