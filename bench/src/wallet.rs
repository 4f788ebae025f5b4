//! `wallet`: durable transfers over HTTP against a real node, and whether its books agree afterwards.
//!
//! Closed rounds find the rate that the node holds (the knee); an open loop below it gives the
//! latency, from the time at which each request was due; an open loop at twice the knee, over four
//! times the connections, shows what is left under overload. Peers are compared where they are on
//! the host; this scenario has none yet and says so.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use caps::{ActionPattern, Grant, KeyId, Keyring, Macaroon, RootKey};
use serde_json::json;

use crate::blocks::Spread;
use crate::books::Books;
use crate::clock::Clock;
use crate::http::{Ask, Connection};
use crate::load::{Load, account_name};
use crate::node_process::{NodeProcess, rest};
use crate::pace::{Latencies, Pace};
use crate::report::{Goal, Report};

/// What each account begins with: more than all transfers together can take.
const FUNDS: i128 = 1_000_000_000_000;
/// Accounts funded by one request.
const FUNDED_AT_ONCE: usize = 2_000;
/// The goal, in transfers a second.
const RATE_GOAL: f64 = 10_000.0;
/// The goal for a node that nobody asks anything, in percent of one core.
const IDLE_GOAL: f64 = 1.0;
/// The part of the knee that the latency is measured at.
const BELOW_KNEE: f64 = 0.7;
/// Capabilities verified for `auth_us`.
const VERIFIED: u32 = 2_000;

/// How long the scenario runs.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where the node's data goes; the device under test.
    pub directory: PathBuf,
    /// The node's binary.
    pub node: PathBuf,
    /// Keep-alive connections.
    pub connections: usize,
    /// Accounts that money moves between.
    pub accounts: usize,
    /// Rounds of each kind.
    pub rounds: usize,
    /// Length of a round.
    pub round: Duration,
    /// How long the idle node is watched.
    pub idle: Duration,
}

/// Runs the scenario.
///
/// # Errors
/// If the node fails, refuses a transfer, or its balances are not what its answers add up to.
pub fn run(plan: &Plan) -> anyhow::Result<Report> {
    ensure!(plan.connections > 0 && plan.accounts > 1 && plan.rounds > 0, "an empty plan");
    let mut report = Report::begin("wallet", &plan.directory);
    report.env.missing_peers.push("postgres".to_owned());
    report.env.more.insert("connections".to_owned(), json!(plan.connections));
    report.env.more.insert("accounts".to_owned(), json!(plan.accounts));
    report.env.more.insert("round_seconds".to_owned(), json!(plan.round.as_secs_f64()));
    report.value("auth_us", auth_micros()?);
    under_load(plan, "blake3", &mut report)?;
    // The same node with the other hash: the closed rate alone.
    let sha256 = Bed::open(plan, "sha256")?;
    let (sha256, knee) = sha256.closed(plan)?;
    report.value("sha256_transfers_per_s", knee.median);
    sha256.audit(plan)?;
    Ok(report)
}

fn under_load(plan: &Plan, hash: &str, report: &mut Report) -> anyhow::Result<()> {
    let bed = Bed::open(plan, hash)?;
    report.value("idle_resident_mib", bed.node.resident_mib()?);
    let idle = bed.idle_percent(plan)?;
    report.goal("idle_cpu_percent", idle, Goal::AtMost(IDLE_GOAL));
    let cpu = bed.node.cpu_time()?;
    let clock = Clock::start();
    let (bed, knee) = bed.closed(plan)?;
    let cpu = (bed.node.cpu_time()? - cpu).as_secs_f64();
    report.value("node_cores_used", cpu / Duration::from_nanos(clock.nanos()).as_secs_f64());
    report.goal("transfers_per_s", knee.median, Goal::AtLeast(RATE_GOAL));
    report.value("transfers_per_s_low", knee.low);
    report.value("transfers_per_s_high", knee.high);

    let (bed, open) = bed.open_loop(plan, knee.median * BELOW_KNEE, plan.connections)?;
    report.value("open_offered_per_s", knee.median * BELOW_KNEE);
    report.value("open_per_s", open.per_second);
    report.value("p50_ms", open.latencies.quantile_micros(0.5) / 1e3);
    report.value("p99_ms", open.latencies.quantile_micros(0.99) / 1e3);
    report.value("p999_ms", open.latencies.quantile_micros(0.999) / 1e3);
    let (bed, over) = bed.open_loop(plan, knee.median * 2.0, 4 * plan.connections)?;
    report.value("overload_goodput", over.per_second);
    report.value("overload_turned_away", f64::from(u32::try_from(over.turned_away)?));
    let held = Spread { low: over.per_second, median: over.per_second, high: over.per_second };
    report.ratio("overload_vs_knee", Spread::of_ratio(&[held.median], &[knee.median]), None);
    report.value("audited_accounts", f64::from(u32::try_from(plan.accounts)?));
    bed.audit(plan)
}

/// A node with funded accounts, and the books about it.
struct Bed {
    node: NodeProcess,
    books: Books,
    next: u64,
    // Falls last: the node lives in it.
    _home: tempfile::TempDir,
}

/// What open rounds came to.
struct Open {
    latencies: Latencies,
    per_second: f64,
    turned_away: u64,
}

impl Bed {
    fn open(plan: &Plan, hash: &str) -> anyhow::Result<Self> {
        let home = tempfile::Builder::new().prefix("ron-bench-").tempdir_in(&plan.directory)?;
        let node = NodeProcess::start(&plan.node, home.path(), &[("ledger.hash", hash)])?;
        fund(&node, plan.accounts)?;
        Ok(Self { node, books: Books::new(plan.accounts, FUNDS), next: 0, _home: home })
    }

