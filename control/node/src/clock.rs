//! The clock that HTTP reads: the engine's.

use model::{Instant, Timestamp};

/// The host's clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostClock;

impl server::Clock for HostClock {
    fn now(&self) -> Timestamp {
        engine::wall()
    }

    fn instant(&self) -> Instant {
        engine::monotonic()
    }
}
