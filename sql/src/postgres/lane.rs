//! A lane: a thread with a session of its own that takes whatever operations wait for it and commits them in one transaction.
//!
//! As the writer of SQLite does: each operation runs in a savepoint, and after the commit every operation's `then` and its answer are
//! given in the order in which they ran. What always holds besides:
//!
//! - **Locks come first.** A transaction begins by locking the table `meta`: one lane of a program against all others (`EXCLUSIVE`), the other
//!   lanes with each other (`ROW SHARE`), in the order in which they come, so that neither waits for ever. Those others then lock the rows
//!   of all keys of the whole batch in the order of the keys. Nothing is locked afterwards that another transaction could hold while it
//!   waits for one of these, so two never wait for each other.
//! - **What was committed is known.** A transaction writes the number of its batch into the lane's row of `lanes`. If the connection
//!   is lost at the commit, the next session looks there, under the lock against all others, which it gets when the lost one has given
//!   back its own: either the batch is committed, and its answers stand as soon as a commit behind it is on as many disks as it should;
//!   or it never will be, and is run again. So an operation is done once, whether it has an ID by which to tell or not.
//! - **What is not known in time is not waited for.** After 25 s it is answered as unavailable. The lane still finds out, and if it
//!   was committed what follows a commit is done; until then it answers what comes as unavailable.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use dos_sqlite::{Counters, QUEUE_MAX};
use rusqlite::types::Value;
use tokio::sync::mpsc;

use super::{PAUSE, PostgresError, Server, Session, TRIED_AGAIN, job::Job};
use crate::{Connection, Error, OpenError, StoreError};

/// Excludes every lane and every process. Readers are not held up.
pub(super) const ALONE: &str = "LOCK TABLE meta IN EXCLUSIVE MODE";

/// Excludes what locks [`ALONE`].
const TOGETHER: &str = "LOCK TABLE meta IN ROW SHARE MODE";

/// Operations of one transaction. Each takes some round trips, during which all their rows are locked.
const BATCH_MAX: usize = 64;

/// What a lane's transactions lock.
#[derive(Debug)]
pub(super) enum Lock {
    /// Everything.
    Whole,
    /// The keys of their operations.
    Keys {
        /// Selects the rows of keys: `SELECT key FROM table WHERE key`.
        rows: &'static str,
        /// For operations whose keys do not suffice.
        whole: mpsc::Sender<Task>,
    },
}

/// An operation on its way to a commit.
pub(super) struct Task {
    job: Box<dyn Job>,
    keys: Vec<i64>,
    /// It has claimed what it does not have.
    is_narrow: bool,
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Task").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl Task {
    pub(super) fn new(job: Box<dyn Job>, keys: Vec<i64>) -> Self {
        Self { job, keys, is_narrow: false }
    }
}

/// What the lanes of a program have in common.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) server: Server,
    pub(super) counters: Arc<Counters>,
    /// Whether the last attempt to write has succeeded.
    pub(super) is_up: Arc<AtomicBool>,
}

/// Starts a lane, which ends when its queue has no other end any more.
pub(super) fn start(
    name: Box<str>,
    common: Shared,
    session: Option<Session>,
    lock: Lock,
) -> Result<(mpsc::Sender<Task>, JoinHandle<()>), OpenError> {
    let (queue, waiting) = mpsc::channel(QUEUE_MAX);
    let Shared { server, counters, is_up } = common;
    let running = Running { name, server, session, lock, batches: 0, counters, is_up };
    let spawned = thread::Builder::new().name("lane".into()).spawn(move || running.run(waiting));
    Ok((queue, spawned.map_err(OpenError::Thread)?))
}

/// The name of a lane: 32 hexadecimal digits that nobody else draws.
pub(super) fn draw_name(session: &Session) -> Result<Box<str>, OpenError> {
    let connection = Connection::Postgres(session);
    let name = connection
        .query_row("SELECT replace(gen_random_uuid()::text, '-', '')", (), |row| row.get::<String>(0))?;
    Ok(name.into())
}

struct Running {
    name: Box<str>,
    server: Server,
    session: Option<Session>,
    lock: Lock,
    /// The number of the last batch.
    batches: u64,
    counters: Arc<Counters>,
    is_up: Arc<AtomicBool>,
}

/// Why an attempt came to nothing.
struct Failed {
    error: PostgresError,
    /// The commit may have been made.
    in_doubt: bool,
}

impl Failed {
    fn before_commit(error: PostgresError) -> Self {
        Self { error, in_doubt: false }
    }
}

