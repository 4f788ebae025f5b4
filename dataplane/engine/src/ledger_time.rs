//! `LedgerTime`: the time that entries carry. Pure.
//!
//! Holds: it never goes backwards; it advances by the monotonic clock and is pulled towards the
//! wall clock by at most one part in `SLEW` of what has passed.

use model::{Instant, Nanos, Timestamp};

/// Ledger time may run faster or slower than the monotonic clock by one part in this.
const SLEW: u64 = 20;

/// The time that entries carry.
#[derive(Clone, Copy, Debug)]
pub struct LedgerTime {
    at: Timestamp,
    read: Instant,
}

/// Ledger time may not begin: the wall clock is further ahead of the last entry than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the wall clock ({wall}) is more than {allowed_secs} s ahead of the last entry ({last}): set the clock, \
     or raise ledger.max_forward_jump_secs"
)]
pub struct TimeJump {
    /// Ledger time of the last entry.
    pub last: Timestamp,
    /// The wall clock at start.
    pub wall: Timestamp,
    /// The largest jump allowed, in seconds.
    pub allowed_secs: u64,
}

impl LedgerTime {
    /// Begins at the wall clock, or at the last entry's time where the wall clock is behind it.
    ///
    /// # Errors
    /// `TimeJump` if the wall clock is more than `max_forward_jump` ahead of the last entry.
    pub fn begin(
        last: Option<Timestamp>,
        wall: Timestamp,
        now: Instant,
        max_forward_jump: Nanos,
    ) -> Result<Self, TimeJump> {
        let at = match last {
            Some(last) if wall.since(last) > max_forward_jump => {
                return Err(TimeJump { last, wall, allowed_secs: max_forward_jump.0 / 1_000_000_000 });
            }
            Some(last) => last.max(wall),
            None => wall,
        };
        Ok(Self { at, read: now })
    }

    /// How far ledger time is ahead of the wall clock, in milliseconds; negative if it is behind.
    #[must_use]
    pub fn ahead_millis(&self, now: Instant, wall: Timestamp) -> i64 {
        let plain = self.at.after(now.since(self.read));
        let millis = |span: Nanos| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        millis(plain.since(wall)) - millis(wall.since(plain))
    }

    /// Ledger time now.
    pub fn advance(&mut self, now: Instant, wall: Timestamp) -> Timestamp {
        let passed = now.since(self.read);
        let plain = self.at.after(passed);
        let room = Nanos(passed.0 / SLEW);
        let slewed = if wall > plain {
            plain.after(Nanos(wall.since(plain).0.min(room.0)))
        } else {
            Timestamp(plain.0 - plain.since(wall).0.min(room.0))
        };
        assert!(slewed >= self.at, "ledger time never goes backwards");
        self.read = self.read.max(now);
        self.at = slewed;
        slewed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn begin(last: Option<u64>, wall: u64) -> Result<LedgerTime, TimeJump> {
        LedgerTime::begin(last.map(Timestamp), Timestamp(wall), Instant(0), Nanos::from_secs(3600))
    }

    #[test]
    fn it_begins_at_the_later_of_wall_and_last_entry() {
        assert_eq!(begin(None, 5).unwrap().at, Timestamp(5));
        assert_eq!(begin(Some(9), 5).unwrap().at, Timestamp(9));
        assert_eq!(begin(Some(3), 5).unwrap().at, Timestamp(5));
        assert!(begin(Some(0), 3601 * SECOND).is_err());
    }

    #[test]
    fn it_tells_how_far_it_is_from_the_wall_clock() {
        let time = begin(Some(100 * SECOND), 40 * SECOND).unwrap();
        assert_eq!(time.ahead_millis(Instant(0), Timestamp(40 * SECOND)), 60_000);
        assert_eq!(time.ahead_millis(Instant(SECOND), Timestamp(41 * SECOND)), 60_000);
        assert_eq!(time.ahead_millis(Instant(0), Timestamp(130 * SECOND)), -30_000);
    }

    #[test]
    fn it_is_slewed_and_never_goes_back() {
        let mut time = begin(None, 100 * SECOND).unwrap();
        let far_ahead = time.advance(Instant(20 * SECOND), Timestamp(1000 * SECOND));
        assert_eq!(far_ahead, Timestamp(121 * SECOND), "20 s passed and one part in 20 of it was gained");
        let far_behind = time.advance(Instant(40 * SECOND), Timestamp(0));
        assert_eq!(far_behind, Timestamp(140 * SECOND));
        assert_eq!(
            time.advance(Instant(30 * SECOND), Timestamp(0)),
            far_behind,
            "a stale reading changes nothing"
        );
        let exact = time.advance(Instant(41 * SECOND), Timestamp(141 * SECOND + 1));
        assert_eq!(exact, Timestamp(141 * SECOND + 1));
    }
}
