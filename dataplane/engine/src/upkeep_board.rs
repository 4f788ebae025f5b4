//! `UpkeepBoard`: how the work beside the work stands, read from any thread.
//!
//! Holds: its writers are off the committer's path. Leaves to others: what is done about it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use model::Timestamp;
use wire::Upkeep;

/// How the work beside the work stands.
#[derive(Debug, Default)]
pub(crate) struct UpkeepBoard {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Entries of the newest proven checkpoint, and when it was written.
    checkpoint: Option<(u64, Timestamp)>,
    checkpoint_failures: u64,
    scrub_bytes: u64,
    scrub_segment: u32,
    scrub_runs: bool,
    scrub_passed: Timestamp,
    free_bytes: u64,
}

impl UpkeepBoard {
    /// How it stands at this time of the wall clock.
    pub(crate) fn upkeep(&self, now: Timestamp) -> Upkeep {
        let state = self.lock();
        let (entries, at) = state.checkpoint.unwrap_or((0, now));
        Upkeep {
            checkpoint_entries: entries,
            checkpoint_age_secs: now.since(at).as_millis() / 1_000,
            checkpoint_failures: state.checkpoint_failures,
            scrub_bytes: state.scrub_bytes,
            scrub_segment: state.scrub_segment,
            scrub_runs: state.scrub_runs,
            scrub_passed: state.scrub_passed,
            free_bytes: state.free_bytes,
            findings: 0,
        }
    }

    /// A checkpoint of so many entries is proven.
    pub(crate) fn checkpoint(&self, entries: u64, at: Timestamp) {
        self.lock().checkpoint = Some((entries, at));
    }

    /// A checkpoint could not be made, or failed its proof.
    pub(crate) fn checkpoint_failed(&self) {
        self.lock().checkpoint_failures += 1;
    }

    /// So many bytes more were scrubbed.
    pub(crate) fn scrubbed(&self, bytes: u64) {
        self.lock().scrub_bytes += bytes;
    }

    /// The scrub stands at this segment.
    pub(crate) fn scrub_at(&self, segment: u32) {
        self.lock().scrub_segment = segment;
    }

    /// Whether a pass is under way.
    pub(crate) fn scrub_runs(&self, runs: bool) {
        self.lock().scrub_runs = runs;
    }

    /// When the last pass ended.
    pub(crate) fn scrub_passed(&self, at: Timestamp) {
        self.lock().scrub_passed = at;
    }

    /// So many bytes are free on the ledger's file system.
    pub(crate) fn free_bytes(&self, bytes: u64) {
        self.lock().free_bytes = bytes;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
