//! The operators' tools beside the real binary: its state, its faults, its journal while it writes
//! and after it was killed, a receipt with nothing but the log's key.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use serde_json::Value;
use tokio::time::Instant;

use super::{
    payers::{Load, answers, balance, fund, transfer},
    process::{RunningNode, binary, until},
};

const SMALL: &str = "ledger.segment_mib=1";

fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let home = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    home.expect("a temporary directory")
}

fn tool(name: &str, data: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(binary(name));
    let command = command.args(words).arg("--data-dir").arg(data).env_remove("XDG_RUNTIME_DIR");
    command.output().expect("the tool starts")
}

fn ronctl(data: &Path, words: &[&str]) -> (i32, Value, String) {
    let ended = tool("ronctl", data, words);
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    (ended.status.code().expect("it ends by itself"), json(&ended), said)
}

fn verified(data: &Path) -> (i32, Value) {
    let ended = tool("ron-ledgerctl", data, &["verify", "--json"]);
    (ended.status.code().expect("it ends by itself"), json(&ended))
}

fn json(ended: &Output) -> Value {
    serde_json::from_slice(&ended.stdout).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_is_verified_beside_its_node_and_after_a_kill() {
    let scratch = scratch();
    let mut node = RunningNode::start_with(scratch.path(), &[SMALL]).await;
    fund(&node).await;
    let load = Load::begin(&node, Vec::new()).await;
    let mut last = 0;
    for _ in 0..4 {
        let (code, report) = verified(scratch.path());
        assert_eq!((code, &report["clean"]), (0, &Value::Bool(true)), "{report:#}");
        assert_eq!(report["holder"]["pid"], node.pid(), "{report:#}");
        assert_eq!(report["tail"]["verdict"], "moving");
        let through = report["checked"]["last_seq"].as_u64().expect("a number");
        assert!(through >= last && through > 0, "{through} after {last}");
        last = through;
    }
    node.kill();
    let answered = answers(&load.broken().await);
    let (code, report) = verified(scratch.path());
    assert_eq!(code, 0, "{report:#}");
    let kinds = &report["checked"]["entries_by_kind"];
    let transfers = kinds["transfer"].as_u64().expect("transfers were made");
    assert!(usize::try_from(transfers).is_ok_and(|count| count >= answered), "{transfers} of {answered}");
    assert_eq!(report["checked"]["roots"], report["checked"]["frames"]);
    println!("proof: verify after kill -9 entries={} findings=0", report["checked"]["entries"]);

    // One bit of the first frame, and the same command finds it.
    let segment = scratch.path().join("ledger/segments/0000000000.segment");
    let mut bytes = std::fs::read(&segment).expect("the first segment");
    bytes[300] ^= 1;
    std::fs::write(&segment, bytes).expect("written");
    let (code, report) = verified(scratch.path());
    assert_eq!((code, &report["findings"][0]["offset"]), (1, &Value::from(0)), "{report:#}");
    assert_eq!(verified(&scratch.path().join("nowhere")).0, 66);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_is_checked_with_the_logs_key_alone() {
    let scratch = scratch();
    let node = RunningNode::start_with(scratch.path(), &[SMALL]).await;
    fund(&node).await;
    let mut client = node.wallet().await;
    let receipt = transfer(&mut client, 0, "receipt").await.expect("it is answered");
    let receipt: Value = serde_json::from_slice(&receipt).expect("JSON");
    let path = format!("/v1/tx/{}/proof", receipt["txid"].as_str().expect("an id"));
    let proof = client.get(&path).await.expect("it listens");
    assert_eq!(proof.status, 200, "{}", proof.text());
    let (code, status, said) = ronctl(scratch.path(), &["status", "--json"]);
    assert_eq!(code, 0, "{said}");
    let key = std::fs::read_to_string(scratch.path().join("keys/log.vkey")).expect("the log's key");
    assert_eq!(status["status"]["log_key"], key.trim_end());
    drop(node);
    let file = scratch.path().join("proof.json");
    let check = |text: &str| {
        std::fs::write(&file, text).expect("written");
        let mut command = Command::new(binary("ron-ledgerctl"));
        let ended = command.arg("verify-receipt").arg(&file).args(["--key", &key, "--json"]).output();
        let ended = ended.expect("the tool starts");
        (ended.status.code(), json(&ended))
    };
    let (code, proven) = check(&proof.text());
    assert_eq!((code, &proven["txid"]), (Some(0), &receipt["txid"]), "{proven:#}");
    assert_eq!(proven["amount_minor"], "1");
    let forged = proof.text().replacen(r#""amount_minor":"1""#, r#""amount_minor":"9""#, 1);
    let (code, fault) = check(&forged);
    assert_eq!(code, Some(1), "{fault:#}");
    assert_eq!(check("{}").0, Some(65));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_see_a_node_and_break_it_on_purpose() {
    let scratch = scratch();
    let data = scratch.path();
    let mut node = RunningNode::start_with(data, &[SMALL, "chaos.enabled=true"]).await;
    fund(&node).await;
    let mut client = node.wallet().await;
    let (code, status, said) = ronctl(data, &["status", "--json"]);
    let status = &status["status"];
    assert_eq!((code, &status["ready"]), (0, &Value::Bool(true)), "{said} {status:#}");
    assert_eq!(status["pid"], node.pid());
    for (at, http) in ["ledger", "wallet", "accounting_admin"].into_iter().enumerate() {
        assert_eq!(status["roles"][at]["http"], node.endpoint(http).to_string(), "{status:#}");
    }
    assert_eq!((&status["ledger"]["epoch"], &status["ledger"]["safe_mode"]), (&1.into(), &false.into()));
    assert!(status["ledger"]["durable_seq"].as_u64() >= Some(2), "{status:#}");

    // An answer that is lost: the request is done once, and asking again gives the same answer.
    let chaos = |words: &str| {
        let words: Vec<&str> = ["chaos", "--json"].into_iter().chain(words.split(' ')).collect();
        let (code, answer, said) = ronctl(data, &words);
        assert_eq!(code, 0, "{said} {answer:#}");
        answer["chaos"].clone()
    };
    chaos("inject --target svc-wallet --fault=disconnect --for-secs 3600");
    assert!(transfer(&mut client, 7, "lost").await.is_none(), "the connection is closed instead");
    let shown = chaos("clear --target wallet");
    assert_eq!(shown["faults"], Value::Array(Vec::new()));
    let mut client = node.wallet().await;
    transfer(&mut client, 7, "lost").await.expect("it is answered now");
    assert_eq!(balance(&mut client, "payee-7").await, 1, "it was done once");

    let wait = Duration::from_millis(200);
    chaos("inject --target ron-accounting --fault disconnect --for-secs 3600");
    let lost = node.client("accounting_admin").await.get("/v1/usage?tenant=a").await;
    assert!(lost.is_err(), "the connection is closed instead");
    chaos("clear");

    chaos("inject --target wallet --fault latency --millis 200 --for-secs 3600");
    let begun = Instant::now();
    transfer(&mut client, 7, "late").await.expect("it is answered");
    assert!(begun.elapsed() >= wait, "it waited");
    let (_, status, _) = ronctl(data, &["status", "--json"]);
    let fault = &status["status"]["chaos"]["faults"][0];
    assert_eq!((&fault["fault"], &fault["met"]), (&"latency".into(), &1.into()), "{fault:#}");
    let metrics = node.client("wallet_admin").await.get("/metrics").await.expect("it answers").text();
    for series in [r#"chaos_faults_total{fault="disconnect"} 1"#, r#"chaos_faults_total{fault="latency"} 1"#]
    {
        assert!(metrics.contains(series), "{series}");
    }
    for wrong in
        ["--fault latency --millis 0", "--fault disconnect --millis 5", "--fault disconnect --for-secs 0"]
    {
        let words: Vec<&str> = "chaos inject --target ledger".split(' ').chain(wrong.split(' ')).collect();
        assert_eq!(ronctl(data, &words).0, 1, "{wrong}");
    }
    node.kill();
    assert_eq!(ronctl(data, &["status"]).0, 4);
    // The name that the killed node left is taken over.
    let node = RunningNode::start_with(data, &[SMALL]).await;
    let (code, status, said) = ronctl(data, &["status", "--json"]);
    assert_eq!((code, &status["status"]["ledger"]["epoch"]), (0, &2.into()), "{said}");
    let (code, _, said) = ronctl(data, &["chaos", "inject", "--target", "wallet", "--fault", "disconnect"]);
    assert!(code == 1 && said.contains("chaos.enabled"), "{code}: {said}");
    drop(node);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_socket_bears_garbage_and_crowds() {
    let scratch = scratch();
    let _node = RunningNode::start_with(scratch.path(), &[SMALL]).await;
    let path = scratch.path().join("run/admin.sock");
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&scratch.path().join("run"))), (0o600, 0o700));
    let connect = || {
        let stream = UnixStream::connect(&path).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        BufReader::new(stream)
    };
    let answer = |talk: &mut BufReader<UnixStream>| {
        let mut line = String::new();
        talk.read_line(&mut line).expect("an answer or an end");
        serde_json::from_str::<Value>(&line).unwrap_or_default()
    };
    let mut talk = connect();
    for (line, code) in [
        ("\u{7f}ELF\n", "bad_request"),
        ("{\"v\":1,\"ask\":{\"verb\":\"reboot\"}}\n", "bad_request"),
        ("{\"v\":9,\"ask\":{\"verb\":\"status\"}}\n", "version"),
    ] {
        talk.get_mut().write_all(line.as_bytes()).expect("taken");
        assert_eq!(answer(&mut talk)["result"]["error"]["code"], code, "{line}");
    }
    // The same connection goes on; one that is not to be ended is ended.
    talk.get_mut().write_all(b"{\"v\":1,\"ask\":{\"verb\":\"status\"}}\n").expect("taken");
    assert_eq!(answer(&mut talk)["result"]["status"]["ready"], true);
    let mut long = connect();
    long.get_mut().write_all(&[b'x'; 65_536]).expect("taken");
    assert_eq!(answer(&mut long)["result"]["error"]["code"], "too_long");
    let mut slow = connect();
    slow.get_mut().write_all(b"{").expect("taken");
    assert_eq!(answer(&mut slow)["result"]["error"]["code"], "timeout");
    drop((talk, long, slow));
    let mut crowd: Vec<_> = (0..40).map(|_| connect()).collect();
    let mut refused = crowd.iter_mut().rev().map(answer);
    assert!(refused.any(|answer| answer["result"]["error"]["code"] == "busy"), "forty are too many");
    drop(crowd);
    until("the crowd is gone and somebody is answered", || {
        (ronctl(scratch.path(), &["status"]).0 == 0).then_some(())
    })
    .await;
}
