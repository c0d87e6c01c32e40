//! What time it is at the directory at least, from what it once said and from what has passed here since.
//!
//! What always holds: no clock that a person can set takes part. What passes is counted by a clock that begins at zero when the
//! machine starts; after a restart, nothing is known of the time between, so that only the directory's own word counts.

use std::time::Duration;

use dos_protocol::Timestamp;

/// One run of the machine, from its start on.
pub(crate) type BootId = [u8; 16];

/// A moment here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Of which run of the machine; nothing if that is not known.
    pub(crate) boot: Option<BootId>,
    /// Since the machine was started, the time that it slept included.
    pub(crate) since_boot: Duration,
}

/// That it was this time at the directory at least, at a moment here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heard {
    /// By the directory's clock.
    pub(crate) time: Timestamp,
    /// When that was known here.
    pub(crate) at: Moment,
}

/// What time it is at the directory at least.
pub(crate) fn at_least(heard: Heard, now: Moment) -> Timestamp {
    let same_boot = now.boot.is_some() && now.boot == heard.at.boot;
    let passed = if same_boot { now.since_boot.saturating_sub(heard.at.since_boot) } else { Duration::ZERO };
    heard.time.after(passed)
}

/// The directory says what time it is: that takes the place of what was known, also if its clock was set back.
pub(crate) fn told(time: Timestamp, now: Moment) -> Heard {
    Heard { time, at: now }
}

/// Something came about at the directory at this time, so it is not earlier there; nothing if that was known.
pub(crate) fn came_about(known: Option<Heard>, time: Timestamp, now: Moment) -> Option<Heard> {
    let is_news = known.is_none_or(|known| at_least(known, now) < time);
    is_news.then_some(Heard { time, at: now })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(boot: u8, ms: u64) -> Moment {
        Moment { boot: Some([boot; 16]), since_boot: Duration::from_millis(ms) }
    }

    fn heard(time: i64, boot: u8, ms: u64) -> Heard {
        Heard { time: Timestamp(time), at: moment(boot, ms) }
    }

    #[test]
    fn time_passes_within_one_run_of_the_machine_and_stands_still_between_two() {
        let nowhere = |ms| Moment { boot: None, ..moment(0, ms) };
        for (known, now, expected) in [
            (heard(1_000, 1, 50), moment(1, 50), 1_000),
            (heard(1_000, 1, 50), moment(1, 51), 1_001),
            (heard(1_000, 1, 50), moment(1, 49), 1_000),
            (heard(1_000, 1, 50), moment(2, 900), 1_000),
            (heard(1_000, 1, 50), nowhere(900), 1_000),
            (Heard { at: nowhere(50), ..heard(1_000, 1, 50) }, nowhere(900), 1_000),
            (Heard { at: nowhere(50), ..heard(1_000, 1, 50) }, moment(1, 900), 1_000),
        ] {
            assert_eq!(at_least(known, now), Timestamp(expected), "{known:?} {now:?}");
        }
    }

    #[test]
    fn the_directorys_word_counts_even_if_it_is_earlier_than_what_was_known() {
        assert_eq!(told(Timestamp(7), moment(1, 50)), heard(7, 1, 50));
    }

    #[test]
    fn what_came_about_only_moves_the_time_on() {
        let known = Some(heard(1_000, 1, 50));
        let came = |known, time| came_about(known, Timestamp(time), moment(1, 60));
        assert_eq!(came(None, 5), Some(heard(5, 1, 60)));
        assert_eq!(came(known, 1_009), None);
        assert_eq!(came(known, 1_010), None);
        assert_eq!(came(known, 1_011), Some(heard(1_011, 1, 60)));
    }
}
