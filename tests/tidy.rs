//! The house rules, checked against the tree, the manifests and the history.
//!
//! Holds: every rule is a pure function from what was read to what is wrong, and beside each rule
//! on the real tree stands a canary that feeds it a violation. Leaves to others: what the compiler
//! and clippy check better (`clippy.toml` and the lint table of the root manifest).

mod default_run;
mod edges;
mod layout;
mod links;
mod manifests;
mod metrics;
mod msrv;
mod packages;
mod requirements;
mod source;
mod tree;
mod words;

use std::{path::PathBuf, process::Command};

/// The repository's root.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the root").to_path_buf()
}

/// What a program printed; it is started in the root and must end well.
fn output(program: &str, words: &[&str]) -> String {
    let started = Command::new(program).args(words).current_dir(root()).output();
    let output = started.unwrap_or_else(|error| panic!("{program} does not start: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {}: {said}", words.join(" "));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The cargo that runs the tests.
fn cargo(words: &[&str]) -> String {
    output(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()), words)
}

/// Fails with every finding, one a line.
fn assert_none(findings: &[String]) {
    assert!(findings.is_empty(), "{} findings:\n  {}", findings.len(), findings.join("\n  "));
}

/// A canary: the rule must have found something that names `what`.
fn assert_found(findings: &[String], what: &str) {
    assert!(findings.iter().any(|finding| finding.contains(what)), "{what:?} not among {findings:?}");
}
