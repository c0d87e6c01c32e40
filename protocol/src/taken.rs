//! When a picture was taken: what the clock of its camera showed, and how far that was from UTC where the camera has said so.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::name::TextVisitor;

/// A moment by the clock of a camera, to the second; as text `2024-05-06T07:08:09`, with `+02:00` behind it where the zone is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TakenAt {
    /// What the clock showed, in seconds since it would have shown 1970-01-01T00:00:00.
    clock: i64,
    /// Minutes that it was ahead of UTC.
    offset: Option<i16>,
}

/// The text is no such moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the moment is not written as 2024-05-06T07:08:09 or 2024-05-06T07:08:09+02:00")]
pub struct NoMoment;

/// Years that have four digits, also in UTC.
const YEARS: std::ops::RangeInclusive<i64> = 1000..=9998;
/// Zones are at most this far from UTC: RFC 3339 allows more, and none was ever farther.
const OFFSET_MINUTES_MAX: i64 = 15 * 60 + 59;
const DAY_SECONDS: i64 = 86_400;

impl TakenAt {
    /// The moment as RFC 3339 in UTC. Where the zone is not known it is the clock's own time with `-00:00`, which says just that
    /// (RFC 3339 section 4.3).
    #[must_use]
    pub fn rfc3339(self) -> String {
        match self.offset {
            Some(offset) => format!("{}Z", Clock(self.clock - 60 * i64::from(offset))),
            None => format!("{}-00:00", Clock(self.clock)),
        }
    }

    /// How far the clock was from UTC, as `+02:00`.
    #[must_use]
    pub fn zone(self) -> Option<String> {
        self.offset.map(|offset| Offset(offset).to_string())
    }

    /// What the clock showed, as `2024-05-06 07:08:09`.
    #[must_use]
    pub fn clock(self) -> String {
        Clock(self.clock).to_string().replace('T', " ")
    }
}

/// Seconds as a date and a time.
struct Clock(i64);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (day, second) = (self.0.div_euclid(DAY_SECONDS), self.0.rem_euclid(DAY_SECONDS));
        let (year, month, of_month) = date_of(day);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{of_month:02}T{hour:02}:{minute:02}:{second:02}")
    }
}

struct Offset(i16);

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, minutes) = (if self.0 < 0 { '-' } else { '+' }, self.0.unsigned_abs());
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// The days since 1970-01-01 of a date of the Gregorian calendar, whose years begin in March here so that a leap day comes last.
fn day_of(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 719,468 days lie between the first of March of the year 0 and 1970.
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// The year, month and day of the month.
fn date_of(day: i64) -> (i64, i64, i64) {
    // An estimate that is at most one year too early.
    let mut year = 1970 + day.div_euclid(366).min(day.div_euclid(365));
    while day_of(year + 1, 1, 1) <= day {
        year += 1;
    }
    let month = (1..=12).rev().find(|month| day_of(year, *month, 1) <= day).unwrap_or(1);
    (year, month, day - day_of(year, month, 1) + 1)
}

impl fmt::Display for TakenAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zone = self.zone().unwrap_or_default();
        f.pad(&format!("{}{zone}", Clock(self.clock)))
    }
}

impl FromStr for TakenAt {
    type Err = NoMoment;

    fn from_str(text: &str) -> Result<Self, NoMoment> {
        let number = |from: usize, to: usize| {
            let digits = text.get(from..to).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
            digits.and_then(|digits| digits.parse::<i64>().ok()).ok_or(NoMoment)
        };
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        let is_day = YEARS.contains(&year) && (1..=12).contains(&month) && day >= 1;
        if !is_day || hour > 23 || minute > 59 || second > 59 {
            return Err(NoMoment);
        }
        let offset = match text.len() {
            19 => None,
            _ => {
                let minutes = number(20, 22)? * 60 + number(23, 25)?;
                let minutes = if text.get(19..20) == Some("-") { -minutes } else { minutes };
                let minutes = Some(minutes).filter(|minutes| minutes.abs() <= OFFSET_MINUTES_MAX);
                Some(minutes.and_then(|minutes| i16::try_from(minutes).ok()).ok_or(NoMoment)?)
            }
        };
        let clock = day_of(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60 + second;
        let taken = Self { clock, offset };
        // One moment has one text: there is such a day, and everything between the numbers is as it should be.
        if taken.to_string() == text { Ok(taken) } else { Err(NoMoment) }
    }
}

impl Serialize for TakenAt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TakenAt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor::new("the moment at which a picture was taken"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_with_a_zone_is_told_in_utc_and_one_without_says_so() {
        let told = |text: &str| text.parse::<TakenAt>().map(|taken| (taken.rfc3339(), taken.zone()));
        for (text, rfc3339, zone) in [
            ("2024-05-06T07:08:09+02:00", "2024-05-06T05:08:09Z", Some("+02:00")),
            ("2024-01-01T00:30:00+05:45", "2023-12-31T18:45:00Z", Some("+05:45")),
            ("2024-02-29T23:00:00-03:30", "2024-03-01T02:30:00Z", Some("-03:30")),
            ("2024-05-06T07:08:09+00:00", "2024-05-06T07:08:09Z", Some("+00:00")),
            ("2024-05-06T07:08:09", "2024-05-06T07:08:09-00:00", None),
            ("1000-01-01T00:00:00+15:59", "0999-12-31T08:01:00Z", Some("+15:59")),
            ("9998-12-31T23:59:59-15:59", "9999-01-01T15:58:59Z", Some("-15:59")),
            ("1903-12-17T10:35:00", "1903-12-17T10:35:00-00:00", None),
        ] {
            assert_eq!(told(text), Ok((rfc3339.into(), zone.map(Into::into))), "{text}");
            assert_eq!(text.parse::<TakenAt>().unwrap().to_string(), text);
        }
        assert_eq!("2024-05-06T07:08:09+02:00".parse::<TakenAt>().unwrap().clock(), "2024-05-06 07:08:09");
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "2024-05-06",
            "2024-05-06 07:08:09",
            "2024-05-06T07:08:09Z",
            "2023-02-29T00:00:00",
            "2024-04-31T00:00:00",
            "1900-02-29T00:00:00",
            "0000-00-00T00:00:00",
            "2024-13-01T00:00:00",
            "2024-05-06T24:00:00",
            "2024-05-06T07:08:60",
            "2024-05-06T07:08:09-00:00",
            "2024-05-06T07:08:09+16:00",
            "2024-05-06T07:08:09+02:60",
            "2024-05-06T07:08:09+2:00",
            "2024-05-06T07:08:09.5",
            "2024-05-06T07:08:09+02:00 ",
            "+024-05-06T07:08:09",
            "2024-05-0é",
            "9999-01-01T00:00:00",
        ] {
            assert_eq!(text.parse::<TakenAt>(), Err(NoMoment), "{text}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_has_one_number() {
        let mut day = day_of(1800, 1, 1);
        for year in 1800..2200 {
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            for (month, days) in
                (1..).zip([31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
            {
                for of_month in 1..=days {
                    assert_eq!((day_of(year, month, of_month), date_of(day)), (day, (year, month, of_month)));
                    day += 1;
                }
            }
        }
        assert_eq!(day_of(1970, 1, 1), 0);
    }
}
