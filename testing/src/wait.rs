//! Waiting for a condition that nothing announces: looking again, at first soon, then less and less often, with a deadline.
//!
//! Where there is an event (a channel, a line of a command that follows), wait for that instead.

use std::time::{Duration, Instant};

/// Nothing that a test waits for takes so long, also on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// The first pause: what comes at once is not waited for much longer than it takes.
const PAUSE_MIN: Duration = Duration::from_millis(2);
/// The longest pause: a look may start a process, and twenty of them a second leave the machine to those that are waited for.
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// The pauses between two looks at a condition.
#[derive(Debug)]
pub struct Backoff {
    pause: Duration,
    deadline: Instant,
}

impl Backoff {
    /// For something that must come within `patience` from now on.
    #[must_use]
    pub fn within(patience: Duration) -> Self {
        Self { pause: PAUSE_MIN, deadline: Instant::now() + patience }
    }

    /// How long to pause now; nothing after the deadline.
    pub fn next_pause(&mut self) -> Option<Duration> {
        let pause = self.pause;
        self.pause = PAUSE_MAX.min(pause * 3 / 2);
        (Instant::now() < self.deadline).then_some(pause)
    }

    /// Pauses this thread; false, without a pause, after the deadline.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place in which a thread waits between two looks"
    )]
    pub fn pause(&mut self) -> bool {
        self.next_pause().map(std::thread::sleep).is_some()
    }
}

/// Waits until `ready`.
///
/// # Panics
/// With `what` if that is not so within [`PATIENCE`].
#[track_caller]
pub fn wait_until(what: &str, mut ready: impl FnMut() -> bool) {
    let mut backoff = Backoff::within(PATIENCE);
    while !ready() {
        assert!(backoff.pause(), "waited in vain until {what}");
    }
}

/// As [`wait_until`], and leaves the thread to other tasks meanwhile.
///
/// # Panics
/// As [`wait_until`].
#[cfg(feature = "async")]
pub async fn wait_until_seen(what: &str, mut ready: impl FnMut() -> bool) {
    let mut backoff = Backoff::within(PATIENCE);
    while !ready() {
        let Some(pause) = backoff.next_pause() else { panic!("waited in vain until {what}") };
        tokio::time::sleep(pause).await;
    }
}

/// Waits until `ready`, and leaves the thread to other tasks meanwhile.
///
/// # Panics
/// With `what` if that is not so within [`PATIENCE`].
#[cfg(feature = "async")]
pub async fn wait_until_async(what: &str, mut ready: impl AsyncFnMut() -> bool) {
    let mut backoff = Backoff::within(PATIENCE);
    while !ready().await {
        let Some(pause) = backoff.next_pause() else { panic!("waited in vain until {what}") };
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest_and_end_with_the_deadline() {
        let mut backoff = Backoff::within(PATIENCE);
        let pauses: Vec<_> = (0..12).map_while(|_| backoff.next_pause()).collect();
        assert_eq!(pauses[..3], [2_000, 3_000, 4_500].map(Duration::from_micros));
        assert!(pauses.is_sorted());
        assert_eq!(pauses.last(), Some(&PAUSE_MAX));
        let mut over = Backoff::within(Duration::ZERO);
        assert_eq!(over.next_pause(), None);
        assert!(!over.pause());
    }

    #[test]
    fn a_condition_is_looked_at_until_it_holds() {
        let mut looks = 0;
        wait_until("the third look", || {
            looks += 1;
            looks == 3
        });
        assert_eq!(looks, 3);
    }
}
