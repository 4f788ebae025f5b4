//! `AccountName` and `AccountId`: who holds money.

use core::fmt;

use crate::{domain::Domain, text::Text};

/// The ledger's own account that mints and burns.
pub const OWNED_ISSUANCE: &str = "@issuance";
/// The ledger's own account that stands for the world outside.
pub const OWNED_EXTERNAL: &str = "@external";

/// Why a name is not an account's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not 1 to 64 bytes.
    #[error("an account name has 1 to 64 bytes")]
    Length,
    /// A byte outside `[A-Za-z0-9_.:@/-]`.
    #[error("an account name uses only A-Z a-z 0-9 _ . : @ / -")]
    Character,
    /// A `.` or `..` component, or a leading, trailing or doubled `/`.
    #[error("an account name has no empty, `.` or `..` component")]
    Component,
    /// A name that begins with `@` and is not one of the ledger's own.
    #[error("names that begin with @ belong to the ledger")]
    Owned,
}

/// An account's name: 1 to 64 bytes of `[A-Za-z0-9_.:@/-]`, no empty, `.` or `..` component.
/// Carries its id, so that it is hashed where it is parsed and not where it is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountName {
    text: Text,
    id: [u8; 16],
}

impl AccountName {
    /// Parses a name.
    ///
    /// # Errors
    /// Says which rule the name breaks.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        if name.is_empty() || name.len() > 64 {
            return Err(NameError::Length);
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:@/-".contains(&byte);
        if !name.bytes().all(allowed) {
            return Err(NameError::Character);
        }
        if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(NameError::Component);
        }
        if name.starts_with('@') && name != OWNED_ISSUANCE && name != OWNED_EXTERNAL {
            return Err(NameError::Owned);
        }
        let text = Text::new(name).expect("the checked characters are printable ASCII");
        Ok(Self { text, id: AccountId::of_name(name).bits().to_le_bytes() })
    }

    /// The ledger's issuance account.
    #[must_use]
    pub fn issuance() -> Self {
        Self::parse(OWNED_ISSUANCE).expect("a constant that parses")
    }

    /// The ledger's account for the world outside.
    #[must_use]
    pub fn external() -> Self {
        Self::parse(OWNED_EXTERNAL).expect("a constant that parses")
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.text.as_str()
    }

    /// The name in its stored form.
    #[must_use]
    pub const fn text(&self) -> Text {
        self.text
    }

    /// Whether this is one of the ledger's own accounts, which may go below zero.
    #[must_use]
    pub fn is_owned(&self) -> bool {
        self.as_str().starts_with('@')
    }

    /// The id of this name: the first 128 bits of BLAKE3 in key derivation mode.
    #[must_use]
    pub const fn id(&self) -> AccountId {
        AccountId(u128::from_le_bytes(self.id))
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An account's id: 128 bits derived from its name. Never zero for a real account.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(u128);

impl AccountId {
    /// No account: the empty side of an entry that moves nothing.
    pub const NONE: Self = Self(0);

    /// The id of a name (see `docs/format.md`): BLAKE3 `derive_key`, first 16 bytes, little-endian.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        Self(u128::from_le_bytes(Domain::ACCOUNT_ID.short_digest(name.as_bytes())))
    }

    /// The id with these bits.
    #[must_use]
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// The 128 bits.
    #[must_use]
    pub const fn bits(self) -> u128 {
        self.0
    }

    /// Whether this is `NONE`.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountId({:032x})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_strictly() {
        use NameError as E;
        let long = [b'a'; 65];
        let long = core::str::from_utf8(&long).unwrap();
        for (name, expected) in [
            ("acct_a", Ok(())),
            ("users:001/main", Ok(())),
            ("@issuance", Ok(())),
            (&long[..64], Ok(())),
            ("", Err(E::Length)),
            (long, Err(E::Length)),
            ("a b", Err(E::Character)),
            ("ä", Err(E::Character)),
            ("/a", Err(E::Component)),
            ("a/", Err(E::Component)),
            ("a/../b", Err(E::Component)),
            ("..", Err(E::Component)),
            ("@me", Err(E::Owned)),
        ] {
            assert_eq!(AccountName::parse(name).map(|_| ()), expected, "{name:?}");
        }
    }

    #[test]
    fn ids_are_stable() {
        assert_eq!(AccountName::issuance().id(), AccountId::of_name("@issuance"));
        assert_eq!(AccountId::of_name("@issuance").bits(), 0x5f6f_224b_ec2f_d135_3d1f_0fc3_e378_2080);
        assert_ne!(AccountId::of_name("a"), AccountId::of_name("b"));
        assert!(!AccountId::of_name("a").is_none());
    }
}
