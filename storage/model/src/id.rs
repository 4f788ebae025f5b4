//! Ids and counters that must never be mistaken for one another.

use core::fmt;

/// An entry's number: from 1, no gaps. Its leaf index is `Seq - 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Seq(pub u64);

impl Seq {
    /// Before the first entry.
    pub const ZERO: Self = Self(0);

    /// The next number.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The number `count` later.
    #[must_use]
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0 + count)
    }

    /// The index of this entry's leaf in the Merkle tree; `None` for zero.
    #[must_use]
    pub const fn leaf_index(self) -> Option<u64> {
        self.0.checked_sub(1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A shard's number, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ShardId(pub u16);

/// A ledger's identity, drawn at random when it is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct LedgerId(pub [u8; 16]);

/// Which life of the ledger: grows when a restore drops entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Incarnation(pub u32);

impl Incarnation {
    /// The life that a ledger is created with; every later one begins with an entry.
    pub const FIRST: Self = Self(1);

    /// The next one; `None` after the last.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(next) => Some(Self(next)),
            None => None,
        }
    }
}

/// Which start of the ledger: grows at each start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Epoch(pub u32);

/// Why a text is not a transaction id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a transaction id is `tx_` and 40 hex digits")]
pub struct TxIdError;

/// A transaction's public id: incarnation, `Seq` and the first 8 bytes of the leaf hash, so that
/// it is found without an index and a foreign one is not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TxId {
    /// Which life of the ledger.
    pub incarnation: Incarnation,
    /// The entry's number.
    pub seq: Seq,
    /// The first 8 bytes of the leaf hash.
    pub leaf: [u8; 8],
}

impl TxId {
    /// Parses `tx_` and 40 lower-case hex digits: incarnation (8), seq (16), leaf (16).
    ///
    /// # Errors
    /// `TxIdError` for anything else.
    pub fn parse(text: &str) -> Result<Self, TxIdError> {
        let digits = text.strip_prefix("tx_").ok_or(TxIdError)?;
        let lower = digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if digits.len() != 40 || !lower {
            return Err(TxIdError);
        }
        let field = |from: usize, to: usize| {
            u64::from_str_radix(digits.get(from..to).unwrap_or_default(), 16).map_err(|_| TxIdError)
        };
        Ok(Self {
            incarnation: Incarnation(u32::try_from(field(0, 8)?).map_err(|_| TxIdError)?),
            seq: Seq(field(8, 24)?),
            leaf: field(24, 40)?.to_be_bytes(),
        })
    }
}

impl fmt::Display for TxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let leaf = u64::from_be_bytes(self.leaf);
        write!(f, "tx_{:08x}{:016x}{leaf:016x}", self.incarnation.0, self.seq.0)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn transaction_ids_read_back() {
        let id = TxId { incarnation: Incarnation(1), seq: Seq(1031), leaf: [1, 2, 3, 4, 5, 6, 7, 8] };
        assert_eq!(id.to_string(), "tx_0000000100000000000004070102030405060708");
        assert_eq!(TxId::parse(&id.to_string()), Ok(id));
        for bad in [
            "",
            "tx_",
            "tx_00",
            "tx_000000010000000000000407010203040506070",
            "TX_0000000100000000000004070102030405060708",
        ] {
            assert_eq!(TxId::parse(bad), Err(TxIdError), "{bad:?}");
        }
    }
}
