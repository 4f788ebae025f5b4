//! `Reason`: why a request was refused. One word each, the same in answers, logs and metrics.

use core::fmt;

/// Why a request was refused. The discriminants are on disk and are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Reason {
    /// No capability, or one that does not parse.
    Unauth = 1,
    /// The capability is forged, expired, or does not allow this.
    CapInvalid = 2,
    /// A cumulative ceiling of the capability is reached.
    CapExhausted = 3,
    /// The kind or a field is not known.
    UnknownKind = 4,
    /// The policy does not allow this.
    PolicyDenied = 5,
    /// A queue is full; try again later.
    Busy = 6,
    /// The request is larger than the limit.
    TooLarge = 7,
    /// No answer within the deadline; the fate is open.
    Timeout = 8,
    /// A defect of ours.
    Internal = 9,
    /// The ledger takes no writes: a write to its disk has failed.
    SafeMode = 10,
    /// The account's available balance is lower than the amount.
    InsufficientFunds = 11,
    /// The account is frozen.
    AccountFrozen = 12,
    /// The account is closed.
    AccountClosed = 13,
    /// Two names with one id, or one account on both sides.
    AccountConflict = 14,
    /// The nonce is not the next one.
    NonceConflict = 15,
    /// `if_seq` or `if_balance_at_least` does not hold.
    PreconditionFailed = 16,
    /// The idempotency key was used with another request.
    IdemConflict = 17,
    /// The idempotency key is older than the horizon or too far ahead.
    IdemExpired = 18,
    /// The hold or entry has been resolved already.
    AlreadyResolved = 19,
    /// No such account, hold or entry.
    NotFound = 20,
    /// An amount, a supply or a total would pass its limit.
    Overflow = 21,
    /// Another entry of the same atomic group was refused.
    BatchAborted = 22,
    /// A rate or quota is used up.
    Quota = 23,
    /// The range is in the archive only.
    Archived = 24,
    /// The ledger's disk has no room for new entries; reads and repeated requests go on.
    NoSpace = 25,
    /// What is stored of it is damaged, and no second copy is there.
    Damaged = 26,
}

impl Reason {
    /// Every reason, in the order of its number.
    pub const ALL: [Self; 26] = [
        Self::Unauth,
        Self::CapInvalid,
        Self::CapExhausted,
        Self::UnknownKind,
        Self::PolicyDenied,
        Self::Busy,
        Self::TooLarge,
        Self::Timeout,
        Self::Internal,
        Self::SafeMode,
        Self::InsufficientFunds,
        Self::AccountFrozen,
        Self::AccountClosed,
        Self::AccountConflict,
        Self::NonceConflict,
        Self::PreconditionFailed,
        Self::IdemConflict,
        Self::IdemExpired,
        Self::AlreadyResolved,
        Self::NotFound,
        Self::Overflow,
        Self::BatchAborted,
        Self::Quota,
        Self::Archived,
        Self::NoSpace,
        Self::Damaged,
    ];

    /// The reason with this number on disk.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.number() == number)
    }

    /// The number on disk.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Whether this refusal is journaled with its idempotency key, so that the same key can
    /// never have another outcome.
    #[must_use]
    pub const fn is_frozen(self) -> bool {
        matches!(
            self,
            Self::InsufficientFunds
                | Self::AccountFrozen
                | Self::AccountClosed
                | Self::AccountConflict
                | Self::NonceConflict
                | Self::PreconditionFailed
                | Self::CapExhausted
                | Self::AlreadyResolved
                | Self::NotFound
                | Self::Overflow
        )
    }

    /// The word used in answers, logs and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unauth => "unauth",
            Self::CapInvalid => "cap_invalid",
            Self::CapExhausted => "cap_exhausted",
            Self::UnknownKind => "unknown_kind",
            Self::PolicyDenied => "policy_denied",
            Self::Busy => "busy",
            Self::TooLarge => "too_large",
            Self::Timeout => "timeout",
            Self::Internal => "internal",
            Self::SafeMode => "safe_mode",
            Self::InsufficientFunds => "insufficient_funds",
            Self::AccountFrozen => "account_frozen",
            Self::AccountClosed => "account_closed",
            Self::AccountConflict => "account_conflict",
            Self::NonceConflict => "nonce_conflict",
            Self::PreconditionFailed => "precondition_failed",
            Self::IdemConflict => "idem_conflict",
            Self::IdemExpired => "idem_expired",
            Self::AlreadyResolved => "already_resolved",
            Self::NotFound => "not_found",
            Self::Overflow => "overflow",
            Self::BatchAborted => "batch_aborted",
            Self::Quota => "quota",
            Self::Archived => "archived",
            Self::NoSpace => "no_space",
            Self::Damaged => "damaged",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back_and_words_differ() {
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(Reason::from_number(reason.number()), Some(reason));
            assert_eq!(usize::from(reason.number()), index + 1);
        }
        assert_eq!(Reason::from_number(0), None);
        assert_eq!(Reason::ALL.iter().filter(|reason| reason.is_frozen()).count(), 10);
    }
}
