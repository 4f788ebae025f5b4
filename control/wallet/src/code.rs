//! `Code`: the stable word of a problem. One code, one HTTP status; the status is `server`'s.

use core::fmt;

use model::Reason;

/// What went wrong, for programs. The words are never reused for another meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// The body, a parameter or a header does not parse.
    BadRequest,
    /// A kind or a field that the ledger's routes do not know.
    UnknownKind,
    /// A write without an `Idempotency-Key`.
    IdempotencyKeyRequired,
    /// No capability, or one that proves nothing.
    Unauthorized,
    /// The capability does not allow this.
    Forbidden,
    /// A limit on one operation or on an account does not allow this.
    LimitsExceeded,
    /// A cumulative ceiling of the capability is reached.
    CapExhausted,
    /// The account is frozen.
    AccountFrozen,
    /// The account is closed.
    AccountClosed,
    /// No such account, entry or route.
    NotFound,
    /// Only an archive has it.
    Archived,
    /// The route does not have this method.
    MethodNotAllowed,
    /// No answer within the deadline; the fate is open.
    Timeout,
    /// The body or the batch is larger than the limit.
    TooLarge,
    /// The request's target is longer than any that is served.
    UriTooLong,
    /// The head has more bytes or more fields than are read.
    HeadTooLarge,
    /// The available balance is lower than the amount.
    InsufficientFunds,
    /// The nonce is not the next one.
    NonceConflict,
    /// `if_seq` or `if_balance_at_least` does not hold.
    PreconditionFailed,
    /// A request with this key has not been answered yet.
    InFlight,
    /// The key was used with another request.
    IdempotencyMismatch,
    /// The key is older than the horizon or too far ahead.
    IdemExpired,
    /// The hold or entry has been resolved already.
    AlreadyResolved,
    /// Two names with one id, or one account on both sides.
    AccountConflict,
    /// An amount, a supply or a total would pass its limit.
    Overflow,
    /// Another entry of the same atomic group was refused.
    BatchAborted,
    /// A rate or quota is used up.
    Quota,
    /// A queue is full.
    Busy,
    /// More requests are in flight than the ceiling allows.
    Overloaded,
    /// A part that writes need is not ready.
    Degraded,
    /// The ledger cannot be reached.
    UpstreamUnavailable,
    /// The ledger takes no writes: a write to its disk has failed.
    SafeMode,
    /// A defect of ours.
    Internal,
    /// What is stored is damaged, and asking again does not mend it.
    Damaged,
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 34] = [
        Self::BadRequest,
        Self::UnknownKind,
        Self::IdempotencyKeyRequired,
        Self::Unauthorized,
        Self::Forbidden,
        Self::LimitsExceeded,
        Self::CapExhausted,
        Self::AccountFrozen,
        Self::AccountClosed,
        Self::NotFound,
        Self::Archived,
        Self::MethodNotAllowed,
        Self::Timeout,
        Self::TooLarge,
        Self::UriTooLong,
        Self::HeadTooLarge,
        Self::InsufficientFunds,
        Self::NonceConflict,
        Self::PreconditionFailed,
        Self::InFlight,
        Self::IdempotencyMismatch,
        Self::IdemExpired,
        Self::AlreadyResolved,
        Self::AccountConflict,
        Self::Overflow,
        Self::BatchAborted,
        Self::Quota,
        Self::Busy,
        Self::Overloaded,
        Self::Degraded,
        Self::UpstreamUnavailable,
        Self::SafeMode,
        Self::Internal,
        Self::Damaged,
    ];

    /// The code that a refusal of the ledger is answered with.
    #[must_use]
    pub const fn of_reason(reason: Reason) -> Self {
        match reason {
            Reason::Unauth => Self::Unauthorized,
            Reason::CapInvalid | Reason::PolicyDenied => Self::Forbidden,
            Reason::CapExhausted => Self::CapExhausted,
            Reason::UnknownKind => Self::UnknownKind,
            Reason::Busy => Self::Busy,
            Reason::NoSpace => Self::Degraded,
            Reason::TooLarge => Self::TooLarge,
            Reason::Timeout => Self::Timeout,
            Reason::Internal => Self::Internal,
            Reason::Damaged => Self::Damaged,
            Reason::SafeMode => Self::SafeMode,
            Reason::InsufficientFunds => Self::InsufficientFunds,
            Reason::AccountFrozen => Self::AccountFrozen,
            Reason::AccountClosed => Self::AccountClosed,
            Reason::AccountConflict => Self::AccountConflict,
            Reason::NonceConflict => Self::NonceConflict,
            Reason::PreconditionFailed => Self::PreconditionFailed,
            Reason::IdemConflict => Self::IdempotencyMismatch,
            Reason::IdemExpired => Self::IdemExpired,
            Reason::AlreadyResolved => Self::AlreadyResolved,
            Reason::NotFound => Self::NotFound,
            Reason::Archived => Self::Archived,
            Reason::Overflow => Self::Overflow,
            Reason::BatchAborted => Self::BatchAborted,
            Reason::Quota => Self::Quota,
        }
    }

    /// The word in answers and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::UnknownKind => "unknown_kind",
            Self::IdempotencyKeyRequired => "idempotency_key_required",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::LimitsExceeded => "limits_exceeded",
            Self::CapExhausted => "cap_exhausted",
            Self::AccountFrozen => "account_frozen",
            Self::AccountClosed => "account_closed",
            Self::NotFound => "not_found",
            Self::Archived => "archived",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Timeout => "timeout",
            Self::TooLarge => "too_large",
            Self::UriTooLong => "uri_too_long",
            Self::HeadTooLarge => "head_too_large",
            Self::InsufficientFunds => "insufficient_funds",
            Self::NonceConflict => "nonce_conflict",
            Self::PreconditionFailed => "precondition_failed",
            Self::InFlight => "in_flight",
            Self::IdempotencyMismatch => "idempotency_mismatch",
            Self::IdemExpired => "idem_expired",
            Self::AlreadyResolved => "already_resolved",
            Self::AccountConflict => "account_conflict",
            Self::Overflow => "overflow",
            Self::BatchAborted => "batch_aborted",
            Self::Quota => "quota",
            Self::Busy => "busy",
            Self::Overloaded => "overloaded",
            Self::Degraded => "degraded",
            Self::UpstreamUnavailable => "upstream_unavailable",
            Self::SafeMode => "safe_mode",
            Self::Internal => "internal",
            Self::Damaged => "damaged",
        }
    }

    /// The title of the problem type: the same for every occurrence (RFC 9457, 3.1.3).
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::BadRequest => "The request does not parse",
            Self::UnknownKind => "A kind or field is not known",
            Self::IdempotencyKeyRequired => "An Idempotency-Key is required",
            Self::Unauthorized => "A valid capability is required",
            Self::Forbidden => "The capability does not allow this",
            Self::LimitsExceeded => "A limit does not allow this",
            Self::CapExhausted => "The capability's ceiling is reached",
            Self::AccountFrozen => "The account is frozen",
            Self::AccountClosed => "The account is closed",
            Self::NotFound => "Not found",
            Self::Archived => "Only the archive has this",
            Self::Timeout => "No answer within the deadline",
            Self::MethodNotAllowed => "The route does not have this method",
            Self::TooLarge => "The request is too large",
            Self::UriTooLong => "The request's target is too long",
            Self::HeadTooLarge => "The request's head is too large",
            Self::InsufficientFunds => "Insufficient funds",
            Self::NonceConflict => "The nonce is not the next one",
            Self::PreconditionFailed => "A precondition does not hold",
            Self::InFlight => "The first request is still in flight",
            Self::IdempotencyMismatch => "The key was used with another request",
            Self::IdemExpired => "The key's time is outside the retention",
            Self::AlreadyResolved => "Already resolved",
            Self::AccountConflict => "The accounts conflict",
            Self::Overflow => "An amount would pass its limit",
            Self::BatchAborted => "Another entry of the group was refused",
            Self::Quota => "A quota is used up",
            Self::Busy => "A queue is full",
            Self::Overloaded => "Too many requests are in flight",
            Self::Degraded => "A part that this needs is not ready",
            Self::UpstreamUnavailable => "The ledger cannot be reached",
            Self::SafeMode => "The ledger is in safe mode",
            Self::Internal => "A defect of the service",
            Self::Damaged => "What is stored is damaged",
        }
    }

    /// Whether the same request with the same key may succeed later without being changed.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::Timeout
                | Self::InFlight
                | Self::Quota
                | Self::Busy
                | Self::Overloaded
                | Self::Degraded
                | Self::UpstreamUnavailable
                | Self::SafeMode
                | Self::Internal
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_listed_once_with_a_word_of_its_own() {
        for (index, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, index, "{code}");
            let same = Code::ALL.into_iter().filter(|other| other.word() == code.word()).count();
            assert_eq!(same, 1, "{code}");
            assert!(!code.title().is_empty());
        }
    }

    #[test]
    fn reasons_keep_their_word_but_for_those_that_the_surface_renames() {
        let renamed = [
            (Reason::Unauth, "unauthorized"),
            (Reason::CapInvalid, "forbidden"),
            (Reason::PolicyDenied, "forbidden"),
            (Reason::IdemConflict, "idempotency_mismatch"),
            (Reason::NoSpace, "degraded"),
        ];
        for reason in Reason::ALL {
            let renamed = renamed.iter().find(|(from, _)| *from == reason).map(|(_, word)| *word);
            assert_eq!(Code::of_reason(reason).word(), renamed.unwrap_or(reason.word()));
            assert!(!reason.is_frozen() || !Code::of_reason(reason).is_retryable(), "{reason}");
        }
    }
}
