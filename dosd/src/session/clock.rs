//! When a quiet session is pinged, when it is dropped, and when it is too idle to stay: a pure function of when the peer
//! last sent something.

use std::time::Duration;

use dos_protocol::limits::{PING_AFTER, SILENCE_MAX};
use tokio::time::Instant;

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing, until this moment.
    Nothing(Instant),
    /// Send a ping.
    Ping,
    /// End the session: the peer was silent for too long.
    Drop,
    /// End the session: the peer made no request for longer than the operator allows.
    SendAway,
}

/// What a session remembers of its peer's silence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    heard: Instant,
    pinged: Instant,
    requested: Instant,
    /// How long a peer may make no request, if that is bounded.
    idle_max: Option<Duration>,
    /// This session's own pause before a ping, so that thousands do not ping together.
    pause: Duration,
}

impl Clock {
    pub(super) fn new(now: Instant, pause: Duration) -> Self {
        Self { heard: now, pinged: now, requested: now, idle_max: None, pause }
    }

    /// Sets how long a peer may make no request.
    pub(super) fn allow_idle(&mut self, idle_max: Option<Duration>) {
        self.idle_max = idle_max;
    }

    /// A request came from the peer; pongs and acknowledgements are none.
    pub(super) fn requested(&mut self, now: Instant) {
        self.requested = now;
    }

    /// Something came from the peer.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// A ping is on its way.
    pub(super) fn pinged(&mut self, now: Instant) {
        self.pinged = now;
    }

    /// How long ago the last ping was sent.
    pub(super) fn since_ping(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.pinged)
    }

    pub(super) fn due(&self, now: Instant) -> Due {
        let drop_at = self.heard + SILENCE_MAX;
        let ping_at = self.heard.max(self.pinged) + self.pause;
        // An end beyond what the clock can tell never comes.
        let idle_at = self.idle_max.and_then(|idle_max| self.requested.checked_add(idle_max));
        if now >= drop_at {
            Due::Drop
        } else if idle_at.is_some_and(|idle_at| now >= idle_at) {
            Due::SendAway
        } else if now >= ping_at {
            Due::Ping
        } else {
            let next = ping_at.min(drop_at);
            Due::Nothing(idle_at.map_or(next, |idle_at| idle_at.min(next)))
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
                end @ (Due::Drop | Due::SendAway) => {
                    done.push((second, end));
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
                Due::Drop | Due::SendAway => panic!("ended at {second} s"),
                Due::Nothing(_) => {}
            }
        }
    }

    #[test]
    fn a_peer_that_answers_but_requests_nothing_is_sent_away_only_where_that_is_configured() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let minute = Some(Duration::from_secs(60));
        // What is allowed, when the peer makes its last request, and when it is sent away.
        for (idle_max, requests, sent_away) in [
            (None, 0, None),
            (minute, 0, Some(60)),
            (minute, 45, Some(105)),
            (Some(Duration::from_secs(3)), 0, Some(3)),
            (Some(Duration::MAX), 0, None),
        ] {
            let mut clock = Clock::new(start, PING_AFTER);
            clock.allow_idle(idle_max);
            let ended = (0..300).find(|second| {
                let now = at(*second);
                if *second == requests {
                    clock.requested(now);
                }
                match clock.due(now) {
                    Due::Nothing(until) => assert!(until > now),
                    Due::Ping => {
                        clock.pinged(now);
                        clock.heard(now);
                    }
                    Due::Drop => panic!("dropped at {second} s"),
                    Due::SendAway => return true,
                }
                false
            });
            assert_eq!(ended, sent_away, "{idle_max:?} after {requests} s");
        }
    }

    #[test]
    fn a_sleeping_session_wakes_for_what_comes_first() {
        let start = Instant::now();
        let mut clock = Clock::new(start, PING_AFTER);
        clock.allow_idle(Some(Duration::from_secs(4)));
        assert_eq!(clock.due(start), Due::Nothing(start + Duration::from_secs(4)));
        clock.allow_idle(Some(Duration::from_secs(40)));
        assert_eq!(clock.due(start), Due::Nothing(start + PING_AFTER));
        assert_eq!(clock.due(start + SILENCE_MAX), Due::Drop);
    }

    #[test]
    fn pauses_are_spread_around_ten_seconds() {
        let pauses: Vec<_> = (0..1000).map(pause_of).collect();
        assert!(pauses.iter().all(|p| (8..12).contains(&p.as_secs())));
        let early = pauses.iter().filter(|p| **p < PING_AFTER).count();
        assert!((300..700).contains(&early), "{early} of 1000 are early");
    }
}
