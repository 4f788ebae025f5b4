//! `Upkeep`: what is done beside the ledger's work, and how it stands.

use model::Timestamp;

/// What is done beside the ledger's work, and how it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Upkeep {
    /// Entries in the newest checkpoint that was proven, zero if there is none.
    pub checkpoint_entries: u64,
    /// Seconds since it was written, zero if there is none.
    pub checkpoint_age_secs: u64,
    /// Checkpoints of this run that could not be made, or that failed their proof.
    pub checkpoint_failures: u64,
    /// Bytes that the scrub has read since the start.
    pub scrub_bytes: u64,
    /// The segment at which it stands.
    pub scrub_segment: u32,
    /// Whether a pass is under way.
    pub scrub_runs: bool,
    /// When the last pass ended, zero if none did.
    pub scrub_passed: Timestamp,
    /// Places in which stored bytes are known to be damaged.
    pub findings: u64,
    /// Bytes that are free on the ledger's file system, as it said last.
    pub free_bytes: u64,
}
