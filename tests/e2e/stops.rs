//! Ending a node: a clean stop exits 0 and leaves a checkpoint.

use super::process::RunningNode;

#[tokio::test]
async fn a_clean_stop_exits_0_and_leaves_a_checkpoint() {
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let mut node = RunningNode::start(scratch.path()).await;
    assert!(!node.token().is_empty() && node.pid() > 0);
    let issue = r#"{"to":"bank","asset":"ron","amount_minor":"5"}"#;
    let reply = node.wallet().await.post("/v1/issue", "fund", issue.into()).await.expect("it listens");
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(node.stop().await.code(), Some(0));
    let checkpoints = std::fs::read_dir(node.data().join("ledger/checkpoints")).expect("made at the start");
    assert!(checkpoints.count() > 0, "a clean stop writes a checkpoint");
}
