//! `HistoryRow`: how one account stood in one asset after one entry.

use model::{AccountId, Asset, Balance, Kind, Posting, Seq, Side};

/// An account in an asset; the order of runs is the order of this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HistoryKey {
    /// Whose.
    pub account: AccountId,
    /// Of what.
    pub asset: Asset,
}

/// How the account stood after an entry that changed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryRow {
    /// Which account in which asset.
    pub key: HistoryKey,
    /// Its sequence after the entry, from 1.
    pub account_seq: u64,
    /// The entry.
    pub seq: Seq,
    /// Its balance after the entry.
    pub balance: Balance,
    /// What was held of it after the entry.
    pub held: u128,
}

impl HistoryRow {
    /// Whether this row may come right after `before` in a run: a later key, or the next of the same.
    #[must_use]
    pub fn follows(&self, before: &Self) -> bool {
        if self.key == before.key {
            before.account_seq.checked_add(1) == Some(self.account_seq) && self.seq > before.seq
        } else {
            self.key > before.key
        }
    }
}

/// The rows of an entry: one for each side that it changed.
pub fn history_rows(posting: &Posting) -> impl Iterator<Item = HistoryRow> {
    // A refusal shows its sides as they stood, and an opening has no asset: neither changes a balance.
    let changes = posting.head.kind != Kind::Refused && posting.asset != Asset::NONE;
    let row = |side: Side| HistoryRow {
        key: HistoryKey { account: side.account, asset: posting.asset },
        account_seq: side.seq,
        seq: posting.head.seq,
        balance: side.balance,
        held: side.held,
    };
    let sides = [posting.debit, posting.credit];
    sides.into_iter().filter(move |side| changes && !side.account.is_none() && side.seq > 0).map(row)
}
