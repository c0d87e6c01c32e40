//! Moments, as they travel: milliseconds since 1970 on the wire, RFC 3339 in UTC as text.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

/// A moment, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This moment, by the system's clock.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// The beginning of a day in UTC, written as `2026-11-30`; nothing for any other text, or a day before 1970.
    #[must_use]
    pub fn of_day(day: &str) -> Option<Self> {
        let moment = humantime::parse_rfc3339(&format!("{day}T00:00:00Z")).ok()?;
        let since = moment.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        i64::try_from(since.as_millis()).ok().map(Self)
    }

    /// The moment `duration` later, or the last one that can be told.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// The moment `duration` earlier.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// The latest moment that RFC 3339 can tell: the end of the year 9999.
const LAST_MS: u64 = 253_402_300_799_999;

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = Duration::from_millis(u64::try_from(self.0).unwrap_or(0).min(LAST_MS));
        let text = humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + since).to_string();
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_in_utc() {
        let midnight = Timestamp::of_day("2026-11-30").unwrap();
        assert_eq!(midnight.to_string(), "2026-11-30T00:00:00.000Z");
        for text in ["", "today", "2026-13-01", "30.11.2026", "2026-11-30T00:00:00Z", "1969-12-31"] {
            assert_eq!(Timestamp::of_day(text), None, "{text}");
        }
    }

    #[test]
    fn text_is_rfc_3339_in_utc_even_at_the_ends() {
        assert_eq!(Timestamp(1_700_000_000_123).to_string(), "2023-11-14T22:13:20.123Z");
        assert_eq!(Timestamp(i64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(Timestamp(i64::MIN).to_string(), "1970-01-01T00:00:00.000Z");
    }
}