impl Running {
    fn run(mut self, mut waiting: mpsc::Receiver<Task>) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while let Some(first) = waiting.blocking_recv() {
            batch.push(first);
            while batch.len() < BATCH_MAX {
                let Ok(next) = waiting.try_recv() else { break };
                batch.push(next);
            }
            self.batches += 1;
            let outcome = self.settle(&mut batch);
            let outcome = match outcome {
                Ok(()) => Ok(()),
                Err(Failed { error, in_doubt: false }) => Err(error),
                Err(Failed { error, in_doubt: true }) => self.find_out(&mut batch, &mut waiting, error),
            };
            match &outcome {
                Ok(()) => self.counters.committed(batch.len()),
                Err(_) => self.counters.failed(),
            }
            let outcome = outcome.map_err(|error| StoreError::from(Error::Postgres(error)));
            for task in batch.drain(..) {
                self.finish(task, outcome.clone());
            }
        }
    }

    /// Answers, or hands on what needs everything.
    fn finish(&self, task: Task, outcome: Result<(), StoreError>) {
        match &self.lock {
            Lock::Keys { whole, .. } if task.is_narrow && outcome.is_ok() => {
                // There is room sooner or later: that lane hands nothing on.
                if let Err(closed) = whole.blocking_send(Task { is_narrow: false, ..task }) {
                    closed.0.job.finish(Err(StoreError::Closed));
                }
            }
            Lock::Keys { .. } | Lock::Whole => task.job.finish(outcome),
        }
    }

    /// Tries for some time to commit a batch.
    fn settle(&mut self, batch: &mut [Task]) -> Result<(), Failed> {
        let began = Instant::now();
        let mut in_doubt = false;
        loop {
            let Err(failed) = self.attempt(batch, in_doubt) else {
                self.is_up.store(true, Ordering::Relaxed);
                return Ok(());
            };
            let passes = failed.error.is_passing();
            in_doubt |= failed.in_doubt;
            self.report(&failed.error, batch.len(), passes);
            if !passes || began.elapsed() >= TRIED_AGAIN {
                return Err(Failed { error: failed.error, in_doubt });
            }
            thread::park_timeout(PAUSE);
        }
    }

    /// Once for each time that the server is lost, and for everything that does not pass.
    fn report(&self, error: &PostgresError, operations: usize, passes: bool) {
        let error: &dyn std::error::Error = error;
        if !passes {
            tracing::error!(error, operations, "commit failed");
        } else if self.is_up.swap(false, Ordering::Relaxed) {
            tracing::warn!(error, "the database server is lost; what waits is tried again");
        }
    }

    /// Commits a batch, or finds that it was committed. A session with which that failed is not used again.
    fn attempt(&mut self, batch: &mut [Task], in_doubt: bool) -> Result<(), Failed> {
        let session = self.take_session()?;
        self.commit(&session, batch, in_doubt)?;
        self.session = Some(session);
        Ok(())
    }

    fn commit(&self, session: &Session, batch: &mut [Task], in_doubt: bool) -> Result<(), Failed> {
        if in_doubt {
            session.begin_alone().map_err(Failed::before_commit)?;
            if self.is_committed(session)? {
                return self.confirm(session);
            }
        }
        self.begin(session, batch, in_doubt).map_err(Failed::before_commit)?;
        let stays = run_all(session, batch).map_err(Failed::before_commit)?;
        if !stays {
            return session.batch("ROLLBACK").map_err(Failed::before_commit);
        }
        // In a transaction that has failed COMMIT would be a success; to release a savepoint is none.
        let end = if batch.len() > 1 {
            "RELEASE operation; COMMIT"
        } else {
            "SAVEPOINT whole; RELEASE whole; COMMIT"
        };
        session.commit(end).map_err(|error| Failed { in_doubt: error.is_passing(), error })
    }

    /// Begins a transaction, unless it has begun with everything locked, takes its locks, and writes down its number.
    fn begin(&self, session: &Session, batch: &[Task], has_begun: bool) -> Result<(), PostgresError> {
        let (name, number) = (&self.name, self.batches);
        let number = format!(
            "INSERT INTO lanes(lane, batch, at) VALUES('{name}', {number}, now())
             ON CONFLICT(lane) DO UPDATE SET batch = excluded.batch, at = excluded.at"
        );
        let savepoint = if batch.len() > 1 { "SAVEPOINT operation" } else { "" };
        match &self.lock {
            _ if has_begun => session.begin_whole(&format!("{number}; {savepoint}")),
            Lock::Whole => session.begin_whole(&format!("BEGIN; {ALONE}; {number}; {savepoint}")),
            Lock::Keys { rows, .. } => {
                let rows = select(rows, batch);
                session.begin_shared(&format!("BEGIN; {TOGETHER}; {number}; {rows}; {savepoint}"))
            }
        }
    }

    fn take_session(&mut self) -> Result<Session, Failed> {
        if let Some(session) = self.session.take().filter(|session| session.broken().is_none()) {
            return Ok(session);
        }
        let session = Session::open(&self.server).map_err(Failed::before_commit)?;
        let (host, durability) = (session.host(), session.durability());
        if !durability.is_on_disk() {
            tracing::error!(host, ?durability, "the database server confirms what is not on its disk");
        }
        if self.is_up.load(Ordering::Relaxed) {
            tracing::debug!(host, "connected to the database server");
        } else {
            tracing::info!(host, "connected to the database server");
        }
        Ok(session)
    }

    /// Whether the batch is committed whose commit is in doubt. The lock is held: nobody else can commit it any more.
    fn is_committed(&self, session: &Session) -> Result<bool, Failed> {
        let connection = Connection::Postgres(session);
        let sql = "SELECT 1 FROM lanes WHERE lane = ?1 AND batch = ?2";
        let number = i64::try_from(self.batches).unwrap_or(i64::MAX);
        let key = [Value::Text(self.name.to_string()), Value::Integer(number)];
        let found = connection.prepare(sql).and_then(|mut statement| statement.exists(key));
        // What is in doubt stays so.
        found.map_err(|error| Failed { error: passing_of(session, error), in_doubt: true })
    }

    /// It is committed on this server; a commit behind it tells that it is on as many disks as it should.
    fn confirm(&self, session: &Session) -> Result<(), Failed> {
        let touch = format!("UPDATE lanes SET at = now() WHERE lane = '{}'; COMMIT", self.name);
        session.commit(&touch).map_err(|error| Failed { error, in_doubt: true })
    }

    /// Answers that nothing is known, and goes on until it is. If nobody has a handle any more it ends without.
    fn find_out(
        &mut self,
        batch: &mut [Task],
        waiting: &mut mpsc::Receiver<Task>,
        error: PostgresError,
    ) -> Result<(), PostgresError> {
        let unavailable = StoreError::Unavailable(error.clone());
        for task in batch.iter_mut() {
            task.job.give_up(unavailable.clone());
        }
        loop {
            while let Ok(task) = waiting.try_recv() {
                task.job.finish(Err(unavailable.clone()));
            }
            if waiting.is_closed() && waiting.is_empty() {
                return Err(error);
            }
            match self.look() {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(error),
                Err(_) => {}
            }
            thread::park_timeout(PAUSE);
        }
    }

    /// Whether the last batch is committed, and confirmed.
    fn look(&mut self) -> Result<bool, Failed> {
        let session = self.take_session()?;
        session.begin_alone().map_err(Failed::before_commit)?;
        let is_committed = self.is_committed(&session)?;
        if is_committed {
            self.confirm(&session)?;
        } else {
            session.batch("ROLLBACK").map_err(Failed::before_commit)?;
        }
        self.session = Some(session);
        Ok(is_committed)
    }
}

