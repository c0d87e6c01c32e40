//! A lane: a thread with a session of its own that takes whatever operations wait and commits them in one transaction.
//!
//! As the writer of SQLite does: each operation runs in a savepoint, and after the commit every operation's `then` and its answer are
//! given in the order in which they ran. What always holds besides:
//!
//! - **One writer.** A transaction begins by locking the one row of `meta`, so that of several processes one writes at a time, and
//!   sees what those before it have written.
//! - **What was committed is known.** A transaction writes the number of its batch into the lane's row of `lanes`. If the connection
//!   is lost at the commit, the next session looks there, under the lock, which the lost one has given back by then: either the batch
//!   is committed, and its answers stand as soon as a commit behind it is on as many disks as it should; or it never will be, and is
//!   run again. So an operation is done once, whether it has an ID by which to tell or not.
//! - **What is not known in time is not waited for.** After 25 s it is answered as unavailable. The lane still finds out, and if it
//!   was committed what follows a commit is done; until then it answers what comes as unavailable.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use dos_sqlite::{BATCH_MAX, Counters, QUEUE_MAX};
use rusqlite::types::Value;
use tokio::sync::mpsc;

use super::{
    PAUSE, PostgresError, Server, Session, TRIED_AGAIN,
    job::{Job, Operation},
};
use crate::{Connection, Error, OpenError, StoreError};

/// How every transaction that writes begins.
const ONE_WRITER: &str = "BEGIN; SELECT one FROM meta WHERE one = 1 FOR UPDATE";

/// A handle to the lane; clones share it. When the last one is gone, the lane finishes and stops.
#[derive(Debug, Clone)]
pub struct Lane {
    queue: mpsc::Sender<Box<dyn Job>>,
    counters: Arc<Counters>,
    /// Whether the last attempt to write has succeeded.
    is_up: Arc<AtomicBool>,
}

/// Waits for the lane's end.
#[derive(Debug)]
pub struct LaneThread(JoinHandle<()>);

impl LaneThread {
    /// Blocks until every handle is gone and everything accepted is answered.
    pub fn join(self) {
        // A panic in the thread has been reported by the panic hook already.
        drop(self.0.join());
    }
}

impl Lane {
    /// Starts a lane that begins with this session, on a database that has its tables.
    ///
    /// # Errors
    /// [`OpenError::Thread`]; [`OpenError::Postgres`] if there is no randomness for its name.
    pub fn start(server: Server, session: Session) -> Result<(Self, LaneThread), OpenError> {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let counters = Arc::new(Counters::default());
        let is_up = Arc::new(AtomicBool::new(true));
        let running = Running {
            name: draw_name(&session)?,
            server,
            session: Some(session),
            batches: 0,
            counters: Arc::clone(&counters),
            is_up: Arc::clone(&is_up),
        };
        let spawned = thread::Builder::new().name("lane".into()).spawn(move || running.run(waiting));
        let thread = spawned.map_err(OpenError::Thread)?;
        Ok((Self { queue, counters, is_up }, LaneThread(thread)))
    }

    /// Does `work` in a transaction and answers when it is durable; right after the commit `then` sees what came of it. `work` may be
    /// run several times, of which one counts.
    ///
    /// # Errors
    /// Those of `work`, whose changes are then undone, or a [`StoreError`].
    pub async fn call_then<W, N, T, E>(&self, work: W, then: N) -> Result<T, E>
    where
        W: FnOnce(&Connection<'_>) -> Result<T, E> + Clone + Send + 'static,
        N: FnOnce(&mut T) + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (job, answered) = Operation::new(work, then);
        self.queue.send(Box::new(job)).await.map_err(|_| StoreError::Closed)?;
        answered.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// What it counts.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether the last attempt to write has succeeded.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Relaxed)
    }

    /// Whether its thread runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.queue.is_closed()
    }
}

/// The name of a lane: 32 hexadecimal digits that nobody else draws.
fn draw_name(session: &Session) -> Result<Box<str>, OpenError> {
    let connection = Connection::Postgres(session);
    let name = connection
        .query_row("SELECT replace(gen_random_uuid()::text, '-', '')", (), |row| row.get::<String>(0))?;
    Ok(name.into())
}

struct Running {
    name: Box<str>,
    server: Server,
    session: Option<Session>,
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
    fn run(mut self, mut waiting: mpsc::Receiver<Box<dyn Job>>) {
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
            for job in batch.drain(..) {
                job.finish(outcome.clone());
            }
        }
    }

    /// Tries for some time to commit a batch.
    fn settle(&mut self, batch: &mut [Box<dyn Job>]) -> Result<(), Failed> {
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
    fn attempt(&mut self, batch: &mut [Box<dyn Job>], in_doubt: bool) -> Result<(), Failed> {
        let session = self.take_session()?;
        self.commit(&session, batch, in_doubt)?;
        self.session = Some(session);
        Ok(())
    }

    fn commit(&self, session: &Session, batch: &mut [Box<dyn Job>], in_doubt: bool) -> Result<(), Failed> {
        if in_doubt {
            session.batch(ONE_WRITER).map_err(Failed::before_commit)?;
            if self.is_committed(session)? {
                return self.confirm(session);
            }
        }
        let begin = if in_doubt { "" } else { ONE_WRITER };
        let (name, number) = (&self.name, self.batches);
        let own = "ON CONFLICT(lane) DO UPDATE SET batch = excluded.batch, at = excluded.at";
        let savepoint = if batch.len() > 1 { "SAVEPOINT operation" } else { "" };
        let begin = format!(
            "{begin}; INSERT INTO lanes(lane, batch, at) VALUES('{name}', {number}, now()) {own}; {savepoint}"
        );
        session.batch(&begin).map_err(Failed::before_commit)?;
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

    fn take_session(&mut self) -> Result<Session, Failed> {
        if let Some(session) = self.session.take().filter(|session| session.broken().is_none()) {
            return Ok(session);
        }
        let session = Session::open(&self.server).map_err(Failed::before_commit)?;
        let (host, durability) = (session.host(), session.durability());
        if !durability.is_on_disk() {
            tracing::error!(host, ?durability, "the database server confirms what is not on its disk");
        }
        tracing::info!(host, "connected to the database server");
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
        batch: &mut [Box<dyn Job>],
        waiting: &mut mpsc::Receiver<Box<dyn Job>>,
        error: PostgresError,
    ) -> Result<(), PostgresError> {
        let unavailable = StoreError::Unavailable(error.clone());
        for job in batch.iter_mut() {
            job.give_up(unavailable.clone());
        }
        loop {
            while let Ok(job) = waiting.try_recv() {
                job.finish(Err(unavailable.clone()));
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
        session.batch(ONE_WRITER).map_err(Failed::before_commit)?;
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

/// Runs the operations, each in the savepoint if there are several; whether anything is to be committed.
fn run_all(session: &Session, batch: &mut [Box<dyn Job>]) -> Result<bool, PostgresError> {
    let connection = Connection::Postgres(session);
    let count = batch.len();
    for (index, job) in batch.iter_mut().enumerate() {
        let stays = job.run(&connection);
        if let Some(error) = session.broken() {
            return Err(error);
        }
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
