//! Money through the wallet and the ledger: answers, replays, refusals, proofs.

use model::Reason;
use serde_json::Value;

use super::{
    bed::{Bed, NOW, ask, post, series},
    desk::{HASH, Mood, root},
};
use crate::PortError;

fn transfer(amount: &str, extra: &str) -> String {
    format!(r#"{{"from":"ann","to":"bob","asset":"ron","amount_minor":"{amount}"{extra}}}"#)
}

#[tokio::test]
async fn a_transfer_is_answered_with_its_receipt() {
    let bed = Bed::new();
    bed.issue("ann", "1000").await;
    let seen = bed.write("/v1/transfer", "k-1", &transfer("250", r#","nonce":1"#)).await;
    assert_eq!(seen.status, 200, "{seen:?}");
    assert_eq!(seen.header("content-type"), Some("application/json"));
    let receipt = seen.json();
    for (field, expected) in [
        ("op", Value::from("transfer")),
        ("from", "ann".into()),
        ("to", "bob".into()),
        ("asset", "ron".into()),
        ("amount_minor", "250".into()),
        ("nonce", 1.into()),
        ("idem", "k-1".into()),
        ("seq", bed.desk.size().into()),
        ("ts", "2025-10-16T16:11:02.000Z".into()),
    ] {
        assert_eq!(receipt[field], expected, "{field}: {receipt}");
    }
    let txid = receipt["txid"].as_str().unwrap();
    let found = bed.get(&bed.wallet, &format!("/v1/tx/{txid}")).await.json();
    assert_eq!(found["receipt_hash"], receipt["receipt_hash"]);

    let balance = bed.get(&bed.wallet, "/v1/balance?account=ann&asset=ron").await.json();
    assert_eq!((&balance["amount_minor"], &balance["available_minor"]), (&"750".into(), &"750".into()));
    let sequence = bed.get(&bed.wallet, "/v1/accounts/ann/sequence").await.json();
    assert_eq!((&sequence["account_seq"], &sequence["nonce_next"]), (&2.into(), &2.into()));
    let account = bed.get(&bed.ledger, "/accounts/bob?asset=ron").await.json();
    assert_eq!((&account["posted"], &account["account_seq"]), (&"250".into(), &1.into()));
}

#[tokio::test]
async fn every_way_to_write_moves_money() {
    let bed = Bed::new();
    bed.issue("ann", "1000").await;
    let spend = r#"{"account":"ann","to":"shop/till","asset":"ron","amount_minor":"10"}"#;
    assert_eq!(bed.write("/wallet/spend", "k1", spend).await.json()["op"], "transfer");
    let burn = r#"{"from":"shop/till","asset":"ron","amount_minor":"4"}"#;
    assert_eq!(bed.write("/v1/burn", "k2", burn).await.json()["op"], "burn");
    let balance = bed.get(&bed.wallet, "/v1/balance?account=shop%2Ftill&asset=ron").await.json();
    assert_eq!(balance["amount_minor"], "6");
    let sequence = bed.get(&bed.wallet, "/v1/accounts/shop/till/sequence").await.json();
    assert_eq!(sequence["nonce_last"], 1);
}

#[tokio::test]
async fn the_same_key_is_answered_with_the_same_bytes() {
    let bed = Bed::new();
    bed.issue("ann", "1000").await;
    for (key, body, status) in [
        ("k-1", transfer("250", ""), 200),
        ("k-2", transfer("9999", ""), 409),
        ("k-3", transfer("1", r#","nonce":77"#), 409),
        ("k-4", transfer("1", r#","if_seq":0"#), 409),
    ] {
        let first = bed.write("/v1/transfer", key, &body).await;
        assert_eq!((first.status, first.header("idempotent-replayed")), (status, None), "{first:?}");
        let size = bed.desk.size();
        bed.issue("ann", "1").await;
        for key in [key.to_owned(), format!("\"{key}\"")] {
            let again = bed.write("/v1/transfer", &key, &body).await;
            assert_eq!((again.status, &again.text), (status, &first.text));
            assert_eq!(again.header("idempotent-replayed"), Some("true"));
            assert_eq!(again.header("content-type"), first.header("content-type"));
        }
        assert_eq!(bed.desk.size(), size + 1, "a replay adds nothing");
        let other = bed.write("/v1/transfer", key, &transfer("251", "")).await;
        assert_eq!((other.status, other.code().as_str()), (409, "idempotency_mismatch"));
    }
    // The key belongs to its subject.
    let eve = bed.mint("eve", vec![caps::ActionPattern::any()], vec![]);
    let theirs = post("/v1/transfer", &eve).header("idempotency-key", "k-1").body(transfer("250", ""));
    assert_eq!(ask(&bed.wallet, theirs).await.header("idempotent-replayed"), None);
}

#[tokio::test]
async fn refusals_carry_their_numbers() {
    let bed = Bed::new();
    bed.issue("ann", "100").await;
    let poor = bed.write("/v1/transfer", "k-1", &transfer("101", "")).await;
    assert_eq!((poor.code().as_str(), &poor.json()["available"]), ("insufficient_funds", &"100".into()));
    let nonce = bed.write("/v1/transfer", "k-2", &transfer("1", r#","nonce":9"#)).await;
    assert_eq!((nonce.code().as_str(), &nonce.json()["expected"]), ("nonce_conflict", &1.into()));
    let stale = bed.write("/v1/transfer", "k-3", &transfer("1", r#","if_seq":7"#)).await;
    assert_eq!((stale.code().as_str(), &stale.json()["current"]), ("precondition_failed", &1.into()));
    let count = |name: &'static str| series(&bed.wallet, name);
    assert_eq!(count("wallet_conflicts_total").await, Some(2.0), "insufficient funds is no conflict");
    assert_eq!(count(r#"rejected_total{reason="insufficient_funds"}"#).await, Some(1.0));
    let of_status = r#"http_requests_total{service="svc-wallet",status="409"}"#;
    assert_eq!(count(of_status).await, Some(3.0));
}

#[tokio::test]
async fn what_the_ledger_cannot_say_is_said_so() {
    let bed = Bed::new();
    bed.issue("ann", "100").await;
    for (mood, status, code, open) in [
        (Mood::Failing(PortError::Busy), 429, "busy", false),
        (Mood::Failing(PortError::SafeMode), 503, "safe_mode", false),
        (Mood::Failing(PortError::Timeout), 408, "timeout", true),
        (Mood::Failing(PortError::Gone), 503, "upstream_unavailable", false),
        (Mood::Unsure, 408, "timeout", true),
        (Mood::Declining(Reason::Busy), 429, "busy", false),
        (Mood::Declining(Reason::IdemExpired), 409, "idem_expired", false),
        (Mood::Panicking, 500, "internal", false),
    ] {
        bed.desk.set(mood);
        let batch = r#"{"batch":[{"kind":"transfer","account":"ann","counter_account":"bob","asset":"ron","amount":"1"}],"idem_id":"b"}"#;
        let seen = [
            bed.write("/v1/transfer", "k", &transfer("1", "")).await,
            ask(&bed.ledger, post("/ingest", &bed.token).body(batch.to_owned())).await,
        ];
        for seen in seen {
            assert_eq!((seen.status, seen.code().as_str()), (status, code), "{mood:?}");
            assert_eq!(seen.json()["outcome"] == "unknown", open, "{mood:?}");
            assert_eq!(seen.header("retry-after").is_some(), [429, 503].contains(&status), "{mood:?}");
        }
    }
    assert_eq!(series(&bed.wallet, "ledger_connect_errors_total").await, Some(1.0));
    assert_eq!(series(&bed.wallet, "inflight").await, Some(0.0), "a panic gives its place back too");
    bed.desk.set(Mood::Working);
    let first = bed.write("/v1/transfer", "k", &transfer("1", "")).await;
    assert_eq!(first.status, 200, "the key is free after all that");
    bed.desk.set(Mood::Lagging);
    let again = bed.write("/v1/transfer", "k", &transfer("1", "")).await;
    assert_eq!((again.status, again.code().as_str()), (409, "in_flight"));
}

#[tokio::test]
async fn a_batch_is_answered_entry_by_entry() {
    let bed = Bed::new();
    let batch = |amount: &str, atomic: bool| {
        format!(
            r#"{{"batch":[
                {{"id":"e0","ts":1728794183123,"kind":"MINT","account":"ann","asset":"ron","amount":"100","v":1}},
                {{"kind":"transfer","account":"ann","counter_account":"bob","asset":"ron","amount":"{amount}"}}],
              "idem_id":"batch-{amount}-{atomic}","atomic":{atomic}}}"#
        )
    };
    let send = |body: String| ask(&bed.ledger, post("/ingest", &bed.token).body(body));
    let all = send(batch("40", false)).await;
    let answer = all.json();
    assert_eq!((all.status, &answer["accepted"]), (200, &true.into()), "{all:?}");
    assert_eq!(answer["results"][1]["balance_after"], "60");
    assert_eq!(answer["new_root"].as_str().unwrap().len(), 64);
    let again = send(batch("40", false)).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.json()["results"][1]["seq"], answer["results"][1]["seq"]);

    let some = send(batch("900", false)).await;
    assert_eq!((some.status, &some.json()["accepted"]), (207, &false.into()));
    assert_eq!(some.json()["reasons"], serde_json::json!([{"idx":1,"reason":"insufficient_funds"}]));
    let poor = series(&bed.ledger, r#"rejected_total{reason="insufficient_funds"}"#).await;
    assert_eq!(poor, Some(1.0));
    let mixed = r#"{"batch":[{"kind":"warp","account":"ann","asset":"ron","amount":"1"},
        {"kind":"mint","account":"ann","asset":"ron","amount":"1"}],"idem_id":"m","atomic":true}"#;
    let none = send(mixed.to_owned()).await;
    assert_eq!(none.status, 409, "{none:?}");
    let reasons = serde_json::json!([{"idx":0,"reason":"unknown_kind"},{"idx":1,"reason":"batch_aborted"}]);
    assert_eq!(none.json()["reasons"], reasons);
}

#[tokio::test]
async fn roots_and_proofs_lead_to_the_tree() {
    let bed = Bed::new();
    for account in ["ann", "bob", "cat"] {
        bed.issue(account, "100").await;
    }
    let size = bed.desk.size();
    let page = bed.get(&bed.ledger, "/roots?limit=2").await.json();
    assert_eq!((page["roots"].as_array().unwrap().len(), &page["next"]), (2, &2.into()));
    let rest = bed.get(&bed.ledger, "/roots?since=2").await.json();
    assert_eq!(rest["next"], size);
    let last = rest["roots"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["ts"], NOW.as_millis());
    let end = bed.get(&bed.ledger, &format!("/roots?since={size}")).await.json();
    assert_eq!(end, serde_json::json!({"roots":[],"next":size}));

    let proof = bed.get(&bed.ledger, "/proof/inclusion?seq=1").await.json();
    assert_eq!((&proof["root"], &proof["size"]), (&last["root"], &size.into()));
    let mut leaves = Vec::new();
    for seq in 1..=size {
        let proof = bed.get(&bed.ledger, &format!("/proof/inclusion?seq={seq}&size={seq}")).await.json();
        let leaf = hex::decode(proof["leaf_hash"].as_str().unwrap()).unwrap();
        leaves.push(<[u8; 32]>::try_from(leaf).unwrap());
    }
    assert_eq!(hex::encode(root(&leaves)), last["root"].as_str().unwrap());
    assert_eq!(HASH.word(), "sha256");
    for missing in ["seq=0", "seq=99", "seq=1&size=99", "seq=3&size=2"] {
        let seen = bed.get(&bed.ledger, &format!("/proof/inclusion?{missing}")).await;
        assert_eq!(seen.code(), "not_found", "{missing}");
    }
    let checkpoint = bed.get(&bed.ledger, "/checkpoint").await;
    assert_eq!(checkpoint.header("content-type"), Some("text/plain; charset=utf-8"));
    assert!(checkpoint.text.starts_with(&format!("test\n{size}\n")));
    let consistency = bed.get(&bed.ledger, &format!("/proof/consistency?from=1&to={size}")).await.json();
    assert_eq!(consistency["path"][0], "01".repeat(32));
    assert_eq!(bed.get(&bed.ledger, "/proof/consistency?from=1&to=99").await.code(), "not_found");
}

#[tokio::test]
async fn a_receipt_comes_with_all_that_checks_it() {
    let bed = Bed::new();
    bed.issue("ann", "1000").await;
    let receipt = bed.write("/v1/transfer", "k-1", &transfer("250", "")).await.json();
    let path = format!("/v1/tx/{}/proof", receipt["txid"].as_str().unwrap());
    let seen = bed.get(&bed.wallet, &path).await;
    let document = wallet::ProofDocument::parse(seen.text.as_bytes()).unwrap();
    assert_eq!(document.sides.len(), 2);
    assert_eq!(hex::encode(document.receipt.receipt_hash), receipt["receipt_hash"].as_str().unwrap());
    assert_eq!(HASH.leaf(&document.leaf_data), document.receipt.receipt_hash);
    assert!(document.tlog_proof.starts_with("c2sp.org/tlog-proof@v1\nindex "));

    let bob = bed.token_for(&[caps::Action::WalletRead], vec![caps::Caveat::accounts("bob").unwrap()]);
    let request = axum::http::Request::get(&path).header("authorization", format!("Bearer {bob}"));
    let seen = ask(&bed.wallet, request.body(String::new())).await;
    let document = wallet::ProofDocument::parse(seen.text.as_bytes()).unwrap();
    assert_eq!(document.sides.len(), 1, "only the holder's side is opened");
    assert_eq!(document.sides[0].account.as_str(), "bob");

    let foreign = path.replace("tx_00000001", "tx_00000002");
    assert_eq!(bed.get(&bed.wallet, &foreign).await.code(), "not_found");
    assert_eq!(bed.get(&bed.wallet, "/v1/tx/tx_1").await.code(), "bad_request");
}
