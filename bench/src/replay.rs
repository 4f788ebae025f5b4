//! How fast a journal is replayed at a start, and what a transfer costs on disk.
//!
//! The journal is made by the real role: accounts that are opened and funded, then full batches of
//! transfers. Each start finds it without a checkpoint, so that every frame is read, its hash
//! checked, and every record applied; leaf hashes come from the tiles that the last run left, or,
//! with those put aside, are computed. Files are put aside and not removed: freeing them would stall
//! some disks for the next start.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use ledger::HashKind;
use model::limits::{GROUP_ENTRIES_MAX, RECORD_BYTES};

use crate::clock::Clock;
use crate::commit::Committing as _;
use crate::ledger_under_test::{LedgerUnderTest, Setting, other_core};
use crate::report::{Goal, Report};
use crate::storage::{Plan, median};

/// Full batches made before they are sent: what the requests of a block may take of memory.
const BATCHES_AT_ONCE: u32 = 8;
/// Bytes of a segment.
const SEGMENT_BYTES: u64 = 32 << 20;

/// Makes the journal, replays it, and tells the rates and the bytes.
///
/// # Errors
/// If a start fails or misses an entry.
pub fn measure(plan: &Plan, home: &Path, report: &mut Report) -> anyhow::Result<()> {
    let directory = home.join("replayed");
    let batches = plan.transfers.div_ceil(u32::try_from(GROUP_ENTRIES_MAX)?);
    let transfers = usize::try_from(batches)? * GROUP_ENTRIES_MAX;
    let mut ledger = LedgerUnderTest::open(Setting {
        directory: directory.clone(),
        hash: HashKind::Blake3,
        committer_core: plan.core,
        caller_core: other_core(plan.core),
        segment_bytes: SEGMENT_BYTES,
        entries_max: transfers,
        accounts: plan.accounts,
    })?;
    let (mut left, mut bytes) = (batches, 0);
    while left > 0 {
        let some = left.min(BATCHES_AT_ONCE);
        bytes += ledger.batched(some)?.bytes;
        left -= some;
    }
    let entries = ledger.durable()?;
    ledger.close()?;
    ensure!(entries >= u64::try_from(transfers + 2 * plan.accounts)?, "{entries} entries of {transfers}");
    let of_transfers = f64::from(u32::try_from(transfers)?);
    let per_transfer = f64::from(u32::try_from(bytes >> 10)?) * 1024.0 / of_transfers;
    report.goal("bytes_per_transfer", per_transfer, Goal::AtMost(256.0));
    report.value("record_bytes", f64::from(u32::try_from(RECORD_BYTES)?));
    let of_entries = f64::from(u32::try_from(entries)?);
    let derived = tree_bytes(&directory.join("derived"))? as f64 / of_entries;
    report.value("derived_bytes_per_entry", derived);

    let mut aside = Aside { home: home.join("aside"), count: 0 };
    let mut rates = |what: &[&str]| -> anyhow::Result<Vec<f64>> {
        let mut rates = Vec::with_capacity(plan.starts);
        for _ in 0..plan.starts {
            for name in what {
                aside.put(&directory.join(name))?;
            }
            let clock = Clock::start();
            let found = ledger.durable()?;
            let took = std::time::Duration::from_nanos(clock.nanos());
            ensure!(found == entries, "{entries} entries were durable, {found} are found");
            ledger.close()?;
            rates.push(of_entries / took.as_secs_f64());
        }
        Ok(rates)
    };
    let from_tiles = rates(&["checkpoints"])?;
    let hashed = rates(&["checkpoints", "derived"])?;
    report.value("replayed_entries", of_entries);
    report.goal("replay_per_s", median(&from_tiles).context("starts")?, Goal::AtLeast(1.5e6));
    report.value("replay_hashed_per_s", median(&hashed));
    Ok(())
}

/// Where files go that a start shall not find.
struct Aside {
    home: PathBuf,
    count: u32,
}

impl Aside {
    fn put(&mut self, path: &Path) -> anyhow::Result<()> {
        self.count += 1;
        std::fs::create_dir_all(&self.home)?;
        let to = self.home.join(self.count.to_string());
        std::fs::rename(path, to).with_context(|| path.display().to_string())
    }
}

/// Bytes of all files below a directory.
fn tree_bytes(directory: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    let mut left = BTreeSet::from([directory.to_path_buf()]);
    while let Some(directory) = left.pop_first() {
        for entry in std::fs::read_dir(&directory).with_context(|| directory.display().to_string())? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                left.insert(entry.path());
            } else {
                bytes += entry.metadata()?.len();
            }
        }
    }
    Ok(bytes)
}
