//! The one writer: takes whatever operations wait and commits them in one transaction (group commit).
//!
//! Each operation runs in a savepoint: if it fails, its own changes are undone and the others go on. After the commit
//! every operation's `then` and its answer are given in the order in which they ran. If the commit fails, all of the
//! batch is undone and every operation of it is told so. A writer that watches the database's files stops for good when they are gone.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{OpenError, StoreError, checkpoints::Checkpointer, files::Files};

/// Operations that wait for the writer; more wait for a place in this queue.
pub const QUEUE_MAX: usize = 1024;

/// Operations in one transaction: bounds how long the first of them waits for the last.
pub const BATCH_MAX: usize = 512;

/// A handle to the writer; clones share it. When the last one is gone, the writer finishes and stops.
#[derive(Debug, Clone)]
pub struct Writer {
    queue: mpsc::Sender<Box<dyn Job>>,
    counters: Arc<Counters>,
    gone: watch::Receiver<Option<PathBuf>>,
}

/// Waits for the writer's end.
#[derive(Debug)]
pub struct WriterThread(JoinHandle<()>);

impl WriterThread {
    /// Blocks until every handle is gone, everything accepted is committed, and the log is copied into the database.
    pub fn join(self) {
        // A panic in the thread has been reported by the panic hook already.
        drop(self.0.join());
    }
}

/// Counts what a writer does.
#[derive(Debug, Default)]
pub struct Counters {
    commits: AtomicU64,
    operations: AtomicU64,
    failures: AtomicU64,
}

impl Counters {
    /// A transaction of these operations was committed.
    pub fn committed(&self, operations: usize) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.operations.fetch_add(u64::try_from(operations).unwrap_or(0), Ordering::Relaxed);
    }

    /// A transaction could not be committed.
    pub fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// How much was written since the start.
    #[must_use]
    pub fn stats(&self) -> WriterStats {
        WriterStats {
            commits: self.commits.load(Ordering::Relaxed),
            operations: self.operations.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
        }
    }
}

/// How much was written since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterStats {
    /// Transactions committed.
    pub commits: u64,
    /// Operations in them.
    pub operations: u64,
    /// Transactions that could not be committed.
    pub failures: u64,
}

/// An operation on its way through the writer.
trait Job: Send {
    /// Does the work inside the transaction, in a savepoint.
    fn run(&mut self, connection: &Connection);
    /// Answers, once the transaction is committed or has failed.
    fn finish(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Operation<W, N, T, E> {
    work: Option<W>,
    then: N,
    result: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<W, N, T, E> Job for Operation<W, N, T, E>
where
    W: FnOnce(&Connection) -> Result<T, E> + Send,
    N: FnOnce(&mut T) + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, connection: &Connection) {
        if let Some(work) = self.work.take() {
            self.result = Some(in_savepoint(connection, work));
        }
    }

    fn finish(self: Box<Self>, committed: Result<(), StoreError>) {
        let result = match (self.result, committed) {
            (Some(Ok(mut value)), Ok(())) => {
                (self.then)(&mut value);
                Ok(value)
            }
            (Some(Err(error)), _) => Err(error),
            (_, Err(error)) => Err(error.into()),
            (None, Ok(())) => Err(StoreError::Closed.into()),
        };
        // The asker may have gone away; its operation stands.
        drop(self.answer.send(result));
    }
}

fn in_savepoint<T, E: From<StoreError>>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
    let run =
        |sql: &str| connection.prepare_cached(sql).and_then(|mut s| s.execute([])).map_err(StoreError::from);
    run("SAVEPOINT operation")?;
    let result = work(connection);
    if result.is_err() {
        // If even this fails, the transaction is gone, and the commit will say so.
        drop(run("ROLLBACK TO operation"));
    }
    drop(run("RELEASE operation"));
    result
}

impl Writer {
    /// Starts the writer on `connection`, and a checkpointer on `checkpoints`, a second connection to the same file.
    ///
    /// # Errors
    /// [`OpenError::Thread`].
    pub fn start(connection: Connection, checkpoints: Connection) -> Result<(Self, WriterThread), OpenError> {
        Self::start_with(connection, checkpoints, None)
    }

    /// As [`Writer::start`]; before anything is answered it is seen to that the files of the database at `path` are still there. If
    /// they are not, that is refused with [`StoreError::Gone`], and so is everything later.
    ///
    /// # Errors
    /// [`OpenError::Thread`]; [`OpenError::File`] if there is no such file.
    pub fn start_watching(
        connection: Connection,
        checkpoints: Connection,
        path: &Path,
    ) -> Result<(Self, WriterThread), OpenError> {
        let files = Files::of(path).map_err(|error| OpenError::File(path.to_owned(), error))?;
        Self::start_with(connection, checkpoints, Some(files))
    }

