//! Where a test keeps its store: every test of the store is run with either engine.

use std::{collections::BTreeSet, sync::Arc};

use dos_protocol::{Timestamp, admin::Checked};
use dos_sql::{Connection, Secrets, Server, Session, WriterThread, off_the_runtime};
use dos_testing::Postgres;
use tempfile::TempDir;

use super::{
    super::{Joining, Store, check::check_server},
    Nobody, check,
};

/// An empty place for a store, or one that a test has used.
pub(super) enum Place {
    /// A file in a directory of its own.
    File(TempDir),
    /// A database of its own.
    Database(Arc<Postgres>, String),
}

/// Tests of these names, which take a place, are run with SQLite and with PostgreSQL.
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name(super::Place::file()).await })+
        }

        mod postgres {
            $(#[tokio::test] async fn $name() {
                if let Some(place) = super::Place::database(concat!(module_path!(), "::", stringify!($name))) {
                    super::$name(place).await
                }
            })+
        }
    };
}
pub(super) use on_both_engines;

impl Place {
    pub(super) fn file() -> Self {
        Self::File(tempfile::tempdir().unwrap())
    }

    /// Nothing if there is no server, which is told for the test of this name.
    pub(super) fn database(test: &str) -> Option<Self> {
        let server = Postgres::shared(test)?;
        let address = server.database();
        Some(Self::Database(server, address))
    }

    pub(super) fn open(&self) -> (Store, WriterThread) {
        match self {
            Self::File(dir) => Store::open(&dir.path().join("dosd.db"), Arc::new(Nobody)).unwrap(),
            Self::Database(_, address) => {
                Store::connect(&server(address), &joining(), Arc::new(Nobody)).unwrap()
            }
        }
    }

    /// Forgets what is old, which in a file goes with later changes.
    pub(super) async fn forget_old(&self, store: &Store, now: Timestamp) {
        if let Self::Database(..) = self {
            assert!(!store.forget_old(now).await.unwrap(), "in one step");
        }
    }

    pub(super) fn check(&self) -> Checked {
        match self {
            Self::File(dir) => check(&dir.path().join("dosd.db")).unwrap(),
            Self::Database(_, address) => off_the_runtime(|| check_server(&server(address)).unwrap()),
        }
    }

    /// Another place with the same in it.
    pub(super) fn copy(&self) -> Self {
        match self {
            Self::File(dir) => {
                let copy = tempfile::tempdir().unwrap();
                std::fs::copy(dir.path().join("dosd.db"), copy.path().join("dosd.db")).unwrap();
                Self::File(copy)
            }
            Self::Database(server, address) => {
                Self::Database(Arc::clone(server), server.database_like(address))
            }
        }
    }

    /// Runs a statement beside the store, and tells how many rows it has changed. Bytes are written as SQLite has them.
    pub(super) fn execute(&self, sql: &str) -> usize {
        self.with(|connection| {
            let sql = if connection.is_postgres() { bytes_of_postgres(sql) } else { sql.to_owned() };
            connection.execute(&sql, ()).unwrap()
        })
    }

    /// The numbers in the first row that a statement gives.
    pub(super) fn numbers<const N: usize>(&self, sql: &str) -> [i64; N] {
        self.with(|connection| {
            let numbers = connection.query_row(sql, (), |row| {
                (0..N).map(|column| row.get(column)).collect::<dos_sql::Result<Vec<i64>>>()
            });
            numbers.unwrap().try_into().unwrap()
        })
    }

    /// Every column of every table of the store.
    pub(super) fn columns(&self) -> BTreeSet<String> {
        self.with(|connection| {
            let sql = if connection.is_postgres() {
                "SELECT table_name || '.' || column_name FROM information_schema.columns
                 WHERE table_schema = current_schema() AND table_name NOT IN ('meta', 'lanes')"
            } else {
                "SELECT t.name || '.' || c.name FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table'"
            };
            let mut statement = connection.prepare(sql).unwrap();
            let names = statement.query_map((), |row| row.get::<String>(0)).unwrap();
            names.collect::<dos_sql::Result<_>>().unwrap()
        })
    }

    fn with<T: Send>(&self, work: impl FnOnce(&Connection<'_>) -> T + Send) -> T {
        match self {
            Self::File(dir) => {
                let file = rusqlite::Connection::open(dir.path().join("dosd.db")).unwrap();
                // A test may leave what no statement of ours does.
                file.pragma_update(None, "foreign_keys", false).unwrap();
                work(&Connection::Sqlite(&file))
            }
            Self::Database(_, address) => off_the_runtime(|| {
                let session = Session::open(&server(address)).unwrap();
                work(&Connection::Postgres(&session))
            }),
        }
    }
}

fn server(address: &str) -> Server {
    Server::new(&address.parse().unwrap(), &Secrets::default()).unwrap()
}

/// `'\x00'` for `x'00'`, and zeros in PostgreSQL's way.
fn bytes_of_postgres(sql: &str) -> String {
    let sql = sql.replace("x'", "'\\x");
    match sql.split_once("zeroblob(") {
        Some((before, rest)) => {
            let (count, after) = rest.split_once(')').unwrap();
            format!("{before}decode(repeat('00', {count}), 'hex'){after}")
        }
        None => sql,
    }
}

/// One of several nodes: what is opened anew in the same test waits for nobody.
fn joining() -> Joining {
    Joining { address: "localhost:5001".into(), cluster: Some("localhost:5003".into()) }
}
