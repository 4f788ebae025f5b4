//! The real ring on real file systems: what the simulated disk only claims about the kernel.
//!
//! Holds: a test that this host has no means for says `not run: NAME: REASON`, past the harness's
//! capture, and the test command counts it by name.

mod allocation;
mod backing;
mod commit_allocation;
pub(crate) mod denied;
mod failing;
mod full;
pub(crate) mod image;
mod methods;
mod mirror;
mod poisoned;
mod rig;
mod role;
mod volumes;

use std::io::Write;

/// Whether this host gives this process a ring.
fn has_ring() -> bool {
    let doorbell = std::sync::Arc::new(disk::Doorbell::new().expect("a descriptor is left"));
    disk::Ring::open(&disk::RingOptions::default(), doorbell).is_ok()
}

/// Names a test that could not run here.
fn not_run(name: &str, reason: impl std::fmt::Display) {
    // Written to the stream itself: the harness captures what is printed by tests that pass.
    writeln!(std::io::stderr(), "not run: kernel::{name}: {reason}").expect("standard error is open");
}
