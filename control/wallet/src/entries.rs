//! The entries that changed one account, as its holder sees them.

use alloc::{string::String, vec::Vec};

use model::{AccountName, Asset, Lives, Timestamp, TxId};
use serde::Serialize;
use wire::{AccountPage, StoredEntry};

use crate::form;

/// `GET /v1/accounts/{id}/entries`. The fields are written in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EntriesAnswer {
    /// Whose.
    #[serde(serialize_with = "form::account::serialize")]
    pub account: AccountName,
    /// Of what.
    #[serde(serialize_with = "form::asset::serialize")]
    pub asset: Asset,
    /// In the order of the account's sequence.
    pub entries: Vec<AccountEntry>,
    /// What to pass as `from` for the next page; `null` if there is no later entry.
    pub next: Option<u64>,
}

/// One entry, seen from its side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccountEntry {
    /// The account's sequence after it.
    pub account_seq: u64,
    /// Its number.
    pub seq: u64,
    /// Its public id.
    #[serde(serialize_with = "form::tx_id::serialize")]
    pub txid: TxId,
    /// Ledger time of its batch.
    #[serde(serialize_with = "form::time::serialize")]
    pub ts: Timestamp,
    /// What it did.
    pub kind: &'static str,
    /// `debit` or `credit`.
    pub side: &'static str,
    /// The amount moved, in minor units.
    #[serde(serialize_with = "form::decimal")]
    pub amount_minor: u128,
    /// The account on the other side; not there if the bearer may not see it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "form::optional_account::serialize")]
    pub counterparty: Option<AccountName>,
    /// The account's balance after it, in minor units.
    #[serde(serialize_with = "form::decimal")]
    pub balance_after: i128,
}

impl EntriesAnswer {
    /// The answer for `account`; `may_see` says which names the bearer may read.
    #[must_use]
    pub fn new(
        account: AccountName,
        asset: Asset,
        page: &AccountPage,
        lives: &Lives,
        may_see: impl Fn(&AccountName) -> bool,
    ) -> Self {
        let entry = |stored: &StoredEntry| AccountEntry::new(&account, stored, lives, &may_see);
        Self { account, asset, entries: page.entries.iter().map(entry).collect(), next: page.next }
    }

    /// The answer as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("an answer is texts and numbers")
    }
}

impl AccountEntry {
    fn new(
        account: &AccountName,
        stored: &StoredEntry,
        lives: &Lives,
        may_see: &impl Fn(&AccountName) -> bool,
    ) -> Self {
        let posting = &stored.posting;
        let (side, word, other) = if posting.debit.account == account.id() {
            (&posting.debit, "debit", stored.credit)
        } else {
            (&posting.credit, "credit", stored.debit)
        };
        assert_eq!(side.account, account.id(), "the entry is one of the account's");
        Self {
            account_seq: side.seq,
            seq: posting.head.seq.0,
            txid: posting.tx_id(lives.of(posting.head.seq), &stored.leaf),
            ts: posting.head.at,
            kind: posting.head.kind.word(),
            side: word,
            amount_minor: posting.amount.units(),
            counterparty: other.filter(may_see),
            balance_after: side.balance.units(),
        }
    }
}
