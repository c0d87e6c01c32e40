//! When a fetch that failed is tried again, and when it is given up.

use std::{ops::RangeInclusive, time::Duration};

use dos_protocol::{Code, Reason, WireError};

/// Attempts in a row that bring nothing new.
pub(crate) const FRUITLESS_MAX: u32 = 3;

/// The pause before a broken transfer is taken up again.
pub(crate) const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// How often a busy owner is asked.
pub(crate) const BUSY_MAX: u32 = 20;

/// A busy owner is asked again after this time at the earliest and at the latest, whatever it demands.
pub(crate) const BUSY_WAIT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60);

/// What came of an attempt that did not bring the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The transfer broke, after it had brought something or not.
    Broken {
        /// Whether it had.
        progress: bool,
    },
    /// The owner is busy, and demands this pause.
    Busy(Duration),
}

/// The attempts of one fetch so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Attempts {
    fruitless: u32,
    busy: u32,
}

impl Attempts {
    /// Counts a failure. Returns the pause before the next attempt, or `None` if there is none. `random` spreads the pauses of
    /// those whom a busy owner refused together.
    pub(crate) fn failed(&mut self, failure: Failure, random: u32) -> Option<Duration> {
        match failure {
            Failure::Broken { progress } => {
                self.busy = 0;
                self.fruitless = if progress { 0 } else { self.fruitless.saturating_add(1) };
                (self.fruitless < FRUITLESS_MAX).then_some(AGAIN_AFTER)
            }
            Failure::Busy(demanded) => {
                self.busy = self.busy.saturating_add(1);
                let wait = demanded.clamp(*BUSY_WAIT.start(), *BUSY_WAIT.end());
                let spread = wait.mul_f64(f64::from(random) / f64::from(u32::MAX) / 4.0);
                (self.busy < BUSY_MAX).then_some(wait + spread)
            }
        }
    }
}

/// What an owner's refusal means for a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The owner is busy, and demands this pause.
    Busy(Duration),
    /// Trying again may help.
    Again,
    /// The owner cannot serve the image at all.
    Unable,
    /// The owner, or the directory, does not allow it.
    Final,
}

/// What a refusal with this code, reason and demanded pause means.
pub(crate) fn refusal(code: Code, reason: Option<Reason>, retry_after_ms: Option<u64>) -> Refusal {
    if let (Some(Reason::Limit), Some(wait)) = (reason, retry_after_ms) {
        return Refusal::Busy(Duration::from_millis(wait));
    }
    match code {
        Code::Offline | Code::Timeout => Refusal::Again,
        Code::Internal | Code::NotFound | Code::Invalid | Code::Unsupported => Refusal::Unable,
        _ => Refusal::Final,
    }
}

/// An owner whose copies are fetched ahead and that cannot be reached is tried again after this time, and after twice the time
/// at every further failure, ...
pub(crate) const OWNER_PAUSE_MIN: Duration = Duration::from_secs(2);

/// ... up to this.
pub(crate) const OWNER_PAUSE_MAX: Duration = Duration::from_secs(300);

/// How long an owner is left alone that has failed this number of times before.
pub(crate) fn owner_pause(failures: u32) -> Duration {
    let factor = 1u32.checked_shl(failures).unwrap_or(u32::MAX);
    OWNER_PAUSE_MIN.saturating_mul(factor).min(OWNER_PAUSE_MAX)
}

/// Whether what the directory did not do may be done later: it was out of reach, had a fault, or had enough just then.
pub(crate) fn may_come_later(error: &WireError) -> bool {
    matches!(error.code, Code::Offline | Code::Timeout | Code::Internal)
        || error.reason == Some(Reason::Limit)
}

