//! The directory's public key, remembered beside its peers.

use std::path::Path;

use dos_protocol::PublicKey;
use dos_sqlite::OpenError;
use rusqlite::{Connection, params};

use super::{Refusal, Store, row};
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
    let key = if has("directory")? { key(&connection)? } else { None };
    let count = |row: &rusqlite::Row<'_>| row::unsigned(row, 0);
    let peers =
        if has("peers")? { connection.query_row("SELECT count(*) FROM peers", [], count)? } else { 0 };
    Ok(Remembered { key, peers })
}

fn key(connection: &Connection) -> rusqlite::Result<Option<PublicKey>> {
    connection.query_row("SELECT key FROM directory", [], |row| {
        let is_known = row.get_ref(0)? != rusqlite::types::ValueRef::Null;
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
            let sql = "UPDATE directory SET key = ?1 WHERE key IS NOT ?1";
            connection.execute(sql, params![key.as_bytes().as_slice()])?;
            Ok(().into())
        })
        .await
    }
}
