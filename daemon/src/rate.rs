//! Rate limits: one limiter, and a bounded table of one per key.
//!
//! A token bucket, kept as the one moment at which it would be full again: the generic cell rate algorithm in its virtual
//! scheduling form (ITU-T I.371, annex A), where that moment is the theoretical arrival time. Sixteen bytes, no timer, and
//! nothing to do while nothing is taken.
//!
//! Nothing here reads a clock or waits: the caller passes the time in, and decides whether what comes too early is refused
//! ([`RateLimiter::take`]) or has to wait ([`RateLimiter::reserve`]).

use std::{
    collections::HashMap,
    hash::Hash,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
/// How much may be taken: units in a period, and how much of that at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    units: u64,
    period: Duration,
    burst: Duration,
}

impl Rate {
    /// `units` (at least one) in a second; a second's worth at once.
    #[must_use]
    pub fn per_second(units: u64) -> Self {
        Self::per(units, Duration::from_secs(1))
    }

    /// `units` (at least one) in a minute; a minute's worth at once.
    #[must_use]
    pub fn per_minute(units: u64) -> Self {
        Self::per(units, Duration::from_secs(60))
    }

    fn per(units: u64, period: Duration) -> Self {
        Self { units: units.max(1), period, burst: period }
    }

    /// As much at once as the rate gives in this time.
    #[must_use]
    pub const fn with_burst(self, burst: Duration) -> Self {
        Self { burst, ..self }
    }

    /// In which time the rate gives `units`.
    #[must_use]
    pub fn time_of(self, units: u64) -> Duration {
        let nanos = self.period.as_nanos().saturating_mul(units.into()) / u128::from(self.units);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// How many whole units may be taken at once.
    #[must_use]
    pub fn burst_units(self) -> u64 {
        let units = self.burst.as_nanos().saturating_mul(self.units.into());
        units.checked_div(self.period.as_nanos()).map_or(0, |units| u64::try_from(units).unwrap_or(u64::MAX))
    }
}

/// What was taken of a [`Rate`]. It is passed with every call, so that it can change meanwhile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateLimiter {
    /// `None` for never: the bucket is full.
    full_at: Option<Instant>,
}

impl RateLimiter {
    /// Takes `units` if they are there. More than the rate's burst are never there.
    ///
    /// # Errors
    /// How long to wait until they are there; nothing is taken.
    pub fn take(&mut self, units: u64, rate: Rate, now: Instant) -> Result<(), Duration> {
        let full_at = self.full_after(units, rate, now);
        match full_at.duration_since(now).checked_sub(rate.burst) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                self.full_at = Some(full_at);
                Ok(())
            }
        }
    }

    /// Takes `units` in any case, and returns the moment, not before `now`, from which they may be used. Those who share a
    /// limiter and wait for that moment get their turns in the order of their calls.
    #[must_use]
    pub fn reserve(&mut self, units: u64, rate: Rate, now: Instant) -> Instant {
        let full_at = self.full_after(units, rate, now);
        self.full_at = Some(full_at);
        full_at.checked_sub(rate.burst).map_or(now, |from| from.max(now))
    }

    /// Waives what was reserved beyond `ahead` from now: when the rate has changed, what was reserved under the old one
    /// would keep the next ones waiting.
    pub fn waive(&mut self, ahead: Duration, now: Instant) {
        self.full_at = self.full_at.map(|full_at| full_at.min(now + ahead));
    }

    /// Whether nothing is taken any more, as in a fresh one.
    #[must_use]
    pub fn is_full(&self, now: Instant) -> bool {
        self.full_at.is_none_or(|full_at| full_at <= now)
    }

    fn full_after(&self, units: u64, rate: Rate, now: Instant) -> Instant {
        self.full_at.map_or(now, |full_at| full_at.max(now)) + rate.time_of(units)
    }
}

/// A limiter per key, for at most a fixed number of keys; those for which there is no room share one.
#[derive(Debug)]
pub struct KeyedRateLimiter<K> {
    keys_max: usize,
    /// The limiter of those without room is under `None`.
    limiters: Mutex<HashMap<Option<K>, RateLimiter>>,
}

impl<K: Eq + Hash> KeyedRateLimiter<K> {
    /// For at most `keys_max` keys at a time. A key whose bucket is full again takes no room.
    #[must_use]
    pub fn new(keys_max: usize) -> Self {
        Self { keys_max, limiters: Mutex::default() }
    }

