//! Balances of the past over HTTP: what was answered at the time, across kills, closed segments, and
//! files of the history that are deleted or damaged while a node runs and while none does.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use client::Client;
use serde_json::Value;

use super::{
    process::{PATIENCE, RunningNode},
    template::{SETTINGS, flip, scratch},
};

/// Entries of one request; four or five of them fill a segment.
const BATCH: u64 = 1_000;
const ACCOUNTS: [&str; 4] = ["bank", "ann", "bob", "cat"];

/// What was answered: by account and entry, the balance after it.
#[derive(Default)]
struct Told {
    balances: BTreeMap<(&'static str, u64), i128>,
    /// Frames' times, by the last entry at that time.
    times: BTreeMap<String, u64>,
    rounds: u64,
}

impl Told {
    fn at(&self, account: &'static str, seq: u64) -> i128 {
        self.balances.range((account, 0)..=(account, seq)).next_back().map_or(0, |(_, balance)| *balance)
    }

    fn last(&self) -> u64 {
        self.balances.keys().map(|(_, seq)| *seq).max().unwrap_or(0)
    }

    /// Pays a batch of transfers and keeps what the answer says, and when that was.
    async fn pay(&mut self, node: &RunningNode) {
        let mut ledger = node.client("ledger").await;
        let round = self.rounds;
        self.rounds += 1;
        let (mut batch, mut sides) = (Vec::new(), Vec::new());
        for number in 0..BATCH {
            let to = ACCOUNTS[1 + usize::try_from((round + number % 17) % 3).expect("small")];
            let amount = 1 + number % 7;
            let kind = if round == 0 && number == 0 { "mint" } else { "transfer" };
            let (account, other, amount) = match kind {
                "mint" => ("bank", "@issuance", 1_000_000_000),
                _ => ("bank", to, amount),
            };
            batch.push(serde_json::json!({
                "kind": kind, "account": account, "counter_account": other, "asset": "ron",
                "amount": amount.to_string(), "v": 1,
            }));
            sides.push((kind, to, i128::from(amount)));
        }
        if round == 0 {
            batch[0].as_object_mut().expect("an entry").remove("counter_account");
        }
        let body = serde_json::json!({"batch": batch, "idem_id": format!("round-{round}"), "atomic": false});
        let reply = ledger.post("/ingest", "", body.to_string().into()).await.expect("it listens");
        assert_eq!(reply.status, 200, "{}", reply.text());
        let answer = reply.json();
        for (result, (kind, to, amount)) in answer["results"].as_array().expect("results").iter().zip(sides) {
            let seq = result["seq"].as_u64().expect("accepted");
            let before = seq - 1;
            let bank = self.at("bank", before) + if kind == "mint" { amount } else { -amount };
            self.balances.insert(("bank", seq), bank);
            assert_eq!(result["balance_after"], bank.to_string(), "{result}");
            if kind == "transfer" {
                let stood = self.at(to, before);
                self.balances.insert((to, seq), stood + amount);
            }
        }
        let now = balance(&mut node.wallet().await, "bank", "").await;
        self.times.insert(text(&now, "as_of"), now["as_of_seq"].as_u64().expect("a number"));
    }

