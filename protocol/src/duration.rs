//! `DUR` arguments: `90s`, `10m`, `2h`, `7d`.

use std::time::Duration;

/// Reads `90s`, `10m`, `2h`, `7d` and their likes (`1h30m`).
///
/// # Errors
/// With a text that names the forms, if it is anything else, zero, or more than 100 years.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const HUNDRED_YEARS: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    match humantime::parse_duration(text) {
        Ok(duration) if duration.is_zero() => Err("a duration must be more than zero".into()),
        Ok(duration) if duration > HUNDRED_YEARS => Err("a duration must be at most 100 years".into()),
        Ok(duration) => Ok(duration),
        Err(_) => Err("a duration looks like 90s, 10m, 2h or 7d".into()),
    }
}

/// A duration as [`parse_duration`] reads it, to the second.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let (mut rest, mut text) = (duration.as_secs(), String::new());
    for (unit, seconds) in [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
        if rest >= seconds {
            text += &format!("{}{unit}", rest / seconds);
            rest %= seconds;
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_told_as_they_are_read() {
        for text in ["90d", "1d1h", "2h", "1m30s", "5s"] {
            assert_eq!(parse_duration(text).map(format_duration), Ok(text.into()));
        }
        assert_eq!(format_duration(Duration::from_millis(10)), "0s");
    }

    #[test]
    fn durations_are_what_they_look_like() {
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("7d"), Ok(Duration::from_secs(7 * 24 * 3600)));
        for bad in ["", "5", "-1s", "0s", "1000y", "soon"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
