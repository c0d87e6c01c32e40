//! The writer and the readers of either engine.

use std::{future::pending, path::PathBuf};

use dos_sqlite::WriterStats;

use crate::{Connection, LaneThreads, Lanes, Scope, Sessions, StoreError};

/// A handle to the writer; clones share it. When the last one is gone, the writer finishes and stops.
#[derive(Debug, Clone)]
pub enum Writer {
    /// To SQLite.
    Sqlite(dos_sqlite::Writer),
    /// To PostgreSQL.
    Postgres(Lanes),
}

/// Waits for the writer's end.
#[derive(Debug)]
pub enum WriterThread {
    /// Of SQLite.
    Sqlite(dos_sqlite::WriterThread),
    /// Of PostgreSQL.
    Postgres(LaneThreads),
}

impl WriterThread {
    /// Blocks until every handle is gone and everything accepted is committed, or has failed.
    pub fn join(self) {
        match self {
            Self::Sqlite(thread) => thread.join(),
            Self::Postgres(threads) => threads.join(),
        }
    }
}

impl Writer {
    /// Does `work` in a transaction and answers when it is durable; right after the commit, before any later operation of the same scope is
    /// answered, `then` sees what came of it. `work` must not commit or roll back itself, and may be run several times, of which one
    /// counts. `then` runs on the writer's thread and must not block.
    ///
    /// Cancelling the call does not undo the work.
    ///
    /// # Errors
    /// Those of `work`, whose changes are then undone, or a [`StoreError`].
    pub async fn call_then<W, T, E>(
        &self,
        scope: Scope,
        work: W,
        then: impl FnOnce(&mut T) + Send + 'static,
    ) -> Result<T, E>
    where
        W: FnOnce(&Connection<'_>) -> Result<T, E> + Clone + Send + 'static,
        T: Send + 'static,
        E: From<dos_sqlite::StoreError> + From<StoreError> + Send + 'static,
    {
        match self {
            Self::Sqlite(writer) => {
                writer.call_then(move |connection| work(&Connection::Sqlite(connection)), then).await
            }
            Self::Postgres(lanes) => lanes.call_then(scope, work, then).await,
        }
    }

    /// Whether the writer does its work. With SQLite it takes as long as what waits for it; with PostgreSQL it says nothing of the
    /// server, which a restart of this program would not bring back.
    pub async fn answers(&self) -> bool {
        match self {
            Self::Sqlite(writer) => writer.answers().await,
            Self::Postgres(lanes) => lanes.are_running(),
        }
    }

    /// Whether the last attempt to write has succeeded.
    #[must_use]
    pub fn is_up(&self) -> bool {
        match self {
            Self::Sqlite(_) => true,
            Self::Postgres(lanes) => lanes.is_up(),
        }
    }

    /// Waits until the database's files are gone, and tells which one; for ever if they stay, or are another machine's.
    pub async fn gone(&self) -> PathBuf {
        match self {
            Self::Sqlite(writer) => writer.gone().await,
            Self::Postgres(_) => pending().await,
        }
    }

    /// How much was written since the start.
    #[must_use]
    pub fn stats(&self) -> WriterStats {
        match self {
            Self::Sqlite(writer) => writer.stats(),
            Self::Postgres(lanes) => lanes.counters().stats(),
        }
    }
}

/// A few connections that only read.
#[derive(Debug, Clone)]
pub enum Readers {
    /// To SQLite.
    Sqlite(dos_sqlite::Readers),
    /// To PostgreSQL.
    Postgres(Sessions),
}

impl Readers {
    /// Runs `work`, which reads a few rows by their keys: with SQLite at once on this thread if a connection is idle.
    ///
    /// # Errors
    /// Those of `work`, or a [`StoreError`].
    pub async fn read_brief<W, T, E>(&self, work: W) -> Result<T, E>
    where
        W: FnOnce(&Connection<'_>) -> Result<T, E> + Clone + Send + 'static,
        T: Send + 'static,
        E: From<dos_sqlite::StoreError> + From<StoreError> + Send + 'static,
    {
        match self {
            Self::Sqlite(readers) => {
                readers.read_brief(move |connection| work(&Connection::Sqlite(connection))).await
            }
            Self::Postgres(sessions) => sessions.read(work).await,
        }
    }

    /// Runs `work` on one of them. What it reads is one consistent state if it is one statement or opens a transaction.
    ///
    /// # Errors
    /// Those of `work`, or a [`StoreError`].
    pub async fn read<W, T, E>(&self, work: W) -> Result<T, E>
    where
        W: FnOnce(&Connection<'_>) -> Result<T, E> + Clone + Send + 'static,
        T: Send + 'static,
        E: From<dos_sqlite::StoreError> + From<StoreError> + Send + 'static,
    {
        match self {
            Self::Sqlite(readers) => {
                readers.read(move |connection| work(&Connection::Sqlite(connection))).await
            }
            Self::Postgres(sessions) => sessions.read(work).await,
        }
    }
}
