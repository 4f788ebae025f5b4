//! Kills while segments are being filled with zeros: the next start fills them anew.

use super::{
    process::{RunningNode, until},
    template::{files, issue, paid, pay, scratch},
};

/// Large enough that a kill right after the start comes in the middle of it.
const SETTINGS: [&str; 1] = ["ledger.segment_mib=128"];
const KILLS: u64 = 6;

#[tokio::test]
async fn kills_while_segments_are_prepared_cost_nothing() {
    let home = scratch();
    let data = home.path().join("data");
    let mut half = 0;
    for kill in 0..KILLS {
        let mut node = RunningNode::start_with(&data, &SETTINGS).await;
        let mut wallet = node.wallet().await;
        if kill == 0 {
            issue(&mut wallet).await;
        }
        assert_eq!(pay(&mut wallet, &format!("k{kill}")).await.0, 200);
        node.kill();
        let lens = files(&data.join("ledger/segments")).into_iter().map(|path| path.metadata());
        let lens: Vec<u64> = lens.map(|metadata| metadata.expect("it is there").len()).collect();
        half += usize::from(lens.iter().any(|len| *len < 128 << 20) || lens.len() < 2);
    }
    let mut node = RunningNode::start_with(&data, &SETTINGS).await;
    let mut wallet = node.wallet().await;
    assert_eq!(paid(&mut wallet).await, KILLS);
    until("both segments are whole", || {
        let files = files(&data.join("ledger/segments"));
        let whole = |path: &std::path::PathBuf| path.metadata().is_ok_and(|file| file.len() == 128 << 20);
        (files.len() >= 2 && files.iter().all(whole)).then_some(())
    })
    .await;
    assert_eq!(node.stop().await.code(), Some(0));
    println!("{half} of {KILLS} kills came while a segment was half filled");
}
