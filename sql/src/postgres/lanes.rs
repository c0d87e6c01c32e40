//! The lanes of a program: one for what needs everything, and several beside each other for what hangs on some keys.
//!
//! What always holds: two operations that have a key in common run one after the other, here and in all processes that share the
//! database; and what needs everything runs alone. An operation whose keys do not suffice is handed to the lane that has everything.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use dos_sqlite::Counters;
use tokio::sync::mpsc;

use super::{
    Server, Session,
    job::Operation,
    lane::{self, Lock, Shared, Task},
};
use crate::{Connection, OpenError, Scope, StoreError};

/// Lanes beside the one that has everything: one for what needs no key and must not wait for any, the others for some keys each. A lane
/// waits most of its time, for the network and for disks; a database server has a process for each.
const SHARED: usize = 7;

/// A handle to the lanes; clones share them. When the last one is gone, the lanes finish and stop.
#[derive(Debug, Clone)]
pub struct Lanes {
    whole: mpsc::Sender<Task>,
    shared: Arc<[mpsc::Sender<Task>]>,
    counters: Arc<Counters>,
    is_up: Arc<AtomicBool>,
}

/// Waits for the lanes' end.
#[derive(Debug)]
pub struct LaneThreads(Vec<JoinHandle<()>>);

impl LaneThreads {
    /// Blocks until every handle is gone and everything accepted is answered.
    pub fn join(self) {
        for thread in self.0 {
            // A panic in the thread has been reported by the panic hook already.
            drop(thread.join());
        }
    }
}

impl Lanes {
    /// Starts lanes that begin with this session, on a database that has its tables. `rows` selects the rows that are locked for keys,
    /// as `SELECT key FROM table WHERE key`; a key without a row is not locked.
    ///
    /// # Errors
    /// [`OpenError::Thread`]; [`OpenError::Failed`] if the lanes get no names.
    pub fn start(
        server: &Server,
        session: Session,
        rows: &'static str,
    ) -> Result<(Self, LaneThreads), OpenError> {
        let counters = Arc::new(Counters::default());
        let is_up = Arc::new(AtomicBool::new(true));
        let common =
            Shared { server: server.clone(), counters: Arc::clone(&counters), is_up: Arc::clone(&is_up) };
        let mut names = Vec::with_capacity(SHARED + 1);
        for _ in 0..=SHARED {
            names.push(lane::draw_name(&session)?);
        }
        let mut names = names.into_iter();
        let mut threads = Vec::with_capacity(SHARED + 1);
        let name = names.next().unwrap_or_default();
        let (whole, thread) = lane::start(name, common.clone(), Some(session), Lock::Whole)?;
        threads.push(thread);
        let mut shared = Vec::with_capacity(SHARED);
        for name in names {
            let lock = Lock::Keys { rows, whole: whole.clone() };
            let (queue, thread) = lane::start(name, common.clone(), None, lock)?;
            shared.push(queue);
            threads.push(thread);
        }
        Ok((Self { whole, shared: shared.into(), counters, is_up }, LaneThreads(threads)))
    }

    /// Does `work` in a transaction and answers when it is durable; right after the commit `then` sees what came of it. `work` may be
    /// run several times, of which one counts.
    ///
    /// # Errors
    /// Those of `work`, whose changes are then undone, or a [`StoreError`].
    pub async fn call_then<W, N, T, E>(&self, scope: Scope, work: W, then: N) -> Result<T, E>
    where
        W: FnOnce(&Connection<'_>) -> Result<T, E> + Clone + Send + 'static,
        N: FnOnce(&mut T) + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (job, answered) = Operation::new(work, then);
        let (queue, keys) = match scope {
            Scope::Whole => (&self.whole, Vec::new()),
            Scope::Keys(keys) => (self.shared_for(keys.first().copied()), keys),
        };
        queue.send(Task::new(Box::new(job), keys)).await.map_err(|_| StoreError::Closed)?;
        answered.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// The lane of a key: what has the same one is committed together.
    fn shared_for(&self, key: Option<i64>) -> &mpsc::Sender<Task> {
        let others = i64::try_from(self.shared.len()).unwrap_or(2).saturating_sub(1).max(1);
        let lane = key.map_or(0, |key| 1 + key.rem_euclid(others));
        usize::try_from(lane).ok().and_then(|lane| self.shared.get(lane)).unwrap_or(&self.whole)
    }

    /// What they count.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether the last attempt to write has succeeded.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Relaxed)
    }

    /// Whether all their threads run.
    #[must_use]
    pub fn are_running(&self) -> bool {
        !self.whole.is_closed() && self.shared.iter().all(|lane| !lane.is_closed())
    }
}
