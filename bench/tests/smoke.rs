//! Each scenario runs to its end with tiny counts, on the real ledger and the real node.
//!
//! No figure is judged here: only that the scenarios measure, and that the names are there that are
//! compared over time. Needs `macronode` and `ron-ledgerctl` beside the test binary, as `cargo xtask test` builds it.

use std::path::PathBuf;
use std::time::Duration;

use bench::commit::{self, Plan};
use bench::ledger_under_test::SIDES;
use bench::report::Report;
use bench::{snapshot, start, storage, wallet};

fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let built = test.ancestors().nth(2).expect("tests lie in the target directory").join(name);
    assert!(built.exists(), "{}: build it first: cargo build --workspace --bins", built.display());
    built
}

fn node() -> PathBuf {
    built("macronode")
}

fn check(report: &Report, values: &[&str], ratios: &[&str]) {
    for name in values {
        assert!(report.values.contains_key(*name), "{name} is not in {:?}", report.values);
    }
    for name in ratios {
        assert!(report.ratios.contains_key(*name), "{name} is not in {:?}", report.ratios);
    }
}

#[test]
fn commit_measures_the_real_committer() {
    let home = tempfile::tempdir().unwrap();
    let plan = Plan { directory: home.path().into(), blocks: 2, commits: 20, batches: 1, core: None };
    if let Err(error) = commit::run(&plan, &[]) {
        println!("not run, this host has no bare ring: {error:#}");
        return;
    }
    let report = commit::run(&plan, &SIDES).unwrap();
    let values = [
        "device_p50_us",
        "committer_p50_us",
        "caller_p50_us",
        "caller_spin_p50_us",
        "lone_p99_us",
        "batched_per_s",
        "sha256_committer_p50_us",
        "sha256_batched_per_s",
    ];
    let ratios =
        ["lone_p50_vs_ring", "lone_p99_vs_ring", "caller_p50_vs_ring", "depth4_vs_ring", "bandwidth_vs_ring"];
    check(&report, &values, &ratios);
    assert!(report.values["caller_p50_us"] >= report.values["committer_p50_us"], "the caller waits for more");
}

#[test]
fn storage_stands_beside_the_device() {
    let home = tempfile::tempdir().unwrap();
    let plan = storage::Plan {
        directory: home.path().into(),
        blocks: 1,
        commits: 10,
        frames: 4,
        transfers: 10_000,
        accounts: 100,
        starts: 1,
        core: None,
    };
    if let Err(error) = commit::run(
        &Plan { directory: home.path().into(), blocks: 1, commits: 1, batches: 1, core: None },
        &[],
    ) {
        println!("not run, this host has no bare ring: {error:#}");
        return;
    }
    let report = storage::run(&plan).unwrap();
    let values =
        ["replay_per_s", "replay_hashed_per_s", "bytes_per_transfer", "derived_bytes_per_entry", "depth"];
    let mut ratios = vec!["prepare_p99_growth", "scrub_p99_growth"];
    let has_fio = !report.env.missing_peers.contains(&"fio".to_owned());
    let (by_fio, by_ring) = (
        ["lone_p50_vs_fio", "lone_p99_vs_fio", "depth4_vs_fio", "bandwidth_vs_fio"],
        ["lone_p50_vs_ring", "lone_p99_vs_ring", "depth4_vs_ring", "bandwidth_vs_ring"],
    );
    ratios.extend(by_ring);
    ratios.extend(by_fio.iter().filter(|_| has_fio));
    check(&report, &values, &ratios);
    // Not a figure of speed: records, headers and padding in full batches.
    let bytes = report.values["bytes_per_transfer"];
    assert!(bytes > report.values["record_bytes"] && bytes < 217.0, "{bytes} bytes a transfer");
    assert!(report.values["replayed_entries"] >= 2.0 * 8_190.0 + 200.0);
}

#[test]
fn snapshots_are_made_beside_lone_transfers() {
    let home = tempfile::tempdir().unwrap();
    let plan = snapshot::Plan {
        directory: home.path().into(),
        tool: built("ron-ledgerctl"),
        blocks: 2,
        commits: 20,
        transfers: 10_000,
        core: None,
    };
    let alone = Plan { directory: home.path().into(), blocks: 1, commits: 1, batches: 1, core: None };
    if let Err(error) = commit::run(&alone, &[]) {
        println!("not run, this host has no bare ring: {error:#}");
        return;
    }
    let report = snapshot::run(&plan).unwrap();
    let values = ["quiet_p99_us", "snapshot_p99_us", "snapshot_mib_per_s"];
    check(&report, &values, &["snapshot_p99_growth", "snapshot_p50_growth"]);
    assert!(report.values["snapshots"] >= 2.0, "one a block: {:?}", report.values);
    // Two full batches of transfers at least are in each.
    assert!(report.values["snapshot_unpacked_mib"] > 3.0, "{:?}", report.values);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "nothing is left");
}

#[test]
fn wallet_audits_a_real_node() {
    let home = tempfile::tempdir().unwrap();
    let plan = wallet::Plan {
        directory: home.path().into(),
        node: node(),
        connections: 4,
        accounts: 50,
        rounds: 1,
        round: Duration::from_millis(300),
        idle: Duration::from_millis(100),
    };
    let report = wallet::run(&plan).unwrap();
    check(&report, &["transfers_per_s", "p50_ms", "p99_ms", "overload_goodput", "auth_us"], &[]);
    assert!(report.values["transfers_per_s"] > 0.0);
    assert_eq!(report.env.missing_peers, ["postgres"]);
}

#[test]
fn start_kills_a_real_node_and_finds_its_entries() {
    let home = tempfile::tempdir().unwrap();
    let plan = start::Plan { directory: home.path().into(), node: node(), starts: 2, entries: 500 };
    let report = start::run(&plan).unwrap();
    check(&report, &["first_ms", "after_stop_ms", "after_kill_ms", "after_kill_worst_ms"], &[]);
    assert!(report.values["replayed_entries"] > 300.0, "{:?}", report.values);
}
