use super::*;
use crate::receipt::tests::{entry, refused};

#[test]
fn problems_have_these_bytes() {
    let json = |reason, kind, status| {
        Problem::of_posting(Render::CURRENT, &refused(kind, reason).posting).unwrap().to_json(status)
    };
    for (reason, kind, expected) in [
        (
            Reason::InsufficientFunds,
            Kind::Transfer,
            r#"{"type":"urn:macronode:problem:insufficient_funds","title":"Insufficient funds","status":409,"detail":"the available balance is lower than the amount","code":"insufficient_funds","retryable":false,"available":"749900","seq":1031}"#,
        ),
        (
            Reason::NonceConflict,
            Kind::Transfer,
            r#"{"type":"urn:macronode:problem:nonce_conflict","title":"The nonce is not the next one","status":409,"detail":"the nonce is not the next one of the account","code":"nonce_conflict","retryable":false,"expected":42,"seq":1031}"#,
        ),
        (
            Reason::PreconditionFailed,
            Kind::Transfer,
            r#"{"type":"urn:macronode:problem:precondition_failed","title":"A precondition does not hold","status":409,"detail":"if_seq or if_balance_at_least does not hold","code":"precondition_failed","retryable":false,"available":"749900","current":12,"seq":1031}"#,
        ),
        (
            Reason::PreconditionFailed,
            Kind::Mint,
            r#"{"type":"urn:macronode:problem:precondition_failed","title":"A precondition does not hold","status":409,"detail":"if_seq or if_balance_at_least does not hold","code":"precondition_failed","retryable":false,"available":"249900","current":12,"seq":1031}"#,
        ),
    ] {
        assert_eq!(json(reason, kind, 409), expected);
    }
    assert_eq!(
        Problem::unknown(Code::Timeout).to_json(408),
        r#"{"type":"urn:macronode:problem:timeout","title":"No answer within the deadline","status":408,"detail":"the outcome is not known yet; ask again with the same key","code":"timeout","retryable":true,"outcome":"unknown"}"#
    );
}

#[test]
fn every_frozen_reason_renders_and_an_accepted_entry_does_not() {
    for reason in Reason::ALL.into_iter().filter(|reason| reason.is_frozen()) {
        let problem = Problem::of_posting(Render::V0, &refused(Kind::Transfer, reason).posting).unwrap();
        assert_eq!(problem.code, Code::of_reason(reason));
        assert_eq!(problem.seq, Some(1031));
        assert!(!problem.fate_open);
    }
    assert_eq!(Problem::of_posting(Render::V0, &entry(Kind::Transfer).posting), None);
}

#[test]
fn declined_requests_carry_the_limit_or_an_open_fate() {
    for reason in Reason::ALL {
        let problem = Problem::of_declined(&Declined { reason, number: 8190 });
        let limited = matches!(reason, Reason::TooLarge | Reason::Quota);
        let expecting = matches!(reason, Reason::NonceConflict | Reason::IdemConflict);
        assert_eq!(problem.numbers == Numbers::Limit(8190), limited, "{reason}");
        assert_eq!(problem.numbers == Numbers::Expected(8190), expecting, "{reason}");
        assert_eq!(problem.fate_open, reason == Reason::Timeout, "{reason}");
        assert_eq!(problem.seq, None);
    }
    assert_eq!(Problem::of_declined(&Declined { reason: Reason::Quota, number: 0 }).numbers, Numbers::None);
}

#[test]
fn a_bad_key_is_a_bad_request() {
    let problem = Problem::from(KeyError::Length);
    assert_eq!(problem.code, Code::BadRequest);
    assert_eq!(problem.detail, "Idempotency-Key: an idempotency key has 1 to 64 characters");
}

/// Cells of a table's row in `docs/errors.md`, the first one without its backquotes.
fn rows() -> impl Iterator<Item = (&'static str, alloc::vec::Vec<&'static str>)> {
    let page = include_str!("../../../../docs/errors.md");
    page.lines().filter_map(|line| {
        let (first, rest) = line.strip_prefix("| `")?.split_once("` |")?;
        Some((first, rest.trim_end_matches('|').split('|').map(str::trim).collect()))
    })
}

#[test]
fn the_page_of_errors_has_every_code_and_reason() {
    for code in Code::ALL {
        let row = rows().find(|(word, cells)| *word == code.word() && cells.len() == 4);
        let (_, cells) = row.unwrap_or_else(|| panic!("{code} has no row"));
        assert_eq!(cells[3], if code.is_retryable() { "yes" } else { "no" }, "{code}");
    }
    for reason in Reason::ALL {
        let row = rows().find(|(word, cells)| *word == reason.word() && cells.len() == 3);
        let (_, cells) = row.unwrap_or_else(|| panic!("{reason} has no row"));
        assert_eq!(cells[1], alloc::format!("`{}`", Code::of_reason(reason)), "{reason}");
        assert_eq!(cells[2], if reason.is_frozen() { "yes" } else { "no" }, "{reason}");
    }
    let codes = rows().filter(|(_, cells)| cells.len() == 4).count();
    let reasons = rows().filter(|(_, cells)| cells.len() == 3).count();
    assert_eq!((codes, reasons), (Code::ALL.len(), Reason::ALL.len()), "no row too many");
}
