//! Shipping beside the real node: killed again and again, it ends with an archive that holds every
//! segment that the journal has left.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tests::random::Random;

use super::{
    payers::{Load, fund},
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
