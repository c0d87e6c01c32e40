//! Connections that have not proved who they are: a bounded number, shared fairly among those they come from.
//!
//! Every connection is taken from the kernel at once and is counted by its key, which for those that come over the network is
//! the address. While it has sent nothing it costs a file descriptor. When something has come it waits to be admitted, in the
//! order of its key, and costs memory only then. What always holds: there are no more than the [`Bounds`] say; where there are
//! too many, one of the key with the most makes room, so that however many come from some addresses, one that comes from
//! another is admitted at once; of one key those that came first are served first, so that many that come back together are
//! all served.
//!
//! Refusing in the kernel's queue instead would be first come, first served: there a crowd keeps everybody else waiting.

mod queue;

use std::{collections::HashMap, sync::Arc, time::Instant};

use parking_lot::Mutex;
use tokio::{sync::watch, time::timeout};

pub use self::queue::{Bounds, Share};
use self::queue::{News, Queue, Standing};

/// The connections that have not proved who they are, by what they are counted by.
#[derive(Debug)]
pub struct Admission<K: Ord + Copy> {
    grace: std::time::Duration,
    state: Mutex<State<K>>,
}

#[derive(Debug)]
struct State<K> {
    queue: Queue<K>,
    waiting: HashMap<u64, watch::Sender<Standing>>,
}

impl<K: Ord + Copy> State<K> {
    fn tell(&mut self, news: News) {
        for (id, standing) in news {
            if standing == Standing::Displaced {
                if let Some(waiting) = self.waiting.remove(&id) {
                    waiting.send_replace(standing);
                }
            } else if let Some(waiting) = self.waiting.get(&id) {
                waiting.send_replace(standing);
            }
        }
    }
}

impl<K: Ord + Copy> Admission<K> {
    /// Without any.
    #[must_use]
    pub fn new(bounds: Bounds) -> Arc<Self> {
        let state = State { queue: Queue::new(bounds), waiting: HashMap::new() };
        Arc::new(Self { grace: bounds.grace, state: Mutex::new(state) })
    }

    /// Counts a connection; `None` if there are too many of its key.
    #[must_use]
    pub fn arrive(self: &Arc<Self>, key: K) -> Option<Pending<K>> {
        let mut state = self.state.lock();
        let (id, news) = state.queue.arrive(key)?;
        let (sender, standing) = watch::channel(Standing::Waits);
        state.waiting.insert(id, sender);
        state.tell(news);
        Some(Pending { admission: Arc::clone(self), id, standing })
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.state.lock().queue.len()
    }

    fn ready(&self, id: u64) {
        let mut state = self.state.lock();
        let news = state.queue.ready(id, Instant::now());
        state.tell(news);
    }
}

/// A connection that has not proved who it is. It counts until this is dropped, or until it is displaced.
#[derive(Debug)]
pub struct Pending<K: Ord + Copy> {
    admission: Arc<Admission<K>>,
    id: u64,
    standing: watch::Receiver<Standing>,
}

impl<K: Ord + Copy> Pending<K> {
    /// Waits until it is admitted: something has come on it. One that is displaced waits for ever.
    pub async fn admitted(&self) {
        let mut standing = self.standing.clone();
        loop {
            self.admission.ready(self.id);
            let admitted =
                async { standing.wait_for(|standing| *standing == Standing::Admitted).await.is_ok() };
            match timeout(self.admission.grace, admitted).await {
                Ok(true) => return,
                Ok(false) => return std::future::pending().await,
                // By now one that takes long may have to make room.
                Err(_) => {}
            }
        }
    }

    /// Waits until it has to make room for another one; never, if it need not.
    pub async fn displaced(&self) {
        let mut standing = self.standing.clone();
        // The sender goes only with the word that it is displaced.
        drop(standing.wait_for(|standing| *standing == Standing::Displaced).await);
    }
}

impl<K: Ord + Copy> Drop for Pending<K> {
    fn drop(&mut self) {
        let mut state = self.admission.state.lock();
        // One that was displaced is not in the queue any more.
        if state.waiting.remove(&self.id).is_some() {
            let news = state.queue.leave(self.id, Instant::now());
            state.tell(news);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;

    use super::*;

    fn admission(all: usize, each: usize) -> Arc<Admission<char>> {
        let open = Share { all: all * 4, each: each * 4 };
        Admission::new(Bounds { open, admitted: Share { all, each }, grace: Duration::from_secs(3) })
    }

    #[tokio::test]
    async fn the_next_of_a_key_is_admitted_when_one_has_gone() {
        let admission = admission(2, 1);
        let (first, second) = (admission.arrive('a').unwrap(), admission.arrive('a').unwrap());
        first.admitted().await;
        let mut waiting = Box::pin(second.admitted());
        assert!((&mut waiting).now_or_never().is_none());
        drop(first);
        waiting.await;
        drop(second);
        assert_eq!(admission.count(), 0);
        assert!(admission.state.lock().waiting.is_empty());
    }

    #[tokio::test]
    async fn one_of_a_crowd_is_told_to_make_room() {
        let admission = admission(3, 3);
        let crowd = ['a'; 3].map(|key| admission.arrive(key).unwrap());
        for pending in &crowd {
            pending.admitted().await;
        }
        let other = admission.arrive('b').unwrap();
        other.admitted().await;
        crowd[0].displaced().await;
        assert!(crowd[1].displaced().now_or_never().is_none());
        assert_eq!(admission.count(), 3);
        drop(crowd);
        assert_eq!(admission.count(), 1);
    }

    #[tokio::test]
    async fn one_that_waits_looks_again_after_a_while() {
        let admission = Admission::new(Bounds {
            open: Share { all: 8, each: 8 },
            admitted: Share { all: 1, each: 1 },
            grace: Duration::from_millis(20),
        });
        let (first, second) = (admission.arrive('a').unwrap(), admission.arrive('b').unwrap());
        first.admitted().await;
        second.admitted().await;
        first.displaced().await;
    }
}
