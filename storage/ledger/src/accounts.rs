//! `Accounts`: owners by id and balances by `(account, asset)`.
//!
//! An owner has a name and a nonce; a row has a balance, what is held, and a sequence. Both lie
//! in the order in which they came, are never removed and never move, so a position that was
//! found stays good.

use alloc::vec::Vec;

use model::{AccountId, AccountName, Asset, Balance, Side};

use crate::index::{Index, Seed};

/// Where an account stands in one asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountView {
    /// Whose.
    pub account: AccountId,
    /// Of what.
    pub asset: Asset,
    /// Credits less debits.
    pub balance: Balance,
    /// Reserved by holds, in minor units.
    pub held: u128,
    /// Accepted entries that changed this account in this asset, on either side.
    pub account_seq: u64,
}

/// Position of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OwnerAt(pub(crate) u32);

/// Position of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowAt(u32);

/// Who owns rows: a name bound to its id by an `open` entry.
#[derive(Clone)]
pub(crate) struct Owner {
    pub(crate) name: AccountName,
    /// The name's id, kept so that it is hashed once.
    pub(crate) id: AccountId,
    /// Accepted entries that this owner began, in all assets.
    pub(crate) nonce: u64,
}

/// One account in one asset.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) id: AccountId,
    pub(crate) asset: Asset,
    pub(crate) balance: Balance,
    pub(crate) held: u128,
    pub(crate) seq: u64,
    pub(crate) owner: OwnerAt,
}

impl Row {
    pub(crate) const fn side(&self) -> Side {
        Side { account: self.id, seq: self.seq, balance: self.balance, held: self.held }
    }

    pub(crate) const fn view(&self) -> AccountView {
        AccountView {
            account: self.id,
            asset: self.asset,
            balance: self.balance,
            held: self.held,
            account_seq: self.seq,
        }
    }
}

/// One side of a request, looked up. What is `None` was not there when it was looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) id: AccountId,
    pub(crate) row: Option<RowAt>,
    pub(crate) owner: Option<OwnerAt>,
}

pub(crate) struct Accounts {
    owners: Vec<Owner>,
    rows: Vec<Row>,
    owner_index: Index,
    row_index: Index,
    seed: Seed,
    rows_max: u32,
}

impl Accounts {
    pub(crate) fn new(rows_max: u32, seed: Seed) -> Self {
        let capacity = usize::try_from(rows_max).expect("a bound fits in the address space");
        Self {
            owners: Vec::with_capacity(capacity),
            rows: Vec::with_capacity(capacity),
            owner_index: Index::new(rows_max),
            row_index: Index::new(rows_max),
            seed,
            rows_max,
        }
    }

    /// Looks a side up: one probe where the row exists, two where it does not.
    pub(crate) fn seat(&self, id: AccountId, asset: Asset) -> Seat {
        match self.find_row(id, asset) {
            Some(at) => Seat { id, row: Some(at), owner: Some(self.row(at).owner) },
            None => Seat { id, row: None, owner: self.find_owner(id) },
        }
    }

    /// Brings an earlier lookup up to date: what was found stays, what was missing is sought.
    pub(crate) fn refresh(&self, seat: Seat, asset: Asset) -> Seat {
        if let Some(at) = seat.row {
            let row = self.row(at);
            assert!(row.id == seat.id && row.asset == asset, "a lookup is used with its own request");
            return seat;
        }
        self.seat(seat.id, asset)
    }

    /// The side as it stands, zero where there is no row yet.
    pub(crate) fn side(&self, seat: Seat) -> Side {
        seat.row.map_or(Side { account: seat.id, ..Side::NONE }, |at| self.row(at).side())
    }

    pub(crate) fn find_row(&self, id: AccountId, asset: Asset) -> Option<RowAt> {
        let hash = self.row_hash(id, asset);
        let is_it = |at| {
            let row = self.row(RowAt(at));
            row.id == id && row.asset == asset
        };
        self.row_index.find(hash, is_it).map(RowAt)
    }

    pub(crate) fn find_owner(&self, id: AccountId) -> Option<OwnerAt> {
        let hash = self.seed.one(id.bits());
        self.owner_index.find(hash, |at| self.owner(OwnerAt(at)).id == id).map(OwnerAt)
    }

    pub(crate) fn row(&self, at: RowAt) -> &Row {
        self.rows.get(index(at.0)).expect("positions are never removed")
    }

    pub(crate) fn row_mut(&mut self, at: RowAt) -> &mut Row {
        self.rows.get_mut(index(at.0)).expect("positions are never removed")
    }

    pub(crate) fn owner(&self, at: OwnerAt) -> &Owner {
        self.owners.get(index(at.0)).expect("positions are never removed")
    }

    pub(crate) fn owner_mut(&mut self, at: OwnerAt) -> &mut Owner {
        self.owners.get_mut(index(at.0)).expect("positions are never removed")
    }

    /// Whether `owners` more owners and `rows` more rows fit.
    pub(crate) fn room_for(&self, owners: u32, rows: u32) -> bool {
        self.owner_index.count() + owners <= self.rows_max && self.row_index.count() + rows <= self.rows_max
    }

    /// Adds an owner that is not there, with nonce zero.
    pub(crate) fn add_owner(&mut self, name: AccountName, id: AccountId) -> OwnerAt {
        assert!(self.find_owner(id).is_none());
        let at = self.owner_index.count();
        self.owner_index.insert(self.seed.one(id.bits()), at);
        self.owners.push(Owner { name, id, nonce: 0 });
        OwnerAt(at)
    }

    /// Adds a row that is not there, with nothing in it.
    pub(crate) fn add_row(&mut self, owner: OwnerAt, asset: Asset) -> RowAt {
        let id = self.owner(owner).id;
        assert!(self.find_row(id, asset).is_none());
        let at = self.row_index.count();
        self.row_index.insert(self.row_hash(id, asset), at);
        self.rows.push(Row { id, asset, balance: Balance::ZERO, held: 0, seq: 0, owner });
        RowAt(at)
    }

    pub(crate) fn owners(&self) -> &[Owner] {
        &self.owners
    }

    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    fn row_hash(&self, id: AccountId, asset: Asset) -> u64 {
        self.seed.pair(id.bits(), u128::from_le_bytes(asset.bytes()))
    }
}

impl Clone for Accounts {
    /// A copy with the same reserve. Only what is in use is copied.
    fn clone(&self) -> Self {
        let mut copy = Self::new(self.rows_max, self.seed.clone());
        for owner in &self.owners {
            let at = copy.add_owner(owner.name, owner.id);
            copy.owner_mut(at).nonce = owner.nonce;
        }
        for row in &self.rows {
            let at = copy.add_row(row.owner, row.asset);
            *copy.row_mut(at) = row.clone();
        }
        copy
    }
}

fn index(position: u32) -> usize {
    usize::try_from(position).expect("a position fits in the address space")
}
