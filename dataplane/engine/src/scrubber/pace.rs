//! `Pace`: when the next piece may be read.

use model::{Instant, Nanos};

const SECOND: u64 = 1_000_000_000;

/// Spreads reads over time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    bytes_per_s: u64,
    next: Instant,
}

impl Pace {
    /// At most `bytes_per_s`, from now on.
    pub(super) fn new(bytes_per_s: u64, now: Instant) -> Self {
        assert!(bytes_per_s > 0, "a scrub that is off does not begin");
        Self { bytes_per_s, next: now }
    }

    /// How long a read of `bytes` has to wait. What was not used is not made up for later.
    pub(super) fn take(&mut self, now: Instant, bytes: u64) -> Nanos {
        let begins = self.next.max(now);
        let nanos = u128::from(bytes) * u128::from(SECOND) / u128::from(self.bytes_per_s);
        self.next = begins.after(Nanos(u64::try_from(nanos).unwrap_or(u64::MAX)));
        begins.since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_has_more_than_the_rate() {
        let mut pace = Pace::new(1 << 20, Instant(5));
        assert_eq!(pace.take(Instant(5), 1 << 18), Nanos(0));
        assert_eq!(pace.take(Instant(5), 1 << 18), Nanos(SECOND / 4));
        assert_eq!(pace.take(Instant(5 + SECOND / 4), 1 << 19), Nanos(SECOND / 4));
        // An hour of silence is not made up for.
        let later = Instant(3_600 * SECOND);
        assert_eq!(pace.take(later, 1 << 20), Nanos(0));
        assert_eq!(pace.take(later, 1), Nanos(SECOND));
    }
}
