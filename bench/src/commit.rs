//! `commit`: a committer beside a bare ring that does the same writes, in the same run.
//!
//! Three clocks, always together: *device* (submit to completion on the bare ring), *committer*
//! (batch taken to ack queued) and *caller* (another thread's submit to its wake). Lone commits are
//! compared write for write; the rest by rate, at four in flight and in full batches.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::json;

use crate::affinity::Pinned;
use crate::bare_ring::{BareRing, Block, Waiting};
use crate::blocks::{Spread, alternate};
use crate::pace::Latencies;
use crate::report::{Goal, Report};

/// Bytes of each prewritten file: small, because freeing large files stalls some disks for seconds.
const FILE_BYTES: u64 = 4 << 20;
/// Bytes of a lone commit on the device.
const LONE_BYTES: usize = 4096;
/// Bytes of a large write, for the device's bandwidth.
const LARGE_BYTES: usize = 1 << 20;
/// Large writes in flight.
const LARGE_DEPTH: u16 = 2;
/// Writes in flight of the deep comparison.
const DEPTH: u16 = 4;
/// Commits before the first block at most.
const WARMING_COMMITS: usize = 200;

/// A block of lone commits on a system: one in flight, by both its clocks.
#[derive(Debug, Clone)]
pub struct Lone {
    /// Batch taken to ack queued.
    pub committer: Latencies,
    /// Another thread's submit to its wake.
    pub caller: Latencies,
}

/// A block of full batches on a system.
#[derive(Debug, Clone, Copy)]
pub struct Batched {
    /// Entries durable in a second.
    pub entries_per_second: f64,
    /// Bytes written to the journal in a second, headers and padding included.
    pub bytes_per_second: f64,
    /// Bytes written to the journal.
    pub bytes: u64,
}

/// A system that commits. Each method runs one block, starts from an idle system and leaves one.
pub trait Committing {
    /// `commits` lone commits, one after another; `waiting` is how committer and caller wait.
    ///
    /// # Errors
    /// Whatever ends the run.
    fn lone(&mut self, commits: u32, waiting: Waiting) -> anyhow::Result<Lone>;

    /// `commits` lone commits, `depth` in flight: commits durable in a second.
    ///
    /// # Errors
    /// Whatever ends the run.
    fn deep(&mut self, commits: u32, depth: u16) -> anyhow::Result<f64>;

    /// `batches` batches of the largest size, back to back.
    ///
    /// # Errors
    /// Whatever ends the run.
    fn batched(&mut self, batches: u32) -> anyhow::Result<Batched>;
}

/// How long the scenario runs.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where the files are made; the device under test.
    pub directory: PathBuf,
    /// Pairs of blocks for each comparison.
    pub blocks: usize,
    /// Commits in a block of lone ones.
    pub commits: u32,
    /// Batches in a block of full ones, and large writes in the device's.
    pub batches: u32,
    /// The core that the bare ring's thread is pinned to, the committer's own.
    pub core: Option<usize>,
}

impl Plan {
    /// Entries that a system commits at most in all blocks, the first ones included.
    #[must_use]
    pub fn entries_max(&self) -> usize {
        let commits = usize::try_from(self.commits).expect("a 64-bit host");
        let batches = usize::try_from(self.batches).expect("a 64-bit host");
        self.blocks * (3 * commits + batches * model::limits::GROUP_ENTRIES_MAX) + WARMING_COMMITS
    }
}

impl Plan {
    /// Bytes of a segment that a block of full batches fits in: a whole number of 16 MiB.
    #[must_use]
    pub fn segment_bytes(&self) -> u64 {
        let batch = model::limits::GROUP_ENTRIES_MAX * (model::limits::RECORD_BYTES + 1);
        let bytes = u64::from(self.batches) * u64::try_from(batch).expect("two MiB");
        (bytes + 1).next_multiple_of(16 << 20)
    }
}

/// A system, and what its figures' names begin with.
#[derive(Debug)]
pub struct Side {
    /// Empty for the system whose figures have goals.
    pub prefix: &'static str,
    /// Opens it in the directory that is given.
    pub open: fn(&Plan, &Path) -> anyhow::Result<Box<dyn Committing>>,
}