    /// Takes one unit for `key`, if it is there.
    ///
    /// # Errors
    /// How long to wait until it is there; nothing is taken.
    pub fn take(&self, key: K, rate: Rate, now: Instant) -> Result<(), Duration> {
        let mut limiters = self.limiters.lock();
        let mut key = Some(key);
        if limiters.len() >= self.keys_max && !limiters.contains_key(&key) {
            limiters.retain(|_, limiter| !limiter.is_full(now));
            if limiters.len() >= self.keys_max {
                key = None;
            }
        }
        limiters.entry(key).or_default().take(1, rate, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_burst_is_taken_at_once_and_then_the_rate_holds() {
        let rate = Rate::per_second(2).with_burst(Duration::from_secs(10));
        let (mut limiter, start) = (RateLimiter::default(), Instant::now());
        assert!((0..20).all(|_| limiter.take(1, rate, start).is_ok()));
        assert_eq!(limiter.take(1, rate, start), Err(500 * MS));
        assert_eq!(limiter.take(1, rate, start + 400 * MS), Err(100 * MS));
        assert_eq!(
            limiter.take(1, rate, start + 500 * MS - Duration::from_nanos(1)),
            Err(Duration::from_nanos(1))
        );
        assert_eq!(limiter.take(1, rate, start + 500 * MS), Ok(()));
        assert_eq!(limiter.take(1, rate, start + 500 * MS), Err(500 * MS), "a refused one took nothing");
        let later = start + Duration::from_secs(60);
        assert!((0..20).all(|_| limiter.take(1, rate, later).is_ok()), "it fills up again, ");
        assert_eq!(limiter.take(1, rate, later), Err(500 * MS), "and no further");
    }

    #[test]
    fn several_units_are_taken_together_or_not_at_all() {
        let (rate, now) = (Rate::per_minute(60), Instant::now());
        let mut limiter = RateLimiter::default();
        assert_eq!(limiter.take(61, rate, now), Err(Duration::from_secs(1)));
        assert_eq!(limiter.take(60, rate, now), Ok(()));
        assert_eq!(limiter.take(2, rate, now), Err(Duration::from_secs(2)));
        assert_eq!(limiter.take(0, rate, now), Ok(()));
    }

    #[test]
    fn what_is_reserved_waits_its_turn_and_a_pause_saves_no_more_than_the_burst() {
        let rate = Rate::per_second(1000).with_burst(100 * MS);
        let (mut limiter, start) = (RateLimiter::default(), Instant::now());
        assert_eq!(limiter.reserve(100, rate, start), start);
        assert_eq!(limiter.reserve(100, rate, start), start + 100 * MS);
        assert_eq!(limiter.reserve(1, rate, start), start + 101 * MS);
        let later = start + Duration::from_secs(3600);
        assert_eq!(limiter.reserve(100, rate, later), later);
        assert_eq!(limiter.reserve(100, rate, later), later + 100 * MS);
    }

    #[test]
    fn in_the_long_run_the_rate_holds_for_those_who_share_it() {
        let rate = Rate::per_second(1000).with_burst(100 * MS);
        let (mut limiter, start) = (RateLimiter::default(), Instant::now());
        let mut moments = [start; 2];
        for turn in 0..100 {
            let now = moments[turn % 2];
            moments[turn % 2] = limiter.reserve(100, rate, now);
        }
        assert_eq!(
            moments,
            [start + 9800 * MS, start + 9900 * MS],
            "10,000 units, a tenth of a second's worth at once"
        );
    }

    #[test]
    fn what_is_waived_is_not_waited_for() {
        let (slow, fast) =
            (Rate::per_second(1).with_burst(50 * MS), Rate::per_second(1000).with_burst(50 * MS));
        let (mut limiter, now) = (RateLimiter::default(), Instant::now());
        assert_eq!(limiter.reserve(10, slow, now), now + 9950 * MS);
        limiter.waive(100 * MS, now);
        assert_eq!(limiter.reserve(1, fast, now), now + 51 * MS);
        let mut fresh = RateLimiter::default();
        fresh.waive(100 * MS, now);
        assert!(fresh.is_full(now), "waiving takes nothing");
    }

    #[test]
    fn rates_are_exact_and_never_nothing() {
        assert_eq!(Rate::per_second(0), Rate::per_second(1));
        assert_eq!(Rate::per_minute(7).time_of(1), Duration::from_nanos(8_571_428_571));
        assert_eq!(Rate::per_second(1).time_of(u64::MAX), Duration::from_nanos(u64::MAX));
        assert_eq!(Rate::per_second(9000).with_burst(100 * MS).burst_units(), 900);
        assert_eq!(Rate::per_second(u64::MAX).with_burst(Duration::from_secs(9)).burst_units(), u64::MAX);
    }

    #[test]
    fn a_limiter_takes_sixteen_bytes() {
        assert_eq!(size_of::<RateLimiter>(), size_of::<Instant>());
    }

    #[test]
    fn keys_do_not_disturb_each_other() {
        let (limiter, rate, now) = (KeyedRateLimiter::new(10), Rate::per_minute(1), Instant::now());
        assert_eq!(limiter.take('a', rate, now), Ok(()));
        assert_eq!(limiter.take('b', rate, now), Ok(()));
        assert_eq!(limiter.take('a', rate, now), Err(Duration::from_secs(60)));
    }

    #[test]
    fn the_table_stays_bounded_and_forgets() {
        let (limiter, rate, now) = (KeyedRateLimiter::new(100), Rate::per_minute(60), Instant::now());
        assert!((0..100).all(|key| limiter.take(key, rate, now).is_ok()));
        assert!((0..60).all(|key| limiter.take(100 + key, rate, now).is_ok()));
        assert!(limiter.take(160, rate, now).is_err(), "those beyond share one allowance");
        assert!(limiter.take(99, rate, now).is_ok(), "the others keep theirs");
        assert_eq!(limiter.limiters.lock().len(), 101);
        assert!(limiter.take(161, rate, now + Duration::from_secs(90)).is_ok());
        assert_eq!(limiter.limiters.lock().len(), 1);
    }
}
