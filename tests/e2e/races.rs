//! Sixty-four clients that want the same thing at the same moment, against the real binary: one
//! key has one effect, one nonce and one sequence number have one winner, and nobody spends what
//! is not there, with and without SIGKILL.

use std::collections::{BTreeMap, BTreeSet};

use client::{Client, Reply};
use serde_json::Value;
use tokio::{sync::watch, task::JoinSet};

use super::{
    payers::PATIENT,
    process::{PATIENCE, RunningNode},
};

const CLIENTS: usize = 64;
const ROUNDS: usize = 5;

async fn started() -> (tempfile::TempDir, RunningNode) {
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let node = RunningNode::start_with(scratch.path(), &PATIENT).await;
    (scratch, node)
}

async fn issue(node: &RunningNode, to: &str, amount: usize) {
    let body = format!(r#"{{"to":"{to}","asset":"ron","amount_minor":"{amount}"}}"#);
    let reply = node.wallet().await.post("/v1/issue", &format!("issue-{to}"), body.into()).await;
    let reply = reply.expect("it listens");
    assert_eq!(reply.status, 200, "{}", reply.text());
}

async fn read(client: &mut Client, path: &str) -> Value {
    let reply = client.get(path).await.expect("it listens");
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.json()
}

async fn balance(client: &mut Client, account: &str) -> u64 {
    let seen = read(client, &format!("/v1/balance?account={account}&asset=ron")).await;
    seen["amount_minor"].as_str().expect("a balance").parse().expect("never negative")
}

/// All clients connect, wait for one another, and send `request(n)` (key and body) at once.
async fn at_once(node: &RunningNode, request: impl Fn(usize) -> (String, String)) -> Vec<Reply> {
    let (go, gate) = watch::channel(false);
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let (mut client, (key, body)) = (node.wallet().await, request(number));
        let mut gate = gate.clone();
        clients.spawn(async move {
            gate.wait_for(|open| *open).await.expect("the gate is opened");
            client.post("/v1/transfer", &key, body.into()).await.expect("an answer")
        });
    }
    go.send(true).expect("all wait");
    clients.join_all().await
}

/// How many answers had this status and code; a receipt's code is `ok`.
fn tally(replies: &[Reply]) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for reply in replies {
        let code = reply.json()["code"].as_str().unwrap_or("ok").to_owned();
        *tally.entry(code).or_default() += 1;
    }
    tally
}

