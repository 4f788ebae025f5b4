//! Answers about one account, from the durable view.

use alloc::string::String;

use model::{AccountName, Asset, Timestamp};
use serde::Serialize;
use wire::{AccountState, AccountThen};

use crate::form;

/// `GET /v1/balance`. The fields are written in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BalanceAnswer {
    /// Whose.
    #[serde(serialize_with = "form::account::serialize")]
    pub account: AccountName,
    /// Of what.
    #[serde(serialize_with = "form::asset::serialize")]
    pub asset: Asset,
    /// Credits less debits, in minor units.
    #[serde(serialize_with = "form::decimal")]
    pub amount_minor: i128,
    /// Reserved by holds, in minor units.
    #[serde(serialize_with = "form::decimal")]
    pub held_minor: u128,
    /// What may be spent, in minor units.
    #[serde(serialize_with = "form::decimal")]
    pub available_minor: i128,
    /// Accepted entries that changed it.
    pub account_seq: u64,
    /// Ledger time of the view.
    #[serde(serialize_with = "form::time::serialize")]
    pub as_of: Timestamp,
    /// The durable `Seq` of the view.
    pub as_of_seq: u64,
    /// How long ago that was, in milliseconds; of the past it says nothing and is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_ms: Option<u64>,
}

impl BalanceAnswer {
    /// The answer for `account` as it stands in the view, asked at the wall-clock time `now`.
    ///
    /// # Panics
    /// If the state is another account's.
    #[must_use]
    pub fn new(account: AccountName, state: &AccountState, now: Timestamp) -> Self {
        assert_eq!(account.id(), state.account, "the state is of the account that was asked for");
        Self {
            account,
            asset: state.asset,
            amount_minor: state.balance.units(),
            held_minor: state.held,
            available_minor: state.balance.available(state.held),
            account_seq: state.account_seq,
            as_of: state.as_of,
            as_of_seq: state.as_of_seq.0,
            stale_ms: Some(now.since(state.as_of).as_millis()),
        }
    }

    /// The answer for `account` as it stood in the past.
    ///
    /// # Panics
    /// If the state is another account's.
    #[must_use]
    pub fn of_past(account: AccountName, then: &AccountThen) -> Self {
        assert_eq!(account.id(), then.account, "the state is of the account that was asked for");
        Self {
            account,
            asset: then.asset,
            amount_minor: then.balance.units(),
            held_minor: then.held,
            available_minor: then.balance.available(then.held),
            account_seq: then.account_seq,
            as_of: then.as_of,
            as_of_seq: then.as_of_seq.0,
            stale_ms: None,
        }
    }

    /// The answer as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("an answer is texts and numbers")
    }
}

/// `GET /v1/accounts/{id}/sequence`. The fields are written in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SequenceAnswer {
    /// Whose.
    #[serde(serialize_with = "form::account::serialize")]
    pub account: AccountName,
    /// Accepted entries that changed it.
    pub account_seq: u64,
    /// Accepted entries that its owner began.
    pub nonce_last: u64,
    /// The nonce that the next one may name.
    pub nonce_next: u64,
}

impl SequenceAnswer {
    /// The answer for `account` as it stands in the view.
    ///
    /// # Panics
    /// If the state is another account's.
    #[must_use]
    pub fn new(account: AccountName, state: &AccountState) -> Self {
        assert_eq!(account.id(), state.account, "the state is of the account that was asked for");
        Self {
            account,
            account_seq: state.account_seq,
            nonce_last: state.nonce,
            nonce_next: state.nonce.saturating_add(1),
        }
    }

    /// The answer as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("an answer is texts and numbers")
    }
}

#[cfg(test)]
mod tests {
    use model::{Balance, Nanos, Seq};

    use super::*;

    #[test]
    fn answers_have_these_bytes() {
        let account = AccountName::parse("acc_src").unwrap();
        let state = AccountState {
            account: account.id(),
            asset: Asset::parse("ron").unwrap(),
            balance: Balance::new(750_000).unwrap(),
            held: 100,
            account_seq: 12,
            nonce: 42,
            as_of_seq: Seq(1031),
            as_of: Timestamp::from_millis(1_760_631_062_000),
        };
        let now = state.as_of.after(Nanos::from_millis(7));
        assert_eq!(
            BalanceAnswer::new(account, &state, now).to_json(),
            r#"{"account":"acc_src","asset":"ron","amount_minor":"750000","held_minor":"100","available_minor":"749900","account_seq":12,"as_of":"2025-10-16T16:11:02.000Z","as_of_seq":1031,"stale_ms":7}"#
        );
        assert_eq!(
            SequenceAnswer::new(account, &state).to_json(),
            r#"{"account":"acc_src","account_seq":12,"nonce_last":42,"nonce_next":43}"#
        );
        let earlier = BalanceAnswer::new(account, &state, Timestamp(0));
        assert_eq!(earlier.stale_ms, Some(0), "ledger time may run ahead of the wall clock");
    }
}
