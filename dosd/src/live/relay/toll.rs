//! What bytes cost: a rate that several connections share.
//!
//! A bucket of tokens, kept as the one moment at which all that was taken is paid for (the generic cell rate algorithm,
//! ITU-T I.371, annex A). Whoever takes bytes waits until that moment is near, so that those who share a rate get their
//! turns in the order in which they came.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// So much time is given in advance: pieces may come together.
const AHEAD: Duration = Duration::from_millis(100);

/// Bytes in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate(u64);

impl Rate {
    /// At least one.
    pub(super) fn per_second(bytes: u64) -> Self {
        Self(bytes.max(1))
    }

    /// How long so many bytes take.
    fn time_of(self, bytes: usize) -> Duration {
        let nanos = u128::try_from(bytes).unwrap_or(u128::MAX).saturating_mul(1_000_000_000);
        Duration::from_nanos(u64::try_from(nanos / u128::from(self.0)).unwrap_or(u64::MAX))
    }

    /// Bytes that go in the time that is given in advance.
    pub(super) fn bytes_ahead(self) -> usize {
        usize::try_from(self.0 / 10).unwrap_or(usize::MAX)
    }
}

/// What was taken of a rate.
#[derive(Debug, Default)]
pub(super) struct Toll(Mutex<Option<Instant>>);

impl Toll {
    /// Takes bytes; tells until when to wait before the next ones.
    pub(super) fn take(&self, bytes: usize, rate: Rate, now: Instant) -> Instant {
        let mut paid = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let until = paid.map_or(now, |paid| paid.max(now)) + rate.time_of(bytes);
        *paid = Some(until);
        until.checked_sub(AHEAD).map_or(now, |until| until.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_long_run_the_rate_holds_and_a_pause_earns_little() {
        let (toll, rate, start) = (Toll::default(), Rate::per_second(1000), Instant::now());
        let mut now = start;
        for _ in 0..100 {
            now = toll.take(100, rate, now);
        }
        assert_eq!(now - start, Duration::from_millis(9_900), "10,000 bytes, a tenth of a second in advance");
        let later = now + Duration::from_secs(3600);
        assert_eq!(toll.take(100, rate, later), later);
        assert_eq!(toll.take(100, rate, later), later + Duration::from_millis(100));
    }

    #[test]
    fn two_who_share_a_rate_have_half_of_it_each() {
        let (toll, rate, start) = (Toll::default(), Rate::per_second(1000), Instant::now());
        let mut moments = [start; 2];
        for turn in 0..100 {
            let now = moments[turn % 2];
            moments[turn % 2] = toll.take(100, rate, now);
        }
        assert!(moments.iter().all(|moment| (*moment - start).abs_diff(Duration::from_secs(10)) < AHEAD * 3));
    }
}
