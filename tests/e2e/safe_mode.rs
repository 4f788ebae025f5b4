//! The real binary whose disk goes away under load: it stays up, says so, serves reads, and ends with
//! 74.

use super::not_run;
use super::{
    process::RunningNode,
    template::{SETTINGS, issue, pay},
};
use crate::kernel::image::Image;

#[tokio::test]
async fn a_disk_that_goes_away_leaves_a_node_that_serves_reads_and_ends_with_74() {
    let name = "safe_mode";
    let image = match Image::mount("ext4", 64 << 20) {
        Ok(image) => image,
        Err(reason) => return not_run(name, reason),
    };
    let mut node = RunningNode::start_with(&image.path().join("data"), &SETTINGS).await;
    let mut wallet = node.wallet().await;
    issue(&mut wallet).await;
    let mut answered = 0;
    for number in 0..50 {
        assert_eq!(pay(&mut wallet, &format!("before-{number}")).await.0, 200);
        answered += 1;
    }
    if let Err(reason) = image.shut_down() {
        return not_run(name, reason);
    }
    // The first whose write fails has an open fate; before it any number may be taken.
    let mut open = 0;
    for number in 0.. {
        let (status, body) = pay(&mut wallet, &format!("after-{number}")).await;
        match status {
            200 => answered += 1,
            408 if body.contains(r#""outcome":"unknown""#) => open += 1,
            503 => {
                assert!(body.contains(r#""code":"safe_mode""#), "{body}");
                break;
            }
            _ => panic!("{status}: {body}"),
        }
        assert!(number < 100_000, "it never notices");
    }
    assert!(open <= 1, "one request at a time has one open fate");
    for _ in 0..20 {
        // A reader that lagged when the disk went away cannot read on, and then it says so.
        let reply = wallet.get("/v1/balance?account=payee&asset=ron").await.expect("it listens");
        let balance = reply.json()["amount_minor"].as_str().map(str::to_owned);
        let right = reply.status == 200 && balance == Some(answered.to_string());
        assert!(right || reply.status == 503, "{}: {}, not {answered}", reply.status, reply.text());
    }
    let mut admin = node.client("ledger_admin").await;
    let ready = admin.get("/readyz").await.expect("it listens");
    assert_eq!((ready.status, ready.json()["reason"].as_str()), (503, Some("safe_mode")));
    assert!(admin.get("/metrics").await.expect("it listens").text().contains("ledger_safe_mode 1"));
    assert_eq!(admin.get("/healthz").await.expect("it listens").status, 200);
    assert_eq!(node.stop().await.code(), Some(74));
}
