//! `Problem`: a refusal as RFC 9457 renders it, a pure function of what was decided.
//!
//! Nothing in it differs between two answers to the same request: dates and correlation ids
//! ride in headers. A stored refusal is therefore replayed byte for byte.

use alloc::{borrow::Cow, string::String};

use model::{Declined, Kind, Posting, Reason, Side};
use serde::Serialize;

use crate::{Code, KeyError, form};

/// How answers are written. A stored answer is rendered by the version that it was given with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Render {
    /// The first; belongs to records of version 0.
    V0,
}

impl Render {
    /// The version that new answers are written with.
    pub const CURRENT: Self = Self::V0;
}

/// The numbers that a code needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// It needs none.
    None,
    /// The nonce or slice number that would have been taken.
    Expected(u64),
    /// The owner's available balance in minor units, as it stood.
    Available(i128),
    /// Both values that a precondition compares, as they stood.
    Current {
        /// The owner's `account_seq`.
        account_seq: u64,
        /// The owner's available balance in minor units.
        available: i128,
    },
    /// The limit that was passed.
    Limit(u64),
}

/// A refusal: its code, what to tell, and the numbers that its code needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What went wrong, for programs.
    pub code: Code,
    /// What went wrong, for people.
    pub detail: Cow<'static, str>,
    /// What the code needs.
    pub numbers: Numbers,
    /// The entry that keeps this refusal.
    pub seq: Option<u64>,
    /// Whether the request may still take effect: ask again with the same key.
    pub fate_open: bool,
}

impl Problem {
    /// A problem without numbers; its detail is the title.
    #[must_use]
    pub const fn new(code: Code) -> Self {
        Self {
            code,
            detail: Cow::Borrowed(code.title()),
            numbers: Numbers::None,
            seq: None,
            fate_open: false,
        }
    }

    /// This problem with another detail.
    #[must_use]
    pub fn detail(self, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { detail: detail.into(), ..self }
    }

    /// This problem with the numbers that its code needs.
    #[must_use]
    pub fn numbers(self, numbers: Numbers) -> Self {
        Self { numbers, ..self }
    }

    /// This problem of a request that may still take effect.
    #[must_use]
    pub fn fate_open(self) -> Self {
        Self { fate_open: true, ..self }
    }

    /// A request whose fate is open at its deadline, or when the ledger was poisoned.
    #[must_use]
    pub fn unknown(code: Code) -> Self {
        Self::new(code).detail("the outcome is not known yet; ask again with the same key").fate_open()
    }

    /// The refusal that a stored entry keeps; `None` for an entry that was accepted.
    #[must_use]
    pub fn of_posting(render: Render, posting: &Posting) -> Option<Self> {
        let Render::V0 = render;
        let reason = posting.head.reason?;
        let owner = owner(posting);
        let available = owner.balance.available(owner.held);
        let numbers = [
            (Reason::InsufficientFunds, Numbers::Available(available)),
            (Reason::NonceConflict, Numbers::Expected(posting.nonce)),
            (Reason::PreconditionFailed, Numbers::Current { account_seq: owner.seq, available }),
        ];
        let numbers = numbers.into_iter().find(|(needs, _)| *needs == reason);
        let numbers = numbers.map_or(Numbers::None, |(_, numbers)| numbers);
        Some(Self { seq: Some(posting.head.seq.0), ..Self::of_reason(reason).numbers(numbers) })
    }

    /// A refusal that left nothing in the ledger.
    #[must_use]
    pub fn of_declined(declined: &Declined) -> Self {
        let number = u64::try_from(declined.number).unwrap_or(u64::MAX);
        let limited = matches!(declined.reason, Reason::TooLarge | Reason::Quota);
        let expecting = matches!(declined.reason, Reason::NonceConflict | Reason::IdemConflict);
        let numbers = match number {
            0 => Numbers::None,
            _ if limited => Numbers::Limit(number),
            _ if expecting => Numbers::Expected(number),
            _ => Numbers::None,
        };
        Self { numbers, fate_open: declined.reason == Reason::Timeout, ..Self::of_reason(declined.reason) }
    }

