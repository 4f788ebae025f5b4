//! The one place of the data plane that reads a clock.
//!
//! Machines take `now` as an argument; loops read it here.

use std::{sync::OnceLock, time};

use model::{Instant, Timestamp};

/// The monotonic clock, nanoseconds since the first reading in this process.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the clock that the loops read")]
pub fn monotonic() -> Instant {
    static ORIGIN: OnceLock<time::Instant> = OnceLock::new();
    let elapsed = ORIGIN.get_or_init(time::Instant::now).elapsed();
    Instant(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
}

/// The wall clock; 1970 if the host's clock stands before that.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the clock that the loops read")]
pub fn wall() -> Timestamp {
    let since = time::SystemTime::now().duration_since(time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_does_not_go_back() {
        let first = monotonic();
        assert!(monotonic() >= first);
        assert!(wall() > Timestamp::from_millis(1_600_000_000_000));
    }
}
