//! SIGTERM: what was taken is answered, a checkpoint is written, the exit code is 0.

use std::{fs, io::Write, net::TcpStream, path::Path, process::Stdio};

use super::{
    payers::{Load, PATIENT, answers, balance, check, fund},
    process::{PATIENCE, RunningNode, command, scratch, until},
};

fn checkpoints(data: &Path) -> usize {
    fs::read_dir(data.join("ledger/checkpoints")).expect("made at the first start").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_loses_nothing_and_leaves_a_checkpoint() {
    let scratch = scratch();
    let (data, log) = (scratch.path().join("data"), scratch.path().join("log"));
    let mut node = RunningNode::start_with(&data, &PATIENT).await;
    fund(&node).await;
    let load = Load::begin(&node, Vec::new()).await;
    let mut client = node.wallet().await;
    let reached = async { while balance(&mut client, "payee-0").await < 20 {} };
    tokio::time::timeout(PATIENCE, reached).await.expect("the load reaches the ledger");
    node.signal("TERM");
    node.signal("TERM");
    let mut payers = load.broken().await;
    assert_eq!(node.ended().await.code(), Some(0), "a second signal changes nothing");
    assert!(answers(&payers) >= 20, "the load was real");
    assert!(checkpoints(&data) > 0, "a clean stop writes a checkpoint");
    let mut again = command(&data, &["log=info", PATIENT[0]]);
    again.stdout(Stdio::null()).stderr(fs::File::create(&log).expect("a file"));
    let node = RunningNode::spawn(&mut again, &data).await;
    check(&node, &mut payers).await;
    let opened = until("it says what it replayed", || {
        let text = fs::read_to_string(&log).expect("it writes its log");
        text.lines().find(|line| line.contains("ledger opened ")).map(str::to_owned)
    });
    assert!(opened.await.contains("replayed_frames=0"), "a restart goes on from the checkpoint");
}

#[tokio::test]
async fn a_signal_right_after_the_start_is_a_clean_stop() {
    let scratch = scratch();
    for signal in ["TERM", "INT"] {
        let mut node = RunningNode::start(scratch.path()).await;
        node.signal(signal);
        assert_eq!(node.ended().await.code(), Some(0), "{signal}");
    }
}

#[tokio::test]
async fn a_client_that_never_ends_does_not_hold_up_a_stop() {
    let scratch = scratch();
    // Only the drain's own bound can end this request within the patience of this test.
    let settings = ["wallet.read_ms=600000", "wallet.idle_ms=600000", "drain_ms=50"];
    let mut node = RunningNode::start_with(scratch.path(), &settings).await;
    let mut stuck = TcpStream::connect(node.endpoint("wallet")).expect("it listens");
    stuck.write_all(b"POST /v1/issue HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{").expect("taken");
    // A second connection that was answered after it: the first is in the node's hands by now.
    assert_eq!(node.wallet().await.get("/v1/balance?account=a").await.expect("it listens").status, 404);
    assert_eq!(node.stop().await.code(), Some(0));
    drop(stuck);
}
