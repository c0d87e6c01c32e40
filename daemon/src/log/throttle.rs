//! Events that others can cause as often as they like: one in a while is logged, with the number of those left out before it.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Lets one event in a while through, and counts the others.
#[derive(Debug)]
pub struct Throttle {
    pause: Duration,
    /// When the last one was let through, and how many were left out since.
    last: Mutex<(Option<Instant>, u64)>,
}

impl Throttle {
    /// One in this time.
    #[must_use]
    pub const fn new(pause: Duration) -> Self {
        Self { pause, last: Mutex::new((None, 0)) }
    }

    /// Whether an event is to be logged now: how many were left out since the last one that was.
    pub fn take(&self, now: Instant) -> Option<u64> {
        let (last, left_out) = &mut *self.last.lock();
        if last.is_some_and(|last| now.saturating_duration_since(last) < self.pause) {
            *left_out += 1;
            return None;
        }
        *last = Some(now);
        Some(std::mem::take(left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_a_while_is_let_through_and_the_others_are_counted() {
        let (throttle, start) = (Throttle::new(Duration::from_secs(10)), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(throttle.take(at(0)), Some(0));
        assert_eq!((throttle.take(at(1)), throttle.take(at(9))), (None, None));
        assert_eq!(throttle.take(at(10)), Some(2));
        assert_eq!(throttle.take(at(30)), Some(0));
    }
}
