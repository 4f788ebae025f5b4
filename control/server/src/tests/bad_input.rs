//! What is not asked well: its documented answer, its count, and no trace in the ledger.

use axum::http::{Request, header};
use caps::{Action, ActionPattern, Caveat};
use model::Nanos;

use super::bed::{Bed, NOW, Seen, ask, post, series};

const GOOD: &str = r#"{"from":"ann","to":"bob","asset":"ron","amount_minor":"1"}"#;

fn good() -> axum::http::request::Builder {
    Request::post("/v1/transfer").header("content-type", "application/json").header("idempotency-key", "k")
}

#[tokio::test]
async fn bad_bodies_are_refused_and_counted() {
    let bed = Bed::new();
    bed.issue("ann", "1000").await;
    let size = bed.desk.size();
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let mut refused = 0.0;
    for body in [
        String::new(),
        "{".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "\u{0}\u{1}garbage".to_owned(),
        nested,
        GOOD[..30].to_owned(),
        format!("{GOOD}{GOOD}"),
        GOOD.replace("\"1\"", "1"),
        GOOD.replace("\"1\"", "\"-1\""),
        GOOD.replace("\"1\"", "\"1.5\""),
        GOOD.replace("\"1\"", "\"0\""),
        GOOD.replace("\"1\"", "\"01\""),
        GOOD.replace("\"1\"", "\"1e3\""),
        GOOD.replace("\"1\"", "\"79228162514264337593543950336\""),
        GOOD.replace("\"1\"", "\"1\",\"memo\":\"x\""),
        GOOD.replace("\"1\"", "\"1\",\"to\":\"cat\""),
        GOOD.replace("\"1\"", "\"1\",\"nonce\":-1"),
        GOOD.replace("ron", "RON"),
        GOOD.replace("bob", "../bob"),
        GOOD.replace("bob", "@bob"),
        GOOD.replace("\"to\":\"bob\",", ""),
    ] {
        let seen = bed.write("/v1/transfer", "k", &body).await;
        refused += 1.0;
        let shown: String = body.chars().take(120).collect();
        assert_eq!((seen.status, seen.code().as_str()), (400, "bad_request"), "{shown}");
        let counted = series(&bed.wallet, r#"rejected_total{reason="bad_request"}"#).await;
        assert_eq!(counted, Some(refused), "{shown}");
    }
    let large = GOOD.replace("bob", &"b".repeat(1 << 20));
    assert_eq!(bed.write("/v1/transfer", "k", &large).await.code(), "too_large");
    assert_eq!(series(&bed.wallet, r#"rejected_total{reason="too_large"}"#).await, Some(1.0));
    assert_eq!(bed.desk.size(), size, "nothing of it came to the ledger");
    assert_eq!(bed.write("/v1/transfer", "k", GOOD).await.status, 200, "the key is still free");
}

#[tokio::test]
async fn bad_batches_are_refused_and_counted() {
    let bed = Bed::new();
    let entry = r#"{"kind":"mint","account":"ann","asset":"ron","amount":"1"}"#;
    let batch = |entries: &str| format!(r#"{{"batch":[{entries}],"idem_id":"b"}}"#);
    let many = |count: usize| batch(&vec![entry; count].join(","));
    for (body, status, code) in [
        (batch(""), 400, "bad_request"),
        (batch(&entry.replace("\"1\"", "\"-1\"")), 400, "bad_request"),
        (batch(&entry.replace("\"1\"", "\"0.5\"")), 400, "bad_request"),
        (batch(&entry.replace("\"1\"", "1")), 400, "bad_request"),
        (batch(&entry.replace("\"1\"", "\"1\",\"v\":2")), 400, "bad_request"),
        (batch(&entry.replace("\"1\"", "\"1\",\"fee\":\"2\"")), 400, "unknown_kind"),
        (batch(entry).replace("idem_id", "idem"), 400, "unknown_kind"),
        (batch(&entry.replace("mint", "warp")), 400, "unknown_kind"),
        (batch(&entry.replace("mint", "hold")), 400, "unknown_kind"),
        (batch(&entry.replace("mint", "usage")), 400, "unknown_kind"),
        (batch(entry).replace(",\"idem_id\":\"b\"", ""), 400, "bad_request"),
        (many(2001), 413, "too_large"),
        (batch(entry) + &" ".repeat(1 << 20), 413, "too_large"),
    ] {
        let seen = ask(&bed.ledger, post("/ingest", &bed.token).body(body.clone())).await;
        let shown: String = body.chars().take(200).collect();
        assert_eq!((seen.status, seen.code().as_str()), (status, code), "{shown} {seen:?}");
    }
    for (reason, count) in [("bad_request", 6.0), ("unknown_kind", 5.0), ("too_large", 2.0)] {
        let name = format!(r#"rejected_total{{reason="{reason}"}}"#);
        assert_eq!(series(&bed.ledger, &name).await, Some(count), "{reason}");
    }
    assert_eq!(bed.desk.size(), 0);
    assert_eq!(ask(&bed.ledger, post("/ingest", &bed.token).body(many(2000))).await.status, 200);
}

/// A change to the headers of a good request.
type Edit = fn(&mut axum::http::HeaderMap);

#[tokio::test]
async fn bad_headers_are_refused() {
    let bed = Bed::new();
    bed.issue("ann", "1000").await;
    let bearer = format!("Bearer {}", bed.token);
    let send = |edit: Edit| {
        let mut request = good().header(header::AUTHORIZATION, &bearer);
        edit(request.headers_mut().unwrap());
        ask(&bed.wallet, request.body(GOOD.to_owned()))
    };
    let cases: [(Edit, &str); 9] = [
        (|headers| drop(headers.remove("content-type")), "bad_request"),
        (|headers| drop(headers.insert("content-type", "text/json".parse().unwrap())), "bad_request"),
        (|headers| drop(headers.insert("content-encoding", "gzip".parse().unwrap())), "bad_request"),
        (|headers| drop(headers.remove("idempotency-key")), "idempotency_key_required"),
        (|headers| drop(headers.insert("idempotency-key", "".parse().unwrap())), "bad_request"),
        (|headers| drop(headers.insert("idempotency-key", "a b".parse().unwrap())), "bad_request"),
        (|headers| assert!(headers.append("idempotency-key", "other".parse().unwrap())), "bad_request"),
        (|headers| drop(headers.insert("authorization", "Basic x".parse().unwrap())), "unauthorized"),
        (|headers| drop(headers.remove("authorization")), "unauthorized"),
    ];
    for (index, (edit, code)) in cases.into_iter().enumerate() {
        assert_eq!(send(edit).await.code(), code, "case {index}");
    }
    let parameters: Edit =
        |headers| drop(headers.insert("content-type", "Application/JSON; charset=utf-8".parse().unwrap()));
    assert_eq!(send(parameters).await.status, 200);
}

async fn with_token(bed: &Bed, token: &str) -> Seen {
    ask(&bed.wallet, good().header(header::AUTHORIZATION, format!("Bearer {token}")).body(GOOD.to_owned()))
        .await
}

#[tokio::test]
async fn capabilities_that_do_not_fit_are_refused_and_counted() {
    let bed = Bed::new();
    bed.issue("ann", "1000").await;
    let transfer = [Action::WalletTransfer];
    let expires = |millis| Caveat::Expires(NOW.after(Nanos::from_millis(millis)));
    let foreign = {
        let ring = caps::Keyring::new(caps::KeyId::parse("k1").unwrap(), &caps::RootKey::new([8; 32]));
        let grant = caps::Grant {
            subject: model::Text::new("dev").unwrap(),
            actions: vec![ActionPattern::any()],
            caveats: vec![],
        };
        caps::Macaroon::mint(&ring, [1; 16], &grant).unwrap().to_text()
    };
    let mut refused = 0.0;
    for (token, status, code) in [
        ("AgEBeA".to_owned(), 401, "unauthorized"),
        ("!!".to_owned(), 401, "unauthorized"),
        (bed.token[..bed.token.len() - 4].to_owned(), 401, "unauthorized"),
        (foreign, 401, "unauthorized"),
        (bed.token_for(&transfer, vec![expires(0)]), 401, "unauthorized"),
        (bed.token_for(&[Action::WalletRead], vec![]), 403, "forbidden"),
        (bed.token_for(&transfer, vec![Caveat::accounts("bob").unwrap()]), 403, "forbidden"),
    ] {
        let seen = with_token(&bed, &token).await;
        assert_eq!((seen.status, seen.code().as_str()), (status, code), "{token}");
        assert!(!seen.text.contains(&token), "a token is not repeated");
        assert_eq!(seen.header("www-authenticate").is_some(), status == 401);
        refused += 1.0;
        assert_eq!(series(&bed.wallet, r#"rejected_total{reason="cap"}"#).await, Some(refused));
    }
    assert_eq!(with_token(&bed, &bed.token_for(&transfer, vec![])).await.status, 200);
}

#[tokio::test]
async fn a_token_that_was_good_is_refused_once_it_has_expired() {
    let bed = Bed::new();
    bed.issue("ann", "1000").await;
    let second = NOW.after(Nanos::from_secs(1));
    let token = bed.token_for(&[Action::WalletTransfer], vec![Caveat::Expires(second)]);
    assert_eq!(with_token(&bed, &token).await.status, 200);
    assert_eq!(with_token(&bed, &token).await.status, 200, "remembered");
    bed.clock.set(second);
    assert_eq!(with_token(&bed, &token).await.code(), "unauthorized", "remembered and expired");
}

#[tokio::test]
async fn entries_need_their_own_capabilities() {
    let bed = Bed::new();
    let batch = |kind: &str| {
        format!(
            r#"{{"batch":[{{"kind":"{kind}","account":"ann","asset":"ron","amount":"1"}}],"idem_id":"{kind}"}}"#
        )
    };
    let ingest = bed.token_for(&[Action::LedgerIngest], vec![]);
    for kind in ["mint", "burn", "credit", "debit"] {
        let seen = ask(&bed.ledger, post("/ingest", &ingest).body(batch(kind))).await;
        assert_eq!((seen.status, seen.code().as_str()), (403, "forbidden"), "{kind}");
    }
    assert_eq!(series(&bed.ledger, r#"rejected_total{reason="cap_invalid"}"#).await, Some(4.0));
    let mint = bed.token_for(&[Action::LedgerIngest, Action::LedgerMint], vec![]);
    let seen = ask(&bed.ledger, post("/ingest", &mint).body(batch("mint"))).await;
    assert_eq!(seen.status, 200);
    assert!(seen.json()["results"][0]["balance_after"].is_null(), "no balance without ledger:read");
}

#[tokio::test]
async fn reads_show_an_account_to_its_own_bearer_only() {
    let mut bed = Bed::new();
    bed.issue("ann", "1000").await;
    let txid = bed.write("/v1/transfer", "k", GOOD).await.json()["txid"].as_str().unwrap().to_owned();
    bed.token =
        bed.token_for(&[Action::WalletRead, Action::LedgerRead], vec![Caveat::accounts("cat").unwrap()]);
    for (path, code) in [
        ("/v1/balance?account=ann&asset=ron", "forbidden"),
        ("/v1/accounts/ann/sequence", "forbidden"),
        (&format!("/v1/tx/{txid}"), "not_found"),
        (&format!("/v1/tx/{txid}/proof"), "not_found"),
        ("/v1/balance?account=cat&asset=ron", "not_found"),
        ("/v1/balance?asset=ron", "bad_request"),
        ("/v1/balance?account=ann&at=7", "forbidden"),
        ("/v1/balance?account=cat&at=7", "not_found"),
        ("/v1/balance?account=cat&at=-7", "bad_request"),
        ("/v1/balance?account=cat&at=yesterday", "bad_request"),
        ("/v1/accounts/ann/entries", "forbidden"),
        ("/v1/accounts/cat/entries?limit=0", "bad_request"),
        ("/v1/accounts/cat/entries?limit=201", "bad_request"),
        ("/v1/accounts/cat/entries?since=1", "bad_request"),
        ("/v1/accounts/cat", "not_found"),
        ("/v1/accounts/cat/entries", "not_found"),
    ] {
        assert_eq!(bed.get(&bed.wallet, path).await.code(), code, "{path}");
    }
    assert_eq!(bed.get(&bed.ledger, "/accounts/ann?asset=ron").await.code(), "forbidden");
    let none = ask(&bed.ledger, Request::get("/accounts/ann").body(String::new())).await;
    assert_eq!(none.code(), "unauthorized");
}