/// Runs the scenario. Without a side it tells the device's figures alone.
///
/// # Errors
/// If there is no bare ring on this host, or either side fails.
pub fn run(plan: &Plan, sides: &[Side]) -> anyhow::Result<Report> {
    anyhow::ensure!(plan.blocks > 0 && plan.commits > 0 && plan.batches > 0, "an empty plan");
    let mut report = Report::begin("commit", &plan.directory);
    let home = tempfile::Builder::new()
        .prefix("ron-bench-")
        .tempdir_in(&plan.directory)
        .with_context(|| format!("a directory in {}", plan.directory.display()))?;
    let mut device = Device::open(home.path(), plan.core)?;
    let pinned = Pinned::to(plan.core).is_pinned();
    report.env.more.insert("blocks".to_owned(), json!(plan.blocks));
    report.env.more.insert("pinned_to_core".to_owned(), json!(plan.core.filter(|_| pinned)));
    report.env.more.insert("ring_flags".to_owned(), json!(format!("{:?}", device.small.report.flags)));

    // The first writes find cold caches and a sleeping device on both sides.
    device.warm(plan)?;
    if sides.is_empty() {
        device_alone(plan, &mut device, &mut report)?;
    }
    for (number, side) in sides.iter().enumerate() {
        let place = home.path().join(format!("system-{number}"));
        let mut system = (side.open)(plan, &place)?;
        let mut run = Run { plan, device: &mut device, system: system.as_mut(), prefix: side.prefix };
        run.system.lone(plan.commits.min(200), Waiting::Sleep)?;
        run.lone(&mut report)?;
        run.lone_spinning(&mut report)?;
        run.deep(&mut report)?;
        run.batched(&mut report)?;
    }
    Ok(report)
}

/// The two bare rings: small writes and large ones.
struct Device {
    small: BareRing,
    large: BareRing,
    core: Option<usize>,
}

impl Device {
    fn open(home: &Path, core: Option<usize>) -> anyhow::Result<Self> {
        Ok(Self {
            core,
            small: BareRing::open(&home.join("small"), FILE_BYTES, LONE_BYTES, DEPTH)?,
            large: BareRing::open(&home.join("large"), FILE_BYTES, LARGE_BYTES, LARGE_DEPTH)?,
        })
    }

    fn warm(&mut self, plan: &Plan) -> anyhow::Result<()> {
        self.small.run(plan.commits.min(200), 1, Waiting::Sleep)?;
        Ok(())
    }

    fn lone(&mut self, plan: &Plan, waiting: Waiting) -> anyhow::Result<Latencies> {
        let _pinned = Pinned::to(self.core);
        Ok(self.small.run(plan.commits, 1, waiting)?.latencies)
    }

    fn deep(&mut self, plan: &Plan) -> anyhow::Result<f64> {
        let _pinned = Pinned::to(self.core);
        Ok(self.small.run(plan.commits, usize::from(DEPTH), Waiting::Sleep)?.writes_per_second)
    }

    fn bytes_per_second(&mut self, plan: &Plan) -> anyhow::Result<f64> {
        let _pinned = Pinned::to(self.core);
        let Block { writes_per_second, .. } =
            self.large.run(plan.batches, usize::from(LARGE_DEPTH), Waiting::Sleep)?;
        Ok(writes_per_second * f64::from(1 << 20))
    }
}

fn device_alone(plan: &Plan, device: &mut Device, report: &mut Report) -> anyhow::Result<()> {
    let mut each = Vec::with_capacity(plan.blocks);
    for _ in 0..plan.blocks {
        let lone = device.lone(plan, Waiting::Sleep)?;
        let spinning = device.lone(plan, Waiting::Spin)?;
        each.push((lone, spinning, device.deep(plan)?, device.bytes_per_second(plan)?));
    }
    let median = |figure: fn(&(Latencies, Latencies, f64, f64)) -> f64| {
        Spread::of(each.iter().map(figure)).map(|spread| spread.median)
    };
    report.value("device_p50_us", median(|(lone, _, _, _)| lone.quantile_micros(0.5)));
    report.value("device_p99_us", median(|(lone, _, _, _)| lone.quantile_micros(0.99)));
    report.value("device_spin_p50_us", median(|(_, spinning, _, _)| spinning.quantile_micros(0.5)));
    report.value("device_depth4_per_s", median(|(_, _, deep, _)| *deep));
    report.value("device_mib_per_s", median(|(_, _, _, bytes)| bytes / f64::from(1 << 20)));
    Ok(())
}

