//! One connection to a server, used by one thread at a time: statements are sent, and waited for, in turn.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    future::Future,
    panic::resume_unwind,
    sync::Arc,
    thread,
    time::Duration,
};

use rusqlite::types::{ToSql, Value};
use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};
use tokio_postgres::{SimpleQueryMessage, types::ToSql as Encode};

use super::{
    Durability, PostgresError, Server,
    connect::Connected,
    lane::ALONE,
    value::{Column, Param},
};
use crate::Error;

/// A server that is stopped goes on acknowledging what comes over TCP; only this shows it.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// For what an operator waits for: a step of the schema, a verification.
const PATIENCE: Duration = Duration::from_secs(6 * 3600);

/// A statement that the server knows.
pub(crate) type Prepared = tokio_postgres::Statement;

/// One connection.
pub struct Session {
    /// Nothing only while it is dropped.
    runtime: Option<Runtime>,
    connected: Connected,
    prepared: RefCell<HashMap<Box<str>, Prepared>>,
    answer_time: Cell<Duration>,
    /// Why it is of no more use.
    broken: RefCell<Option<PostgresError>>,
    /// What the transaction has locked; nothing if that is everything. In order.
    locked: RefCell<Option<Vec<i64>>>,
    /// Whether an operation needed more.
    was_narrow: Cell<bool>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("host", &self.connected.host).finish_non_exhaustive()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Else it would wait, which no asynchronous thread may.
            runtime.shutdown_background();
        }
    }
}

