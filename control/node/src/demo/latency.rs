//! `Latencies`: how long answers took, as their callers saw it.

use hdrhistogram::Histogram;
use model::Nanos;
use serde::Serialize;

/// The longest latency that is told apart: one minute.
const LONGEST_MICROS: u64 = 60_000_000;

/// Latencies in microseconds, to three digits.
#[derive(Clone, Debug)]
pub(crate) struct Latencies(Histogram<u64>);

/// What is shown of them, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Quantiles {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST_MICROS, 3);
        Self(histogram.expect("three digits of a minute are possible"))
    }

    /// One answer.
    pub(crate) fn record(&mut self, took: Nanos) {
        self.0.saturating_record((took.0 / 1_000).max(1));
    }

    /// Takes another's in.
    pub(crate) fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("both have the same bounds");
    }

    pub(crate) fn quantiles(&self) -> Quantiles {
        let at = |quantile| self.0.value_at_quantile(quantile);
        Quantiles { p50: at(0.5), p99: at(0.99), p999: at(0.999) }
    }
}