/// One system beside the device.
struct Run<'a> {
    plan: &'a Plan,
    device: &'a mut Device,
    system: &'a mut dyn Committing,
    prefix: &'static str,
}

impl Run<'_> {
    fn lone(&mut self, report: &mut Report) -> anyhow::Result<()> {
        let Self { plan, device, system, .. } = self;
        let pairs = alternate(
            plan.blocks,
            || device.lone(plan, Waiting::Sleep),
            || system.lone(plan.commits, Waiting::Sleep),
        )?;
        let of = |figure: fn(&(Latencies, Lone)) -> f64| -> Vec<f64> { pairs.iter().map(figure).collect() };
        let device_p50 = of(|(device, _)| device.quantile_micros(0.5));
        let device_p99 = of(|(device, _)| device.quantile_micros(0.99));
        let committer_p50 = of(|(_, system)| system.committer.quantile_micros(0.5));
        let committer_p99 = of(|(_, system)| system.committer.quantile_micros(0.99));
        let caller_p50 = of(|(_, system)| system.caller.quantile_micros(0.5));
        let caller_p99 = of(|(_, system)| system.caller.quantile_micros(0.99));
        for (name, values) in [
            ("device_p50_us", &device_p50),
            ("device_p99_us", &device_p99),
            ("committer_p50_us", &committer_p50),
            ("lone_p99_us", &committer_p99),
            ("caller_p50_us", &caller_p50),
            ("caller_p99_us", &caller_p99),
        ] {
            report.value(&self.named(name), median(values));
        }
        for (name, system, device, most) in [
            ("lone_p50_vs_ring", &committer_p50, &device_p50, 1.2),
            ("lone_p99_vs_ring", &committer_p99, &device_p99, 1.5),
            ("caller_p50_vs_ring", &caller_p50, &device_p50, 1.5),
        ] {
            let goal = self.goal(Goal::AtMost(most));
            report.ratio(&self.named(name), Spread::of_ratio(system, device), goal);
        }
        Ok(())
    }

    fn lone_spinning(&mut self, report: &mut Report) -> anyhow::Result<()> {
        let Self { plan, device, system, .. } = self;
        let pairs = alternate(
            plan.blocks,
            || device.lone(plan, Waiting::Spin),
            || system.lone(plan.commits, Waiting::Spin),
        )?;
        let of = |figure: fn(&(Latencies, Lone)) -> f64| -> Vec<f64> { pairs.iter().map(figure).collect() };
        let device_p50 = of(|(device, _)| device.quantile_micros(0.5));
        let committer_p50 = of(|(_, system)| system.committer.quantile_micros(0.5));
        let caller_p50 = of(|(_, system)| system.caller.quantile_micros(0.5));
        let caller_p99 = of(|(_, system)| system.caller.quantile_micros(0.99));
        report.value(&self.named("device_spin_p50_us"), median(&device_p50));
        report.value(&self.named("committer_spin_p50_us"), median(&committer_p50));
        report.value(&self.named("caller_spin_p50_us"), median(&caller_p50));
        report.value(&self.named("caller_spin_p99_us"), median(&caller_p99));
        let ratio = Spread::of_ratio(&committer_p50, &device_p50);
        report.ratio(&self.named("lone_spin_p50_vs_ring"), ratio, None);
        Ok(())
    }

    fn deep(&mut self, report: &mut Report) -> anyhow::Result<()> {
        let Self { plan, device, system, .. } = self;
        let pairs = alternate(plan.blocks, || device.deep(plan), || system.deep(plan.commits, DEPTH))?;
        let (device, system): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        report.value(&self.named("device_depth4_per_s"), median(&device));
        report.value(&self.named("depth4_per_s"), median(&system));
        report.ratio(&self.named("depth4_vs_ring"), Spread::of_ratio(&system, &device), None);
        Ok(())
    }

    fn batched(&mut self, report: &mut Report) -> anyhow::Result<()> {
        let Self { plan, device, system, .. } = self;
        let pairs =
            alternate(plan.blocks, || device.bytes_per_second(plan), || system.batched(plan.batches))?;
        let device: Vec<f64> = pairs.iter().map(|(device, _)| *device).collect();
        let bytes: Vec<f64> = pairs.iter().map(|(_, system)| system.bytes_per_second).collect();
        let entries: Vec<f64> = pairs.iter().map(|(_, system)| system.entries_per_second).collect();
        let mib = median(&device).map(|bytes| bytes / f64::from(1 << 20));
        report.value(&self.named("device_mib_per_s"), mib);
        report.value(&self.named("batched_per_s"), median(&entries));
        report.ratio(&self.named("bandwidth_vs_ring"), Spread::of_ratio(&bytes, &device), None);
        Ok(())
    }

    fn named(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Goals are for the system without a prefix.
    fn goal(&self, goal: Goal) -> Option<Goal> {
        self.prefix.is_empty().then_some(goal)
    }
}

