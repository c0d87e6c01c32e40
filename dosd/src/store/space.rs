//! How much room the disk and the database have, looked at now and then, and what follows for operations that make the data grow.
//!
//! What always holds: between two looks of an operation there is a second, in which no more is written than the reserve bears;
//! what is not asked here (revocations, answers, views, acknowledgements) is done whatever the level is.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use dos_sql::{self as sql, Connection};
use parking_lot::Mutex;

use super::{Refusal, Store, row};
use crate::rules::{
    Level, Quotas, Space,
    quota::{admit, level, room},
};

/// Operations look again after this time: a system call and two counters of the database.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// What a look has found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Looked {
    /// What there is.
    pub space: Space,
    /// What that means.
    pub level: Level,
    /// Bytes by which the data can grow before it is full.
    pub room: u64,
}

/// Looks, and remembers for a while.
#[derive(Debug)]
pub(super) struct SpaceMeter {
    /// The directory of the database, if it is on this machine.
    place: Option<PathBuf>,
    last: Mutex<(Option<Instant>, Looked)>,
}

impl SpaceMeter {
    pub(super) fn of(database: &Path) -> Self {
        let place = database.parent().unwrap_or(Path::new(".")).to_owned();
        Self { place: Some(place), last: Mutex::default() }
    }

    /// Of a database on other machines, whose disks are looked after there.
    pub(super) fn elsewhere() -> Self {
        Self { place: None, last: Mutex::default() }
    }

    /// What was found within the last second, or is now.
    fn recent(&self, connection: &Connection, quotas: &Quotas) -> sql::Result<Looked> {
        let last = *self.last.lock();
        match last {
            (Some(at), looked) if at.elapsed() < LOOK_PAUSE => Ok(looked),
            _ => self.look(connection, quotas),
        }
    }

    fn look(&self, connection: &Connection, quotas: &Quotas) -> sql::Result<Looked> {
        let space = self.space(connection)?;
        let mut last = self.last.lock();
        let before = last.1.level;
        let looked = Looked { space, level: level(space, quotas, before), room: room(space, quotas) };
        *last = (Some(Instant::now()), looked);
        drop(last);
        if looked.level != before {
            report(looked);
        }
        Ok(looked)
    }

    fn space(&self, connection: &Connection) -> sql::Result<Space> {
        let Some(place) = &self.place else {
            let sql = "SELECT pg_database_size(current_database())";
            let database = connection.prepare(sql)?.query_row((), |row| row::unsigned(row, 0))?;
            return Ok(Space { database, available: u64::MAX, disk: u64::MAX });
        };
        let pragma = |name: &str| {
            connection.prepare(&format!("PRAGMA {name}"))?.query_row((), |row| row::unsigned(row, 0))
        };
        let page = pragma("page_size")?;
        let (pages, free) = (pragma("page_count")?, pragma("freelist_count")?);
        let unused = free.saturating_mul(page);
        let database = pages.saturating_sub(free).saturating_mul(page);
        Ok(match rustix::fs::statvfs(place) {
            Ok(disk) => Space {
                database,
                available: disk.f_bavail.saturating_mul(disk.f_frsize).saturating_add(unused),
                disk: disk.f_blocks.saturating_mul(disk.f_frsize),
            },
            // Where nobody can tell how much there is, the disk itself refuses.
            Err(error) => {
                tracing::debug!(%error, "cannot tell how much of the disk is free");
                Space { database, available: u64::MAX, disk: u64::MAX }
            }
        })
    }
}

/// Each change of the level is reported once.
fn report(Looked { space, level, room }: Looked) {
    let used = space.database;
    match level {
        Level::Ample => tracing::info!(used, room, "there is enough room again"),
        Level::Low(bound) => {
            let limit = bound.limit();
            tracing::warn!(limit, used, room, "there is little room left for what peers add");
        }
        Level::Full(bound) => {
            let limit = bound.limit();
            tracing::error!(limit, used, "there is no room left: peers can add nothing until some is free");
        }
    }
}

/// What an operation that makes the data grow asks for room.
#[derive(Debug, Clone)]
pub(super) struct Room {
    pub(super) quotas: Quotas,
    pub(super) space: Arc<SpaceMeter>,
}

impl Room {
    /// Refuses to add anything where there is no room.
    pub(super) fn admit(&self, connection: &Connection) -> Result<(), Refusal> {
        Ok(admit(self.space.recent(connection, &self.quotas)?.level)?)
    }
}

impl Store {
    /// How much room there is now.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn space(&self) -> Result<Looked, Refusal> {
        let Room { quotas, space } = self.room();
        self.read(move |connection| Ok(space.look(connection, &quotas)?)).await
    }
}
