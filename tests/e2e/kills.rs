//! The real binary, killed under load: nothing that was answered is missing, nothing happens twice.
//!
//! Reads `E2E_KILLS` (30 if unset).

use std::time::Duration;

use super::{
    payers::{Load, PATIENT, answers, check, fund},
    process::RunningNode,
};

const KILLS: usize = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_under_load_lose_nothing_that_was_answered() {
    let kills = std::env::var("E2E_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let mut node = RunningNode::start_with(scratch.path(), &PATIENT).await;
    fund(&node).await;
    let mut payers = Vec::new();
    for kill in 0..kills {
        let load = Load::begin(&node, payers).await;
        tokio::time::sleep(Duration::from_millis(20 + 7 * (kill as u64 % 11))).await;
        node.kill();
        payers = load.broken().await;
        drop(node);
        node = RunningNode::start_with(scratch.path(), &PATIENT).await;
        check(&node, &mut payers).await;
    }
    let answered = answers(&payers);
    println!("proof: e2e kills={kills} answered={answered} lost=0");
    assert!(answered > kills, "the load was real: {answered} answers");
}
