//! The real binary, started as an operator starts it, and what an operator may do to it.
//!
//! Needs `macronode` beside the test binary, as `cargo xtask test` builds it. A test that this host
//! has no means for says `not run: NAME: REASON`, and the test command counts it by name.

mod demo;
mod frozen;
mod full;
mod kills;
mod mirror;
mod operators;
mod operators_ctl;
mod past;
mod payers;
mod places;
mod preparing;
mod process;
mod races;
mod ram;
mod raw;
mod refusals;
mod refused;
mod repairs;
mod safe_mode;
mod settings;
mod ship;
mod slow;
mod starts;
mod stops;
mod template;
mod tour;
mod unprivileged;
mod usage;

use std::io::Write;

/// Names a test that could not run here.
fn not_run(name: &str, reason: impl std::fmt::Display) {
    // Written to the stream itself: the harness captures what is printed by tests that pass.
    writeln!(std::io::stderr(), "not run: e2e::{name}: {reason}").expect("standard error is open");
}
