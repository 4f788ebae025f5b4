use alloc::{
    format,
    string::{String, ToString},
};

use model::{Declined, IdemKey};

use super::*;
use crate::receipt::tests;

const TRANSFER: &str = r#"{"id":"9c7d9bda-1f8a-4f3e-8f7a-1a0e3b6a9a10","ts":1728794183123,"kind":"transfer","account":"acct_a","counter_account":"acct_b","asset":"ron","amount":"12345","nonce":7,"ref_seq":null,"reference":"order-17","v":1}"#;

fn body(entries: &[&str], rest: &str) -> String {
    format!(r#"{{"batch":[{}],"idem_id":"01JFA1KQ2Q9G2VE8W7"{rest}}}"#, entries.join(","))
}

fn of_kind(kind: &str) -> String {
    format!(r#"{{"kind":"{kind}","account":"acct_a","asset":"ron","amount":"1"}}"#)
}

fn parse(text: &str) -> IngestBody {
    IngestBody::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn admit_all(_: &Request) -> Result<(), Reason> {
    Ok(())
}

#[test]
fn the_documented_batch_is_read_whole() {
    let read = parse(&body(&[TRANSFER], r#","atomic":false"#));
    let plan = read.plan("ann", admit_all);
    assert!(plan.refused.is_empty() && !plan.group.atomic);
    let [request] = plan.group.requests.as_slice() else { panic!("one entry") };
    assert_eq!(request.kind, Kind::Transfer);
    assert_eq!((request.debit.as_str(), request.credit.as_str()), ("acct_a", "acct_b"));
    assert_eq!((request.asset.as_str(), request.amount.units()), ("ron", 12_345));
    assert_eq!(request.preconditions, Preconditions { nonce: Some(7), ..Preconditions::default() });
    assert_eq!((request.reference.as_str(), request.idx), ("order-17", 0));
    assert_eq!(request.key, IdemKey::new("ann", "01JFA1KQ2Q9G2VE8W7", 0));
}

#[test]
fn each_kind_has_its_sides() {
    for (kind, debit, credit) in [
        ("MINT", "@issuance", "acct_a"),
        ("burn", "acct_a", "@issuance"),
        ("Credit", "@external", "acct_a"),
        ("debit", "acct_a", "@external"),
    ] {
        let owned = if debit == "acct_a" { credit } else { debit };
        let named = of_kind(kind).replacen('}', &format!(r#","counter_account":"{owned}"}}"#), 1);
        for entry in [of_kind(kind), named] {
            let plan = parse(&body(&[&entry], "")).plan("ann", admit_all);
            let request = plan.group.requests.first().unwrap();
            assert_eq!((request.debit.as_str(), request.credit.as_str()), (debit, credit));
            assert_eq!(request.owner().as_str(), "acct_a");
        }
        let wrong = of_kind(kind).replacen('}', r#","counter_account":"acct_b"}"#, 1);
        let error = IngestBody::parse(body(&[&wrong], "").as_bytes()).unwrap_err();
        let expected = format!("batch[0].counter_account: expected {}", ENTRY[4].expected);
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn kinds_of_other_versions_are_refused_alone() {
    for kind in
        ["hold", "capture", "release", "reverse", "open", "flag", "usage", "refused", "horizon", "teleport"]
    {
        let other = format!(r#"{{"kind":"{kind}","account":"acct_a","ref_seq":5}}"#);
        let read = parse(&body(&[&other, TRANSFER], ""));
        let plan = read.plan("ann", admit_all);
        assert_eq!(plan.refused, [(0, Reason::UnknownKind)], "{kind}");
        assert_eq!(plan.group.requests.iter().map(|request| request.idx).collect::<Vec<_>>(), [1]);
        let atomic = parse(&body(&[&other, TRANSFER], r#","atomic":true"#)).plan("ann", admit_all);
        assert_eq!(atomic.refused, [(0, Reason::UnknownKind), (1, Reason::BatchAborted)], "{kind}");
        assert!(atomic.group.requests.is_empty() && atomic.group.atomic);
    }
}

#[test]
fn a_wrong_body_is_named() {
    let change = |from: &str, to: &str| {
        let changed = TRANSFER.replacen(from, to, 1);
        assert_ne!(changed, TRANSFER, "{from}");
        body(&[TRANSFER, &changed], "")
    };
    let number = "expected a whole number from 0 to 2^64 - 1";
    for (text, expected) in [
        ("[]".to_string(), "the body: expected an object".to_string()),
        ("3".to_string(), "the body: expected an object".to_string()),
        ("{}".to_string(), "idem_id: required".to_string()),
        (r#"{"idem_id":"k"}"#.to_string(), "batch: required".to_string()),
        (body(&[], ""), format!("batch: expected {ENTRIES}")),
        (body(&["[]"], ""), "batch[0]: expected an object".to_string()),
        (body(&["7"], ""), "batch[0]: expected an object".to_string()),
        (body(&[TRANSFER], r#","atomic":"yes""#), "atomic: expected true or false".to_string()),
        (body(&[TRANSFER], r#","idem_id":"x""#), "idem_id: given twice".to_string()),
        (body(&[TRANSFER], r#","batch":[]"#), "batch: given twice".to_string()),
        (body(&[TRANSFER], r#","note":1"#), "note: no such field".to_string()),
        (r#"{"idem_id":"","batch":[]}"#.to_string(), format!("idem_id: expected {KEY}")),
        (r#"{"idem_id":7,"batch":[]}"#.to_string(), format!("idem_id: expected {KEY}")),
        (r#"{"idem_id":"k","batch":{}}"#.to_string(), format!("batch: expected {ENTRIES}")),
        (r#"{"idem_id":"k","batch":"x"}"#.to_string(), format!("batch: expected {ENTRIES}")),
        (r#"{"idem_id":"k","batch":null}"#.to_string(), format!("batch: expected {ENTRIES}")),
        (change(r#""12345""#, "12345"), format!("batch[1].amount: expected {AMOUNT}")),
        (change(r#""12345""#, r#""0""#), format!("batch[1].amount: expected {AMOUNT}")),
        (change(r#""12345""#, r#""1.0""#), format!("batch[1].amount: expected {AMOUNT}")),
        (change(r#""acct_a""#, r#""@external""#), format!("batch[1].account: expected {ACCOUNT}")),
        (
            change(r#""acct_b""#, r#""@issuance""#),
            format!("batch[1].counter_account: expected {}", ENTRY[4].expected),
        ),
        (change(r#""acct_b""#, "null"), "batch[1].counter_account: required".to_string()),
        (change(r#""kind":"transfer","#, ""), "batch[1].kind: required".to_string()),
        (change(r#""transfer""#, "1"), "batch[1].kind: expected the name of a kind".to_string()),
        (change(r#""v":1"#, r#""v":2"#), "batch[1].v: expected 1, the version of an entry".to_string()),
        (change(r#""v":1"#, r#""w":1"#), "batch[1].w: no such field".to_string()),
        (change(r#""v":1"#, r#""ts":1"#), "batch[1].ts: given twice".to_string()),
        (change("1728794183123", "-1"), format!("batch[1].ts: {number}")),
        (change(r#""nonce":7"#, r#""nonce":7.5"#), format!("batch[1].nonce: {number}")),
        (
            change(r#""ref_seq":null"#, r#""ref_seq":3"#),
            format!("batch[1].ref_seq: expected {}", ENTRY[8].expected),
        ),
        (change("order-17", "ordér"), format!("batch[1].reference: expected {REFERENCE}")),
    ] {
        assert_eq!(IngestBody::parse(text.as_bytes()).unwrap_err().to_string(), expected, "{text}");
    }
    assert!(matches!(IngestBody::parse(b"{\"batch\":[{]}"), Err(BodyError::Json { .. })));
}

#[test]
fn the_limit_of_entries_holds() {
    let entry = of_kind("burn");
    let mut entries = alloc::vec![entry.as_str(); INGEST_ENTRIES_MAX];
    assert_eq!(parse(&body(&entries, "")).entries.len(), INGEST_ENTRIES_MAX);
    entries.push(&entry);
    let error = IngestBody::parse(body(&entries, "").as_bytes()).unwrap_err();
    assert_eq!(error, BodyError::TooMany { limit: INGEST_ENTRIES_MAX });
}

#[test]
fn what_is_not_admitted_does_not_reach_the_ledger() {
    let mint = of_kind("mint");
    let no_mint = |request: &Request| {
        if request.kind == Kind::Mint { Err(Reason::CapInvalid) } else { Ok(()) }
    };
    let plan = parse(&body(&[TRANSFER, &mint, TRANSFER], "")).plan("ann", no_mint);
    assert_eq!(plan.refused, [(1, Reason::CapInvalid)]);
    assert_eq!(plan.group.requests.iter().map(|request| request.idx).collect::<Vec<_>>(), [0, 2]);
}

#[test]
fn results_stand_in_the_order_of_the_batch() {
    let hold = of_kind("hold");
    let plan =
        parse(&body(&[TRANSFER, &hold, TRANSFER, TRANSFER, TRANSFER, TRANSFER], "")).plan("ann", admit_all);
    let stored = tests::refused(Kind::Transfer, Reason::NonceConflict).posting;
    let outcomes = [
        Outcome::Decided { posting: tests::entry(Kind::Transfer).posting, leaf: [0; 32] },
        Outcome::Replayed { seq: Seq(1031) },
        Outcome::Replayed { seq: Seq(9) },
        Outcome::Declined(Declined { reason: Reason::IdemConflict, number: 0 }),
        Outcome::Unknown,
    ];
    let results = plan.results(&outcomes, |seq| (seq == Seq(1031)).then_some(stored));
    let shown: Vec<_> =
        results.iter().map(|result| (result.idx, result.outcome, result.reason, result.replayed)).collect();
    assert_eq!(
        shown,
        [
            (0, "ok", None, false),
            (1, "refused", Some(Reason::UnknownKind), false),
            (2, "refused", Some(Reason::NonceConflict), true),
            (3, "unknown", None, false),
            (4, "refused", Some(Reason::IdemConflict), false),
            (5, "unknown", None, false),
        ]
    );
}
