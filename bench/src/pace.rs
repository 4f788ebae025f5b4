//! When requests are due, and how late their answers are.
//!
//! In an open loop a request is due at its time whether or not the system keeps up, and its latency
//! counts from then: a stall is charged to every request that it delayed, not only to the one that
//! was being served. In a closed loop each of a fixed number of clients sends when it has its answer.

use hdrhistogram::Histogram;

/// The longest latency that a histogram tells apart, in nanoseconds: one minute.
const LONGEST_NANOS: u64 = 60_000_000_000;

/// How load is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// So many requests a second, evenly spaced, come what may.
    Open {
        /// Requests in a second; at least 1.
        per_second: u64,
    },
    /// As many requests as there are clients, each sent when the one before is answered.
    Closed,
}

impl Pace {
    /// When request `index` (from 0) is due, in nanoseconds since the run began; `None` in a closed
    /// loop, where it is due when its client is free.
    ///
    /// # Panics
    /// If the rate is zero.
    #[must_use]
    pub fn due_nanos(self, index: u64) -> Option<u64> {
        match self {
            Pace::Closed => None,
            Pace::Open { per_second } => {
                assert!(per_second > 0, "a rate");
                let due = u128::from(index) * 1_000_000_000 / u128::from(per_second);
                Some(u64::try_from(due).expect("a run is shorter than 584 years"))
            }
        }
    }
}

/// Latencies in nanoseconds, to three digits.
#[derive(Debug, Clone)]
pub struct Latencies {
    histogram: Histogram<u64>,
}

impl Latencies {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST_NANOS, 3).expect("three digits are possible");
        Self { histogram }
    }

    /// One request: due or sent at `begin_nanos`, answered at `end_nanos`. Over a minute counts as a
    /// minute.
    pub fn record(&mut self, begin_nanos: u64, end_nanos: u64) {
        self.histogram.saturating_record(end_nanos.saturating_sub(begin_nanos).max(1));
    }

    /// Takes in another recorder's.
    pub fn add(&mut self, other: &Latencies) {
        self.histogram.add(&other.histogram).expect("both have the same bounds");
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The latency that the given part of all (0 to 1) does not exceed, in nanoseconds.
    #[must_use]
    pub fn quantile_nanos(&self, part: f64) -> u64 {
        self.histogram.value_at_quantile(part)
    }

    /// The same in microseconds.
    #[must_use]
    pub fn quantile_micros(&self, part: f64) -> f64 {
        // A histogram's values are at most a minute, far inside what a double holds exactly.
        std::time::Duration::from_nanos(self.quantile_nanos(part)).as_secs_f64() * 1e6
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_loop_does_not_drift() {
        let pace = Pace::Open { per_second: 3 };
        let due: Vec<_> = (0..4).map(|index| pace.due_nanos(index)).collect();
        assert_eq!(due, [Some(0), Some(333_333_333), Some(666_666_666), Some(1_000_000_000)]);
        assert_eq!(pace.due_nanos(3 * 86_400), Some(86_400_000_000_000));
        assert_eq!(Pace::Closed.due_nanos(1), None);
    }

    #[test]
    fn a_stall_is_charged_to_every_request_that_it_delayed() {
        let pace = Pace::Open { per_second: 1_000 };
        let mut latencies = Latencies::new();
        // The system answers nothing for the first 100 ms, then everything at once.
        for index in 0..100 {
            latencies.record(pace.due_nanos(index).unwrap(), 100_000_000);
        }
        assert_eq!(latencies.count(), 100);
        let median = latencies.quantile_nanos(0.5);
        assert!((50_000_000..52_000_000).contains(&median), "{median}");
        latencies.add(&latencies.clone());
        assert_eq!(latencies.count(), 200);
    }
}
