//! `Snapshot`: usage by label set, to be shipped.

use crate::{Counters, Labels};

/// Usage by label set, in the order of the labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The version of this form; a reader refuses one that it does not know.
    pub version: u64,
    /// Length of the host's window in milliseconds.
    pub window_ms: u64,
    entries: Vec<(Labels, Counters)>,
}

impl Snapshot {
    /// The version that this build makes.
    pub const VERSION: u64 = 1;

    pub(crate) fn new(window_ms: u64, mut entries: Vec<(Labels, Counters)>) -> Self {
        entries.sort_unstable_by(|left, right| left.0.cmp(&right.0));
        Self { version: Self::VERSION, window_ms, entries }
    }

    /// Each label set that was counted, and what.
    #[must_use]
    pub fn entries(&self) -> &[(Labels, Counters)] {
        &self.entries
    }
}
