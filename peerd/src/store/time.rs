//! The directory's time, kept for the next start.

use std::time::Duration;

use dos_protocol::Timestamp;
use rusqlite::{Connection, params};

use super::{Error, Store, execute};
use crate::{
    clock::Clock,
    rules::clock::{BootId, Heard, Moment},
};

impl Store {
    /// The directory's time, as far as it is known here.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The directory says what time it is.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn directory_told(&self, time: Timestamp) -> Result<(), Error> {
        self.keep(self.clock.told(time)).await
    }

    /// Something came about at the directory at this time.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn came_about(&self, time: Timestamp) -> Result<(), Error> {
        match self.clock.came_about(time) {
            Some(heard) => self.keep(heard).await,
            None => Ok(()),
        }
    }

    /// Keeps what time it is by now: after a restart of the machine no more is known.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn keep_time(&self) -> Result<(), Error> {
        match self.clock.heard() {
            Some(heard) => self.keep(heard).await,
            None => Ok(()),
        }
    }

    async fn keep(&self, heard: Heard) -> Result<(), Error> {
        self.write(move |connection| {
            let Heard { time, at: Moment { boot, since_boot } } = heard;
            let since_boot = i64::try_from(since_boot.as_millis()).unwrap_or(i64::MAX);
            let sql = "UPDATE self SET directory_time = ?1, directory_boot = ?2, directory_since_boot = ?3";
            execute(connection, sql, params![time.0, boot, since_boot])?;
            Ok(())
        })
        .await
    }
}

/// What was heard before the start.
pub(super) fn heard(connection: &Connection) -> rusqlite::Result<Option<Heard>> {
    let sql = "SELECT directory_time, directory_boot, directory_since_boot FROM self";
    let (time, boot, since_boot) = connection.query_row(sql, [], |row| {
        Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<BootId>>(1)?, row.get::<_, Option<i64>>(2)?))
    })?;
    let since_boot = Duration::from_millis(since_boot.and_then(|ms| ms.try_into().ok()).unwrap_or(0));
    Ok(time.map(|time| Heard { time: Timestamp(time), at: Moment { boot, since_boot } }))
}