fn median(values: &[f64]) -> Option<f64> {
    Spread::of(values.iter().copied()).map(|spread| spread.median)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A system whose figures are given, so that the scenario's arithmetic can be seen.
    struct Given;

    impl Committing for Given {
        fn lone(&mut self, commits: u32, waiting: Waiting) -> anyhow::Result<Lone> {
            let nanos = if waiting == Waiting::Spin { 1 } else { 60_000_000_000 };
            let mut latencies = Latencies::new();
            (0..commits).for_each(|_| latencies.record(0, nanos));
            Ok(Lone { committer: latencies.clone(), caller: latencies })
        }

        fn deep(&mut self, _commits: u32, depth: u16) -> anyhow::Result<f64> {
            Ok(f64::from(depth))
        }

        fn batched(&mut self, batches: u32) -> anyhow::Result<Batched> {
            Ok(Batched { entries_per_second: f64::from(batches), bytes_per_second: 1.0, bytes: 1 })
        }
    }

    #[test]
    fn every_name_that_is_compared_over_time_is_told() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().to_path_buf();
        let plan = Plan { directory, blocks: 2, commits: 4, batches: 3, core: None };
        if let Err(error) = Device::open(home.path(), None) {
            println!("not run, this host has no bare ring: {error:#}");
            return;
        }
        let given: fn(&Plan, &Path) -> anyhow::Result<Box<dyn Committing>> = |_, _| Ok(Box::new(Given));
        let sides = [Side { prefix: "", open: given }, Side { prefix: "other_", open: given }];
        let report = run(&plan, &sides).unwrap();
        for name in [
            "device_p50_us",
            "committer_p50_us",
            "caller_p50_us",
            "caller_spin_p50_us",
            "lone_p99_us",
            "batched_per_s",
        ] {
            assert!(report.values.contains_key(name), "{name}");
        }
        for name in [
            "lone_p50_vs_ring",
            "lone_p99_vs_ring",
            "caller_p50_vs_ring",
            "depth4_vs_ring",
            "bandwidth_vs_ring",
        ] {
            assert!(report.ratios.contains_key(name), "{name}");
        }
        assert_eq!(report.values["batched_per_s"], 3.0);
        assert_eq!(report.values["other_batched_per_s"], 3.0);
        assert!(!report.short_of.contains(&"other_lone_p50_vs_ring".to_owned()), "it has no goal");
        assert!(report.short_of.contains(&"lone_p50_vs_ring".to_owned()), "a minute is not fast");
        assert!(report.values["caller_spin_p50_us"] < 1.0);

        let alone = run(&plan, &[]).unwrap();
        assert!(alone.values.contains_key("device_p50_us") && alone.ratios.is_empty());
    }
}