impl Session {
    /// Connects to the server of several that takes writes.
    ///
    /// # Errors
    /// [`PostgresError::NoPrimary`] if none does.
    pub fn open(server: &Server) -> Result<Self, PostgresError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| PostgresError::Runtime(Arc::new(error)))?;
        let connected = runtime.block_on(server.connect())?;
        Ok(Self {
            runtime: Some(runtime),
            connected,
            prepared: RefCell::default(),
            answer_time: Cell::new(ANSWER_TIME_MAX),
            broken: RefCell::default(),
            locked: RefCell::default(),
            was_narrow: Cell::default(),
        })
    }

    /// A session for what takes long.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub fn open_patient(server: &Server) -> Result<Self, PostgresError> {
        let session = Self::open(server)?;
        session.answer_time.set(PATIENCE);
        session.batch("SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0")?;
        Ok(session)
    }

    /// On how many disks what it commits is.
    #[must_use]
    pub fn durability(&self) -> &Durability {
        &self.connected.durability
    }

    /// The server that it is connected to.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.connected.host
    }

    /// Why it is not to be used any more.
    #[must_use]
    pub fn broken(&self) -> Option<PostgresError> {
        let broken = self.broken.borrow().clone();
        broken.or_else(|| self.connected.client.is_closed().then_some(PostgresError::Lost))
    }

    fn wait<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, PostgresError> {
        let runtime = self.runtime.as_ref().ok_or(PostgresError::Lost)?;
        let time = self.answer_time.get();
        let answer = runtime.block_on(async {
            match timeout(time, answer).await {
                Ok(answer) => Ok(answer?),
                Err(_) => Err(PostgresError::Silent(time)),
            }
        });
        if let Err(error) = &answer
            && error.is_passing()
        {
            self.broken.borrow_mut().get_or_insert_with(|| error.clone());
        }
        answer
    }

    /// Runs statements without parameters and answers.
    ///
    /// # Errors
    /// If one fails; those behind it are not run.
    pub fn batch(&self, sql: &str) -> Result<(), PostgresError> {
        self.wait(self.connected.client.batch_execute(sql))
    }

    /// Begins a transaction with these statements, of which one tells in its first column which keys it has locked: the operations that
    /// follow have these alone.
    pub(super) fn begin_shared(&self, sql: &str) -> Result<(), PostgresError> {
        let answers = self.wait(self.connected.client.simple_query(sql))?;
        let key = |answer: &SimpleQueryMessage| match answer {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse::<i64>().ok(),
            _ => None,
        };
        let mut locked: Vec<i64> = answers.iter().filter_map(key).collect();
        locked.sort_unstable();
        self.locked.replace(Some(locked));
        Ok(())
    }

    /// Begins a transaction with these statements, which lock everything.
    pub(super) fn begin_whole(&self, sql: &str) -> Result<(), PostgresError> {
        self.locked.replace(None);
        self.batch(sql)
    }

    /// Begins a transaction in which everything is locked: no lane of any process commits before it ends.
    ///
    /// # Errors
    /// If it fails.
    pub fn begin_alone(&self) -> Result<(), PostgresError> {
        self.begin_whole(&format!("BEGIN; {ALONE}"))
    }

    /// Claims a key, or everything.
    pub(crate) fn need(&self, key: Option<i64>) -> crate::Result<()> {
        let has = match (&*self.locked.borrow(), key) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(locked), Some(key)) => locked.binary_search(&key).is_ok(),
        };
        if has {
            return Ok(());
        }
        self.was_narrow.set(true);
        Err(Error::Narrow)
    }

    pub(crate) fn is_shared(&self) -> bool {
        self.locked.borrow().is_some()
    }

    /// Whether an operation needed more than was locked, since this was last asked.
    pub(super) fn take_narrow(&self) -> bool {
        self.was_narrow.take()
    }

    /// Runs statements of which the last one commits the transaction.
    ///
    /// # Errors
    /// If one failed, or if it is not known to be on as many disks as it should: a wait for the standbys that is cut short is a
    /// success with a warning.
    pub fn commit(&self, sql: &str) -> Result<(), PostgresError> {
        self.connected.notices.clear();
        self.batch(sql)?;
        match self.connected.notices.warning() {
            Some(warning) => {
                let error = PostgresError::Warned(warning);
                self.broken.borrow_mut().get_or_insert_with(|| error.clone());
                Err(error)
            }
            None => Ok(()),
        }
    }

    pub(crate) fn prepare(&self, sql: &str) -> Result<Prepared, PostgresError> {
        if let Some(prepared) = self.prepared.borrow().get(sql) {
            return Ok(prepared.clone());
        }
        let prepared = self.wait(self.connected.client.prepare(&numbered(sql)))?;
        self.prepared.borrow_mut().insert(sql.into(), prepared.clone());
        Ok(prepared)
    }

    pub(crate) fn execute(&self, prepared: &Prepared, params: &[&dyn ToSql]) -> crate::Result<usize> {
        let params = encoded(params)?;
        let rows = self.wait(self.connected.client.execute(prepared, &borrowed(&params)))?;
        Ok(usize::try_from(rows).unwrap_or(usize::MAX))
    }

    pub(crate) fn query(&self, prepared: &Prepared, params: &[&dyn ToSql]) -> crate::Result<Vec<Vec<Value>>> {
        let params = encoded(params)?;
        let rows = self.wait(self.connected.client.query(prepared, &borrowed(&params)))?;
        let read = |row: &tokio_postgres::Row| {
            (0..row.len())
                .map(|column| Ok(row.try_get::<_, Column>(column).map_err(PostgresError::from)?.0))
                .collect()
        };
        rows.iter().map(read).collect()
    }
}

/// Does what opens or uses a session from an asynchronous thread, which meanwhile waits: sessions wait for their answers themselves,
/// and two runtimes may not do so on one thread.
///
/// # Panics
/// If `work` does.
pub fn off_the_runtime<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let done = thread::scope(|scope| scope.spawn(work).join());
    done.unwrap_or_else(|panic| resume_unwind(panic))
}

fn encoded<'a>(params: &'a [&'a dyn ToSql]) -> crate::Result<Vec<Param<'a>>> {
    let encode = |param: &'a &'a dyn ToSql| match param.to_sql() {
        Ok(value) => Ok(Param(value)),
        Err(error) => Err(Error::Sqlite(error)),
    };
    params.iter().map(encode).collect()
}

fn borrowed<'a>(params: &'a [Param<'_>]) -> Vec<&'a (dyn Encode + Sync)> {
    params.iter().map(|param| param as &(dyn Encode + Sync)).collect()
}

/// `$1` for `?1`. No text of a statement has a question mark otherwise.
fn numbered(sql: &str) -> String {
    sql.replace('?', "$")
}