/// Whether an error concerns the owner, not the copy: the owner cannot be reached, or is busy.
pub(crate) fn is_of_owner(code: Code, reason: Option<Reason>) -> bool {
    matches!(code, Code::Offline | Code::Timeout) || reason == Some(Reason::Limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BROKEN: Failure = Failure::Broken { progress: false };
    const PROGRESS: Failure = Failure::Broken { progress: true };

    fn run(failures: impl IntoIterator<Item = Failure>) -> Vec<Option<Duration>> {
        let mut attempts = Attempts::default();
        failures.into_iter().map(|failure| attempts.failed(failure, 0)).collect()
    }

    fn seconds(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    #[test]
    fn a_fetch_that_brings_nothing_new_three_times_in_a_row_is_given_up() {
        let again = Some(AGAIN_AFTER);
        assert_eq!(run([BROKEN, BROKEN, BROKEN]), [again, again, None]);
        assert_eq!(
            run([BROKEN, BROKEN, PROGRESS, BROKEN, BROKEN, BROKEN]),
            [again, again, again, again, again, None]
        );
        let mut attempts = Attempts { fruitless: u32::MAX, busy: 7 };
        assert_eq!(attempts.failed(BROKEN, 0), None);
        assert_eq!(attempts, Attempts { fruitless: u32::MAX, busy: 0 });
    }

    #[test]
    fn a_busy_owner_is_asked_twenty_times_and_a_broken_transfer_in_between_starts_anew() {
        let busy = Failure::Busy(Duration::from_secs(7));
        let mut waits = run([busy; 20]);
        assert_eq!(waits.pop(), Some(None));
        assert_eq!(waits, vec![seconds(7); 19]);
        let waits = run([busy; 19].into_iter().chain([PROGRESS]).chain([busy; 20]));
        assert_eq!(waits.iter().position(Option::is_none), Some(39));
        let mut attempts = Attempts { fruitless: 1, busy: u32::MAX };
        assert_eq!(attempts.failed(busy, 0), None);
        assert_eq!(attempts, Attempts { fruitless: 1, busy: u32::MAX });
    }

    #[test]
    fn a_busy_owner_is_left_alone_for_as_long_as_it_demands_within_reason() {
        for (demanded, waits) in [(0, 1), (1, 1), (7, 7), (60, 60), (61, 60), (1 << 40, 60)] {
            assert_eq!(run([Failure::Busy(Duration::from_secs(demanded))]), [seconds(waits)], "{demanded}");
        }
    }

    #[test]
    fn pauses_are_spread_by_up_to_a_quarter() {
        let wait = |random| Attempts::default().failed(Failure::Busy(Duration::from_secs(8)), random);
        assert_eq!(wait(0), seconds(8));
        assert_eq!(wait(u32::MAX), seconds(10));
        assert_eq!(Attempts::default().failed(BROKEN, u32::MAX), Some(AGAIN_AFTER));
    }

    #[test]
    fn a_refusal_is_one_of_a_busy_an_unreachable_an_unable_or_an_unwilling_owner() {
        let busy = Refusal::Busy(Duration::from_millis(7));
        let limit = Some(Reason::Limit);
        for (code, reason, wait, expected) in [
            (Code::Denied, limit, Some(7), busy),
            (Code::Offline, limit, Some(7), busy),
            (Code::Denied, limit, None, Refusal::Final),
            (Code::Denied, Some(Reason::Revoked), Some(7), Refusal::Final),
            (Code::Denied, None, Some(7), Refusal::Final),
            (Code::Stale, None, None, Refusal::Final),
            (Code::Offline, None, None, Refusal::Again),
            (Code::Timeout, None, None, Refusal::Again),
            (Code::Internal, None, None, Refusal::Unable),
            (Code::NotFound, None, None, Refusal::Unable),
            (Code::Invalid, None, None, Refusal::Unable),
            (Code::Unsupported, None, None, Refusal::Unable),
        ] {
            assert_eq!(refusal(code, reason, wait), expected, "{code:?} {reason:?}");
        }
    }
    #[test]
    fn an_owner_that_fails_is_left_alone_for_twice_as_long_each_time() {
        for (failures, seconds) in
            [(0, 2), (1, 4), (3, 16), (7, 256), (8, 300), (31, 300), (32, 300), (u32::MAX, 300)]
        {
            assert_eq!(owner_pause(failures), Duration::from_secs(seconds), "{failures}");
        }
    }

    #[test]
    fn what_is_refused_for_good_is_not_tried_again() {
        for code in [Code::Offline, Code::Timeout, Code::Internal] {
            assert!(may_come_later(&WireError::new(code, "x")), "{code}");
        }
        assert!(may_come_later(&WireError::new(Code::Denied, "x").because(Reason::Limit)));
        for code in [Code::NotFound, Code::Denied, Code::Invalid] {
            assert!(!may_come_later(&WireError::new(code, "x")), "{code}");
        }
    }

    #[test]
    fn only_an_owner_that_is_away_or_busy_is_left_alone_with_all_its_copies() {
        for (code, reason, expected) in [
            (Code::Offline, None, true),
            (Code::Timeout, None, true),
            (Code::Denied, Some(Reason::Limit), true),
            (Code::Denied, Some(Reason::Revoked), false),
            (Code::Denied, None, false),
            (Code::Stale, None, false),
        ] {
            assert_eq!(is_of_owner(code, reason), expected, "{code:?} {reason:?}");
        }
    }
}
