//! `snapshot`: the tail of lone transfers while `ron-ledgerctl snapshot create` runs beside them, again
//! and again, in a process of its own, and without it, in turns on one ledger.
//!
//! Holds: a quiet block begins when the last snapshot has ended; every snapshot that was begun is made
//! to its end, or the run fails. Leaves to others: the ledger (`ledger_under_test`).

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, ensure};
use ledger::HashKind;
use model::limits::GROUP_ENTRIES_MAX;
use serde_json::{Value, json};

use crate::bare_ring::Waiting;
use crate::blocks::{Spread, alternate};
use crate::clock::Clock;
use crate::commit::Committing as _;
use crate::ledger_under_test::{ACCOUNTS, LedgerUnderTest, Setting, log_key, other_core};
use crate::pace::Latencies;
use crate::report::Report;
use crate::storage::median;

/// Full batches made before they are sent: what their requests may take of memory.
const BATCHES_AT_ONCE: u32 = 8;
/// Bytes of a transfer in a full batch at most, and of a lone frame.
const TRANSFER_BYTES: u64 = 256;
const FRAME_BYTES: u64 = 4096;
/// Bytes of a segment are whole multiples of this.
const SEGMENT_STEP: u64 = 16 << 20;

/// How long the scenario runs.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where the ledger and the snapshots are made; the device under test.
    pub directory: PathBuf,
    /// `ron-ledgerctl`.
    pub tool: PathBuf,
    /// Pairs of blocks.
    pub blocks: usize,
    /// Lone transfers in a block.
    pub commits: u32,
    /// Transfers of the journal before the first block, in full batches.
    pub transfers: u32,
    /// The core for the committing thread.
    pub core: Option<usize>,
}

impl Plan {
    fn batches(&self) -> anyhow::Result<u32> {
        Ok(self.transfers.div_ceil(u32::try_from(GROUP_ENTRIES_MAX)?))
    }

    /// A ledger whose journal fits one segment, so that nothing is prepared beside a block.
    fn setting(&self, directory: PathBuf) -> anyhow::Result<Setting> {
        let lone = (2 * self.blocks as u64 + 2) * u64::from(self.commits);
        let batched = usize::try_from(self.batches()?)? * GROUP_ENTRIES_MAX;
        let bytes = batched as u64 * TRANSFER_BYTES + lone * FRAME_BYTES + SEGMENT_STEP;
        Ok(Setting {
            directory,
            hash: HashKind::Blake3,
            committer_core: self.core,
            caller_core: other_core(self.core),
            segment_bytes: bytes.next_multiple_of(SEGMENT_STEP),
            entries_max: batched + usize::try_from(lone)? + 10_000,
            accounts: ACCOUNTS,
        })
    }
}

/// Runs the scenario.
///
/// # Errors
/// If a commit or a snapshot fails.
pub fn run(plan: &Plan) -> anyhow::Result<Report> {
    ensure!(plan.blocks > 0 && plan.commits > 0, "an empty plan");
    let mut report = Report::begin("snapshot", &plan.directory);
    report.env.more.insert("blocks".to_owned(), json!(plan.blocks));
    report.env.more.insert("committer_core".to_owned(), json!(plan.core));
    let home = tempfile::Builder::new()
        .prefix("ron-bench-")
        .tempdir_in(&plan.directory)
        .with_context(|| format!("a directory in {}", plan.directory.display()))?;
    let snapshots = Snapshots::of(&plan.tool, home.path())?;
    let mut ledger = LedgerUnderTest::open(plan.setting(snapshots.ledger.clone())?)?;
    let mut left = plan.batches()?;
    while left > 0 {
        let some = left.min(BATCHES_AT_ONCE);
        ledger.batched(some)?;
        left -= some;
    }
    ledger.await_prepared()?;
    ledger.lone(plan.commits.min(200), Waiting::Sleep)?;
    // Both sides drive the one ledger, in turns.
    let ledger = std::cell::RefCell::new(ledger);
    let lone = || Ok(ledger.borrow_mut().lone(plan.commits, Waiting::Sleep)?.committer);
    let mut made = Made::default();
    let pairs = alternate(plan.blocks, lone, || {
        let running = snapshots.begin()?;
        let lone = lone()?;
        made.add(&running.end()?);
        Ok(lone)
    })?;
    tell(&pairs, &mut report);
    report.value("snapshots", f64::from(made.count));
    report.value("snapshot_unpacked_mib", mib(made.unpacked)? / f64::from(made.count.max(1)));
    report.value("snapshot_mib_per_s", mib(made.unpacked)? / Duration::from_nanos(made.nanos).as_secs_f64());
    Ok(report)
}

