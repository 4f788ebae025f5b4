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

/// Who owns rows: a name bound to its id by an `open` entry. A pair of cache lines.
#[derive(Clone)]
#[repr(align(128))]
pub(crate) struct Owner {
    /// Accepted entries that this owner began, in all assets.
    pub(crate) nonce: u64,
    pub(crate) name: AccountName,
}

/// One account in one asset; its owner says whose. One cache line.
#[derive(Clone)]
#[repr(align(64))]
pub(crate) struct Row {
    pub(crate) asset: Asset,
    pub(crate) balance: Balance,
    pub(crate) held: u128,
    pub(crate) seq: u64,
    pub(crate) owner: OwnerAt,
}

const _: () = assert!(size_of::<Row>() == 64 && size_of::<Owner>() == 128);

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
            let is_same = row.asset == asset && seat.owner == Some(row.owner);
            assert!(is_same && self.id_of(row) == seat.id, "a lookup is used with its own request");
            return seat;
        }
        self.seat(seat.id, asset)
    }

    /// The side as it stands, zero where there is no row yet.
    pub(crate) fn side(&self, seat: Seat) -> Side {
        let empty = Side { account: seat.id, ..Side::NONE };
        seat.row.map_or(empty, |at| {
            let Row { balance, held, seq, .. } = *self.row(at);
            Side { account: seat.id, seq, balance, held }
        })
    }

    pub(crate) fn find_row(&self, id: AccountId, asset: Asset) -> Option<RowAt> {
        let hash = self.row_hash(id, asset);
        let is_it = |at| {
            let row = self.row(RowAt(at));
            row.asset == asset && self.id_of(row) == id
        };
        self.row_index.find(hash, is_it).map(RowAt)
    }

    pub(crate) fn find_owner(&self, id: AccountId) -> Option<OwnerAt> {
        let hash = self.seed.one(id.bits());
        self.owner_index.find(hash, |at| self.owner(OwnerAt(at)).name.id() == id).map(OwnerAt)
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
    pub(crate) fn add_owner(&mut self, name: AccountName) -> OwnerAt {
        let id = name.id();
        assert!(self.find_owner(id).is_none());
        let at = self.owner_index.count();
        self.owner_index.insert(self.seed.one(id.bits()), at);
        self.owners.push(Owner { nonce: 0, name });
        OwnerAt(at)
    }

    /// Adds a row that is not there, with nothing in it.
    pub(crate) fn add_row(&mut self, owner: OwnerAt, asset: Asset) -> RowAt {
        let id = self.owner(owner).name.id();
        assert!(self.find_row(id, asset).is_none());
        let at = self.row_index.count();
        self.row_index.insert(self.row_hash(id, asset), at);
        self.rows.push(Row { asset, balance: Balance::ZERO, held: 0, seq: 0, owner });
        RowAt(at)
    }

    pub(crate) fn owners(&self) -> &[Owner] {
        &self.owners
    }

    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Whose row it is.
    pub(crate) fn id_of(&self, row: &Row) -> AccountId {
        self.owner(row.owner).name.id()
    }

    pub(crate) fn view(&self, row: &Row) -> AccountView {
        AccountView {
            account: self.id_of(row),
            asset: row.asset,
            balance: row.balance,
            held: row.held,
            account_seq: row.seq,
        }
    }

    /// Reads where a search for a row begins.
    pub(crate) fn touch_slot(&self, id: AccountId, asset: Asset) -> u64 {
        self.row_index.touch(self.row_hash(id, asset))
    }

    /// Reads the row that a search is likely to find; gives its owner, or any if there is none.
    pub(crate) fn touch_row(&self, id: AccountId, asset: Asset) -> OwnerAt {
        let likely = self.row_index.candidate(self.row_hash(id, asset));
        let row = likely.and_then(|at| self.rows.get(index(at)));
        row.map_or(OwnerAt(0), |row| row.owner)
    }

    /// Reads an owner, if it is one: a field of each of its lines.
    pub(crate) fn touch_owner(&self, at: OwnerAt) -> u64 {
        self.owners.get(index(at.0)).map_or(0, |owner| owner.nonce ^ u64::from(owner.name.text().len()))
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
            let at = copy.add_owner(owner.name);
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
