//! `storage`: the journal beside the device, in the same run: `fio`, a bare ring, the committer
//! machine with the disk alone, and the whole ledger.
//!
//! Lone frames and four in flight are 4 KiB writes, batches are frames of 256 KiB, hashing included.
//! Beside it: how fast a journal is replayed, what a transfer costs on disk, and what preparing and
//! scrubbing do to the tail of a lone commit. Leaves to others: callers and batches with rules
//! (`commit`), HTTP (`wallet`).

use std::path::{Path, PathBuf};

use anyhow::Context;
use ledger::HashKind;
use serde_json::json;

use crate::affinity::Pinned;
use crate::bare_ring::{BareRing, Block, Waiting};
use crate::beside::{self, Beside};
use crate::blocks::{Spread, alternate};
use crate::commit::Committing as _;
use crate::fio::{Fio, Found, Pattern};
use crate::journal_under_test::{BATCH_PAYLOAD_BYTES, FRAME_BYTES, JournalUnderTest, LONE_PAYLOAD_BYTES};
use crate::ledger_under_test::{ACCOUNTS, LedgerUnderTest, Setting, other_core};
use crate::pace::Latencies;
use crate::replay;
use crate::report::{Goal, Report};

/// Bytes of the files that device and `fio` overwrite.
const FILE_BYTES: u64 = 16 << 20;
/// Bytes of a lone frame on disk.
const LONE_BYTES: usize = 4096;
/// Frames in flight of the deep comparisons.
const DEPTH: u16 = 4;
/// Bytes of a segment are whole multiples of this.
const SEGMENT_STEP: u64 = 16 << 20;

/// How long the scenario runs.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where the files are made; the device under test.
    pub directory: PathBuf,
    /// Pairs of blocks for each comparison.
    pub blocks: usize,
    /// Lone frames in a block.
    pub commits: u32,
    /// Frames of 256 KiB in a block.
    pub frames: u32,
    /// Transfers of the journal that is replayed.
    pub transfers: u32,
    /// Accounts that they are between.
    pub accounts: usize,
    /// Starts that replay it, of each kind.
    pub starts: usize,
    /// The core for the committing thread, and for the device's.
    pub core: Option<usize>,
}

impl Plan {
    /// Bytes of a segment that all lone frames of one ledger fit in, so that nothing is prepared
    /// beside a block that is not about preparing.
    fn segment_bytes(&self) -> u64 {
        let frames = self.blocks as u64 * u64::from(self.commits) * 3 + 1_000;
        (frames * LONE_BYTES as u64).next_multiple_of(SEGMENT_STEP)
    }

    /// A ledger for lone frames.
    fn setting(&self, directory: PathBuf, segment_bytes: u64) -> anyhow::Result<Setting> {
        Ok(Setting {
            directory,
            hash: HashKind::Blake3,
            committer_core: self.core,
            caller_core: other_core(self.core),
            segment_bytes,
            entries_max: 4 * self.blocks * usize::try_from(self.commits)? + 10_000,
            accounts: ACCOUNTS,
        })
    }
}

/// Runs the scenario.
///
/// # Errors
/// If there is no bare ring on this host, or any part fails.
pub fn run(plan: &Plan) -> anyhow::Result<Report> {
    anyhow::ensure!(plan.blocks > 0 && plan.commits > 0 && plan.frames > 0, "an empty plan");
    let mut report = Report::begin("storage", &plan.directory);
    let home = tempfile::Builder::new()
        .prefix("ron-bench-")
        .tempdir_in(&plan.directory)
        .with_context(|| format!("a directory in {}", plan.directory.display()))?;
    let mut devices = Devices::open(home.path(), plan)?;
    let pinned = Pinned::to(plan.core).is_pinned();
    report.env.more.insert("blocks".to_owned(), json!(plan.blocks));
    report.env.more.insert("pinned_to_core".to_owned(), json!(plan.core.filter(|_| pinned)));
    match &devices.fio {
        Some((small, _)) => drop(report.env.more.insert("fio".to_owned(), json!(small.version))),
        None => report.env.missing_peers.push("fio".to_owned()),
    }
    report.value("depth", f64::from(DEPTH));
    frames(plan, home.path(), &mut devices, &mut report)?;
    for beside in [Beside::Preparing, Beside::Scrubbing] {
        growth(plan, home.path(), beside, &mut report)?;
    }
    replay::measure(plan, home.path(), &mut report)?;
    Ok(report)
}

