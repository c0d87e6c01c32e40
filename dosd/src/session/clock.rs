//! When a quiet session is pinged and when it is dropped: a pure function of what was heard when.

use std::time::Duration;

use dos_protocol::limits::{PING_AFTER, SILENCE_MAX};
use tokio::time::Instant;

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing before this moment.
    Nothing(Instant),
    /// Ask whether the peer is there.
    Ping,
    /// It has been silent for too long.
    Drop,
}

/// What a session remembers of its peer's silence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    heard: Instant,
    pinged: Instant,
    /// This session's own pause before a ping, so that thousands do not ping together.
    pause: Duration,
}

impl Clock {
    pub(super) fn new(now: Instant, pause: Duration) -> Self {
        Self { heard: now, pinged: now, pause }
    }

    /// Something came from the peer.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// A ping is on its way.
    pub(super) fn pinged(&mut self, now: Instant) {
        self.pinged = now;
    }

    pub(super) fn due(&self, now: Instant) -> Due {
        let drop_at = self.heard + SILENCE_MAX;
        let ping_at = self.heard.max(self.pinged) + self.pause;
        if now >= drop_at {
            Due::Drop
        } else if now >= ping_at {
            Due::Ping
        } else {
            Due::Nothing(ping_at.min(drop_at))
        }
    }
}

/// The pause for the session with this number: [`PING_AFTER`], up to two seconds more or less.
pub(super) fn pause_of(number: u64) -> Duration {
    let spread = dos_protocol::limits::PING_JITTER.as_millis() * 2;
    let offset = u64::try_from(u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % spread.max(1));
    PING_AFTER - dos_protocol::limits::PING_JITTER + Duration::from_millis(offset.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_pinged_twice_and_then_dropped() {
        let start = Instant::now();
        let mut clock = Clock::new(start, PING_AFTER);
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut done = Vec::new();
        for second in 0..40 {
            match clock.due(at(second)) {
                Due::Nothing(until) => assert!(until > at(second)),
                Due::Ping => {
                    clock.pinged(at(second));
                    done.push((second, Due::Ping));
                }
                Due::Drop => {
                    done.push((second, Due::Drop));
                    break;
                }
            }
        }
        assert_eq!(done, [(10, Due::Ping), (20, Due::Ping), (30, Due::Drop)]);
    }

    #[test]
    fn a_peer_that_answers_is_never_dropped() {
        let start = Instant::now();
        let mut clock = Clock::new(start, PING_AFTER);
        for second in 0..1000 {
            let now = start + Duration::from_secs(second);
            match clock.due(now) {
                Due::Ping => {
                    clock.pinged(now);
                    clock.heard(now);
                }
                Due::Drop => panic!("dropped at {second} s"),
                Due::Nothing(_) => {}
            }
        }
    }

    #[test]
    fn pauses_are_spread_around_ten_seconds() {
        let pauses: Vec<_> = (0..1000).map(pause_of).collect();
        assert!(pauses.iter().all(|p| (8..12).contains(&p.as_secs())));
        let early = pauses.iter().filter(|p| **p < PING_AFTER).count();
        assert!((300..700).contains(&early), "{early} of 1000 are early");
    }
}
