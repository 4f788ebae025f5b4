//! `Report`: what an audit has checked, in counts and totals.

use alloc::collections::BTreeMap;
use core::fmt;

use model::{Asset, Kind, Posting};

use crate::Hash;

/// A sum of amounts that cannot overflow: 256 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Total {
    /// Units of 2^128.
    pub high: u128,
    /// The rest.
    pub low: u128,
}

impl Total {
    /// Adds an amount.
    pub fn add(&mut self, units: u128) {
        let (low, carried) = self.low.overflowing_add(units);
        self.low = low;
        self.high += u128::from(carried);
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.high == 0 {
            return fmt::Display::fmt(&self.low, f);
        }
        write!(f, "0x{:x}{:032x}", self.high, self.low)
    }
}

/// What moved of one asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct AssetReport {
    /// Accepted entries.
    pub entries: u64,
    /// Moved between accounts, issued, burned, and across the border included.
    pub moved: Total,
    /// Minted.
    pub minted: Total,
    /// Burned.
    pub burned: Total,
}

/// What an audit has checked.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Report {
    /// Records read.
    pub entries: u64,
    /// Frames ended.
    pub frames: u64,
    /// Claimed heads whose root was recomputed and agreed.
    pub heads: u64,
    /// Accepted entries that moved money.
    pub transfers: u64,
    /// Refusals that were recorded.
    pub refusals: u64,
    /// Accounts opened.
    pub opens: u64,
    /// Slices.
    pub slices: u64,
    /// Incarnations after the first.
    pub incarnations: u64,
    /// Bytes of their bodies, hashed.
    pub slice_bytes: u64,
    /// Idempotency keys, each with one outcome.
    pub keys: u64,
    /// Names.
    pub names: u64,
    /// Accounts by asset, each with its balance recomputed.
    pub accounts: u64,
    /// Streams.
    pub streams: u64,
    /// By asset.
    pub assets: BTreeMap<Asset, AssetReport>,
    /// Faults found.
    pub findings: u64,
    /// Leaves in the tree.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

impl Report {
    pub(super) fn count_money(&mut self, posting: &Posting) {
        self.transfers += 1;
        let asset = self.assets.entry(posting.asset).or_default();
        asset.entries += 1;
        asset.moved.add(posting.amount.units());
        if posting.head.kind == Kind::Mint {
            asset.minted.add(posting.amount.units());
        }
        if posting.head.kind == Kind::Burn {
            asset.burned.add(posting.amount.units());
        }
    }
}
