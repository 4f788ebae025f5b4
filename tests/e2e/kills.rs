//! The real binary, killed under load: nothing that was answered is missing, nothing happens twice.
//!
//! Reads `E2E_KILLS` (30 if unset).

use std::time::Duration;

use client::Client;
use tokio::time::timeout;

use super::process::RunningNode;

const TASKS: usize = 4;
const KILLS: usize = 30;

/// One payer: sends transfers of one unit until its connection breaks, and keeps each answer.
#[derive(Default)]
struct Payer {
    sent: u64,
    answered: Vec<(String, Vec<u8>)>,
    open: Option<String>,
}

impl Payer {
    async fn pay(&mut self, client: &mut Client, task: usize, most: u64) {
        for _ in 0..most {
            let key = self.open.take().unwrap_or_else(|| {
                self.sent += 1;
                format!("payer-{task}-{}", self.sent)
            });
            self.open = Some(key.clone());
            let Some(body) = transfer(client, task, &key).await else { return };
            self.answered.push((key, body));
            self.open = None;
        }
    }
}

/// The receipt, or `None` if the connection broke: then its fate is open.
async fn transfer(client: &mut Client, task: usize, key: &str) -> Option<Vec<u8>> {
    let body = format!(r#"{{"from":"bank","to":"payee-{task}","asset":"ron","amount_minor":"1"}}"#);
    let reply = timeout(Duration::from_secs(10), client.post("/v1/transfer", key, body.into())).await;
    let reply = reply.expect("an answer or a broken connection within 10 s").ok()?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    Some(reply.body.to_vec())
}

async fn balance(client: &mut Client, account: &str) -> u64 {
    let reply = client.get(&format!("/v1/balance?account={account}&asset=ron")).await.expect("it listens");
    reply.json()["amount_minor"].as_str().expect("a balance").parse().expect("units")
}

/// What was answered last before the kill reads the same, byte for byte; the fate of what was open
/// is settled; every payee has exactly what was answered.
async fn check(node: &RunningNode, payers: &mut [Payer]) {
    let mut client = node.wallet().await;
    for (task, payer) in payers.iter_mut().enumerate() {
        for (key, first) in payer.answered.iter().rev().take(20) {
            assert_eq!(transfer(&mut client, task, key).await.as_ref(), Some(first), "{key}");
        }
        if payer.open.is_some() {
            payer.pay(&mut client, task, 1).await;
        }
        let answered = u64::try_from(payer.answered.len()).expect("a count");
        assert_eq!(balance(&mut client, &format!("payee-{task}")).await, answered, "payer {task}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_under_load_lose_nothing_that_was_answered() {
    let kills = std::env::var("E2E_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let mut node = RunningNode::start(scratch.path()).await;
    let issue = r#"{"to":"bank","asset":"ron","amount_minor":"1000000000"}"#;
    let reply = node.wallet().await.post("/v1/issue", "fund", issue.into()).await.expect("it listens");
    assert_eq!(reply.status, 200, "{}", reply.text());
    let mut payers: Vec<Payer> = (0..TASKS).map(|_| Payer::default()).collect();
    for kill in 0..kills {
        let mut tasks = tokio::task::JoinSet::new();
        for (task, mut payer) in payers.drain(..).enumerate() {
            let mut client = node.wallet().await;
            tasks.spawn(async move {
                payer.pay(&mut client, task, u64::MAX).await;
                (task, payer)
            });
        }
        tokio::time::sleep(Duration::from_millis(20 + 7 * (kill as u64 % 11))).await;
        node.kill();
        let mut back = tasks.join_all().await;
        back.sort_by_key(|(task, _)| *task);
        payers = back.into_iter().map(|(_, payer)| payer).collect();
        drop(node);
        node = RunningNode::start(scratch.path()).await;
        check(&node, &mut payers).await;
    }
    let answered: usize = payers.iter().map(|payer| payer.answered.len()).sum();
    println!("proof: e2e kills={kills} answered={answered} lost=0");
    assert!(answered > kills * TASKS, "the load was real: {answered} answers");
}
