//! `Ledger`: the whole state, and what may be read of it.
//!
//! `decide` and `decide_slice` (in `decide` and `slices`) read it; `apply` and its kin change it.
//! `account_seq` counts per `(account, asset)`; `nonce` counts per account, over all assets.

use alloc::collections::BTreeMap;

use model::{AccountId, AccountName, Asset, Lives, Seq, Timestamp};

use crate::{
    AccountView, HashKind, KeyView, Params, StreamView,
    accounts::Accounts,
    blind::Blinds,
    index::Seed,
    keys::Keys,
    streams::{Stream, Streams},
};

/// The accounts, idempotency keys and slice streams of one ledger, after entry `last`.
#[derive(Clone)]
pub struct Ledger {
    pub(crate) accounts: Accounts,
    pub(crate) keys: Keys,
    pub(crate) streams: Streams,
    pub(crate) lives: Lives,
    pub(crate) last: Seq,
    pub(crate) at: Timestamp,
    pub(crate) blinds: Blinds,
    pub(crate) issuance: AccountId,
    pub(crate) external: AccountId,
    pub(crate) params: Params,
}

impl Ledger {
    /// An empty ledger. Reserves all of its memory now; what is not touched is not resident.
    ///
    /// # Panics
    /// If a bound of `params` is not 1 to 2^30, or the memory cannot be reserved.
    #[must_use]
    pub fn new(params: Params) -> Self {
        params.assert_in_range();
        let seed = Seed::new(&params.secret);
        Self {
            accounts: Accounts::new(params.accounts_max, seed.clone()),
            keys: Keys::new(params.keys_max, seed.clone()),
            streams: Streams::new(params.streams_max, seed),
            lives: Lives::default(),
            last: Seq::ZERO,
            at: Timestamp::default(),
            blinds: Blinds::new(&params.secret),
            issuance: AccountName::issuance().id(),
            external: AccountName::external().id(),
            params,
        }
    }

    /// Tells that about so many entries are applied now, one after another. A hint: what it changes is
    /// how fast they are. `advise` is shown memory that is about to be touched whole for them, and may
    /// ask the host for larger pages; what is in it stays.
    pub fn expect(&mut self, entries: u64, advise: fn(&mut [u64])) {
        self.keys.expect(entries, advise);
    }

    /// The hash of leaves, commitments and nodes.
    #[must_use]
    pub const fn hash(&self) -> HashKind {
        self.params.hash
    }

    /// What it was made with.
    #[must_use]
    pub const fn params(&self) -> &Params {
        &self.params
    }

    /// The last entry applied, zero before the first.
    #[must_use]
    pub const fn last(&self) -> Seq {
        self.last
    }

    /// Ledger time of the last entry applied.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// Where an account stands in an asset; `None` until the first entry touches it.
    #[must_use]
    pub fn account(&self, id: AccountId, asset: Asset) -> Option<AccountView> {
        self.accounts.find_row(id, asset).map(|at| self.accounts.view(self.accounts.row(at)))
    }

