//! What an operator sees: health, readiness, metrics and version of each role, and the log.

use std::{fs, process::Stdio};

use serde_json::Value;

use super::process::{RunningNode, command, scratch, until};

/// The roles, with the field names that only they have in `/readyz`.
const ROLES: [(&str, &str, &[&str]); 3] = [
    (
        "ledger_admin",
        "ron-ledger",
        &["committer_lag_ms", "backpressure_ok", "kms_ready", "policy_ready", "wallet_ready"],
    ),
    ("wallet_admin", "svc-wallet", &[]),
    ("accounting_admin", "ron-accounting", &["backpressure_ok"]),
];

async fn json(node: &RunningNode, role: &str, path: &str) -> Value {
    let reply = node.client(role).await.get(path).await.expect("it listens");
    assert_eq!(reply.status, 200, "{role} {path}: {}", reply.text());
    reply.json()
}

#[tokio::test]
async fn each_role_answers_on_its_admin_address() {
    let scratch = scratch();
    let node = RunningNode::start(scratch.path()).await;
    for (role, service, own) in ROLES {
        let health = json(&node, role, "/healthz").await;
        assert_eq!(health, serde_json::json!({"ok": true, "version": env!("CARGO_PKG_VERSION")}), "{role}");
        let ready = json(&node, role, "/readyz").await;
        assert_eq!(
            (&ready["ready"], &ready["degraded"], &ready["reason"]),
            (&true.into(), &false.into(), &"".into())
        );
        assert!(ready["deps"].is_array(), "{role}: {ready}");
        for field in own {
            assert!(!ready[*field].is_null(), "{role}: {field} in {ready}");
        }
        let version = json(&node, role, "/version").await;
        assert_eq!(version["service"], service);
        for field in ["version", "git", "rustc", "features", "openapi", "pq"] {
            assert!(!version[field].is_null(), "{role}: {field} in {version}");
        }
        assert!(version["rustc"].as_str().is_some_and(|text| text.starts_with("rustc ")), "{version}");
        let metrics = node.client(role).await.get("/metrics").await.expect("it listens");
        let kind = metrics.headers.get("content-type").expect("a kind").to_str().expect("text");
        assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
        let text = metrics.text();
        let rejected =
            if role == "accounting_admin" { "ron_accounting_rejected_total" } else { "rejected_total" };
        for name in ["process_resident_memory_bytes", "http_requests_total", rejected] {
            assert!(text.contains(&format!("\n{name}")), "{role}: {name}");
        }
    }
}

#[tokio::test]
async fn what_happened_is_counted() {
    let scratch = scratch();
    let node = RunningNode::start(scratch.path()).await;
    let mut wallet = node.wallet().await;
    for (key, body, status) in [
        ("a", r#"{"to":"a","asset":"ron","amount_minor":"5"}"#, 200),
        ("b", r#"{"to":"a","asset":"ron","amount_minor":"5","more":1}"#, 400),
    ] {
        let reply = wallet.post("/v1/issue", key, body.into()).await.expect("it listens");
        assert_eq!(reply.status, status, "{}", reply.text());
    }
    for (role, line) in [
        ("wallet_admin", "http_requests_total{service=\"svc-wallet\",status=\"200\"} 1"),
        ("wallet_admin", "http_requests_total{service=\"svc-wallet\",status=\"400\"} 1"),
        ("wallet_admin", "rejected_total{reason=\"bad_request\"} 1"),
        ("ledger_admin", "ledger_commit_latency_seconds_count 1"),
        ("ledger_admin", "ledger_safe_mode 0"),
    ] {
        let text = node.client(role).await.get("/metrics").await.expect("it listens").text();
        assert!(text.lines().any(|have| have == line), "{role}: {line} not in {text}");
    }
}

#[tokio::test]
async fn the_log_says_in_its_text_what_operators_grep_for() {
    let scratch = scratch();
    let (data, log) = (scratch.path().join("data"), scratch.path().join("log"));
    let mut started = command(&data, &["log=debug"]);
    started.stdout(Stdio::null()).stderr(fs::File::create(&log).expect("a file"));
    let mut node = RunningNode::spawn(&mut started, &data).await;
    let headers = [("x-corr-id", "ops-7")];
    let mut wallet = node.wallet().await;
    let reply =
        wallet.send(client::Method::GET, "/v1/balance?account=a&asset=ron", &headers, "".into()).await;
    assert_eq!(reply.expect("it listens").headers["x-corr-id"], "ops-7");
    drop(wallet);
    let token = node.token().to_owned();
    assert_eq!(node.stop().await.code(), Some(0));
    let text = until("the log is written", || fs::read_to_string(&log).ok()).await;
    let mut messages = Vec::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
        messages.push(line["message"].as_str().expect("a message").to_owned());
    }
    for wanted in ["ready=1", "committer=online", "corr_id=ops-7", "SIGTERM", "stopped clean=true"] {
        assert!(messages.iter().any(|message| message.contains(wanted)), "{wanted} not in {messages:#?}");
    }
    assert!(!text.contains(&token), "the token is never logged");
}
