//! A snapshot of a node under load, killed in the middle and made again; a restore to a time, in a new
//! life, that still has every entry of before.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use model::Timestamp;
use serde_json::Value;

use super::{
    payers::{Load, balance, fund, transfer},
    process::{RunningNode, binary, scratch, until},
};

const SMALL: &str = "ledger.segment_mib=1";

fn ledgerctl(words: &[&str]) -> (i32, Value, String) {
    let Output { status, stdout, stderr } =
        Command::new(binary("ron-ledgerctl")).args(words).arg("--json").output().expect("the tool starts");
    let said = String::from_utf8_lossy(&stderr).into_owned();
    (status.code().expect("it ends by itself"), serde_json::from_slice(&stdout).unwrap_or_default(), said)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

async fn proof(client: &mut client::Client, receipt: &Value) -> (u16, String) {
    let id = receipt["txid"].as_str().expect("an id");
    let answer = client.get(&format!("/v1/tx/{id}/proof")).await.expect("it listens");
    (answer.status, answer.text().to_owned())
}

fn time(receipt: &Value) -> Timestamp {
    Timestamp::parse(receipt["ts"].as_str().expect("a time")).expect("RFC 3339")
}

/// Killed in the middle, the tool leaves nothing under the name; again, beside the same load, it does.
async fn made(home: &Path, data: &Path, file: &Path) -> Value {
    let create = ["snapshot", "create", "--out", text(file), "--data-dir", text(data)];
    let mut slow = Command::new(binary("ron-ledgerctl"));
    let slow = slow.args(create).args(["--mib-per-s", "1"]).stdout(Stdio::null());
    let mut slow = slow.spawn().expect("the tool starts");
    let draft = home.join(".snap.tar.zst.new");
    until("the draft", || draft.exists().then_some(())).await;
    slow.kill().expect("it is our child");
    let ended = slow.wait().expect("it is our child");
    assert!(!file.exists() && !ended.success(), "half of it has the name");
    let (code, created, said) = ledgerctl(&create);
    assert_eq!(code, 0, "{said}{created:#}");
    // The node that answers is asked where its ledger is; the archive is the same kind of file.
    let other = home.join("other.tar.zst");
    let mut ronctl = Command::new(binary("ronctl"));
    let ronctl = ronctl.args(["ledger", "snapshot", "--out", text(&other), "--data-dir", text(data)]);
    let ended = ronctl.env_remove("XDG_RUNTIME_DIR").output().expect("the tool starts");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let (code, report, said) = ledgerctl(&["snapshot", "verify", text(&other)]);
    assert_eq!((code, &report["audit"]["clean"]), (0, &Value::Bool(true)), "{said}{report:#}");
    created
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_to_a_time_begins_a_life_that_has_all_of_before() {
    let home = scratch();
    let (data, file) = (home.path().join("data"), home.path().join("snap.tar.zst"));
    let mut node = RunningNode::start_with(&data, &[SMALL]).await;
    fund(&node).await;
    let mut client = node.wallet().await;
    let kept: Value =
        serde_json::from_slice(&transfer(&mut client, 9, "kept").await.expect("answered")).expect("JSON");
    let (status, receipt) = proof(&mut client, &kept).await;
    assert_eq!(status, 200, "{receipt}");
    // The cut lies a millisecond after that entry, and what follows is later.
    let cut = Timestamp(time(&kept).0 + 1_000_000);
    let mut count = 0;
    let dropped = loop {
        count += 1;
        let paid = transfer(&mut client, 8, &format!("dropped-{count}")).await.expect("answered");
        let paid: Value = serde_json::from_slice(&paid).expect("JSON");
        if time(&paid) > Timestamp(cut.0 + 1_000_000) {
            break paid;
        }
    };

    let load = Load::begin(&node, Vec::new()).await;
    let created = made(home.path(), &data, &file).await;
    node.kill();
    load.broken().await;
    let log_key = std::fs::read_to_string(data.join("keys/log.vkey")).expect("the log's key");
    let (code, report, said) = ledgerctl(&["snapshot", "verify", text(&file), "--key", &log_key]);
    assert_eq!((code, &report["audit"]["clean"]), (0, &Value::Bool(true)), "{said}{report:#}");

    let restored_dir = home.path().join("restored");
    let restore = ["snapshot", "restore", text(&file), "--to-dir", text(&restored_dir), "--key", &log_key];
    let at = cut.rfc3339();
    let (code, restored, said) = ledgerctl(&[&restore[..], &["--to", &at]].concat());
    assert_eq!((code, &restored["incarnation"]), (0, &2.into()), "{said}{restored:#}");
    let last = restored["kept"].as_u64().expect("a number");
    assert!(kept["seq"].as_u64() <= Some(last) && Some(last) < dropped["seq"].as_u64(), "{restored:#}");
    let keys = Command::new("cp").arg("-a").arg(data.join("keys")).arg(restored_dir.join("keys")).status();
    assert!(keys.expect("cp is there").success());

    let mut node = RunningNode::start_with(&restored_dir, &[SMALL]).await;
    let mut client = node.wallet().await;
    // What was kept is there, and nothing else is: the bank has what it had, and says so under its life.
    assert_eq!(balance(&mut client, "payee-9").await, 1);
    assert_eq!(balance(&mut client, "payee-0").await, 0);
    let unspent = 1_000_000_000 - 1 - balance(&mut client, "payee-8").await;
    assert_eq!(balance(&mut client, "bank").await, unspent);
    let (status, again) = proof(&mut client, &kept).await;
    assert_eq!(status, 200, "{again}");
    assert_eq!(proof(&mut client, &dropped).await.0, 404, "an id of what was dropped");
    let paid: Value =
        serde_json::from_slice(&transfer(&mut client, 9, "new").await.expect("answered")).expect("JSON");
    assert!(paid["txid"].as_str().is_some_and(|id| id.starts_with("tx_00000002")), "{paid:#}");
    // The receipt of before holds under the key of before, the new one under the new key.
    let new_key = std::fs::read_to_string(restored_dir.join("keys/log.vkey")).expect("the log's key");
    assert_ne!(log_key, new_key);
    for (document, key) in [(&receipt, &log_key), (&again, &new_key)] {
        let path = home.path().join("proof.json");
        std::fs::write(&path, document).expect("written");
        let (code, proven, said) = ledgerctl(&["verify-receipt", text(&path), "--key", key]);
        assert_eq!((code, &proven["txid"]), (0, &kept["txid"]), "{said}{proven:#}");
    }
    assert!(node.stop().await.success());
    let (code, report, said) = ledgerctl(&["verify", "--data-dir", text(&restored_dir)]);
    assert_eq!(
        (code, &report["checked"]["entries_by_kind"]["incarnation"]),
        (0, &1.into()),
        "{said}{report:#}"
    );
    println!("proof: snapshot under load, restore to a time: kept={last} of {}", created["entries"]);
}
