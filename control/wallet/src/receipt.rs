//! `Receipt`: the answer to an accepted money request, a pure function of the stored entry.

use alloc::string::String;

use model::{AccountName, Amount, Asset, Incarnation, Kind, Timestamp, TxId};
use serde::{Deserialize, Serialize};
use wire::StoredEntry;

use crate::{IdempotencyKey, Problem, Render, form};

/// What an accepted money request is answered with. The fields are written in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The public id of the entry.
    #[serde(with = "form::tx_id")]
    pub txid: TxId,
    /// What was done: `transfer`, `issue`, `burn`, or the ledger's word for another kind.
    pub op: String,
    /// The debited account; left out where it is the ledger's own or not known.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "form::optional_account")]
    pub from: Option<AccountName>,
    /// The credited account; left out where it is the ledger's own or not known.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "form::optional_account")]
    pub to: Option<AccountName>,
    /// What is counted.
    #[serde(with = "form::asset")]
    pub asset: Asset,
    /// How much.
    #[serde(with = "form::amount")]
    pub amount_minor: Amount,
    /// The nonce of the account that began it, after the entry.
    pub nonce: u64,
    /// The caller's idempotency key; left out where the entry is looked up without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idem: Option<String>,
    /// The entry's number.
    pub seq: u64,
    /// Ledger time of the entry, in whole milliseconds.
    #[serde(with = "form::time")]
    pub ts: Timestamp,
    /// The entry's leaf hash.
    #[serde(with = "form::hash")]
    pub receipt_hash: [u8; 32],
}

impl Receipt {
    /// The receipt as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a receipt is texts and numbers")
    }
}

/// The answer that a stored entry gives: a receipt, or the refusal that it keeps.
///
/// The same entry and key give the same answer for ever, which is what makes a replay exact.
///
/// # Errors
/// The refusal that the entry keeps.
pub fn money_answer(
    render: Render,
    entry: &StoredEntry,
    incarnation: Incarnation,
    key: Option<&IdempotencyKey>,
) -> Result<Receipt, Problem> {
    let Render::V0 = render;
    let posting = &entry.posting;
    if let Some(problem) = Problem::of_posting(render, posting) {
        return Err(problem);
    }
    let outside = |name: Option<AccountName>| name.filter(|name| !name.is_owned());
    Ok(Receipt {
        txid: posting.tx_id(incarnation, &entry.leaf),
        op: String::from(op_word(posting.head.op)),
        from: outside(entry.debit),
        to: outside(entry.credit),
        asset: posting.asset,
        amount_minor: posting.amount,
        nonce: posting.nonce,
        idem: key.map(|key| String::from(key.as_str())),
        seq: posting.head.seq.0,
        ts: Timestamp::from_millis(posting.head.at.as_millis()),
        receipt_hash: entry.leaf,
    })
}

/// The wallet's word for a kind: `issue` for a mint, the ledger's word for every other.
#[must_use]
pub const fn op_word(kind: Kind) -> &'static str {
    if matches!(kind, Kind::Mint) { "issue" } else { kind.word() }
}

#[cfg(test)]
pub(crate) mod tests;
