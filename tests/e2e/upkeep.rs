//! What a node does for its own disk: damage that nobody has met is found and told, and the marks
//! stop what takes space while the rest goes on.

use std::{fs, path::Path, process::Command};

use client::Client;
use serde_json::Value;

use super::{
    full::{SmallDisk, readiness},
    not_run,
    process::{RunningNode, binary},
    template::{flip, issue, paid, pay, scratch},
};

/// Payments that fill a segment of 1 MiB, a stride of 4 KiB each.
const A_SEGMENT: u64 = 270;

fn ronctl(data: &Path, words: &[&str]) -> (i32, String) {
    let mut command = Command::new(binary("ronctl"));
    let command = command.args(words).arg("--data-dir").arg(data).env_remove("XDG_RUNTIME_DIR");
    let ended = command.output().expect("the tool starts");
    let said = String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
    (ended.status.code().expect("it ends by itself"), said)
}

/// Waits until the ledger's readiness has this reason.
async fn reason(node: &RunningNode, expected: &str) -> u16 {
    let mut last = readiness(node).await;
    for _ in 0..200_000 {
        if last.1 == expected {
            return last.0;
        }
        tokio::task::yield_now().await;
        last = readiness(node).await;
    }
    panic!("{expected:?} does not come, it is {last:?}");
}

async fn proof(client: &mut Client, receipt: &str) -> (u16, Value) {
    let receipt: Value = serde_json::from_str(receipt).expect("JSON");
    let txid = receipt["txid"].as_str().expect("a receipt has a txid");
    let reply = client.get(&format!("/v1/tx/{txid}/proof")).await.expect("it listens");
    (reply.status, reply.json())
}

#[tokio::test]
async fn damage_that_nobody_met_is_found_and_told_and_work_goes_on() {
    let scratch = scratch();
    let data = scratch.path().join("data");
    let settings = ["ledger.segment_mib=1", "storage.scrub_mib_per_s=4096"];
    let mut node = RunningNode::start_with(&data, &settings).await;
    let mut wallet = node.wallet().await;
    issue(&mut wallet).await;
    let first = pay(&mut wallet, "first").await.1;
    for number in 0..A_SEGMENT {
        assert_eq!(pay(&mut wallet, &format!("t{number}")).await.0, 200);
    }
    assert_eq!(reason(&node, "").await, 200);

    // The frame of the first payment, and no other of that size is so early: it follows the issue.
    let segment = data.join("ledger/segments/0000000000.segment");
    let at = fs::read(&segment).expect("it is there").windows(5).position(|bytes| bytes == b"first");
    let damage = || flip(&segment, at.map_or(4_096 + 300, |at| at - at % 4_096 + 300));
    damage();
    let (code, said) = ronctl(&data, &["scrub", "start"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(reason(&node, "rot_found").await, 200, "it is ready, and degraded");
    let (code, said) = ronctl(&data, &["status"]);
    assert!(
        code == 0 && said.contains("DAMAGED in 1 places") && said.contains("segment 0, offset"),
        "{said}"
    );

    assert_eq!(pay(&mut wallet, "beside").await.0, 200, "writes go on");
    assert_eq!(paid(&mut wallet).await, A_SEGMENT + 2);
    let (status, problem) = proof(&mut wallet, &first).await;
    assert_eq!((status, &problem["code"], &problem["retryable"]), (500, &"damaged".into(), &false.into()));
    let metrics = node.client("ledger_admin").await.get("/metrics").await.expect("it listens").text();
    assert!(metrics.contains("\nledger_scrub_findings 1\n"), "{metrics}");

    // A restart does not forget it, and a restored file is believed.
    assert_eq!(node.stop().await.code(), Some(0));
    let mut node = RunningNode::start_with(&data, &settings).await;
    assert_eq!(reason(&node, "rot_found").await, 200);
    damage();
    assert_eq!(ronctl(&data, &["scrub", "start"]).0, 0);
    assert_eq!(reason(&node, "").await, 200);
    assert_eq!(proof(&mut node.wallet().await, &first).await.0, 200);
    assert_eq!(node.stop().await.code(), Some(0));

    let mut node = RunningNode::start_with(&data, &["storage.scrub_mib_per_s=0"]).await;
    let (code, said) = ronctl(&data, &["scrub", "start"]);
    assert!(code == 1 && said.contains("storage.scrub_mib_per_s"), "{code}: {said}");
    assert_eq!(node.stop().await.code(), Some(0));
}

#[tokio::test]
async fn the_marks_stop_what_takes_space_and_nothing_else() {
    let disk = match SmallDisk::mount(64 << 10) {
        Ok(disk) => disk,
        Err(reason) => return not_run("upkeep::marks", reason),
    };
    let data = disk.path().join("data");
    let settings = ["ledger.segment_mib=1", "storage.soft_mib=24", "storage.hard_mib=8"];
    let mut node = RunningNode::start_with(&data, &settings).await;
    let mut wallet = node.wallet().await;
    issue(&mut wallet).await;
    let first = pay(&mut wallet, "p").await.1;
    assert_eq!(reason(&node, "").await, 200);

    let hog =
        |name: &str, mib: usize| fs::write(disk.path().join(name), vec![1; mib << 20]).expect("it fits");
    hog("first", 40);
    assert_eq!(reason(&node, "space_low").await, 200, "under the soft mark it is degraded");
    assert_eq!(pay(&mut wallet, "low").await.0, 200, "and what is prepared is used");
    hog("second", 16);
    assert_eq!(reason(&node, "no_space").await, 503, "under the hard mark nothing new is taken");
    let (status, body) = pay(&mut wallet, "gone").await;
    assert!(status == 503 && body.contains(r#""code":"degraded""#), "{status}: {body}");
    assert_eq!(pay(&mut wallet, "p").await, (200, first), "a repeat is answered");
    assert_eq!(paid(&mut wallet).await, 2, "reads go on");

    fs::remove_file(disk.path().join("first")).expect("it is there");
    assert_eq!(reason(&node, "").await, 200, "without a restart");
    assert_eq!(pay(&mut wallet, "gone").await.0, 200);
    assert_eq!(paid(&mut wallet).await, 3);
    assert_eq!(node.stop().await.code(), Some(0));
}
