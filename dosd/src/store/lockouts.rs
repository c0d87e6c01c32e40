//! Attempts to log in with a password, by name, as all nodes of the directory count them: what the rule needs is loaded and saved.
//!
//! A name is kept as a hash under a secret that is not in the database: what somebody has typed in its place stays unknown.

use std::time::Duration;

use dos_protocol::{
    Timestamp,
    limits::{PASSWORD_MEMORY, PASSWORD_NAMES_MAX},
    opaque::NameHash,
};
use dos_sql::{self as sql, Connection, Optional as _, Row, params};

use super::{Refusal, Store, row};
use crate::rules::lockout::{self, Tried};

const FIND: &str = "SELECT tries, lockouts, locked_until, last FROM lockouts WHERE name = ?1";

const SAVE: &str =
    "INSERT INTO lockouts(name, tries, lockouts, locked_until, last) VALUES(?1, ?2, ?3, ?4, ?5)
    ON CONFLICT(name) DO UPDATE SET tries = excluded.tries, lockouts = excluded.lockouts,
        locked_until = excluded.locked_until, last = excluded.last";

/// What says nothing any more goes with each new name, and if those are too many the ones that were tried longest ago.
const FORGET: &str =
    "DELETE FROM lockouts WHERE name IN (SELECT name FROM lockouts WHERE last <= ?1 ORDER BY last LIMIT 64)";
const MAKE_ROOM: &str =
    "DELETE FROM lockouts WHERE name IN (SELECT name FROM lockouts ORDER BY last LIMIT ?1)";

fn find(connection: &Connection, name: NameHash) -> sql::Result<Option<Tried>> {
    let tried = |row: Row<'_>| {
        Ok(Tried {
            tries: row::small(row, 0)?,
            lockouts: row::small(row, 1)?,
            locked_until: row::time(row, 2)?,
            last: row::time(row, 3)?,
        })
    };
    connection.prepare(FIND)?.query_row([name.as_bytes().as_slice()], tried).optional()
}

impl Store {
    /// How long the password login of a name is still locked.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn locked(&self, name: NameHash, now: Timestamp) -> Result<Option<Duration>, Refusal> {
        self.read_brief(move |connection| {
            Ok(find(connection, name)?.and_then(|tried| lockout::locked(tried, now)))
        })
        .await
    }

    /// Counts an attempt as a wrong one; the last one that is free locks the name, at first for `block`. If it is locked, that is answered
    /// and the attempt is not counted.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn attempt(
        &self,
        name: NameHash,
        block: Duration,
        now: Timestamp,
    ) -> Result<Option<Duration>, Refusal> {
        self.change(move |connection| {
            let before = find(connection, name)?;
            let tried = match lockout::attempt(before, block, now) {
                Ok(tried) => tried,
                Err(left) => return Ok(Some(left).into()),
            };
            if before.is_none() {
                make_room(connection, now)?;
            }
            connection.prepare(SAVE)?.execute(params![
                name.as_bytes().as_slice(),
                tried.tries,
                tried.lockouts,
                tried.locked_until.0,
                tried.last.0
            ])?;
            Ok(None.into())
        })
        .await
    }

    /// The password was right: everything about the name is forgiven.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn forgive(&self, name: NameHash) -> Result<(), Refusal> {
        self.change(move |connection| {
            connection
                .prepare("DELETE FROM lockouts WHERE name = ?1")?
                .execute([name.as_bytes().as_slice()])?;
            Ok(().into())
        })
        .await
    }
}

fn make_room(connection: &Connection, now: Timestamp) -> sql::Result<()> {
    connection.prepare(FORGET)?.execute([now.before(PASSWORD_MEMORY).0])?;
    let count = "SELECT count(*) FROM lockouts";
    let names = connection.prepare(count)?.query_row((), |row| row::unsigned(row, 0))?;
    let most = u64::try_from(PASSWORD_NAMES_MAX).unwrap_or(u64::MAX);
    let too_many = (names + 1).saturating_sub(most);
    if too_many > 0 {
        connection.prepare(MAKE_ROOM)?.execute([row::number(too_many)])?;
    }
    Ok(())
}
