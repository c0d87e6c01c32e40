//! A session's queue: what the rest of the server wants its task to do, bounded, first in first out, with one who takes.
//!
//! What always holds: a queue that is empty holds no memory but itself, so that thousands of idle sessions are small (tokio's own channel
//! keeps a block of 32 places for each). Once the taking end is gone, nothing is taken in any more and what waited is dropped.

use std::{collections::VecDeque, pin::pin, sync::Arc};

use dos_protocol::limits::SESSION_QUEUE_MAX;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Places that an empty queue may keep.
const KEPT_PLACES: usize = 4;

/// Why something was not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rejected {
    /// There is no room.
    Full,
    /// Nobody takes any more.
    Closed,
}

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    /// Something waits, for the one who takes.
    filled: Notify,
    /// There is room again, or nobody takes any more, for those who wait for that.
    changed: Notify,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    is_closed: bool,
}

/// The end that gives; shared by all who give.
#[derive(Debug)]
pub(super) struct Sender<T>(Arc<Shared<T>>);

/// The end that takes.
#[derive(Debug)]
pub struct Receiver<T>(Arc<Shared<T>>);

/// A queue of [`SESSION_QUEUE_MAX`].
pub(super) fn queue<T>() -> (Sender<T>, Receiver<T>) {
    let state = State { waiting: VecDeque::new(), is_closed: false };
    let shared = Shared { state: Mutex::new(state), filled: Notify::new(), changed: Notify::new() };
    let shared = Arc::new(shared);
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

impl<T> Sender<T> {
    /// Takes this in, or gives it back.
    pub(super) fn try_send(&self, item: T) -> Result<(), (Rejected, T)> {
        {
            let mut state = self.0.state.lock();
            if state.is_closed {
                return Err((Rejected::Closed, item));
            }
            if state.waiting.len() >= SESSION_QUEUE_MAX {
                return Err((Rejected::Full, item));
            }
            state.waiting.push_back(item);
        }
        self.0.filled.notify_one();
        Ok(())
    }

    /// Takes this in as soon as there is room. False if nobody takes any more.
    pub(super) async fn send(&self, mut item: T) -> bool {
        loop {
            // Before the look at the queue, so that room that comes after it is noticed.
            let mut changed = pin!(self.0.changed.notified());
            changed.as_mut().enable();
            match self.try_send(item) {
                Ok(()) => return true,
                Err((Rejected::Closed, _)) => return false,
                Err((Rejected::Full, back)) => item = back,
            }
            changed.await;
        }
    }

    /// Whether nobody takes any more.
    pub(super) fn is_closed(&self) -> bool {
        self.0.state.lock().is_closed
    }

    /// Waits until nobody takes any more.
    pub(super) async fn closed(&self) {
        loop {
            let mut changed = pin!(self.0.changed.notified());
            changed.as_mut().enable();
            if self.is_closed() {
                return;
            }
            changed.await;
        }
    }
}

impl<T> Receiver<T> {
    /// What waits longest, if anything does.
    pub fn try_recv(&mut self) -> Option<T> {
        let (item, had_no_room) = {
            let mut state = self.0.state.lock();
            let had_no_room = state.waiting.len() >= SESSION_QUEUE_MAX;
            let item = state.waiting.pop_front();
            if state.waiting.is_empty() && state.waiting.capacity() > KEPT_PLACES {
                state.waiting = VecDeque::new();
            }
            (item, had_no_room)
        };
        if had_no_room {
            self.0.changed.notify_waiters();
        }
        item
    }

    /// What waits longest, as soon as anything does. Cancelling it loses nothing.
    pub async fn recv(&mut self) -> T {
        loop {
            // One that was filled since the last look has left a permit.
            if let Some(item) = self.try_recv() {
                return item;
            }
            self.0.filled.notified().await;
        }
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.state.lock().waiting.is_empty()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let waiting = {
            let mut state = self.0.state.lock();
            state.is_closed = true;
            std::mem::take(&mut state.waiting)
        };
        self.0.changed.notify_waiters();
        // Outside the lock: what is dropped may wake those who wait for an answer.
        drop(waiting);
    }
}

#[cfg(test)]
mod tests {
    use tokio::{sync::oneshot, task::yield_now};

    use super::*;

    #[tokio::test]
    async fn what_is_given_comes_out_in_its_order() {
        let (sender, mut receiver) = queue();
        let giving = tokio::spawn(async move {
            for number in 0..1000 {
                assert!(sender.send(number).await);
            }
        });
        for number in 0..1000 {
            assert_eq!(receiver.recv().await, number);
        }
        giving.await.unwrap();
        assert!(receiver.is_empty());
    }

    #[tokio::test]
    async fn a_full_queue_takes_nothing_until_there_is_room() {
        let (sender, mut receiver) = queue();
        for number in 0..SESSION_QUEUE_MAX {
            sender.try_send(number).unwrap();
        }
        assert_eq!(sender.try_send(7), Err((Rejected::Full, 7)));
        let sender = Arc::new(sender);
        let waiting = tokio::spawn({
            let sender = Arc::clone(&sender);
            async move { sender.send(64).await }
        });
        yield_now().await;
        assert!(!waiting.is_finished());
        assert_eq!(receiver.try_recv(), Some(0));
        assert!(waiting.await.unwrap());
        assert_eq!(sender.try_send(7), Err((Rejected::Full, 7)));
    }

    #[tokio::test]
    async fn an_end_is_noticed_by_all_who_wait_and_drops_what_waited() {
        let (sender, receiver) = queue();
        let (answer, answered) = oneshot::channel::<()>();
        sender.try_send(Some(answer)).unwrap();
        while sender.try_send(None).is_ok() {}
        let sender = Arc::new(sender);
        let waiting: Vec<_> = (0..3)
            .map(|number| {
                let sender = Arc::clone(&sender);
                tokio::spawn(async move {
                    match number {
                        0 => sender.send(None).await,
                        _ => {
                            sender.closed().await;
                            false
                        }
                    }
                })
            })
            .collect();
        yield_now().await;
        drop(receiver);
        for waiting in waiting {
            assert!(!waiting.await.unwrap());
        }
        assert!(answered.await.is_err());
        assert!(sender.is_closed());
        assert_eq!(sender.try_send(None).map_err(|(why, _)| why), Err(Rejected::Closed));
    }

    #[tokio::test]
    async fn giving_up_to_wait_loses_nothing() {
        let (sender, mut receiver) = queue();
        for number in 0..100 {
            let mut waiting = Box::pin(receiver.recv());
            assert!(futures_util::poll!(&mut waiting).is_pending());
            sender.try_send(number).unwrap();
            drop(waiting);
            assert_eq!(receiver.recv().await, number);
        }
    }

    #[test]
    fn an_empty_queue_keeps_no_places() {
        let (sender, mut receiver) = queue();
        for _ in 0..SESSION_QUEUE_MAX {
            sender.try_send([0u8; 64]).unwrap();
        }
        while receiver.try_recv().is_some() {}
        assert!(receiver.0.state.lock().waiting.capacity() <= KEPT_PLACES);
    }
}
