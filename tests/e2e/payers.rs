//! Payers: load whose every answer is kept, and the check that a node still has all of it.

use client::Client;
use tokio::{task::JoinSet, time::timeout};

use super::process::{PATIENCE, RunningNode};

/// A deadline for answers that a slow machine does not meet by being slow: to a payer, an answer that
/// is not a receipt is a failure.
pub(crate) const PATIENT: [&str; 1] = ["wallet.write_ms=60000"];

const PAYERS: usize = 4;

/// Issues enough to the payers' bank.
pub(crate) async fn fund(node: &RunningNode) {
    let issue = r#"{"to":"bank","asset":"ron","amount_minor":"1000000000"}"#;
    let reply = node.wallet().await.post("/v1/issue", "fund", issue.into()).await.expect("it listens");
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// Payers at work, each on a connection of its own.
#[derive(Debug)]
pub(crate) struct Load(JoinSet<(usize, Payer)>);

impl Load {
    /// Lets the payers go on; without any, new ones begin.
    pub(crate) async fn begin(node: &RunningNode, mut payers: Vec<Payer>) -> Self {
        payers.resize_with(PAYERS, Payer::default);
        let mut tasks = JoinSet::new();
        for (task, mut payer) in payers.into_iter().enumerate() {
            let mut client = node.wallet().await;
            tasks.spawn(async move {
                payer.pay(&mut client, task, u64::MAX).await;
                (task, payer)
            });
        }
        Self(tasks)
    }

    /// Waits until every connection has broken.
    pub(crate) async fn broken(self) -> Vec<Payer> {
        let mut back = self.0.join_all().await;
        back.sort_by_key(|(task, _)| *task);
        back.into_iter().map(|(_, payer)| payer).collect()
    }
}

/// Answers that the payers have.
pub(crate) fn answers(payers: &[Payer]) -> usize {
    payers.iter().map(|payer| payer.answered.len()).sum()
}

/// One payer: sends transfers of one unit until its connection breaks, and keeps each answer.
#[derive(Debug, Default)]
pub(crate) struct Payer {
    sent: u64,
    pub(crate) answered: Vec<(String, Vec<u8>)>,
    open: Option<String>,
}

impl Payer {
    /// Sends until the connection breaks, or `most` have been answered.
    pub(crate) async fn pay(&mut self, client: &mut Client, task: usize, most: u64) {
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
pub(crate) async fn transfer(client: &mut Client, task: usize, key: &str) -> Option<Vec<u8>> {
    let body = format!(r#"{{"from":"bank","to":"payee-{task}","asset":"ron","amount_minor":"1"}}"#);
    let reply = timeout(PATIENCE, client.post("/v1/transfer", key, body.into())).await;
    let reply = reply.expect("an answer or a broken connection").ok()?;
    assert_eq!(reply.status, 200, "{}", reply.text());
    Some(reply.body.to_vec())
}

/// Minor units on the account; none if nothing was ever paid to it.
pub(crate) async fn balance(client: &mut Client, account: &str) -> u64 {
    let reply = client.get(&format!("/v1/balance?account={account}&asset=ron")).await.expect("it listens");
    match reply.json()["amount_minor"].as_str() {
        Some(units) => units.parse().expect("units"),
        None => {
            assert_eq!(reply.status, 404, "{}", reply.text());
            0
        }
    }
}

/// What was answered last before the kill reads the same, byte for byte; the fate of what was open
/// is settled; every payee has exactly what was answered.
pub(crate) async fn check(node: &RunningNode, payers: &mut [Payer]) {
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
