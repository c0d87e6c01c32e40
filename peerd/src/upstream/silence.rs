//! Leaving a node of the directory that does not answer any more, where there are others to go to.
//!
//! A node that is stopped, or whose network is cut, keeps its connections; only its silence shows it. While an answer is awaited and
//! nothing at all comes for [`PATIENCE`], the node is pinged; if nothing comes for as long again, the session ends. A node that works answers a
//! ping at once, also while its database is away and every other answer takes longer. What was asked is asked again at another node,
//! changes under their operation IDs.

use std::{
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use dos_protocol::directory::ToDirectory;
use tokio::{
    sync::{Notify, mpsc, watch},
    time::timeout,
};

use super::session::{Ending, Pending};

/// Before a ping, and behind it. Longer than it takes a loaded server or a lost packet, and short enough that a person waits for it.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the tasks of a session know of its silence.
#[derive(Debug)]
pub(super) struct Silence {
    /// Something came.
    heard: watch::Sender<()>,
    /// Something was asked.
    asked: Notify,
    /// Whether there is another node to go to.
    has_others: AtomicBool,
}

impl Silence {
    /// Of a session with a directory that has told of so many nodes.
    pub(super) fn new(nodes: usize) -> Self {
        let silence =
            Self { heard: watch::Sender::new(()), asked: Notify::new(), has_others: AtomicBool::new(false) };
        silence.know_nodes(nodes);
        silence
    }

    pub(super) fn know_nodes(&self, nodes: usize) {
        self.has_others.store(nodes > 1, Ordering::Release);
    }

    /// The directory has sent something.
    pub(super) fn note_heard(&self) {
        self.heard.send_replace(());
    }

    /// The directory owes an answer.
    pub(super) fn note_asked(&self) {
        self.asked.notify_one();
    }

    /// Ends when the node is to be left.
    pub(super) async fn lasts_too_long(
        self: Arc<Self>,
        pending: Pending,
        replies: mpsc::Sender<ToDirectory>,
    ) -> Ending {
        let mut heard = self.heard.subscribe();
        let mut number = 0_u32;
        loop {
            self.asked.notified().await;
            let mut is_pinged = false;
            while is_awaiting(&pending) {
                heard.mark_unchanged();
                match timeout(PATIENCE, heard.changed()).await {
                    Ok(_) => is_pinged = false,
                    Err(_) if is_pinged => {
                        return Ending::Lost("this server of the directory does not answer".into());
                    }
                    Err(_) if self.has_others.load(Ordering::Acquire) && is_awaiting(&pending) => {
                        is_pinged = true;
                        number = number.wrapping_add(1);
                        // If there is no room, nothing was written for long, and what waits there is as good as a ping.
                        drop(replies.try_send(ToDirectory::Ping(number)));
                    }
                    Err(_) => {}
                }
            }
        }
    }
}

/// Whether somebody waits for an answer.
fn is_awaiting(pending: &Pending) -> bool {
    pending.lock().unwrap_or_else(PoisonError::into_inner).values().any(|asker| !asker.is_closed())
}

#[cfg(test)]
mod tests {
    use tokio::{sync::oneshot, time::sleep};

    use super::*;

    struct Session {
        silence: Arc<Silence>,
        pending: Pending,
        pings: mpsc::Receiver<ToDirectory>,
        end: tokio::task::JoinHandle<Ending>,
    }

    fn session(nodes: usize) -> Session {
        let (silence, pending) = (Arc::new(Silence::new(nodes)), Pending::default());
        let (replies, pings) = mpsc::channel(4);
        let end = tokio::spawn(Arc::clone(&silence).lasts_too_long(Pending::clone(&pending), replies));
        Session { silence, pending, pings, end }
    }

    impl Session {
        fn ask(&self) -> oneshot::Receiver<super::super::session::Outcome> {
            let (asker, answer) = oneshot::channel();
            self.pending.lock().unwrap().insert(1, asker);
            self.silence.note_asked();
            answer
        }

        async fn after(&self, seconds: u64) -> bool {
            sleep(Duration::from_secs(seconds)).await;
            self.end.is_finished()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_node_is_pinged_and_left_while_an_answer_is_awaited() {
        let mut session = session(2);
        assert!(!session.after(3600).await, "silence alone is none of its business");
        let _answer = session.ask();
        assert!(!session.after(5).await);
        assert_eq!(session.pings.try_recv(), Ok(ToDirectory::Ping(1)));
        assert!(session.after(2).await);
        assert!(matches!(session.end.await, Ok(Ending::Lost(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_sends_anything_stays_however_long_the_answer_takes() {
        let mut session = session(2);
        let _answer = session.ask();
        for _ in 0..10 {
            assert!(!session.after(4).await);
            assert!(session.pings.try_recv().is_ok());
            session.silence.note_heard();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn where_there_is_no_other_node_and_when_nobody_waits_nothing_is_left() {
        let mut alone = session(1);
        let answer = alone.ask();
        assert!(!alone.after(60).await && alone.pings.try_recv().is_err());
        alone.silence.know_nodes(2);
        assert!(alone.after(7).await, "another one has come");
        drop(answer);
        let mut given_up = session(2);
        drop(given_up.ask());
        assert!(!given_up.after(60).await && given_up.pings.try_recv().is_err());
    }
}
