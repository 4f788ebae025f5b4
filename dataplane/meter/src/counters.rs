//! `Counters`: the three numbers, and the row that many threads add to.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What was counted under one label set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// Requests.
    pub reqs: u64,
    /// Inbound bytes.
    pub bytes_in: u64,
    /// Outbound bytes.
    pub bytes_out: u64,
}

impl Counters {
    /// What was counted between an earlier reading and this one. Wraps as the counters do, so it
    /// stays exact when one passes 2^64.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            reqs: self.reqs.wrapping_sub(earlier.reqs),
            bytes_in: self.bytes_in.wrapping_sub(earlier.bytes_in),
            bytes_out: self.bytes_out.wrapping_sub(earlier.bytes_out),
        }
    }

    /// Whether nothing was counted.
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.reqs == 0 && self.bytes_in == 0 && self.bytes_out == 0
    }
}

/// One row. Only ever added to; each counter is exact by itself, and a reading may fall between
/// two additions of one record.
#[derive(Debug, Default)]
pub(crate) struct Row {
    reqs: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

impl Row {
    pub(crate) fn add(&self, counted: Counters) {
        for (counter, more) in [
            (&self.reqs, counted.reqs),
            (&self.bytes_in, counted.bytes_in),
            (&self.bytes_out, counted.bytes_out),
        ] {
            if more > 0 {
                counter.fetch_add(more, Relaxed);
            }
        }
    }

    pub(crate) fn read(&self) -> Counters {
        Counters {
            reqs: self.reqs.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
        }
    }
}
