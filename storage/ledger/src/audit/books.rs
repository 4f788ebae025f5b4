//! `Books`: the audit's own tables. Plain ordered maps.

use alloc::collections::{BTreeMap, VecDeque};

use model::{AccountId, Asset, Nanos, Seq, Slice, Timestamp};

use crate::KEY_RETENTION_MILLIS;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Account {
    pub(super) balance: i128,
    pub(super) held: u128,
    pub(super) seq: u64,
}

#[derive(Debug)]
pub(super) struct Owner {
    pub(super) nonce: u64,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Link {
    pub(super) number: u64,
    pub(super) digest: [u8; 32],
}

#[derive(Debug, Default)]
pub(super) struct Books {
    accounts: BTreeMap<(AccountId, Asset), Account>,
    owners: BTreeMap<AccountId, Owner>,
    streams: BTreeMap<[u8; 16], Link>,
    keys: BTreeMap<[u8; 16], Seq>,
    /// The keys in the order of their entries, so that old ones are dropped.
    key_ages: VecDeque<(Timestamp, [u8; 16])>,
}

impl Books {
    /// The account, all zero if nothing has touched it.
    pub(super) fn account(&self, id: AccountId, asset: Asset) -> Account {
        self.accounts.get(&(id, asset)).copied().unwrap_or_default()
    }

    pub(super) fn set_account(&mut self, id: AccountId, asset: Asset, after: (i128, u128, u64)) {
        let (balance, held, seq) = after;
        self.accounts.insert((id, asset), Account { balance, held, seq });
    }

    pub(super) fn owner(&self, id: AccountId) -> Option<&Owner> {
        self.owners.get(&id)
    }

    pub(super) fn owner_mut(&mut self, id: AccountId) -> Option<&mut Owner> {
        self.owners.get_mut(&id)
    }

    /// Opens an account; false if it is open already.
    pub(super) fn open(&mut self, id: AccountId) -> bool {
        let is_new = !self.owners.contains_key(&id);
        self.owners.entry(id).or_insert(Owner { nonce: 0 });
        is_new
    }

    /// Keeps a key with its outcome; gives the entry that holds it already, if one does.
    pub(super) fn keep_key(&mut self, key: [u8; 16], seq: Seq, at: Timestamp) -> Option<Seq> {
        let retention = Nanos::from_millis(KEY_RETENTION_MILLIS);
        while let Some((kept_at, old)) = self.key_ages.front().copied() {
            if at.since(kept_at) <= retention {
                break;
            }
            self.key_ages.pop_front();
            self.keys.remove(&old);
        }
        if let Some(first) = self.keys.get(&key) {
            return Some(*first);
        }
        self.keys.insert(key, seq);
        self.key_ages.push_back((at, key));
        None
    }

    /// The end of a stream, as a checkpoint has it.
    pub(super) fn set_stream(&mut self, stream: [u8; 16], last: Link) {
        self.streams.insert(stream, last);
    }

    /// Puts a slice at the end of its stream; gives the one that was there before.
    pub(super) fn next_slice(&mut self, slice: &Slice) -> Link {
        let link = Link { number: slice.number, digest: slice.digest };
        self.streams.insert(slice.stream, link).unwrap_or_default()
    }

    /// An asset whose balances do not add up to zero. Sums carry 256 bits: the positive and the
    /// negative balances are added apart.
    pub(super) fn unbalanced_asset(&self) -> Option<Asset> {
        let mut sums: BTreeMap<Asset, (super::Total, super::Total)> = BTreeMap::new();
        for ((_, asset), account) in &self.accounts {
            let (above, below) = sums.entry(*asset).or_default();
            let sum = if account.balance >= 0 { above } else { below };
            sum.add(account.balance.unsigned_abs());
        }
        sums.into_iter().find(|(_, (above, below))| above != below).map(|(asset, _)| asset)
    }

    pub(super) fn accounts_count(&self) -> u64 {
        count(self.accounts.len())
    }

    pub(super) fn owners_count(&self) -> u64 {
        count(self.owners.len())
    }

    pub(super) fn streams_count(&self) -> u64 {
        count(self.streams.len())
    }
}

fn count(len: usize) -> u64 {
    u64::try_from(len).expect("a length fits in 64 bits")
}
