//! The past of an account over HTTP: what its holder sees, and what is said while it is not there.

use caps::{Action, Caveat};
use serde_json::Value;

use super::{bed::Bed, desk::Mood};

async fn paid() -> Bed {
    let bed = Bed::new();
    bed.issue("ann", "1000").await;
    for (key, amount) in [("k1", "1"), ("k2", "20"), ("k3", "300")] {
        let body = format!(r#"{{"from":"ann","to":"bob","asset":"ron","amount_minor":"{amount}"}}"#);
        assert_eq!(bed.write("/v1/transfer", key, &body).await.status, 200);
    }
    bed
}

#[tokio::test]
async fn a_balance_of_the_past_is_the_one_after_the_last_entry_at_or_before() {
    let bed = paid().await;
    let page = bed.get(&bed.wallet, "/v1/accounts/bob/entries").await.json();
    let entries = page["entries"].as_array().unwrap();
    let seqs: Vec<u64> = entries.iter().map(|entry| entry["seq"].as_u64().unwrap()).collect();
    for (at, balance, account_seq) in
        [(seqs[0] - 1, "0", 0), (seqs[0], "1", 1), (seqs[1], "21", 2), (seqs[2], "321", 3), (9_999, "321", 3)]
    {
        let seen = bed.get(&bed.wallet, &format!("/v1/balance?account=bob&at={at}")).await.json();
        assert_eq!((&seen["amount_minor"], &seen["account_seq"]), (&balance.into(), &account_seq.into()));
        assert_eq!(seen["as_of_seq"], at.min(bed.desk.size()), "{seen}");
        assert_eq!(seen.get("stale_ms"), None, "{seen}");
    }
    let then = "/v1/balance?account=bob&at=2025-10-16T16:11:02Z";
    assert_eq!(bed.get(&bed.wallet, then).await.json()["amount_minor"], "321");
    let before = "/v1/balance?account=bob&at=2024-10-16T16:11:02.000Z";
    assert_eq!(bed.get(&bed.wallet, before).await.json()["amount_minor"], "0");
    assert_eq!(bed.get(&bed.wallet, "/v1/balance?account=eve&at=1").await.code(), "not_found");
}

#[tokio::test]
async fn entries_come_in_pages_and_show_the_other_side_to_those_who_may_see_it() {
    let mut bed = paid().await;
    let first = bed.get(&bed.wallet, "/v1/accounts/ann/entries?limit=3").await.json();
    let kinds: Vec<&Value> =
        first["entries"].as_array().unwrap().iter().map(|entry| &entry["kind"]).collect();
    assert_eq!(kinds, ["mint", "transfer", "transfer"]);
    assert_eq!(
        (&first["account"], &first["asset"], &first["next"]),
        (&"ann".into(), &"ron".into(), &4.into())
    );
    let rest = bed.get(&bed.wallet, "/v1/accounts/ann/entries?from=4&asset=ron").await.json();
    assert_eq!(rest["next"], Value::Null);
    let [entry] = rest["entries"].as_array().unwrap().as_slice() else { panic!("{rest}") };
    for (field, expected) in [
        ("account_seq", Value::from(4)),
        ("seq", bed.desk.size().into()),
        ("ts", "2025-10-16T16:11:02.000Z".into()),
        ("kind", "transfer".into()),
        ("side", "debit".into()),
        ("amount_minor", "300".into()),
        ("counterparty", "bob".into()),
        ("balance_after", "679".into()),
    ] {
        assert_eq!(entry[field], expected, "{field}: {entry}");
    }
    let txid = entry["txid"].as_str().unwrap();
    assert_eq!(bed.get(&bed.wallet, &format!("/v1/tx/{txid}")).await.json()["seq"], entry["seq"]);

    bed.token = bed.token_for(&[Action::WalletRead], vec![Caveat::accounts("bob").unwrap()]);
    let theirs = bed.get(&bed.wallet, "/v1/accounts/bob/entries").await.json();
    for entry in theirs["entries"].as_array().unwrap() {
        assert_eq!((&entry["side"], entry.get("counterparty")), (&"credit".into(), None), "{entry}");
    }
}

#[tokio::test]
async fn while_the_history_is_behind_the_answer_is_to_come_again() {
    let bed = paid().await;
    bed.desk.set(Mood::Lagging);
    for path in ["/v1/balance?account=bob&at=1", "/v1/accounts/bob/entries"] {
        let seen = bed.get(&bed.wallet, path).await;
        assert_eq!((seen.status, seen.code().as_str()), (503, "degraded"), "{path}");
        assert_eq!(seen.header("retry-after"), Some("1"), "{path}");
        assert_eq!(seen.json()["retryable"], true);
        assert_eq!(seen.json()["title"], "A part that this needs is not ready");
    }
}
