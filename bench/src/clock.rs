//! The benchmark's clock: monotonic nanoseconds since it was made.
//!
//! The one place in this crate that asks the operating system for the time of a measurement.

use std::time::Instant;

/// A monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock that shows zero now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "measuring time is this crate's purpose")]
    pub fn start() -> Self {
        Self { origin: Instant::now() }
    }

    /// Nanoseconds since the clock was started.
    #[must_use]
    pub fn nanos(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).expect("a run is shorter than 584 years")
    }
}
