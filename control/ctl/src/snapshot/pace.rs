//! `Pace`: how fast a snapshot may read, so that a node beside it keeps its disk.

use std::{thread, time::Duration};

use model::{Instant, Nanos};

/// Bytes a second at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    bytes_per_sec: Option<u64>,
    begun: Instant,
    bytes: u64,
}

impl Pace {
    pub(super) fn begin(mib_per_s: Option<u32>) -> Self {
        let bytes_per_sec = mib_per_s.map(|mib| u64::from(mib.max(1)) << 20);
        Self { bytes_per_sec, begun: engine::monotonic(), bytes: 0 }
    }

    /// Waits until `bytes` more are due.
    pub(super) fn take(&mut self, bytes: u64) {
        self.bytes += bytes;
        loop {
            let ahead = self.ahead(engine::monotonic());
            if ahead == Nanos(0) {
                return;
            }
            // A wake-up before the time is no harm: the time is asked again.
            thread::park_timeout(Duration::from_nanos(ahead.0));
        }
    }

    /// How long it is until all bytes taken are due.
    fn ahead(&self, now: Instant) -> Nanos {
        let Some(rate) = self.bytes_per_sec else { return Nanos(0) };
        let due = u128::from(self.bytes) * 1_000_000_000 / u128::from(rate);
        let passed = u128::from(now.since(self.begun).0);
        Nanos(u64::try_from(due.saturating_sub(passed)).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_due_at_the_rate_and_at_once_without_one() {
        let begun = Instant(5_000_000_000);
        let of = |bytes_per_sec, bytes, now| Pace { bytes_per_sec, begun, bytes }.ahead(Instant(now)).0;
        assert_eq!(of(None, u64::MAX, 0), 0);
        assert_eq!(of(Some(1 << 20), 2 << 20, 5_000_000_000), 2_000_000_000);
        assert_eq!(of(Some(1 << 20), 2 << 20, 6_500_000_000), 500_000_000);
        assert_eq!(of(Some(1 << 20), 2 << 20, 9_000_000_000), 0);
    }
}
