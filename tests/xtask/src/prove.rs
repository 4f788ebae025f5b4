//! `cargo xtask prove`: the tests that take a count from the environment, with larger counts.
//!
//! Holds: `docs/proof.md` is written from a run that passed, and from nothing else. What a test
//! wants in it the test prints as a line `proof: ..`.

use std::{
    fmt::Write as _,
    fs,
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, ensure};

use crate::{cargo, report::Report, stage};

/// The longest that a proof may take.
const LIMIT: Duration = Duration::from_secs(12 * 60 * 60);

/// Counts that tests take from the environment, as they are in the test command.
const COUNTS: [(&str, u64); 2] = [("SIM_RUNS", 1_500), ("CRASH_RUNS", 5)];

/// Runs the long tests; `true` if all of them held.
pub(crate) fn run() -> anyhow::Result<bool> {
    let started = stage::now();
    let mut report = Report::default();
    let scale = scale()?;
    let deadline = started + LIMIT;
    report.push(stage::run("build", cargo(&["build", "--workspace", "--bins", "--locked"]), deadline)?);
    let mut tests = cargo(&["test", "--profile", "sim", "-p", "tests", "--locked", "--test", "all", "--"]);
    tests.args(["--nocapture", "sim::", "crash::", "e2e::"]);
    tests.envs(COUNTS.map(|(name, count)| (name, count.saturating_mul(scale).to_string())));
    report.push(stage::run("long tests", tests, deadline)?);
    let took = stage::now().duration_since(started);
    let lines: Vec<String> = report.evidence().map(str::to_owned).collect();
    let held = report.close(took, LIMIT);
    if held {
        fs::write("docs/proof.md", page(&lines, scale, took)?).context("write docs/proof.md")?;
        println!("written: docs/proof.md");
    }
    Ok(held)
}

fn scale() -> anyhow::Result<u64> {
    let text = std::env::var("PROVE_SCALE").unwrap_or_else(|_| "100".to_owned());
    text.parse().with_context(|| format!("PROVE_SCALE is a whole number, not {text:?}"))
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
    writeln!(page, "- counts: {scale} times those of `cargo xtask test`")?;
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
