//! `Code`: the stable word of each refusal that HTTP gives.

use model::Reason;

/// Why a request was refused, as the caller sees it. One code, one status (`status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request is not well formed.
    BadRequest,
    /// A write without `Idempotency-Key`.
    IdempotencyKeyRequired,
    /// A kind or field that the ledger does not know.
    UnknownKind,
    /// The capability is missing, malformed or expired.
    Unauthorized,
    /// The capability does not allow this.
    Forbidden,
    /// An amount above a limit of the capability.
    LimitsExceeded,
    /// A cumulative ceiling of the capability is reached.
    CapExhausted,
    /// The policy does not allow this.
    PolicyDenied,
    /// The account is frozen.
    AccountFrozen,
    /// The account is closed.
    AccountClosed,
    /// There is no such thing.
    NotFound,
    /// The route has other methods.
    MethodNotAllowed,
    /// The request was not read, or not answered, in time.
    Timeout,
    /// The body is larger than the limit.
    TooLarge,
    /// The available balance is lower than the amount.
    InsufficientFunds,
    /// The nonce is not the next one.
    NonceConflict,
    /// A condition of the request does not hold.
    PreconditionFailed,
    /// The first request under this key is not decided yet.
    InFlight,
    /// The key was used with another request.
    IdempotencyMismatch,
    /// The key is older than the retention, or too far ahead.
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
    /// Too many requests are in work.
    Overloaded,
    /// The service takes no writes for now.
    Degraded,
    /// A service behind this one is not there.
    UpstreamUnavailable,
    /// The ledger takes no writes after a failure of its disk.
    SafeMode,
    /// A defect of ours.
    Internal,
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 31] = [
        Self::BadRequest,
        Self::IdempotencyKeyRequired,
        Self::UnknownKind,
        Self::Unauthorized,
        Self::Forbidden,
        Self::LimitsExceeded,
        Self::CapExhausted,
        Self::PolicyDenied,
        Self::AccountFrozen,
        Self::AccountClosed,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Timeout,
        Self::TooLarge,
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
    ];

    /// The word in answers, logs and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::IdempotencyKeyRequired => "idempotency_key_required",
            Self::UnknownKind => "unknown_kind",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::LimitsExceeded => "limits_exceeded",
            Self::CapExhausted => "cap_exhausted",
            Self::PolicyDenied => "policy_denied",
            Self::AccountFrozen => "account_frozen",
            Self::AccountClosed => "account_closed",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Timeout => "timeout",
            Self::TooLarge => "too_large",
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
        }
    }

    /// One sentence that fits every occurrence.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::BadRequest => "The request is not well formed.",
            Self::IdempotencyKeyRequired => "A write without Idempotency-Key.",
            Self::UnknownKind => "A kind or field that the ledger does not know.",
            Self::Unauthorized => "The capability is missing, malformed or expired.",
            Self::Forbidden => "The capability does not allow this.",
            Self::LimitsExceeded => "An amount above a limit of the capability.",
            Self::CapExhausted => "A cumulative ceiling of the capability is reached.",
            Self::PolicyDenied => "The policy does not allow this.",
            Self::AccountFrozen => "The account is frozen.",
            Self::AccountClosed => "The account is closed.",
            Self::NotFound => "There is no such thing.",
            Self::MethodNotAllowed => "The route has other methods.",
            Self::Timeout => "The request was not read, or not answered, in time.",
            Self::TooLarge => "The body is larger than the limit.",
            Self::InsufficientFunds => "The available balance is lower than the amount.",
            Self::NonceConflict => "The nonce is not the next one.",
            Self::PreconditionFailed => "A condition of the request does not hold.",
            Self::InFlight => "The first request under this key is not decided yet.",
            Self::IdempotencyMismatch => "The key was used with another request.",
            Self::IdemExpired => "The key is older than the retention, or too far ahead.",
            Self::AlreadyResolved => "The hold or entry has been resolved already.",
            Self::AccountConflict => "Two names with one id, or one account on both sides.",
            Self::Overflow => "An amount, a supply or a total would pass its limit.",
            Self::BatchAborted => "Another entry of the same atomic group was refused.",
            Self::Quota => "A rate or quota is used up.",
            Self::Busy => "A queue is full.",
            Self::Overloaded => "Too many requests are in work.",
            Self::Degraded => "The service takes no writes for now.",
            Self::UpstreamUnavailable => "A service behind this one is not there.",
            Self::SafeMode => "The ledger takes no writes after a failure of its disk.",
            Self::Internal => "A defect of ours.",
        }
    }

    /// Whether the same request may have another answer later.
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
        )
    }

    /// How HTTP says a reason of the ledger.
    #[must_use]
    pub const fn of_reason(reason: Reason) -> Self {
        match reason {
            Reason::Unauth => Self::Unauthorized,
            Reason::CapInvalid => Self::Forbidden,
            Reason::CapExhausted => Self::CapExhausted,
            Reason::UnknownKind => Self::UnknownKind,
            Reason::PolicyDenied => Self::PolicyDenied,
            Reason::Busy => Self::Busy,
            Reason::TooLarge => Self::TooLarge,
            Reason::Timeout => Self::Timeout,
            Reason::Internal => Self::Internal,
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
            Reason::NotFound | Reason::Archived => Self::NotFound,
            Reason::Overflow => Self::Overflow,
            Reason::BatchAborted => Self::BatchAborted,
            Reason::Quota => Self::Quota,
        }
    }
}
