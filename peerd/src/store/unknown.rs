//! Updates that a newer directory has made and this version cannot read: stored as they came, until a version that can read
//! them opens the database.
//!
//! What always holds: each has taken its place in the inbox and is acknowledged, so that nothing behind it waits. Their number
//! and their bytes are bounded: of more, the oldest are deleted, which is counted, and a version that could read them asks the
//! directory how things are instead.
//!
//! The body is the one thing in this database that is stored as it came over the wire: no one here knows its type. It
//! is read again by the protocol alone ([`UnknownUpdate::read`]), never by this program.

use std::sync::atomic::Ordering;

use dos_protocol::{
    PeerId, Seq, Timestamp,
    directory::{UnknownUpdate, Update},
};
use dos_sqlite::OpenError;
use rusqlite::{Connection, params, types::Type};

use super::{Applied, Error, Store, execute, inbox, own};
use crate::rules::updates::{Late, Unknown, late};

impl Store {
    /// How many updates a newer directory has made that this version cannot read.
    #[must_use]
    pub(crate) fn unknown_updates(&self) -> u64 {
        self.unknown.load(Ordering::Relaxed)
    }
}

/// How many there are, those included that were deleted for want of room.
pub(super) fn count(connection: &Connection) -> Result<u64, Error> {
    let sql = "SELECT (SELECT count(*) FROM unknown_updates) + unknown_deleted FROM self";
    let count: i64 = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(count.cast_unsigned())
}

/// Stores one, in place of the oldest if there is no room.
pub(super) fn keep(connection: &Connection, update: &UnknownUpdate) -> Result<(), Error> {
    let bytes = u64::try_from(update.body.len()).unwrap_or(u64::MAX);
    while !stored(connection)?.has_room(bytes) {
        let sql = "DELETE FROM unknown_updates WHERE seq = (SELECT min(seq) FROM unknown_updates)";
        if execute(connection, sql, [])? == 0 {
            break;
        }
        execute(connection, "UPDATE self SET unknown_deleted = unknown_deleted + 1", [])?;
    }
    let sql = "INSERT OR REPLACE INTO unknown_updates (seq, at, kind, body) VALUES (?1, ?2, ?3, ?4)";
    execute(connection, sql, params![update.seq.0.cast_signed(), update.at.0, update.kind, update.body])?;
    Ok(())
}

fn stored(connection: &Connection) -> Result<Unknown, Error> {
    let sql = "SELECT count(*), coalesce(sum(length(body)), 0) FROM unknown_updates";
    let (count, bytes) = connection
        .prepare_cached(sql)?
        .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
    Ok(Unknown { count: count.cast_unsigned(), bytes: bytes.cast_unsigned() })
}

/// Applies those that this version can read, and deletes them. Returns how many are left.
///
/// Nothing needs to be notified: it runs before anything else does. Copies that become superfluous are found by the sweep that
/// follows, and copies that are missing by the first look for these.
///
/// # Errors
/// [`OpenError::Sqlite`]. One that cannot be applied stays.
pub(super) fn apply_known(connection: &mut Connection) -> Result<u64, OpenError> {
    let mut step = connection.transaction()?;
    let all = read_all(&step).map_err(failed)?;
    let known = all.iter().filter_map(|update| Some((update, update.read()?)));
    let mut applied = 0;
    for (unknown, update) in known {
        let one = step.savepoint()?;
        match apply(&one, unknown, &update) {
            Ok(true) => {
                one.commit()?;
                applied += 1;
            }
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(
                    seq = unknown.seq.0,
                    error = &error as &dyn std::error::Error,
                    "a stored update cannot be applied"
                );
            }
        }
    }
    if applied > 0 {
        // What was deleted for want of room may have been of the same kind.
        step.execute("UPDATE self SET lost = max(lost, unknown_deleted > 0), unknown_deleted = 0", [])?;
        tracing::info!(applied, "updates that an older version could not read have taken effect");
    }
    let left = count(&step).map_err(failed)?;
    step.commit()?;
    Ok(left)
}

/// An error of the store while it opens.
fn failed(error: Error) -> OpenError {
    let cause = rusqlite::Error::FromSqlConversionFailure(0, Type::Blob, Box::new(error));
    OpenError::from(cause)
}

fn read_all(connection: &Connection) -> Result<Vec<UnknownUpdate>, Error> {
    let mut statement = connection.prepare("SELECT seq, at, kind, body FROM unknown_updates ORDER BY seq")?;
    let rows = statement.query_map([], |row| {
        Ok(UnknownUpdate {
            seq: Seq(row.get::<_, i64>(0)?.cast_unsigned()),
            at: Timestamp(row.get(1)?),
            kind: row.get::<_, String>(2)?.into(),
            body: row.get::<_, Vec<u8>>(3)?.into(),
        })
    })?;
    rows.map(|row| Ok(row?)).collect()
}

/// Applies one; false if there is no one yet whose it could be.
fn apply(connection: &Connection, unknown: &UnknownUpdate, update: &Update) -> Result<bool, Error> {
    let Some(me): Option<PeerId> = own(connection)?.peer else { return Ok(false) };
    match late(update) {
        Late::Apply => inbox::one(connection, me, (unknown.at, update), &mut Applied::default())?,
        Late::Relearn => {
            execute(connection, "UPDATE self SET lost = 1", [])?;
        }
    }
    execute(connection, "DELETE FROM unknown_updates WHERE seq = ?1", [unknown.seq.0.cast_signed()])?;
    Ok(true)
}
