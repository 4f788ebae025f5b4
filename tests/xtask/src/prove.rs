//! `cargo xtask prove`: the tests that take a count from the environment, with larger counts.
//!
//! Holds: `docs/proof.md` is written from a run that passed, and from nothing else. What a test
//! wants in it the test prints as a line `proof: ..`.

use std::{
    fmt::Write as _,
    fs,
    process::Command,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, ensure};

use crate::{cargo, machine, report::Report, stage};

/// The longest that a proof may take.
const LIMIT: Duration = Duration::from_secs(12 * 60 * 60);

/// Counts that tests take from the environment, at `PROVE_SCALE=100`.
const COUNTS: [(&str, u64); 5] = [
    ("SIM_RUNS", 150_000),
    ("CRASH_RUNS", 500),
    ("FUZZ_RUNS", 200_000),
    ("E2E_KILLS", 150),
    ("DEMO_SECONDS", 60),
];
/// The scale if none is asked for.
const SCALE: u64 = 100;
/// Crates whose coverage is told: what decides.
const PURE: [&str; 6] = ["model", "ledger", "journal", "wire", "shard", "caps"];

/// Runs the long tests; `true` if all of them held.
pub(crate) fn run() -> anyhow::Result<bool> {
    let started = stage::now();
    let mut report = Report::default();
    let scale = scale()?;
    let deadline = started + LIMIT;
    report.push(stage::run(
        "build",
        cargo(&["build", "--profile", "sim", "--workspace", "--bins", "--locked"]),
        deadline,
    )?);
    let mut tests = cargo(&["test", "--profile", "sim", "-p", "tests", "--locked", "--test", "all", "--"]);
    tests.args(["--nocapture", "sim::", "crash::", "fuzz::", "kernel::", "e2e::"]);
    tests.envs(COUNTS.map(|(name, count)| (name, scaled(count, scale).to_string())));
    report.push(stage::run("long tests", tests, deadline)?);
    coverage(&mut report, deadline)?;
    let took = stage::now().duration_since(started);
    let lines: Vec<String> = report.evidence().map(str::to_owned).collect();
    let held = report.close(took, LIMIT);
    if held {
        fs::write("docs/proof.md", page(&lines, scale, took)?).context("write docs/proof.md")?;
        println!("written: docs/proof.md");
    }
    Ok(held)
}

/// Lines that the tests of the pure crates reach, where a tool that counts them is installed.
fn coverage(report: &mut Report, deadline: Instant) -> anyhow::Result<()> {
    if !machine::has_cargo("tarpaulin") {
        report.not_run("coverage: cargo tarpaulin is not installed (`cargo install cargo-tarpaulin`)");
        return Ok(());
    }
    let mut command = cargo(&["tarpaulin", "--locked", "--skip-clean", "--engine", "ptrace"]);
    command.args(["--out", "stdout", "--lib", "--target-dir", "target/coverage"]);
    for name in PURE {
        command.args(["--packages", name, "--include-files", &format!("*/{name}/src/*")]);
    }
    report.push(stage::run("coverage", command, deadline)?);
    Ok(())
}

fn scale() -> anyhow::Result<u64> {
    let Ok(text) = std::env::var("PROVE_SCALE") else { return Ok(SCALE) };
    text.parse().with_context(|| format!("PROVE_SCALE is a whole number, not {text:?}"))
}

/// `count` is given for the usual scale; something is always run.
const fn scaled(count: u64, scale: u64) -> u64 {
    let scaled = count.saturating_mul(scale) / SCALE;
    if scaled == 0 { 1 } else { scaled }
}

fn page(lines: &[String], scale: u64, took: Duration) -> anyhow::Result<String> {
    ensure!(!lines.is_empty(), "no test printed a line `proof: ..`: there is nothing to report");
    let commit = output("git", &["rev-parse", "HEAD"])?;
    let dirty =
        if output("git", &["status", "--porcelain"])?.is_empty() { "" } else { " with local changes" };
    let mut page =
        String::from("# The last proof\n\nWritten by `cargo xtask prove`; not edited by hand.\n\n");
    writeln!(page, "- commit: `{commit}`{dirty}")?;
    writeln!(page, "- built with `{}`", output("rustc", &["--version"])?)?;
    writeln!(page, "- ended: {} (Unix seconds)", today()?)?;
    let counts = COUNTS.map(|(name, count)| format!("`{name}={}`", scaled(count, scale)));
    writeln!(page, "- counts: {} (`PROVE_SCALE={scale}`)", counts.join(" "))?;
    writeln!(page, "- took: {} s\n", took.as_secs())?;
    for line in lines {
        writeln!(page, "- `{line}`")?;
    }
    Ok(page)
}

#[expect(clippy::disallowed_methods, reason = "the date of a report")]
fn today() -> anyhow::Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?.as_secs())
}

fn output(program: &str, words: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program).args(words).output().with_context(|| format!("start {program}"))?;
    ensure!(output.status.success(), "{program} {} failed", words.join(" "));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
