//! What a user should know even if no one watched when it happened: the last few notes, for `status`.

use dos_protocol::{Timestamp, control::Note};
use rusqlite::{Connection, params};

use super::{Error, execute};
use crate::rules::notes::{KEPT_MAX, expires};

/// Adds a note, and forgets those that are old or too many.
pub(super) fn add(connection: &Connection, at: Timestamp, text: &str) -> Result<(), Error> {
    execute(connection, "INSERT INTO notes (at, text) VALUES (?1, ?2)", params![at.0, text])?;
    execute(connection, "DELETE FROM notes WHERE at < ?1", [expires(at).0])?;
    let sql =
        "DELETE FROM notes WHERE number NOT IN (SELECT number FROM notes ORDER BY number DESC LIMIT ?1)";
    execute(connection, sql, [KEPT_MAX])?;
    Ok(())
}

/// The notes that are not old, the last one last.
pub(super) fn all(connection: &Connection, now: Timestamp) -> Result<Vec<Note>, Error> {
    let sql = "SELECT at, text FROM notes WHERE at >= ?1 ORDER BY number";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([expires(now).0], |row| {
        Ok(Note { at: Timestamp(row.get(0)?), text: row.get::<_, String>(1)?.into() })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
