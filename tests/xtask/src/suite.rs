//! The stages of `cargo xtask test`, in order.
//!
//! Holds: the same stages on every machine; a stage that needs a tool which is not here is named.
//! The licence, ban and source rules of `deny.toml` are checked by `tests::tidy` in every run;
//! `cargo deny`, where it is installed, checks them again and adds the advisories.

use std::time::{Duration, Instant};

use crate::{cargo, machine, report::Report, stage};

/// From a cold clone on two cores.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// Runs everything; `true` if all of it held in time.
pub(crate) fn run() -> anyhow::Result<bool> {
    let started = stage::now();
    let deadline = started + LIMIT;
    let mut report = Report::default();
    machine::set_up(&mut report);
    let test: &[&str] = if machine::has_cargo("nextest") {
        &["nextest", "run", "--workspace", "--locked"]
    } else {
        &["test", "--workspace", "--lib", "--bins", "--tests", "--locked", "--no-fail-fast"]
    };
    let stages: [(&str, &[&str]); 6] = [
        ("format", &["fmt", "--all", "--", "--check"]),
        ("clippy", &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]),
        ("build", &["build", "--workspace", "--bins", "--locked"]),
        ("tests", test),
        ("doc tests", &["test", "--workspace", "--doc", "--locked"]),
        ("rustdoc", &["doc", "--workspace", "--no-deps", "--locked"]),
    ];
    for (name, words) in stages {
        let mut command = cargo(words);
        if name == "rustdoc" {
            command.env("RUSTDOCFLAGS", "-D warnings");
        }
        report.push(stage::run(name, command, deadline)?);
    }
    deny(&mut report, deadline)?;
    Ok(report.close(stage::now().duration_since(started), LIMIT))
}

fn deny(report: &mut Report, deadline: Instant) -> anyhow::Result<()> {
    if !machine::has_cargo("deny") {
        println!("\ncargo deny is not installed: tests::tidy has checked licences, bans and sources");
        report.not_run("advisories: cargo deny is not installed");
        return Ok(());
    }
    let rules = cargo(&["deny", "check", "licenses", "bans", "sources"]);
    report.push(stage::run("deny", rules, deadline)?);
    if stage::run("advisory database", cargo(&["deny", "fetch", "db"]), deadline)?.ok {
        let advisories = cargo(&["deny", "check", "advisories"]);
        report.push(stage::run("advisories", advisories, deadline)?);
    } else {
        report.not_run("advisories: their database could not be fetched");
    }
    Ok(())
}
