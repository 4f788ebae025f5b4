//! `start`: how long a node takes from the start of its process to all roles ready.
//!
//! Three ways: the first start of all; a start after a clean stop; a start after `kill -9` with
//! entries behind the last checkpoint, which are replayed and flushed before anything is answered.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::ensure;
use serde_json::json;

use crate::blocks::Spread;
use crate::http::{Ask, Connection};
use crate::load::account_name;
use crate::node_process::{NodeProcess, rest};
use crate::report::{Goal, Report};

/// Goal of a first start, in milliseconds.
const FIRST_GOAL: f64 = 400.0;
/// Goal of every other start, in milliseconds.
const AGAIN_GOAL: f64 = 200.0;
/// Entries of one request.
const BATCH: u32 = 1_000;
/// Accounts that the entries are about.
const ACCOUNTS: u32 = 1_000;

/// How long the scenario runs.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where the nodes' data goes; the device under test.
    pub directory: PathBuf,
    /// The node's binary.
    pub node: PathBuf,
    /// Starts of each kind.
    pub starts: usize,
    /// Entries behind the last checkpoint at the kill.
    pub entries: u32,
}

/// Runs the scenario.
///
/// # Errors
/// If a node does not start, or loses an entry that it answered for.
pub fn run(plan: &Plan) -> anyhow::Result<Report> {
    ensure!(plan.starts > 0 && plan.entries >= 3, "an empty plan");
    let mut report = Report::begin("start", &plan.directory);
    report.env.more.insert("starts".to_owned(), json!(plan.starts));
    report.env.more.insert("entries_after_checkpoint".to_owned(), json!(plan.entries));
    let home = tempfile::Builder::new().prefix("ron-bench-").tempdir_in(&plan.directory)?;
    let start = |data: &Path| NodeProcess::start(&plan.node, data, &[]);

    let mut first = Vec::new();
    let mut again = Vec::new();
    for number in 0..plan.starts {
        let data = home.path().join(format!("empty-{number}"));
        let node = start(&data)?;
        first.push(node.ready_after);
        node.stop()?;
        let node = start(&data)?;
        again.push(node.ready_after);
        node.stop()?;
    }
    tell(&mut report, "first", &first, FIRST_GOAL);
    tell(&mut report, "after_stop", &again, AGAIN_GOAL);

    let data = home.path().join("killed");
    let node = start(&data)?;
    let last = fill(&node, plan.entries)?;
    node.kill()?;
    let mut killed = Vec::new();
    for _ in 0..plan.starts {
        let node = start(&data)?;
        killed.push(node.ready_after);
        let found = size(&node)?;
        ensure!(found >= last, "entry {last} was answered and is gone: the tree has {found}");
        node.kill()?;
        // The kernel lets go of a killed process's files a moment later; that wait is not a start.
        rest(Duration::from_millis(20));
    }
    tell(&mut report, "after_kill", &killed, AGAIN_GOAL);
    report.value("replayed_entries", f64::from(u32::try_from(last)?));
    Ok(report)
}

fn tell(report: &mut Report, name: &str, starts: &[Duration], goal: f64) {
    let millis = || starts.iter().map(|start| start.as_secs_f64() * 1e3);
    let median = Spread::of(millis()).map_or(0.0, |spread| spread.median);
    report.goal(&format!("{name}_ms"), median, Goal::AtMost(goal));
    report.goal(&format!("{name}_worst_ms"), millis().fold(0.0, f64::max), Goal::AtMost(goal));
}

/// Writes at most `entries` entries; the number of the last one.
fn fill(node: &NodeProcess, entries: u32) -> anyhow::Result<u64> {
    let mut connection = Connection::open(node.ledger)?;
    let mut last = 0;
    // The first batch opens an account with each entry, which is an entry too, and the one of issuance.
    let rows = BATCH.min((entries - 1) / 2);
    let batches = 1 + (entries - 2 * rows - 1) / rows;
    for batch in 0..batches {
        let rows: Vec<_> = (0..rows).map(|row| entry(batch, row)).collect();
        let body = json!({"batch": rows, "idem_id": format!("bench-{batch}")}).to_string();
        let ask = Ask { method: "POST", path: "/ingest", token: &node.token, key: "", body: &body };
        let answer = connection.ask(ask)?.json()?;
        ensure!(answer["accepted"] == json!(true), "a batch was refused: {answer}");
        last = answer["seq_end"].as_u64().unwrap_or(last);
    }
    ensure!(last <= u64::from(entries), "{last} entries, more than {entries}");
    Ok(last)
}

/// The first batch issues to every account, the others move money between them.
fn entry(batch: u32, row: u32) -> serde_json::Value {
    let name = |number: u32| account_name(usize::try_from(number % ACCOUNTS).expect("a 64-bit host"));
    let account = name(row);
    if batch == 0 {
        return json!({"id": account, "ts": 0, "kind": "mint", "account": account, "asset": "ron",
                      "amount": "1000000000", "v": 1});
    }
    json!({"id": account, "ts": 0, "kind": "transfer", "account": account,
           "counter_account": name(row + 1 + batch % (ACCOUNTS - 1)), "asset": "ron", "amount": "1", "v": 1})
}

/// Entries in the durable tree, as the ledger tells it.
fn size(node: &NodeProcess) -> anyhow::Result<u64> {
    let mut connection = Connection::open(node.ledger)?;
    let ask = Ask { method: "GET", path: "/roots?since=0&limit=1000", token: &node.token, key: "", body: "" };
    let answer = connection.ask(ask)?.json()?;
    let roots = answer["roots"].as_array().cloned().unwrap_or_default();
    Ok(roots.last().and_then(|root| root["seq"].as_u64()).unwrap_or(0))
}