fn transfer(from: &str, to: &str, extra: &str) -> String {
    format!(r#"{{"from":"{from}","to":"{to}","asset":"ron","amount_minor":"1"{extra}}}"#)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_has_one_effect() {
    let (_scratch, node) = started().await;
    issue(&node, "bank", 1000).await;
    let mut client = node.wallet().await;
    for round in 0..ROUNDS {
        let (key, to) = (format!("same-{round}"), format!("payee-{round}"));
        let replies = at_once(&node, |_| (key.clone(), transfer("bank", &to, ""))).await;
        let seen = tally(&replies);
        assert!(seen.keys().all(|code| ["ok", "in_flight"].contains(&code.as_str())), "{seen:?}");
        let bodies: BTreeSet<_> =
            replies.iter().filter(|reply| reply.status == 200).map(|r| &r.body).collect();
        assert_eq!(bodies.len(), 1, "every receipt is the same, byte for byte: {seen:?}");
        let first = replies.iter().filter(|reply| reply.status == 200);
        let first = first.filter(|reply| !reply.headers.contains_key("idempotent-replayed")).count();
        assert!(first <= 1, "{first} answers say that they were first");
        assert_eq!(balance(&mut client, &to).await, 1, "{seen:?}");

        // Under one key, another request is refused, whichever came first.
        let key = format!("other-{round}");
        let replies =
            at_once(&node, |number| (key.clone(), transfer("bank", &format!("o-{round}-{number}"), "")))
                .await;
        let seen = tally(&replies);
        assert_eq!(seen.get("ok"), Some(&1), "{seen:?}");
        assert!(
            seen.keys().all(|code| ["ok", "in_flight", "idempotency_mismatch"].contains(&code.as_str())),
            "{seen:?}"
        );
    }
    let spent = 2 * u64::try_from(ROUNDS).expect("small");
    assert_eq!(balance(&mut client, "bank").await, 1000 - spent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_nonce_and_one_sequence_number_have_one_winner() {
    let (_scratch, node) = started().await;
    issue(&node, "bank", 1000).await;
    let mut client = node.wallet().await;
    for round in 0..ROUNDS {
        for (name, field, code) in
            [("nonce", "nonce_next", "nonce_conflict"), ("if_seq", "account_seq", "precondition_failed")]
        {
            let before = read(&mut client, "/v1/accounts/bank/sequence").await;
            let number = before[field].as_u64().expect("a number");
            let request = |client| {
                let body = transfer("bank", "payee", &format!(r#","{name}":{number}"#));
                (format!("{name}-{round}-{client}"), body)
            };
            let replies = at_once(&node, request).await;
            let seen = tally(&replies);
            let expected = BTreeMap::from([("ok".to_owned(), 1), (code.to_owned(), CLIENTS - 1)]);
            assert_eq!(seen, expected, "{name} {number}");
            if name == "nonce" {
                let told = replies.iter().filter(|reply| reply.status == 409);
                assert!(told.clone().count() == CLIENTS - 1);
                for reply in told {
                    assert_eq!(reply.json()["expected"].as_u64(), Some(number + 1), "{}", reply.text());
                }
            }
        }
    }
    assert_eq!(balance(&mut client, "payee").await, 2 * u64::try_from(ROUNDS).expect("small"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_spends_what_is_not_there() {
    let (_scratch, node) = started().await;
    let mut client = node.wallet().await;
    for round in 0..ROUNDS {
        let (purse, shop) = (format!("purse-{round}"), format!("shop-{round}"));
        issue(&node, &purse, CLIENTS / 2).await;
        let spending = at_once(&node, |number| (format!("{purse}-{number}"), transfer(&purse, &shop, "")));
        let mut watcher = node.wallet().await;
        // `balance` fails on a number below zero.
        let watched = async {
            loop {
                balance(&mut watcher, &purse).await;
            }
        };
        let replies = tokio::select! {
            replies = spending => replies,
            () = watched => unreachable!("it watches until the race is over"),
        };
        let half = CLIENTS / 2;
        let expected = BTreeMap::from([("insufficient_funds".to_owned(), half), ("ok".to_owned(), half)]);
        assert_eq!(tally(&replies), expected);
        let left = (balance(&mut client, &purse).await, balance(&mut client, &shop).await);
        assert_eq!(left, (0, u64::try_from(half).expect("small")));
    }
}

/// Sends keys in order until the connection breaks; keeps what was answered.
async fn race(mut client: Client, keys: usize) -> Vec<(usize, Vec<u8>)> {
    let mut answered = Vec::new();
    for key in 0..keys {
        let body = transfer("bank", "payee", "");
        let Ok(reply) = client.post("/v1/transfer", &format!("race-{key}"), body.into()).await else { break };
        match reply.status {
            200 => answered.push((key, reply.body.to_vec())),
            _ => assert_eq!(
                tally(std::slice::from_ref(&reply)).keys().next().map(String::as_str),
                Some("in_flight")
            ),
        }
    }
    answered
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_has_one_effect_across_a_kill() {
    const KEYS: usize = 2000;
    let (scratch, mut node) = started().await;
    issue(&node, "bank", KEYS).await;
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(race(node.wallet().await, KEYS));
    }
    // Killed once the race is well under way, and before it is over.
    let mut watcher = node.wallet().await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let seen = watcher.get("/v1/balance?account=payee&asset=ron").await.expect("it listens").json();
        let paid = seen["amount_minor"].as_str().and_then(|text| text.parse::<usize>().ok()).unwrap_or(0);
        if paid >= 20 {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "the race does not begin");
    }
    node.kill();
    let mut first: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
    for (key, body) in clients.join_all().await.into_iter().flatten() {
        let known = first.entry(key).or_insert_with(|| body.clone());
        assert_eq!(*known, body, "key {key} was answered in two ways before the kill");
    }
    drop(node);
    let node = RunningNode::start_with(scratch.path(), &PATIENT).await;
    let mut client = node.wallet().await;
    let before = balance(&mut client, "payee").await;
    let highest = first.keys().next_back().map_or(0, |key| key + 1);
    assert!(before >= u64::try_from(first.len()).expect("small"), "{before} paid, {} answered", first.len());
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        clients.spawn(race(node.wallet().await, highest + 100));
    }
    for (key, body) in clients.join_all().await.into_iter().flatten() {
        let known = first.entry(key).or_insert_with(|| body.clone());
        assert_eq!(*known, body, "key {key} was answered in another way after the kill");
    }
    let paid = balance(&mut client, "payee").await;
    assert_eq!(paid, u64::try_from(highest + 100).expect("small"), "one effect for each key");
    println!("proof: e2e races clients={CLIENTS} answered={} killed=1 twice=0", first.len());
}
