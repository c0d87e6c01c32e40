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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_what_they_look_like() {
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("7d"), Ok(Duration::from_secs(7 * 24 * 3600)));
        for bad in ["", "5", "-1s", "0s", "1000y", "soon"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