/// The device under each of its peers' clocks: small writes and large ones.
struct Devices<'a> {
    plan: &'a Plan,
    small: BareRing,
    large: BareRing,
    fio: Option<(Fio, Fio)>,
}

/// One block on the device.
struct Device {
    fio: Option<Found>,
    ring: Block,
}

impl<'a> Devices<'a> {
    fn open(home: &Path, plan: &'a Plan) -> anyhow::Result<Self> {
        let (small, large) = (home.join("small"), home.join("large"));
        let fio = |file: &Path| Fio::find(file, FILE_BYTES, plan.core);
        Ok(Self {
            plan,
            fio: fio(&small).zip(fio(&large)),
            small: BareRing::open(&small, FILE_BYTES, LONE_BYTES, DEPTH)?,
            large: BareRing::open(&large, FILE_BYTES, FRAME_BYTES, DEPTH)?,
        })
    }

    /// A block of writes of `write_bytes` with `depth` in flight: `fio`, then the bare ring.
    fn block(&mut self, write_bytes: usize, depth: u16) -> anyhow::Result<Device> {
        let is_small = write_bytes == LONE_BYTES;
        let writes = if is_small { self.plan.commits } else { self.plan.frames };
        let pattern = Pattern { write_bytes, depth, writes };
        let fio = self.fio.as_ref().map(|(small, large)| if is_small { small } else { large });
        let fio = fio.map(|fio| fio.run(pattern)).transpose()?;
        let _pinned = Pinned::to(self.plan.core);
        let ring = if is_small { &mut self.small } else { &mut self.large };
        let ring = ring.run(writes, usize::from(depth), Waiting::Sleep)?;
        Ok(Device { fio, ring })
    }
}

/// Lone frames, four in flight, and batches of 256 KiB.
fn frames(plan: &Plan, home: &Path, devices: &mut Devices<'_>, report: &mut Report) -> anyhow::Result<()> {
    let mut journal = JournalUnderTest::open(home)?;
    let mut journal = |frames: u32, depth: u16, bytes: usize| {
        let _pinned = Pinned::to(plan.core);
        journal.run(frames, usize::from(depth), bytes)
    };
    let mut ledger = LedgerUnderTest::open(plan.setting(home.join("ledger"), plan.segment_bytes())?)?;
    ledger.await_prepared()?;

    // The first writes find cold caches and a sleeping device on all sides.
    devices.block(LONE_BYTES, 1)?;
    ledger.lone(plan.commits.min(200), Waiting::Sleep)?;
    let pairs = alternate(
        plan.blocks,
        || devices.block(LONE_BYTES, 1),
        || {
            Ok((
                journal(plan.commits, 1, LONE_PAYLOAD_BYTES)?.latencies,
                ledger.lone(plan.commits, Waiting::Sleep)?,
            ))
        },
    )?;
    let (device, systems): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let ledgers: Vec<_> = systems.iter().map(|(_, lone)| lone.committer.clone()).collect();
    let journals: Vec<_> = systems.into_iter().map(|(journal, _)| journal).collect();
    tell_lone(report, &device, "", &ledgers);
    tell_lone(report, &device, "journal_", &journals);

    let pairs = alternate(
        plan.blocks,
        || devices.block(LONE_BYTES, DEPTH),
        || {
            let journal = journal(plan.commits, DEPTH, LONE_PAYLOAD_BYTES)?.writes_per_second;
            Ok((journal, ledger.deep(plan.commits, DEPTH)?))
        },
    )?;
    let (device, systems): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let (journals, ledgers): (Vec<_>, Vec<_>) = systems.into_iter().unzip();
    tell_rate(report, &device, "depth4", &ledgers, Some(Goal::AtLeast(0.9)));
    tell_rate(report, &device, "journal_depth4", &journals, None);
    drop(ledger);

    let pairs = alternate(
        plan.blocks,
        || devices.block(FRAME_BYTES, DEPTH),
        || Ok(journal(plan.frames, DEPTH, BATCH_PAYLOAD_BYTES)?.writes_per_second),
    )?;
    let (device, journals): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    tell_rate(report, &device, "bandwidth", &journals, Some(Goal::AtLeast(0.8)));
    let mib = median(&journals).map(|frames| frames * 0.25);
    report.value("batch_mib_per_s", mib);
    Ok(())
}

