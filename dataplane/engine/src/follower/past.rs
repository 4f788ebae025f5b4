//! Questions about the past of an account: how it stood, and what changed it.
//!
//! Holds: an answer names the entry that it stands at; rows of the history lead to entries of the
//! journal and are compared with them. Leaves to others: finding rows (`History`).

use ledger::HistoryKey;
use model::{AccountName, Asset, Balance, Seq};
use wire::{ACCOUNT_ENTRIES_MAX, AccountPage, AccountThen, At, Found, StoredEntry};

use super::{FollowError, Follower};
use crate::{derived::DerivedError, history::Behind};

/// Bytes of frames that one page of entries reads and hashes.
const PAGE_FRAME_BYTES: usize = 16 << 20;

impl Follower {
    /// How the account stood after the last entry at or before `at`.
    pub(super) fn account_at(
        &mut self,
        name: AccountName,
        asset: Asset,
        at: At,
    ) -> Result<Found, FollowError> {
        if !self.reaches(Seq(self.board.durable())) {
            return Ok(Found::Refused(self.unreadable()));
        }
        if !self.is_open(name) {
            return Ok(Found::AccountThen(None));
        }
        let index = self.replay.derived.index()?;
        let frame = match at {
            At::Seq(seq) => {
                let seq = seq.min(Seq(self.replay.tree.size()));
                index.find(seq).map_err(DerivedError::from)?.map(|(_, row)| (seq, row.at))
            }
            At::Time(time) => {
                index.last_at(time).map_err(DerivedError::from)?.map(|row| (row.last_seq(), row.at))
            }
        };
        let (as_of_seq, as_of) = frame.unwrap_or_default();
        let key = HistoryKey { account: name.id(), asset };
        let row = self.history.last_at(&key, as_of_seq)?;
        Ok(Found::AccountThen(Some(AccountThen {
            account: name.id(),
            asset,
            balance: row.map_or(Balance::ZERO, |row| row.balance),
            held: row.map_or(0, |row| row.held),
            account_seq: row.map_or(0, |row| row.account_seq),
            as_of_seq,
            as_of,
        })))
    }

    /// The entries that changed the account, from its sequence `from` on.
    pub(super) fn account_entries(
        &mut self,
        name: AccountName,
        asset: Asset,
        from: u64,
        limit: usize,
    ) -> Result<Found, FollowError> {
        if !self.reaches(Seq(self.board.durable())) {
            return Ok(Found::Refused(self.unreadable()));
        }
        if !self.is_open(name) {
            return Ok(Found::AccountEntries(None));
        }
        let limit = limit.clamp(1, ACCOUNT_ENTRIES_MAX);
        let key = HistoryKey { account: name.id(), asset };
        let rows = self.history.rows_from(&key, from, limit + 1)?;
        let (mut page, mut bytes) = (AccountPage::default(), 0);
        for row in rows {
            if page.entries.len() == limit || bytes >= PAGE_FRAME_BYTES {
                page.next = Some(row.account_seq);
                break;
            }
            let found = self.entry(row.seq)?.map(|(entry, _)| entry);
            bytes += self.state.cached.as_ref().map_or(0, |(_, frame)| frame.len());
            let same = |entry: &StoredEntry| {
                let sides = [entry.posting.debit, entry.posting.credit];
                entry.posting.asset == asset
                    && sides.iter().any(|side| {
                        (side.account, side.seq, side.balance) == (key.account, row.account_seq, row.balance)
                    })
            };
            let Some(entry) = found.filter(same) else {
                self.history.disbelieve(row.seq);
                return Err(Behind(row.seq).into());
            };
            page.entries.push(entry);
        }
        Ok(Found::AccountEntries(Some(page)))
    }

    fn is_open(&self, name: AccountName) -> bool {
        self.replay.ledger.name(name.id()) == Some(name)
    }
}
