//! Peers that are slow on purpose, against the real binary: each ends at its documented deadline
//! and holds nothing that others need.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use client::Client;
use tokio::{io::AsyncWriteExt, task::JoinSet, time::Instant};

use super::{
    process::{PATIENCE, RunningNode, command},
    raw::{Peer, post},
};

/// Deadlines short enough for a test; those of a slow machine are no shorter.
const SHORT: [&str; 3] = ["wallet.read_ms=1000", "wallet.write_ms=1000", "wallet.idle_ms=2000"];
const JSON: &str = "content-type: application/json";
/// Good clients beside the slow ones.
const CLIENTS: usize = 64;
/// Payments of one good client.
const PAYMENTS: usize = 10;

async fn gauge(node: &RunningNode, name: &str) -> f64 {
    let reply = node.client("wallet_admin").await.get("/metrics").await.expect("the node listens");
    let text = reply.text();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no series {name}")).parse().expect("a number")
}

async fn funded(settings: &[&str]) -> (tempfile::TempDir, RunningNode) {
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let node = RunningNode::start_with(scratch.path(), settings).await;
    fund(&node).await;
    (scratch, node)
}

async fn fund(node: &RunningNode) {
    let issue = r#"{"to":"bank","asset":"ron","amount_minor":"1000000"}"#;
    let mut client = node.wallet().await;
    let reply = client.post("/v1/issue", "fund", issue.into()).await.expect("it listens");
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// Sixty-four clients pay, each over its own connection, and every payment is made, once.
async fn good_clients_pay(node: &RunningNode, round: &str) {
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let (wallet, token, round) = (node.endpoint("wallet"), node.token().to_owned(), round.to_owned());
        clients.spawn(async move {
            for payment in 0..PAYMENTS {
                pay(wallet, &token, &format!("payee-{number}"), &format!("{round}-{number}-{payment}")).await;
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.expect("every payment was answered");
    }
}

/// Pays one unit as a good client does: with a short deadline the node may be too slow to answer
/// in time, and then the client asks again with the same key.
async fn pay(wallet: SocketAddr, token: &str, to: &str, key: &str) {
    let deadline = Instant::now() + PATIENCE;
    let body = format!(r#"{{"from":"bank","to":"{to}","asset":"ron","amount_minor":"1"}}"#);
    loop {
        let mut client = Client::connect(wallet, Some(token)).await.expect("the node listens");
        let answer = match client.post("/v1/transfer", key, body.clone().into()).await {
            Ok(reply) if reply.status == 200 => return,
            Ok(reply) => {
                assert!(reply.json()["retryable"] == true, "{key}: {}", reply.text());
                reply.text()
            }
            Err(error) => error.to_string(),
        };
        assert!(Instant::now() < deadline, "{key}: {answer}");
    }
}

/// Says one byte at a time, slowly, until the other side has had enough.
async fn dribble(mut peer: Peer, bytes: Vec<u8>) -> Option<u16> {
    for byte in bytes.chunks(1) {
        if peer.stream.write_all(byte).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    peer.hear().await.map(|heard| heard.status)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_peers_end_at_their_deadline_and_hold_nobody_up() {
    let (_scratch, node) = funded(&SHORT).await;
    let wallet = node.endpoint("wallet");
    let bearer = format!("authorization: Bearer {}", node.token());
    let body = br#"{"from":"bank","to":"slow","asset":"ron","amount_minor":"1"}"#;
    let whole = post("/v1/transfer", &[JSON, "idempotency-key: slow", &bearer], body);
    let half = whole.len() - 10;

    let mut slow = JoinSet::new();
    for _ in 0..50 {
        let head = format!("GET /v1/balance HTTP/1.1\r\nx: {}", "a".repeat(2000)).into_bytes();
        let peer = Peer::connect(wallet).await;
        slow.spawn(async move { ("a head byte by byte", dribble(peer, head).await, None) });
        let mut peer = Peer::connect(wallet).await;
        let part = whole[..half].to_vec();
        slow.spawn(async move {
            let heard = peer.ask(&part).await;
            ("half a body", heard.map(|heard| heard.status), Some(408))
        });
        let mut peer = Peer::connect(wallet).await;
        slow.spawn(async move { ("silence", peer.hear().await.map(|heard| heard.status), None) });
    }
    good_clients_pay(&node, "beside").await;
    while let Some(ended) = slow.join_next().await {
        let (what, heard, expected) = ended.expect("a slow peer ends and does not panic");
        assert_eq!(heard, expected, "{what}");
    }
    // Their half requests had no effect.
    let reply = node.wallet().await.get("/v1/balance?account=slow&asset=ron").await.expect("it listens");
    assert_eq!(reply.status, 404, "{}", reply.text());
    assert!(gauge(&node, "connections_broken_total").await >= 50.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_never_read_are_dropped() {
    let (_scratch, node) = funded(&SHORT).await;
    let wallet = node.endpoint("wallet");
    let mut deaf = JoinSet::new();
    for _ in 0..20 {
        let mut peer = Peer::connect(wallet).await;
        deaf.spawn(async move {
            let ask = b"GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1000);
            // Ends when the node has had enough: the write fails.
            while peer.stream.write_all(&ask).await.is_ok() {}
        });
    }
    good_clients_pay(&node, "beside").await;
    while let Some(ended) = deaf.join_next().await {
        ended.expect("dropped by the node");
    }
    until_gone(&node).await;
}

/// Waits until the node holds no connection but the one that asks.
async fn until_gone(node: &RunningNode) {
    let deadline = Instant::now() + PATIENCE;
    while gauge(node, "http_connections").await > 2.0 {
        assert!(Instant::now() < deadline, "connections that never end");
    }
    assert!(gauge(node, "inflight").await.abs() < 0.1, "a request that never ends");
}

/// Descriptors that this process may have open, soft and hard.
fn descriptors() -> Option<(usize, usize)> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let mut numbers = line.split_whitespace().map(|word| word.parse().unwrap_or(usize::MAX));
    Some((numbers.next()?, numbers.next()?))
}

/// A node that is started with room for 256 descriptors, as far as it does not ask for more.
async fn cramped(data: &Path) -> RunningNode {
    let command = command(data, &["wallet.idle_ms=120000", "wallet.write_ms=60000"]);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "ulimit -S -n 256; exec \"$0\" \"$@\""])
        .arg(command.get_program())
        .args(command.get_args());
    RunningNode::spawn(shell.stdout(Stdio::null()), data).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_idle_connections_and_resets_in_the_middle_hold_nobody_up() {
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let node = cramped(scratch.path()).await;
    fund(&node).await;
    let wallet = node.endpoint("wallet");
    let (soft, hard) = descriptors().expect("Linux tells its limits");
    let count = 3000.min(soft.saturating_sub(500)).min(hard.saturating_sub(500));
    let mut idle = Vec::new();
    for _ in 0..count {
        idle.push(Peer::connect(wallet).await);
    }
    let bearer = format!("authorization: Bearer {}", node.token());
    for number in 0..200 {
        let body = format!(r#"{{"from":"bank","to":"reset-{number}","asset":"ron","amount_minor":"1"}}"#);
        let key = format!("idempotency-key: reset-{number}");
        let whole = post("/v1/transfer", &[JSON, &key, &bearer], body.as_bytes());
        let mut peer = Peer::connect(wallet).await;
        peer.say(&whole[..whole.len() * (number % 10 + 1) / 10]).await;
        // Closed with a reset, wherever in the request or the answer that is.
        peer.stream.set_zero_linger().expect("it is open");
        drop(peer);
    }
    good_clients_pay(&node, "beside").await;
    let open = gauge(&node, "http_connections").await;
    assert!(open >= f64::from(u32::try_from(count).expect("thousands")), "{open} of {count} are open");
    drop(idle);
    until_gone(&node).await;
    good_clients_pay(&node, "after").await;
    println!("proof: e2e slow idle={count} resets=200 good={CLIENTS} held up=0");
}