    /// Asks for the past of every account at moments all over the ledger's life.
    async fn check(&self, node: &RunningNode, what: &str) {
        let mut wallet = node.wallet().await;
        let last = self.last();
        for seq in (0..=30).map(|step| last * step / 30).chain([last + 1_000]) {
            for account in ACCOUNTS {
                let then = balance(&mut wallet, account, &format!("&at={seq}")).await;
                let expected = self.at(account, seq).to_string();
                assert_eq!(then["amount_minor"], expected, "{what}: {account} at {seq}: {then}");
            }
        }
        // Times have milliseconds in answers and nanoseconds in the journal, so the last entry at or
        // before a time that was answered is one before its frame at the earliest.
        for (time, seq) in &self.times {
            let then = balance(&mut wallet, "bank", &format!("&at={time}")).await;
            let found = then["as_of_seq"].as_u64().expect("a number");
            assert!(found <= *seq, "{what}: at {time}: {then}");
            assert_eq!(then["amount_minor"], self.at("bank", found).to_string(), "{what}: at {time}: {then}");
        }
        let (mut from, mut seen) = (1, 0);
        let of_ann: Vec<_> = self.balances.range(("ann", 0)..=("ann", u64::MAX)).collect();
        while from > 0 && seen < 450 {
            let path = format!("/v1/accounts/ann/entries?from={from}&limit=200");
            let page = patiently(&mut wallet, &path).await;
            for entry in page["entries"].as_array().expect("entries") {
                let ((_, seq), balance) = of_ann[seen];
                assert_eq!((entry["seq"].as_u64(), &entry["counterparty"]), (Some(*seq), &"bank".into()));
                assert_eq!(entry["balance_after"], balance.to_string(), "{what}: {entry}");
                seen += 1;
                assert_eq!(entry["account_seq"], seen, "{what}: {entry}");
            }
            from = page["next"].as_u64().unwrap_or(0);
        }
    }
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no {field}: {value}")).to_owned()
}

async fn balance(wallet: &mut Client, account: &str, at: &str) -> Value {
    patiently(wallet, &format!("/v1/balance?account={account}&asset=ron{at}")).await
}

/// Asks again while the past is being read from the journal, which says so.
#[expect(clippy::disallowed_methods, reason = "waits for another process, with a deadline")]
async fn patiently(wallet: &mut Client, path: &str) -> Value {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let reply = wallet.get(path).await.expect("it listens");
        if reply.status == 200 {
            return reply.json();
        }
        assert_eq!((reply.status, reply.json()["code"].as_str()), (503, Some("degraded")), "{path}");
        assert!(std::time::Instant::now() < deadline, "{path}: {}", reply.text());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn runs(data: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(data.join("ledger/history")).into_iter().flatten();
    let paths = entries.map(|entry| entry.expect("listed").path());
    paths.filter(|path| path.extension().is_some_and(|of| of == "run")).collect()
}

/// Flips a byte in every block of every run; a run that is merged away meanwhile needs no damage.
fn damage(data: &Path) {
    for run in runs(data) {
        for block in 1..fs::metadata(&run).map_or(0, |file| file.len()) / 4096 {
            flip(&run, usize::try_from(block).expect("small") * 4096 + 40);
        }
    }
}

#[tokio::test]
async fn the_past_is_what_was_answered_whatever_happens_to_the_node_and_its_files() {
    let home = scratch();
    let data = home.path().join("data");
    let mut told = Told::default();
    let mut node = RunningNode::start_with(&data, &SETTINGS).await;
    for kill in 0..3 {
        for _ in 0..6 {
            told.pay(&node).await;
        }
        told.check(&node, &format!("before kill {kill}")).await;
        node.kill();
        node = RunningNode::start_with(&data, &SETTINGS).await;
        told.check(&node, &format!("after kill {kill}")).await;
    }
    let segments = fs::read_dir(data.join("ledger/segments")).expect("listed").count();
    assert!(segments > 4, "segments were closed: {segments}");
    assert!(!runs(&data).is_empty(), "and became runs");

    fs::remove_dir_all(data.join("ledger/history")).expect("it is ours");
    told.check(&node, "deleted while it runs").await;
    told.pay(&node).await;
    assert_eq!(node.stop().await.code(), Some(0));

    node = RunningNode::start_with(&data, &SETTINGS).await;
    told.check(&node, "after a clean stop").await;
    assert!(!runs(&data).is_empty());
    damage(&data);
    told.check(&node, "damaged while it runs").await;
    node.kill();

    damage(&data);
    node = RunningNode::start_with(&data, &SETTINGS).await;
    told.check(&node, "damaged while it was dead").await;
    assert_eq!(node.stop().await.code(), Some(0));

    fs::remove_dir_all(data.join("ledger/history")).expect("it is ours");
    node = RunningNode::start_with(&data, &SETTINGS).await;
    told.check(&node, "deleted while it was stopped").await;
    assert_eq!(node.stop().await.code(), Some(0));
}