    /// What part of a core the node uses while nobody asks it anything.
    fn idle_percent(&self, plan: &Plan) -> anyhow::Result<f64> {
        // The checkpoint and slot of the last entries are written first.
        rest(Duration::from_millis(1_500).min(plan.idle));
        let (before, clock) = (self.node.cpu_time()?, Clock::start());
        rest(plan.idle);
        let used = self.node.cpu_time()? - before;
        Ok(100.0 * used.as_secs_f64() / Duration::from_nanos(clock.nanos()).as_secs_f64())
    }

    fn loaded<T>(
        mut self,
        connections: usize,
        run: impl FnOnce(&mut Load) -> anyhow::Result<T>,
    ) -> anyhow::Result<(Self, T)> {
        let books = std::mem::replace(&mut self.books, Books::new(0, 0));
        let mut load = Load::open(self.node.wallet, &self.node.token, connections, books, self.next)?;
        let found = run(&mut load)?;
        (self.books, self.next) = load.close();
        Ok((self, found))
    }

    /// Every connection sends when it has its answer.
    fn closed(self, plan: &Plan) -> anyhow::Result<(Self, Spread)> {
        let nanos = nanos(plan.round)?;
        self.loaded(plan.connections, |load| {
            load.run(Pace::Closed, nanos / 2)?;
            let rounds = (0..plan.rounds).map(|_| Ok(load.run(Pace::Closed, nanos)?.accepted_per_second));
            let rates = rounds.collect::<anyhow::Result<Vec<_>>>()?;
            Spread::of(rates).context("at least one round")
        })
    }

    /// Requests are due at `per_second`, whether or not the node keeps up.
    fn open_loop(self, plan: &Plan, per_second: f64, connections: usize) -> anyhow::Result<(Self, Open)> {
        let nanos = nanos(plan.round)?;
        let pace = Pace::Open { per_second: whole(per_second)?.max(1) };
        self.loaded(connections, |load| {
            let mut all = Open { latencies: Latencies::new(), per_second: 0.0, turned_away: 0 };
            let mut rates = Vec::new();
            for _ in 0..plan.rounds {
                let answered = load.run(pace, nanos)?;
                all.latencies.add(&answered.latencies);
                all.turned_away += answered.turned_away;
                rates.push(answered.accepted_per_second);
            }
            all.per_second = Spread::of(rates).context("at least one round")?.median;
            Ok(all)
        })
    }

    /// Compares every balance with what the answers add up to, and stops the node.
    fn audit(self, plan: &Plan) -> anyhow::Result<()> {
        let mut connection = Connection::open(self.node.wallet)?;
        let token = self.node.token.clone();
        let differences = self.books.differences(|account| {
            let path = format!("/v1/balance?account={}&asset=ron", account_name(account));
            let answer =
                connection.ask(Ask { method: "GET", path: &path, token: &token, key: "", body: "" })?;
            let answer = answer.json()?;
            Ok(answer["amount_minor"].as_str().context("a balance")?.parse()?)
        })?;
        ensure!(
            differences.is_empty(),
            "the books of {} disagree with {} of {} balances (account: ledger's, answers'): {differences:?}",
            plan.node.display(),
            differences.len(),
            plan.accounts
        );
        self.node.stop()
    }
}

/// Gives every account its funds, over `/ingest`.
fn fund(node: &NodeProcess, accounts: usize) -> anyhow::Result<()> {
    let mut connection = Connection::open(node.ledger)?;
    let names: Vec<String> = (0..accounts).map(account_name).collect();
    for (number, some) in names.chunks(FUNDED_AT_ONCE).enumerate() {
        let entry = |name: &String| {
            json!({"id": name, "ts": 0, "kind": "mint", "account": name, "asset": "ron",
                   "amount": FUNDS.to_string(), "v": 1})
        };
        let batch: Vec<_> = some.iter().map(entry).collect();
        let body = json!({"batch": batch, "idem_id": format!("bench-fund-{number}")}).to_string();
        let ask = Ask { method: "POST", path: "/ingest", token: &node.token, key: "", body: &body };
        let answer = connection.ask(ask)?.json()?;
        ensure!(answer["accepted"] == json!(true), "funding was refused: {answer}");
    }
    Ok(())
}

/// Microseconds to verify a capability in full, as a node does with one that it has not seen.
fn auth_micros() -> anyhow::Result<f64> {
    let keyring = Keyring::new(KeyId::parse("bench")?, &RootKey::new([7; 32]));
    let grant = Grant {
        subject: model::Text::new("bench").context("a short text")?,
        actions: vec![ActionPattern::parse("wallet:*").context("a pattern")?],
        caveats: Vec::new(),
    };
    let token = Macaroon::mint(&keyring, [9; 16], &grant)?.to_text();
    let (clock, now) = (Clock::start(), engine::wall());
    let mut each = Latencies::new();
    for _ in 0..VERIFIED {
        let begun = clock.nanos();
        std::hint::black_box(caps::verify(&keyring, std::hint::black_box(&token), now)?);
        each.record(begun, clock.nanos());
    }
    Ok(each.quantile_micros(0.5))
}

fn nanos(span: Duration) -> anyhow::Result<u64> {
    u64::try_from(span.as_nanos()).context("a round is shorter than 584 years")
}

/// A rate without its fraction.
fn whole(per_second: f64) -> anyhow::Result<u64> {
    format!("{per_second:.0}").parse().context("a rate is a positive number")
}