    fn start_with(
        connection: Connection,
        checkpoints: Connection,
        files: Option<Files>,
    ) -> Result<(Self, WriterThread), OpenError> {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let counters = Arc::new(Counters::default());
        let (committed, commits) = sync_channel(1);
        let (lost, gone) = watch::channel(None);
        let checkpointer = spawn("checkpointer", move || Checkpointer::new(checkpoints).run(&commits))?;
        let thread = {
            let writing = Writing { connection, files, gone: lost, counters: Arc::clone(&counters) };
            spawn("writer", move || {
                let connection = writing.run(waiting, &committed);
                drop(connection);
                drop(committed);
                drop(checkpointer.join());
            })?
        };
        Ok((Self { queue, counters, gone }, WriterThread(thread)))
    }

    /// Does `work` in a transaction and answers when it is durable. `work` must not commit or roll back itself.
    ///
    /// Cancelling the call does not undo the work.
    ///
    /// # Errors
    /// Those of `work`, whose changes are then undone, or a [`StoreError`].
    pub async fn call<T, E>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.call_then(work, |_| ()).await
    }

    /// As [`Writer::call`]; right after the commit, before any later operation is answered, `then` sees what came of it.
    /// It runs on the writer's thread and must not block.
    ///
    /// # Errors
    /// As in [`Writer::call`].
    pub async fn call_then<T, E>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        then: impl FnOnce(&mut T) + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = Operation { work: Some(work), then, result: None, answer };
        self.queue.send(Box::new(job)).await.map_err(|_| StoreError::Closed)?;
        answered.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// Waits for its turn and tells whether the writer does its work: `true` once everything before is durable or has
    /// failed, `false` if the writer is gone. It writes nothing itself.
    pub async fn answers(&self) -> bool {
        let answer = self.call(|_| Ok::<(), StoreError>(())).await;
        !matches!(answer, Err(StoreError::Closed | StoreError::Gone(_)))
    }

    /// Waits until the database's files are gone, and tells which one; for ever if they stay or are not watched.
    pub async fn gone(&self) -> PathBuf {
        let mut gone = self.gone.clone();
        let path = gone.wait_for(Option::is_some).await.ok().and_then(|path| path.clone());
        match path {
            Some(path) => path,
            None => std::future::pending().await,
        }
    }

    /// How much was written since the start.
    #[must_use]
    pub fn stats(&self) -> WriterStats {
        self.counters.stats()
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, OpenError> {
    thread::Builder::new().name(name.into()).spawn(work).map_err(|error: io::Error| OpenError::Thread(error))
}

/// What the writer's thread works with.
struct Writing {
    connection: Connection,
    files: Option<Files>,
    gone: watch::Sender<Option<PathBuf>>,
    counters: Arc<Counters>,
}

impl Writing {
    /// Runs until every handle is gone, and gives the connection back.
    fn run(mut self, mut waiting: mpsc::Receiver<Box<dyn Job>>, committed: &SyncSender<()>) -> Connection {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while let Some(first) = waiting.blocking_recv() {
            batch.push(first);
            while batch.len() < BATCH_MAX {
                let Ok(next) = waiting.try_recv() else { break };
                batch.push(next);
            }
            let outcome = self.commit(&mut batch);
            match &outcome {
                Ok(()) => {
                    self.counters.committed(batch.len());
                    // One signal that waits is as good as many.
                    let _ = committed.try_send(());
                }
                Err(error) => {
                    self.counters.failed();
                    tracing::error!(
                        error = error as &dyn std::error::Error,
                        operations = batch.len(),
                        "commit failed"
                    );
                }
            }
            for job in batch.drain(..) {
                job.finish(outcome.clone());
            }
        }
        self.connection
    }

    fn commit(&mut self, batch: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        if let Some(path) = &*self.gone.borrow() {
            return Err(StoreError::Gone(path.clone()));
        }
        commit(&self.connection, batch)?;
        // After the commit: what was written to files that lost their names meanwhile is not confirmed.
        match self.files.as_mut().map(Files::look) {
            None | Some(Ok(())) => Ok(()),
            Some(Err(path)) => {
                self.gone.send_replace(Some(path.clone()));
                Err(StoreError::Gone(path))
            }
        }
    }
}

fn commit(connection: &Connection, batch: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
    let run = |sql: &str| connection.prepare_cached(sql).and_then(|mut s| s.execute([]));
    run("BEGIN IMMEDIATE")?;
    for job in batch {
        job.run(connection);
    }
    // A failure such as a full disk may have rolled the whole transaction back already.
    if connection.is_autocommit() {
        return Err(StoreError::Undone);
    }
    if let Err(error) = run("COMMIT") {
        drop(run("ROLLBACK"));
        return Err(error.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod wiping;
