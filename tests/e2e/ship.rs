//! Shipping beside the real node: killed again and again, it ends with an archive that holds every
//! segment that the journal has left. And releasing: what the archive alone has is told as that, and
//! everything else is as before.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tests::random::Random;

use super::{
    payers::{Load, answers, balance, fund, transfer},
    process::{RunningNode, binary, until},
    template::{SETTINGS, scratch},
};

/// Times that a run of `ship` is killed.
const KILLS: u64 = 12;

fn command(words: &[&str], paths: &[(&str, &Path)]) -> Command {
    let mut command = Command::new(binary("ron-ledgerctl"));
    command.args(words).arg("--json");
    for (flag, path) in paths {
        command.arg(flag).arg(path);
    }
    command
}

fn ended(command: &mut Command) -> (i32, Value) {
    let Output { status, stdout, .. } = command.output().expect("the tool starts");
    (status.code().expect("it ends by itself"), serde_json::from_slice(&stdout).unwrap_or_default())
}

fn checked(archive: &Path) -> Value {
    let (code, report) =
        ended(Command::new(binary("ron-ledgerctl")).args(["--json", "ship", "verify"]).arg(archive));
    assert_eq!((code, &report["clean"]), (0, &Value::Bool(true)), "{report:#}");
    report
}

fn segments(data: &Path) -> usize {
    std::fs::read_dir(data.join("ledger/segments")).map_or(0, Iterator::count)
}

