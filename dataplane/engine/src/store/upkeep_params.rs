//! `UpkeepParams`: what is done beside the work, and how much of it.

/// What is done beside the work of a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpkeepParams {
    /// Checkpoints that are kept, at least one: an older one goes when a newer one is proven.
    pub checkpoints_kept: usize,
    /// Bytes that the scrub reads in a second; zero: there is no scrub.
    pub scrub_bytes_per_s: u64,
    /// Free bytes under which no room is prepared for new entries.
    pub soft_bytes: u64,
    /// Free bytes under which nothing is taken from the disk.
    pub hard_bytes: u64,
}

/// Two checkpoints, and neither scrub nor marks: what a short life needs.
impl Default for UpkeepParams {
    fn default() -> Self {
        Self { checkpoints_kept: 2, scrub_bytes_per_s: 0, soft_bytes: 0, hard_bytes: 0 }
    }
}
