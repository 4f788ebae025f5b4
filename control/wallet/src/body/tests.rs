use alloc::{format, vec::Vec};

use super::*;

const KNOWN: &[Field; 2] = &[Field { name: "a", expected: "an a" }, Field { name: "b", expected: "a b" }];

fn error(body: &[u8]) -> BodyError {
    Fields::parse(body, KNOWN).map(|_| ()).unwrap_err()
}

#[test]
fn only_one_object_is_a_body() {
    for (body, expected) in [
        ("", "the body is not JSON: line 1, column 0"),
        ("{", "the body is not JSON: line 1, column 1"),
        ("{\"a\":1}x", "the body is not JSON: line 1, column 8"),
        ("{\"a\":1,}", "the body is not JSON: line 1, column 8"),
        ("{'a':1}", "the body is not JSON: line 1, column 2"),
        ("{\"a\":01}", "the body is not JSON: line 1, column 7"),
        ("{\"a\":NaN}", "the body is not JSON: line 1, column 6"),
        ("[\"x\",\"y\"]", "the body: expected an object"),
        ("\"x\"", "the body: expected an object"),
        ("1", "the body: expected an object"),
        ("-1", "the body: expected an object"),
        ("1.5", "the body: expected an object"),
        ("null", "the body: expected an object"),
        ("true", "the body: expected an object"),
        ("{\"b\":1.5}", "b: expected a b"),
        ("{\"b\":-1}", "b: expected a b"),
        ("{\"b\":1e3}", "b: expected a b"),
        ("{\"b\":{}}", "b: expected a b"),
        ("{\"b\":[", "b: expected a b"),
        ("{\"b\":\"x", "the body is not JSON: line 1, column 7"),
        ("{\"c\":1}", "c: no such field"),
        ("{\"A\":1}", "A: no such field"),
        ("{\"a\":1,\"a\":1}", "a: given twice"),
        ("{\"a\":null,\"\\u0061\":1}", "a: given twice"),
    ] {
        assert_eq!(format!("{}", error(body.as_bytes())), expected, "{body}");
    }
    assert!(matches!(error(b"{\"a\":\"\xff\"}"), BodyError::Json { .. }));
    let deep = format!("{{\"a\":{}", "[".repeat(100_000));
    assert_eq!(format!("{}", error(deep.as_bytes())), "a: expected an a", "depth is not followed");
    let long = format!("{{\"{}\":1}}", "x".repeat(5000));
    assert_eq!(format!("{}", error(long.as_bytes())), format!("{}: no such field", "x".repeat(64)));
}

#[test]
fn values_are_borrowed_where_they_can_be() {
    let fields = Fields::parse(br#"{"b":"plain","a":"esc\u0061ped"}"#, KNOWN).unwrap();
    assert!(matches!(fields.value("b"), Some(Loose::Text(Cow::Borrowed("plain")))));
    assert_eq!(fields.value("a"), Some(&Loose::Text(Cow::Borrowed("escaped"))));
    assert_eq!(Fields::parse(b" {} ", KNOWN).unwrap().number("a"), Ok(None));
}

#[test]
fn each_error_has_its_code_on_each_surface() {
    let field = FieldPath { entry: Some(3), name: Cow::Borrowed("amount") };
    for (error, wallet, ledger, detail) in [
        (
            BodyError::Unknown(field.clone()),
            Code::BadRequest,
            Code::UnknownKind,
            "batch[3].amount: no such field",
        ),
        (BodyError::Twice(field.clone()), Code::BadRequest, Code::BadRequest, "batch[3].amount: given twice"),
        (BodyError::Missing(field.clone()), Code::BadRequest, Code::BadRequest, "batch[3].amount: required"),
        (
            BodyError::Wrong { field, expected: "x" },
            Code::BadRequest,
            Code::BadRequest,
            "batch[3].amount: expected x",
        ),
        (
            BodyError::Json { line: 1, column: 2 },
            Code::BadRequest,
            Code::BadRequest,
            "the body is not JSON: line 1, column 2",
        ),
        (BodyError::TooMany { limit: 9 }, Code::TooLarge, Code::TooLarge, "batch: more than 9 entries"),
    ] {
        let codes: Vec<_> =
            [Surface::Wallet, Surface::Ledger].map(|surface| error.problem(surface).code).into();
        assert_eq!(codes, [wallet, ledger], "{error}");
        assert_eq!(error.problem(Surface::Wallet).detail, detail);
    }
}