/// Files of segments in an archive, one of which may be on its way.
fn files(archive: &Path) -> usize {
    std::fs::read_dir(archive.join("segments")).map_or(0, Iterator::count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shipping_survives_every_kill_beside_a_node_under_load() {
    let home = scratch();
    let (data, archive) = (home.path().join("data"), home.path().join("archive"));
    let mut node = RunningNode::start_with(&data, &SETTINGS).await;
    fund(&node).await;
    let load = Load::begin(&node, Vec::new()).await;
    let paths = [("--data-dir", data.as_path()), ("--to", archive.as_path())];
    let mut random = Random::new(0x5419);
    for kill in 0..KILLS {
        // One segment more for each kill or two, so that there is always something to ship.
        let wanted = usize::try_from(kill / 2).expect("small") + 3;
        until("a segment more", || (segments(&data) >= wanted).then_some(())).await;
        let mut child = command(&["ship"], &paths).stdout(Stdio::null()).spawn().expect("the tool starts");
        tokio::time::sleep(Duration::from_micros(random.below(0..60_000))).await;
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
    }
    let (code, report) = ended(&mut command(&["ship"], &paths));
    assert_eq!(code, 0, "{report:#}");
    let shipped = checked(&archive);
    assert!(shipped["segments"].as_u64() >= Some(2), "{shipped:#}");
    assert_eq!(shipped["entries"], shipped["last_seq"], "{shipped:#}");

    // A run that follows ships what comes, and a kill of the node does not hurt the archive.
    let follow = command(&["ship", "--follow"], &paths).stdout(Stdio::null()).spawn();
    let mut follow = follow.expect("the tool starts");
    let before = files(&archive);
    until("two segments more are shipped", || (files(&archive) >= before + 2).then_some(())).await;
    node.kill();
    drop(load.broken().await);
    follow.kill().expect("it is ours");
    follow.wait().expect("it is ours");
    let (code, report) = ended(&mut command(&["ship"], &paths));
    assert_eq!(code, 0, "{report:#}");
    println!("proof: ship killed {KILLS} times, segments={} findings=0", checked(&archive)["segments"]);
}

/// What a node with released segments is run with.
const RELEASING: [&str; 2] = [SETTINGS[0], "storage.release=archived"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn released_segments_are_archived_and_all_else_is_exact() {
    let home = scratch();
    let (data, archive) = (home.path().join("data"), home.path().join("archive"));
    let mut node = RunningNode::start_with(&data, &RELEASING).await;
    fund(&node).await;
    let mut client = node.wallet().await;
    let first = transfer(&mut client, 9, "first").await.expect("it is answered");
    let first: Value = serde_json::from_slice(&first).expect("JSON");
    let txid = first["txid"].as_str().expect("a receipt has one").to_owned();
    let load = Load::begin(&node, Vec::new()).await;
    let shipping = [("--data-dir", data.as_path()), ("--to", archive.as_path())];
    until("five segments", || (segments(&data) >= 5).then_some(())).await;
    assert_eq!(ended(&mut command(&["ship"], &shipping)).0, 0, "beside the load");
    assert_eq!(node.stop().await.code(), Some(0));
    let paid = answers(&load.broken().await);

    let both = [("--data-dir", data.as_path()), ("--archive", archive.as_path())];
    let (code, refused) = ended(&mut command(&["release", "--keep-hours", "0"], &both));
    let said = refused["error"].as_str().unwrap_or_default();
    assert!(code == 1 && said.contains("two proven checkpoints"), "{refused:#}");
    let mut node = RunningNode::start_with(&data, &RELEASING).await;
    // A life that writes nothing ends with the checkpoint that it began with.
    transfer(&mut node.wallet().await, 8, "second").await.expect("it is answered");
    assert_eq!(node.stop().await.code(), Some(0));
    assert_eq!(ended(&mut command(&["ship"], &shipping)).0, 0);
    let (code, young) = ended(&mut command(&["release"], &both));
    assert!(
        code == 1 && young["error"].as_str().is_some_and(|said| said.contains("--keep-hours")),
        "{young:#}"
    );
    let (code, released) = ended(&mut command(&["release", "--keep-hours", "0"], &both));
    assert_eq!(code, 0, "{released:#}");
    assert!(released["segments"].as_u64() >= Some(1), "{released:#}");
    assert!(!data.join("ledger/segments/0000000000.segment").exists());

    let mut node = RunningNode::start_with(&data, &RELEASING).await;
    let mut client = node.wallet().await;
    for path in [format!("/v1/tx/{txid}"), format!("/v1/tx/{txid}/proof")] {
        let gone = client.get(&path).await.expect("it listens");
        assert_eq!((gone.status, &gone.json()["code"]), (410, &"archived".into()), "{path}: {}", gone.text());
    }
    let body = r#"{"from":"bank","to":"payee-9","asset":"ron","amount_minor":"1"}"#;
    let again = client.post("/v1/transfer", "first", body.into()).await.expect("it listens");
    assert_eq!(again.status, 410, "a repeat is not done again: {}", again.text());
    assert_eq!(balance(&mut client, "payee-9").await, 1);
    let mut total = 0;
    for payee in 0..4 {
        total += balance(&mut client, &format!("payee-{payee}")).await;
    }
    // A connection that broke at the stop may have left one more than was answered.
    let paid = u64::try_from(paid).expect("a count");
    assert!((paid..=paid + 4).contains(&total), "{total} of {paid}");
    transfer(&mut client, 9, "on").await.expect("writes go on");
    assert_eq!(balance(&mut client, "payee-9").await, 2);
    let seq = first["seq"].as_u64().unwrap_or(3);
    let path = format!("/proof/inclusion?seq={seq}");
    let proof = node.client("ledger").await.get(&path).await.expect("it listens");
    assert_eq!(proof.status, 200, "{path}: {}", proof.text());
    assert_eq!(node.stop().await.code(), Some(0));

    let data_only = [("--data-dir", data.as_path())];
    let (code, report) = ended(&mut command(&["verify"], &data_only));
    assert_eq!((code, &report["clean"]), (0, &Value::Bool(true)), "{report:#}");
    let (code, whole) = ended(&mut command(&["verify"], &both));
    assert_eq!((code, &whole["checked"]["entries"]), (0, &whole["checked"]["last_seq"]), "{whole:#}");
    assert_eq!(ended(&mut command(&["recall"], &both)).0, 0);
    let node = RunningNode::start_with(&data, &SETTINGS).await;
    let back = node.wallet().await.get(&format!("/v1/tx/{txid}")).await.expect("it listens");
    assert_eq!(back.status, 200, "{}", back.text());
    println!("proof: released {} segments, verify with the archive findings=0", released["segments"]);
}
