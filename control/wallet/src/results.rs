//! `IngestAnswer`: what became of each entry of a batch.

use alloc::{string::String, vec::Vec};

use model::{Kind, Posting, Reason};
use serde::Serialize;
use wire::Committed;

use crate::form;

/// What became of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct EntryResult {
    /// Its index in the batch.
    pub idx: u16,
    /// The ledger entry that keeps this outcome, if one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// `ok`, `refused` or `unknown`.
    pub outcome: &'static str,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "reason_word")]
    pub reason: Option<Reason>,
    /// The sequence of `account` after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_seq: Option<u64>,
    /// The balance of `account` after it, in minor units.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "form::optional_decimal")]
    pub balance_after: Option<i128>,
    /// Whether it was decided before under the same key.
    #[serde(skip_serializing_if = "is_false")]
    pub replayed: bool,
}

impl EntryResult {
    /// The result that a ledger entry keeps.
    #[must_use]
    pub const fn of_posting(idx: u16, posting: &Posting, replayed: bool) -> Self {
        let seq = Some(posting.head.seq.0);
        if posting.head.reason.is_some() {
            return Self { seq, replayed, reason: posting.head.reason, ..Self::bare(idx, "refused") };
        }
        let credited = matches!(posting.head.op, Kind::Mint | Kind::Credit);
        let side = if credited { &posting.credit } else { &posting.debit };
        let (account_seq, balance_after) = (Some(side.seq), Some(side.balance.units()));
        Self { seq, replayed, account_seq, balance_after, ..Self::bare(idx, "ok") }
    }

    /// A refusal that no entry keeps.
    #[must_use]
    pub const fn refused(idx: u16, reason: Reason) -> Self {
        Self { reason: Some(reason), ..Self::bare(idx, "refused") }
    }

    /// A fate that is open: ask again with the same key.
    #[must_use]
    pub const fn unknown(idx: u16) -> Self {
        Self::bare(idx, "unknown")
    }

    /// Whether it was accepted.
    #[must_use]
    pub const fn is_accepted(&self) -> bool {
        self.account_seq.is_some()
    }

    /// This result without the balance, for a caller that may not read the account.
    #[must_use]
    pub const fn without_balance(self) -> Self {
        Self { balance_after: None, ..self }
    }

    const fn bare(idx: u16, outcome: &'static str) -> Self {
        Self {
            idx,
            seq: None,
            outcome,
            reason: None,
            account_seq: None,
            balance_after: None,
            replayed: false,
        }
    }
}

/// How many entries of a batch were accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tally {
    /// All.
    All,
    /// Some, but not all.
    Some,
    /// None.
    None,
}

/// The answer to `POST /ingest`. The fields are written in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IngestAnswer {
    /// Whether all entries were accepted.
    pub accepted: bool,
    /// The first accepted entry's number; null if there is none.
    pub seq_start: Option<u64>,
    /// The last accepted entry's number; null if there is none.
    pub seq_end: Option<u64>,
    /// The newest durable root.
    #[serde(serialize_with = "form::hash::serialize")]
    pub new_root: [u8; 32],
    /// Every refusal, in order.
    pub reasons: Vec<Refusal>,
    /// Every entry, in order.
    pub results: Vec<EntryResult>,
}

/// One refused entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Its index in the batch.
    pub idx: u16,
    /// Why.
    #[serde(serialize_with = "word")]
    pub reason: Reason,
}

impl IngestAnswer {
    /// The answer made of these results and the tree as it stands.
    #[must_use]
    pub fn new(results: Vec<EntryResult>, committed: &Committed) -> Self {
        let accepted =
            || results.iter().filter(|result| result.is_accepted()).filter_map(|result| result.seq);
        let refusal = |result: &EntryResult| Some(Refusal { idx: result.idx, reason: result.reason? });
        Self {
            accepted: results.iter().all(EntryResult::is_accepted),
            seq_start: accepted().min(),
            seq_end: accepted().max(),
            new_root: committed.root,
            reasons: results.iter().filter_map(refusal).collect(),
            results,
        }
    }

    /// How many were accepted.
    #[must_use]
    pub fn tally(&self) -> Tally {
        match (self.accepted, self.seq_start) {
            (true, _) => Tally::All,
            (false, Some(_)) => Tally::Some,
            (false, None) => Tally::None,
        }
    }

    /// The answer as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("an answer is texts and numbers")
    }
}

const fn is_false(value: &bool) -> bool {
    !*value
}

fn word<S: serde::Serializer>(reason: &Reason, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(reason.word())
}

fn reason_word<S: serde::Serializer>(reason: &Option<Reason>, serializer: S) -> Result<S::Ok, S::Error> {
    form::optional_decimal(reason, serializer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receipt::tests::{entry, refused};

    const ROOT: &str = "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd";

    fn committed() -> Committed {
        Committed { size: 1031, root: [0xcd; 32], ..Committed::default() }
    }

    #[test]
    fn answers_have_these_bytes() {
        let transfer = EntryResult::of_posting(0, &entry(Kind::Transfer).posting, false);
        let mint = EntryResult::of_posting(1, &entry(Kind::Mint).posting, true).without_balance();
        let kept = EntryResult::of_posting(2, &refused(Kind::Burn, Reason::InsufficientFunds).posting, false);
        let bare = EntryResult::refused(3, Reason::UnknownKind);
        let answer = IngestAnswer::new([transfer, mint, kept, bare].into(), &committed());
        assert_eq!(
            answer.to_json(),
            alloc::format!(
                r#"{{"accepted":false,"seq_start":1031,"seq_end":1031,"new_root":"{ROOT}","reasons":[{{"idx":2,"reason":"insufficient_funds"}},{{"idx":3,"reason":"unknown_kind"}}],"results":[{{"idx":0,"seq":1031,"outcome":"ok","account_seq":12,"balance_after":"750000"}},{{"idx":1,"seq":1031,"outcome":"ok","account_seq":12,"replayed":true}},{{"idx":2,"seq":1031,"outcome":"refused","reason":"insufficient_funds"}},{{"idx":3,"outcome":"refused","reason":"unknown_kind"}}]}}"#
            )
        );
        assert_eq!(answer.tally(), Tally::Some);
    }

    #[test]
    fn the_tally_says_all_some_or_none() {
        let ok = EntryResult::of_posting(0, &entry(Kind::Transfer).posting, false);
        let (no, open) = (EntryResult::refused(1, Reason::BatchAborted), EntryResult::unknown(2));
        for (results, expected) in [
            (alloc::vec![ok], Tally::All),
            (alloc::vec![ok, no], Tally::Some),
            (alloc::vec![ok, open], Tally::Some),
            (alloc::vec![no, open], Tally::None),
        ] {
            assert_eq!(IngestAnswer::new(results, &committed()).tally(), expected);
        }
        let none = IngestAnswer::new(alloc::vec![open], &committed()).to_json();
        assert!(none.contains(r#""seq_start":null,"seq_end":null"#), "{none}");
        assert!(none.contains(r#"{"idx":2,"outcome":"unknown"}"#), "{none}");
    }
}