/// What broke the session, if something has; else what failed.
fn passing_of(session: &Session, error: Error) -> PostgresError {
    match (session.broken(), error) {
        (Some(error), _) | (None, Error::Postgres(error)) => error,
        (None, _) => PostgresError::Lost,
    }
}

/// Locks the rows of all keys of a batch, in the order of the keys.
fn select(rows: &str, batch: &[Task]) -> String {
    let keys: BTreeSet<i64> = batch.iter().flat_map(|task| task.keys.iter().copied()).collect();
    if keys.is_empty() {
        return String::new();
    }
    let keys: Vec<String> = keys.iter().map(i64::to_string).collect();
    format!("{rows} IN ({}) ORDER BY 1 FOR UPDATE", keys.join(", "))
}

/// Runs the operations, each in the savepoint if there are several; whether anything is to be committed.
fn run_all(session: &Session, batch: &mut [Task]) -> Result<bool, PostgresError> {
    let connection = Connection::Postgres(session);
    let count = batch.len();
    for (index, task) in batch.iter_mut().enumerate() {
        let succeeds = task.job.run(&connection);
        if let Some(error) = session.broken() {
            return Err(error);
        }
        task.is_narrow = session.take_narrow();
        let stays = succeeds && !task.is_narrow;
        if count == 1 {
            return Ok(stays);
        }
        match (stays, index + 1 == count) {
            (true, true) => {}
            (true, false) => session.batch("RELEASE operation; SAVEPOINT operation")?,
            (false, _) => session.batch("ROLLBACK TO operation")?,
        }
    }
    Ok(true)
}
