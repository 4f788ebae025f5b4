//! The one place with HTTP status numbers: each stable code has one status.

use axum::http::StatusCode;
use wallet::Code;

use crate::Service;

/// Every status that an answer can have; counted from zero each.
pub(crate) const ALL: [u16; 16] = [
    OK,
    MULTI_STATUS,
    BAD_REQUEST,
    UNAUTHORIZED,
    FORBIDDEN,
    NOT_FOUND,
    METHOD_NOT_ALLOWED,
    TIMEOUT,
    CONFLICT,
    GONE,
    TOO_LARGE,
    TOO_MANY,
    INTERNAL,
    UNAVAILABLE,
    URI_TOO_LONG,
    HEAD_TOO_LARGE,
];

/// All is well.
pub(crate) const OK: u16 = 200;
/// Some entries of a group were accepted, some refused.
pub(crate) const MULTI_STATUS: u16 = 207;
/// An atomic group was refused, or a state that conflicts.
pub(crate) const CONFLICT: u16 = 409;
/// Not ready.
pub(crate) const UNAVAILABLE: u16 = 503;
const BAD_REQUEST: u16 = 400;
const UNAUTHORIZED: u16 = 401;
const FORBIDDEN: u16 = 403;
const NOT_FOUND: u16 = 404;
const METHOD_NOT_ALLOWED: u16 = 405;
const TIMEOUT: u16 = 408;
const GONE: u16 = 410;
const TOO_LARGE: u16 = 413;
const URI_TOO_LONG: u16 = 414;
const TOO_MANY: u16 = 429;
const HEAD_TOO_LARGE: u16 = 431;
const INTERNAL: u16 = 500;

/// How the bare answers begin that hyper gives, with no body, to bytes that are no request; each
/// with the code that says the same. The version stands before them.
pub(crate) const BARE: [(&[u8], Code); 3] = [
    (b" 400 Bad Request\r\n", Code::BadRequest),
    (b" 414 URI Too Long\r\n", Code::UriTooLong),
    (b" 431 Request Header Fields Too Large\r\n", Code::HeadTooLarge),
];

/// One of this file's numbers as axum's type.
pub(crate) fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).expect("the table holds valid statuses")
}

/// The status of a code.
pub(crate) const fn of(code: Code) -> u16 {
    match code {
        Code::BadRequest | Code::IdempotencyKeyRequired | Code::UnknownKind => BAD_REQUEST,
        Code::Unauthorized => UNAUTHORIZED,
        Code::Forbidden
        | Code::LimitsExceeded
        | Code::CapExhausted
        | Code::AccountFrozen
        | Code::AccountClosed => FORBIDDEN,
        Code::NotFound => NOT_FOUND,
        Code::Archived => GONE,
        Code::MethodNotAllowed => METHOD_NOT_ALLOWED,
        Code::Timeout => TIMEOUT,
        Code::TooLarge => TOO_LARGE,
        Code::UriTooLong => URI_TOO_LONG,
        Code::HeadTooLarge => HEAD_TOO_LARGE,
        Code::InsufficientFunds
        | Code::NonceConflict
        | Code::PreconditionFailed
        | Code::InFlight
        | Code::IdempotencyMismatch
        | Code::IdemExpired
        | Code::AlreadyResolved
        | Code::AccountConflict
        | Code::Overflow
        | Code::BatchAborted => CONFLICT,
        Code::Quota | Code::Busy => TOO_MANY,
        Code::Internal | Code::Damaged => INTERNAL,
        Code::Overloaded | Code::Degraded | Code::UpstreamUnavailable | Code::SafeMode => UNAVAILABLE,
    }
}

/// Seconds after which a refused caller may come again, where the status calls for it.
pub(crate) const fn retry_after_seconds(code: Code) -> Option<&'static str> {
    match of(code) {
        TOO_MANY => Some("1"),
        UNAVAILABLE if matches!(code, Code::SafeMode) => Some("30"),
        UNAVAILABLE => Some("1"),
        _ => None,
    }
}

/// The word under which `service` counts a refusal with `code`.
pub(crate) const fn reject_reason(service: Service, code: Code) -> &'static str {
    match (service, of(code)) {
        (Service::Wallet, UNAUTHORIZED) => "cap",
        (Service::Wallet, FORBIDDEN) if is_of_capability(code) => "cap",
        (Service::Ledger | Service::Accounting, _) if matches!(code, Code::Unauthorized) => "unauth",
        (Service::Ledger | Service::Accounting, _) if matches!(code, Code::Forbidden) => "cap_invalid",
        (Service::Ledger, _) if matches!(code, Code::IdempotencyMismatch) => "idem_conflict",
        _ => code.word(),
    }
}

/// Every word that `service` can count a refusal under.
pub(crate) fn reject_reasons(service: Service) -> impl Iterator<Item = &'static str> {
    let mut reasons: Vec<_> = Code::ALL.iter().map(|code| reject_reason(service, *code)).collect();
    if service == Service::Ledger {
        reasons.extend(model::Reason::ALL.iter().map(|reason| reason.word()));
    }
    if service == Service::Accounting {
        reasons.extend(USAGE_REASONS);
    }
    reasons.sort_unstable();
    reasons.dedup();
    reasons.into_iter()
}

/// Why one usage event is not counted, beside the codes.
const USAGE_REASONS: [&str; 7] =
    ["invalid", "skewed", "busy", "draining", "too_old", "tenant_limit", "wrong_shard"];

/// Whether a 403 is the capability's doing and not the account's.
const fn is_of_capability(code: Code) -> bool {
    matches!(code, Code::Forbidden | Code::LimitsExceeded | Code::CapExhausted)
}

/// Whether the wallet counts this answer as a conflict: every 409 but insufficient funds.
pub(crate) const fn is_wallet_conflict(code: Code) -> bool {
    of(code) == CONFLICT && !matches!(code, Code::InsufficientFunds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_counted_status() {
        for code in Code::ALL {
            assert!(ALL.contains(&of(code)), "{}", code.word());
            for service in [Service::Ledger, Service::Accounting, Service::Wallet] {
                let reason = reject_reason(service, code);
                assert!(reject_reasons(service).any(|known| known == reason), "{reason}");
            }
        }
    }

    #[test]
    fn the_page_of_errors_has_every_status_and_every_word_that_is_counted() {
        let page = include_str!("../../../docs/errors.md");
        for code in Code::ALL {
            let row = format!("| `{code}` | {} |", of(code));
            assert!(page.contains(&row), "docs/errors.md has no row {row}");
            for service in [Service::Ledger, Service::Accounting, Service::Wallet] {
                let word = format!("`{}`", reject_reason(service, code));
                assert!(page.contains(&word), "docs/errors.md does not say {word}");
            }
        }
    }

    #[test]
    fn overload_says_when_to_come_again() {
        for code in Code::ALL {
            let named = retry_after_seconds(code).is_some();
            assert_eq!(named, matches!(of(code), TOO_MANY | UNAVAILABLE), "{}", code.word());
        }
    }
}
