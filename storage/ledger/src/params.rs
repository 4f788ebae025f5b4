//! `Params`: what a ledger is made with.

use crate::{
    HashKind,
    accounts::{Owner, Row},
    index::Index,
    keys::KeyRow,
    streams::Stream,
};

/// What a reservation is for, by the bound that it follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// `accounts_max`.
    Accounts,
    /// `keys_max`.
    Keys,
    /// `streams_max`.
    Streams,
}

/// What a ledger is made with. The bounds are reserved at once and never exceeded.
#[derive(Clone)]
pub struct Params {
    /// The hash of leaves, commitments and nodes; fixed for the ledger's life.
    pub hash: HashKind,
    /// From this the key of the blinds and the seed of the table hash are derived.
    pub secret: [u8; 32],
    /// Account names at most, and `(account, asset)` rows at most. 1 to 2^30.
    pub accounts_max: u32,
    /// Idempotency keys kept at most. 1 to 2^30.
    pub keys_max: u32,
    /// Slice streams at most. 1 to 2^30.
    pub streams_max: u32,
}

impl Params {
    /// The largest value of each bound.
    pub const ROWS_MAX: u32 = 1 << 30;

    /// Bytes that a ledger reserves at once, one number for each table of what a bound names.
    #[must_use]
    pub fn reservations(&self) -> [(Table, usize); 7] {
        let rows = |bound: u32| usize::try_from(bound).expect("a bound fits in the address space");
        let [accounts, keys, streams] = [self.accounts_max, self.keys_max, self.streams_max].map(rows);
        [
            (Table::Accounts, accounts.saturating_mul(size_of::<Owner>())),
            (Table::Accounts, accounts.saturating_mul(size_of::<Row>())),
            // Owners and rows are found by an index each.
            (Table::Accounts, Index::reserved_bytes(self.accounts_max).saturating_mul(2)),
            (Table::Keys, keys.saturating_mul(size_of::<KeyRow>())),
            (Table::Keys, Index::reserved_bytes(self.keys_max)),
            (Table::Streams, streams.saturating_mul(size_of::<Stream>())),
            (Table::Streams, Index::reserved_bytes(self.streams_max)),
        ]
    }

    pub(crate) fn assert_in_range(&self) {
        for rows in [self.accounts_max, self.keys_max, self.streams_max] {
            assert!((1..=Self::ROWS_MAX).contains(&rows), "each bound of a ledger is 1 to 2^30");
        }
    }
}

impl core::fmt::Debug for Params {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Params")
            .field("hash", &self.hash)
            .field("accounts_max", &self.accounts_max)
            .field("keys_max", &self.keys_max)
            .field("streams_max", &self.streams_max)
            .finish_non_exhaustive()
    }
}
