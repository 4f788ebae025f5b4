//! `Tally` and `Totals`: the three numbers that are metered, small and summed.

/// What one record counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tally {
    /// Requests.
    pub requests: u64,
    /// Inbound bytes.
    pub bytes_in: u64,
    /// Outbound bytes.
    pub bytes_out: u64,
}

/// A sum of tallies. 128 bits hold 2^64 tallies of any size, so it never overflows in practice
/// and says so by an assertion if it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Totals {
    /// Requests.
    pub requests: u128,
    /// Inbound bytes.
    pub bytes_in: u128,
    /// Outbound bytes.
    pub bytes_out: u128,
}

impl Totals {
    /// Nothing.
    pub const ZERO: Self = Self { requests: 0, bytes_in: 0, bytes_out: 0 };

    /// Adds one tally; `None` when a sum would pass 128 bits.
    #[must_use]
    pub fn plus(self, tally: Tally) -> Option<Self> {
        self.join(tally.into())
    }

    /// Adds another sum; `None` when a sum would pass 128 bits.
    #[must_use]
    pub fn join(self, other: Self) -> Option<Self> {
        Some(Self {
            requests: self.requests.checked_add(other.requests)?,
            bytes_in: self.bytes_in.checked_add(other.bytes_in)?,
            bytes_out: self.bytes_out.checked_add(other.bytes_out)?,
        })
    }

    /// Whether nothing was counted.
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.requests == 0 && self.bytes_in == 0 && self.bytes_out == 0
    }
}

impl From<Tally> for Totals {
    fn from(tally: Tally) -> Self {
        Self {
            requests: tally.requests.into(),
            bytes_in: tally.bytes_in.into(),
            bytes_out: tally.bytes_out.into(),
        }
    }
}