    /// Every account in every asset, in the order in which they came.
    pub fn accounts(&self) -> impl ExactSizeIterator<Item = AccountView> + '_ {
        self.accounts.rows().iter().map(|row| self.accounts.view(row))
    }

    /// The name of an account that is open.
    #[must_use]
    pub fn name(&self, id: AccountId) -> Option<AccountName> {
        self.accounts.find_owner(id).map(|at| self.accounts.owner(at).name)
    }

    /// How many accepted entries the owner of an open account began. The next nonce is one more.
    #[must_use]
    pub fn nonce(&self, id: AccountId) -> Option<u64> {
        self.accounts.find_owner(id).map(|at| self.accounts.owner(at).nonce)
    }

    /// The first outcome of an idempotency key, while it is kept.
    #[must_use]
    pub fn key(&self, digest: &[u8; 16]) -> Option<KeyView> {
        self.keys.find(digest)
    }

    /// Where a stream of slices stands.
    #[must_use]
    pub fn stream(&self, id: &[u8; 16]) -> Option<StreamView> {
        self.streams.find(id).map(Stream::view)
    }

    /// Where every stream of slices stands, in the order in which they began.
    pub fn streams(&self) -> impl Iterator<Item = StreamView> + '_ {
        self.streams.rows().iter().map(Stream::view)
    }

    /// The incarnations after the first.
    #[must_use]
    pub const fn lives(&self) -> &Lives {
        &self.lives
    }

    /// Names that are open.
    #[must_use]
    pub fn names_count(&self) -> usize {
        self.accounts.owners().len()
    }

    /// `(account, asset)` rows.
    #[must_use]
    pub fn accounts_count(&self) -> usize {
        self.accounts.rows().len()
    }

    /// Idempotency keys kept.
    #[must_use]
    pub const fn keys_count(&self) -> u32 {
        self.keys.count()
    }

    /// Streams of slices.
    #[must_use]
    pub fn streams_count(&self) -> usize {
        self.streams.rows().len()
    }

    /// Whether this is one of the ledger's own accounts, which may go below zero.
    pub(crate) fn is_owned(&self, id: AccountId) -> bool {
        id == self.issuance || id == self.external
    }

    /// Checks everything that holds between entries, in time linear in the state.
    ///
    /// # Panics
    /// If anything does not hold.
    pub fn check(&self) {
        if let Some(broken) = self.broken_invariant() {
            panic!("after entry {}: {broken} does not hold", self.last);
        }
    }

    /// The first invariant that does not hold.
    pub(crate) fn broken_invariant(&self) -> Option<&'static str> {
        let mut sums: BTreeMap<Asset, i128> = BTreeMap::new();
        for row in self.accounts.rows() {
            let sum = sums.entry(row.asset).or_default();
            *sum = sum.saturating_add(row.balance.units());
        }
        let rows_hold = self.accounts.rows().iter().all(|row| {
            let id = self.accounts.id_of(row);
            let covered = self.is_owned(id) || row.balance.available(row.held) >= 0;
            let touched = row.seq > 0 && row.seq <= self.last.0 && row.asset != Asset::NONE;
            let found = self.accounts.find_row(id, row.asset);
            covered && touched && found.is_some_and(|at| core::ptr::eq(self.accounts.row(at), row))
        });
        let owners_hold = self.accounts.owners().iter().all(|owner| {
            let found = self.accounts.find_owner(owner.name.id());
            let is_found = found.is_some_and(|at| core::ptr::eq(self.accounts.owner(at), owner));
            is_found && owner.nonce <= self.last.0
        });
        let mut before = Seq::ZERO;
        let keys_hold = self.keys.iter().all(|key| {
            let ascends = key.outcome.seq > before && key.outcome.seq <= self.last;
            before = key.outcome.seq;
            ascends && key.outcome.at <= self.at && self.keys.find(&key.digest) == Some(key.outcome)
        });
        let streams_hold = self.streams.rows().iter().all(|stream| {
            let found = self.streams.find(&stream.id).map(Stream::number);
            stream.last().seq <= self.last && found == Some(stream.number())
        });
        let lives_hold = self.lives.iter().all(|life| life.first <= self.last);
        let checks = [
            (sums.values().all(|sum| *sum == 0), "that the sum over all accounts is zero"),
            (rows_hold, "a row of an account"),
            (owners_hold, "a name or its nonce"),
            (keys_hold, "the order of the keys"),
            (streams_hold, "a stream of slices"),
            (lives_hold, "an incarnation"),
        ];
        checks.into_iter().find(|(holds, _)| !holds).map(|(_, broken)| broken)
    }
}

impl core::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Ledger")
            .field("last", &self.last)
            .field("at", &self.at)
            .field("names", &self.names_count())
            .field("accounts", &self.accounts_count())
            .field("keys", &self.keys_count())
            .field("streams", &self.streams_count())
            .finish_non_exhaustive()
    }
}