    /// The problem as JSON. `status` is the HTTP status of its code, which `server` knows.
    #[must_use]
    pub fn to_json(&self, status: u16) -> String {
        let (expected, available, current, limit) = match self.numbers {
            Numbers::None => (None, None, None, None),
            Numbers::Expected(expected) => (Some(expected), None, None, None),
            Numbers::Available(available) => (None, Some(available), None, None),
            Numbers::Current { account_seq, available } => (None, Some(available), Some(account_seq), None),
            Numbers::Limit(limit) => (None, None, None, Some(limit)),
        };
        let members = Members {
            kind: self.code,
            title: self.code.title(),
            status,
            detail: &self.detail,
            code: self.code.word(),
            retryable: self.code.is_retryable(),
            expected,
            available,
            current,
            limit,
            seq: self.seq,
            outcome: self.fate_open.then_some("unknown"),
        };
        serde_json::to_string(&members).expect("members are texts and numbers")
    }

    fn of_reason(reason: Reason) -> Self {
        let detail = match reason {
            Reason::Unauth => "the ledger was asked without a capability",
            Reason::CapInvalid => "the capability does not allow this entry",
            Reason::CapExhausted => "the capability's cumulative ceiling is lower than the amount",
            Reason::UnknownKind => "the kind is not known to this version",
            Reason::PolicyDenied => "the policy does not allow this",
            Reason::NoSpace => {
                "the ledger's disk is full; reads and repeated requests go on, send new ones again later"
            }
            Reason::Busy => "the ledger's queue is full; send the request again later",
            Reason::TooLarge => "the request does not fit in one frame",
            Reason::Timeout => "the outcome is not known yet; ask again with the same key",
            Reason::Internal => "the request met a defect; ask again with the same key",
            Reason::SafeMode => "a write to the ledger's disk has failed; reads go on",
            Reason::InsufficientFunds => "the available balance is lower than the amount",
            Reason::AccountFrozen => "an account of this entry is frozen",
            Reason::AccountClosed => "an account of this entry is closed",
            Reason::AccountConflict => "the two accounts are one, or a name has the id of another",
            Reason::NonceConflict => "the nonce is not the next one of the account",
            Reason::PreconditionFailed => "if_seq or if_balance_at_least does not hold",
            Reason::IdemConflict => "the idempotency key was used with another request",
            Reason::IdemExpired => "the idempotency key's own time is too old or too far ahead",
            Reason::AlreadyResolved => "what this entry refers to has been resolved already",
            Reason::NotFound => "what this entry refers to does not exist",
            Reason::Overflow => "a balance or a supply would pass its limit",
            Reason::BatchAborted => "another entry of the atomic group was refused",
            Reason::Quota => "a rate or quota is used up; send the request again later",
            Reason::Damaged => {
                "what the ledger stored of this is damaged; asking again does not help, its operator has to restore it"
            }
            Reason::Archived => "the range is in the archive only",
        };
        Self::new(Code::of_reason(reason)).detail(detail)
    }
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        Self::new(Code::BadRequest).detail(alloc::format!("Idempotency-Key: {error}"))
    }
}

/// The members of the JSON object, in the order in which they are written.
#[derive(Serialize)]
struct Members<'a> {
    #[serde(rename = "type", serialize_with = "type_uri")]
    kind: Code,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "form::optional_decimal")]
    available: Option<i128>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'a str>,
}

fn type_uri<S: serde::Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("urn:macronode:problem:{code}"))
}

/// The side whose owner began the entry.
const fn owner(posting: &Posting) -> &Side {
    if matches!(posting.head.op, Kind::Mint | Kind::Credit) { &posting.credit } else { &posting.debit }
}

#[cfg(test)]
mod tests;
