//! Time: spans, the monotonic clock and the wall clock, three types that do not mix.

use core::fmt;

/// A span of time in nanoseconds, up to 584 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Nanos(pub u64);

impl Nanos {
    /// A span of whole milliseconds (saturates).
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// A span of whole seconds (saturates).
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// Whole milliseconds, rounded down.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }
}

/// A reading of the monotonic clock, nanoseconds since an origin that means nothing elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Instant(pub u64);

impl Instant {
    /// The span since `earlier`, zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Nanos {
        Nanos(self.0.saturating_sub(earlier.0))
    }

    /// This instant moved later by `span` (saturates).
    #[must_use]
    pub const fn after(self, span: Nanos) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

/// A wall-clock time: nanoseconds since 1970-01-01T00:00:00Z, up to the year 2554.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The time of `millis` milliseconds since 1970 (saturates).
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Milliseconds since 1970, rounded down.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// This time moved later by `span` (saturates).
    #[must_use]
    pub const fn after(self, span: Nanos) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// The span since `earlier`, zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Nanos {
        Nanos(self.0.saturating_sub(earlier.0))
    }

    /// RFC 3339 in UTC with milliseconds, as `2025-10-16T16:11:02.000Z`. Years to 9999.
    #[must_use]
    pub fn rfc3339(self) -> alloc::string::String {
        let millis = self.as_millis();
        let (days, in_day) = (millis / 86_400_000, millis % 86_400_000);
        let (year, month, day) = civil(days);
        let (secs, ms) = (in_day / 1000, in_day % 1000);
        let (h, m, s) = (secs / 3600, secs / 60 % 60, secs % 60);
        alloc::format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{ms:03}Z")
    }

    /// Parses RFC 3339 in UTC: `2025-10-16T16:11:02Z`, with at most three digits of a second's
    /// fraction. `None` for anything else: another offset, lower case, a leap second, a day that
    /// the calendar does not have, a year outside 1970 to 2553.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let number = |from: usize, to: usize| -> Option<u64> {
            let digits = text.get(from..to)?;
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            if plain { digits.parse().ok() } else { None }
        };
        let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
        if marks.iter().any(|(at, mark)| bytes.get(*at) != Some(mark)) {
            return None;
        }
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        let millis = match (text.len(), bytes.get(19)?) {
            (20, b'Z') => 0,
            (22, b'.') => number(20, 21)? * 100,
            (23, b'.') => number(20, 22)? * 10,
            (24, b'.') => number(20, 23)?,
            _ => return None,
        };
        if !text.ends_with('Z') || !(1970..=2553).contains(&year) || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let days = days_from_civil(year, month, day);
        if civil(days) != (year, month, day) {
            return None;
        }
        let secs = days * 86_400 + hour * 3600 + minute * 60 + second;
        Some(Self::from_millis(secs * 1000 + millis))
    }
}

/// The day count since 1970-01-01 of a date from 1970 on, the inverse of `civil` (same source);
/// a date that the calendar does not have gives the count of another one.
const fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year / 400;
    let year_of_era = shifted_year % 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).saturating_sub(719_469)
}

/// Year, month and day of a day count since 1970-01-01, in the proleptic Gregorian calendar
/// (H. Hinnant, "chrono-compatible low-level date algorithms").
const fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_print_as_rfc3339() {
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_760_631_062_000, "2025-10-16T16:11:02.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(Timestamp::from_millis(millis).rfc3339(), expected);
        }
    }

    #[test]
    fn times_read_back() {
        let mut day = 0;
        while day < 584 * 365 {
            let at = Timestamp::from_millis(day * 86_400_000 + 45_296_789);
            assert_eq!(Timestamp::parse(&at.rfc3339()), Some(at));
            day += 1;
        }
        let second = Timestamp::from_millis(1_760_631_062_000);
        assert_eq!(Timestamp::parse("2025-10-16T16:11:02Z"), Some(second));
        assert_eq!(Timestamp::parse("2025-10-16T16:11:02.0Z"), Some(second));
        assert_eq!(Timestamp::parse("2025-10-16T16:11:02.05Z"), Some(second.after(Nanos::from_millis(50))));
        assert_eq!(Timestamp::parse("1970-01-01T00:00:00Z"), Some(Timestamp(0)));
    }

    #[test]
    fn what_is_not_such_a_time_is_refused() {
        for bad in [
            "",
            "2025-10-16",
            "2025-10-16T16:11:02",
            "2025-10-16T16:11:02z",
            "2025-10-16t16:11:02Z",
            "2025-10-16 16:11:02Z",
            "2025-10-16T16:11:02+00:00",
            "2025-10-16T16:11:02.Z",
            "2025-10-16T16:11:02.0000Z",
            "2025-10-16T16:11:60Z",
            "2025-10-16T24:00:00Z",
            "2025-02-29T00:00:00Z",
            "2025-00-10T00:00:00Z",
            "2025-13-10T00:00:00Z",
            "2025-10-00T00:00:00Z",
            "1970-01-00T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "9999-12-31T23:59:59Z",
            "+025-10-16T16:11:02Z",
            "2025-1é-16T16:11:02Z",
        ] {
            assert_eq!(Timestamp::parse(bad), None, "{bad:?}");
        }
    }
}
