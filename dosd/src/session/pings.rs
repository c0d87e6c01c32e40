//! Pings whose answers are awaited: at most [`SESSION_PINGS_MAX`], each with its number.

use std::time::Duration;

use dos_protocol::limits::SESSION_PINGS_MAX;
use tokio::{sync::oneshot, time::Instant};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Pings(Vec<Waiting>);

#[derive(Debug)]
struct Waiting {
    number: u32,
    sent: Instant,
    answer: oneshot::Sender<Duration>,
}

impl Pings {
    /// The ping with this number goes out. False if it is one too many: the one that waits for it notices that `answer` is
    /// dropped.
    pub(super) fn add(&mut self, number: u32, sent: Instant, answer: oneshot::Sender<Duration>) -> bool {
        self.0.retain(|waiting| !waiting.answer.is_closed());
        let has_room = self.0.len() < SESSION_PINGS_MAX;
        if has_room {
            self.0.push(Waiting { number, sent, answer });
        }
        has_room
    }

    /// The pong with this number came. Most are not awaited: they answer the pings of a quiet session.
    pub(super) fn answered(&mut self, number: u32, now: Instant) {
        if let Some(index) = self.0.iter().position(|waiting| waiting.number == number) {
            let waiting = self.0.swap_remove(index);
            // The command that waited may have ended.
            let _ = waiting.answer.send(now.duration_since(waiting.sent));
        }
        if self.0.is_empty() {
            // An idle session holds no memory for this.
            self.0 = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pong_answers_its_own_ping() {
        let mut pings = Pings::default();
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let (first, mut first_answered) = oneshot::channel();
        let (second, mut second_answered) = oneshot::channel();
        assert!(pings.add(7, start, first) && pings.add(8, after(10), second));
        pings.answered(9, after(11));
        pings.answered(8, after(15));
        assert_eq!(second_answered.try_recv(), Ok(Duration::from_millis(5)));
        assert!(first_answered.try_recv().is_err());
        pings.answered(7, after(20));
        assert_eq!(first_answered.try_recv(), Ok(Duration::from_millis(20)));
    }

    #[test]
    fn their_number_is_bounded_and_those_given_up_make_room() {
        let mut pings = Pings::default();
        let mut waiting: Vec<_> = (0..u32::try_from(SESSION_PINGS_MAX).unwrap())
            .map(|number| {
                let (answer, answered) = oneshot::channel();
                assert!(pings.add(number, Instant::now(), answer));
                answered
            })
            .collect();
        assert!(!pings.add(100, Instant::now(), oneshot::channel().0));
        waiting.pop();
        let (answer, _answered) = oneshot::channel();
        assert!(pings.add(101, Instant::now(), answer));
    }
}