/// Latencies beside both clocks of the device. Goals are for the system without a prefix.
fn tell_lone(report: &mut Report, device: &[Device], prefix: &str, system: &[Latencies]) {
    for (part, name, most) in [(0.5, "p50", 1.2), (0.99, "p99", 1.5)] {
        let goal = prefix.is_empty().then_some(Goal::AtMost(most));
        let ours: Vec<f64> = system.iter().map(|latencies| latencies.quantile_micros(part)).collect();
        let ring: Vec<f64> = device.iter().map(|of| of.ring.latencies.quantile_micros(part)).collect();
        let fio: Option<Vec<f64>> =
            device.iter().map(|of| of.fio).map(|fio| Some(pick(fio?, part))).collect();
        report.value(&format!("{prefix}lone_{name}_us"), median(&ours));
        report.value(&format!("ring_{name}_us"), median(&ring));
        // Without `fio` the bare ring alone says what the device does.
        let ring_goal = goal.filter(|_| fio.is_none());
        report.ratio(&format!("{prefix}lone_{name}_vs_ring"), Spread::of_ratio(&ours, &ring), ring_goal);
        if let Some(fio) = fio {
            report.value(&format!("fio_{name}_us"), median(&fio));
            report.ratio(&format!("{prefix}lone_{name}_vs_fio"), Spread::of_ratio(&ours, &fio), goal);
        }
    }
}

fn pick(found: Found, part: f64) -> f64 {
    if part > 0.5 { found.p99_us } else { found.p50_us }
}

/// Rates beside both clocks of the device.
fn tell_rate(report: &mut Report, device: &[Device], name: &str, system: &[f64], goal: Option<Goal>) {
    let ring: Vec<f64> = device.iter().map(|of| of.ring.writes_per_second).collect();
    let fio: Option<Vec<f64>> = device.iter().map(|of| Some(of.fio?.writes_per_second)).collect();
    report.value(&format!("{name}_per_s"), median(system));
    report.value(&format!("{name}_ring_per_s"), median(&ring));
    let ring_goal = goal.filter(|_| fio.is_none());
    report.ratio(&format!("{name}_vs_ring"), Spread::of_ratio(system, &ring), ring_goal);
    if let Some(fio) = fio {
        report.value(&format!("{name}_fio_per_s"), median(&fio));
        report.ratio(&format!("{name}_vs_fio"), Spread::of_ratio(system, &fio), goal);
    }
}

/// The tail of lone commits with something beside them, over the tail without.
fn growth(plan: &Plan, home: &Path, beside: Beside, report: &mut Report) -> anyhow::Result<()> {
    let name = beside.name();
    let mut quiet =
        LedgerUnderTest::open(plan.setting(home.join(format!("quiet-{name}")), plan.segment_bytes())?)?;
    quiet.await_prepared()?;
    let mut busy =
        beside::open(plan.setting(home.join(format!("beside-{name}")), plan.segment_bytes())?, beside)?;
    let pairs = alternate(
        plan.blocks,
        || {
            // Started and warmed as the other side is.
            quiet.lone(plan.commits, Waiting::Sleep)?;
            let lone = quiet.lone(plan.commits, Waiting::Sleep)?;
            quiet.close()?;
            Ok(lone.committer.quantile_micros(0.99))
        },
        || Ok(busy.lone(plan.commits)?.quantile_micros(0.99)),
    )?;
    let (without, with): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
    report.value(&format!("{name}_p99_us"), median(&with));
    report.value(&format!("{name}_without_p99_us"), median(&without));
    report.value(&format!("{name}_read_mib_per_s"), busy.mib_per_second());
    let growth = Spread::of_ratio(&with, &without);
    report.ratio(&format!("{name}_p99_growth"), growth, Some(Goal::AtMost(1.1)));
    Ok(())
}

pub(crate) fn median(values: &[f64]) -> Option<f64> {
    Spread::of(values.iter().copied()).map(|spread| spread.median)
}
