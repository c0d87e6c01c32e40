//! The directory's public key, remembered beside its peers.

use std::path::Path;

use dos_protocol::PublicKey;
use dos_sql::{self as sql, Connection, OpenError, Server, Session, ValueRef, off_the_runtime, params};

use super::{Refusal, Store, row, schema::POSTGRES};
use crate::rules::identity::Remembered;

/// What the database at `path` remembers, without changing anything in it; nothing if there is no database.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn remembered(path: &Path) -> Result<Remembered, OpenError> {
    if !path.exists() {
        return Ok(Remembered::default());
    }
    let connection = dos_sqlite::open_reader(path)?;
    let has = |table: &str| -> rusqlite::Result<bool> {
        let sql = "SELECT EXISTS(SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1)";
        connection.query_row(sql, [table], |row| row.get(0))
    };
    // An older version's has no such table, and one that was never finished has none at all.
    let has_key = has("directory").map_err(sql::Error::from)?;
    let has_peers = has("peers").map_err(sql::Error::from)?;
    let connection = Connection::Sqlite(&connection);
    let key = if has_key { key(&connection)? } else { None };
    Ok(Remembered { key, peers: if has_peers { peers(&connection)? } else { 0 } })
}

/// What the database on these servers remembers, likewise.
///
/// # Errors
/// If it cannot be read, or is another program's or a newer one's.
pub(crate) fn remembered_by(server: &Server) -> Result<Remembered, OpenError> {
    off_the_runtime(|| {
        let session = Session::open(server)?;
        if POSTGRES.found(&session)? == 0 {
            return Ok(Remembered::default());
        }
        let connection = Connection::Postgres(&session);
        Ok(Remembered { key: key(&connection)?, peers: peers(&connection)? })
    })
}

fn peers(connection: &Connection) -> sql::Result<u64> {
    connection.query_row("SELECT count(*) FROM peers", (), |row| row::unsigned(row, 0))
}

fn key(connection: &Connection) -> sql::Result<Option<PublicKey>> {
    connection.query_row("SELECT key FROM directory", (), |row| {
        let is_known = row.get_ref(0)? != ValueRef::Null;
        is_known.then(|| row::bytes::<32>(row, 0).map(PublicKey::from)).transpose()
    })
}

impl Store {
    /// Remembers the directory's key.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn remember_key(&self, key: PublicKey) -> Result<(), Refusal> {
        self.change(move |connection| {
            let sql = "UPDATE directory SET key = ?1 WHERE key IS DISTINCT FROM ?1";
            connection.execute(sql, params![key.as_bytes().as_slice()])?;
            Ok(().into())
        })
        .await
    }
}