fn tell(pairs: &[(Latencies, Latencies)], report: &mut Report) {
    for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
        let micros = |of: fn(&(Latencies, Latencies)) -> &Latencies| -> Vec<f64> {
            pairs.iter().map(|pair| of(pair).quantile_micros(part)).collect()
        };
        let (quiet, beside) = (micros(|pair| &pair.0), micros(|pair| &pair.1));
        report.value(&format!("quiet_{name}_us"), median(&quiet));
        report.value(&format!("snapshot_{name}_us"), median(&beside));
        report.ratio(&format!("snapshot_{name}_growth"), Spread::of_ratio(&beside, &quiet), None);
    }
}

fn mib(bytes: u64) -> anyhow::Result<f64> {
    Ok(f64::from(u32::try_from(bytes >> 10)?) / 1024.0)
}

/// What was made so far.
#[derive(Debug, Default)]
struct Made {
    count: u32,
    /// Bytes of the files in them.
    unpacked: u64,
    /// How long the processes ran.
    nanos: u64,
}

impl Made {
    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.unpacked += other.unpacked;
        self.nanos += other.nanos;
    }
}

/// A ledger of which snapshots are made.
#[derive(Debug, Clone)]
struct Snapshots {
    tool: PathBuf,
    ledger: PathBuf,
    keys: PathBuf,
    out: PathBuf,
}

impl Snapshots {
    fn of(tool: &Path, home: &Path) -> anyhow::Result<Self> {
        let keys = home.join("keys");
        std::fs::create_dir(&keys)?;
        let (seed, verifier) = log_key()?;
        std::fs::write(keys.join("checkpoint.key"), seed)?;
        std::fs::write(keys.join("log.vkey"), verifier)?;
        Ok(Self { tool: tool.into(), ledger: home.join("ledger"), keys, out: home.join("snapshot.tar.zst") })
    }

    /// Begins with the first one; each that ends is followed by the next.
    fn begin(&self) -> anyhow::Result<Running> {
        let stop = Arc::new(AtomicBool::new(false));
        let (begun, first) = mpsc::channel();
        let thread = std::thread::spawn({
            let (stop, snapshots) = (Arc::clone(&stop), self.clone());
            move || {
                let mut made = Made::default();
                while made.count == 0 || !stop.load(Ordering::Acquire) {
                    snapshots.make(&mut made, || {
                        // Nobody listens after the first.
                        let _ = begun.send(());
                    })?;
                }
                Ok(made)
            }
        });
        // If it could not begin, its end tells why.
        let _ = first.recv();
        Ok(Running { stop, thread })
    }

    fn make(&self, made: &mut Made, begun: impl FnOnce()) -> anyhow::Result<()> {
        let clock = Clock::start();
        let mut command = Command::new(&self.tool);
        command.args(["--json", "snapshot", "create"]);
        for (flag, path) in [("--data-dir", &self.ledger), ("--keys", &self.keys), ("--out", &self.out)] {
            command.arg(flag).arg(path);
        }
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child = child.with_context(|| format!("{}", self.tool.display()))?;
        begun();
        let ended = child.wait_with_output()?;
        made.nanos += clock.nanos();
        let told = [ended.stderr, ended.stdout].map(|told| String::from_utf8_lossy(&told).into_owned());
        ensure!(ended.status.success(), "no snapshot, {}: {}", ended.status, told.concat());
        let created: Value = serde_json::from_str(&told[1]).context("what the tool says")?;
        made.unpacked += created["unpacked"].as_u64().context("bytes of a snapshot")?;
        made.count += 1;
        std::fs::remove_file(&self.out)?;
        Ok(())
    }
}

/// Snapshots that are being made.
struct Running {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<Made>>,
}

impl Running {
    /// Waits for the one that is being made.
    fn end(self) -> anyhow::Result<Made> {
        self.stop.store(true, Ordering::Release);
        self.thread.join().map_err(|_| anyhow::anyhow!("the thread beside panicked"))?
    }
}
