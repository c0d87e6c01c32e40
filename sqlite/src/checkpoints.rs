//! Copying the log into the database beside the writer, and wiping what was deleted from the log and from old copies.
//!
//! The log has whole pages as they were, also of what was deleted since. It is wiped when the writer has been idle for a second, at the
//! latest after a minute of work, or as soon as the last read from before (a backup) has ended. What always holds: the writer waits for
//! none of this longer than [`WAIT_MAX`].

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::{Duration, Instant, SystemTime},
};

use rusqlite::Connection;

use crate::open::lengthen_log;

/// Commits after which the log is copied into the database even while the writer is busy: the writer's own checkpoint
/// then finds little to do.
const COMMITS_PER_CHECKPOINT: u64 = 64;

/// How often the checkpointer looks.
const PAUSE: Duration = Duration::from_millis(20);

/// The writer is idle when it has committed nothing for so long.
const IDLE: Duration = Duration::from_secs(1);

/// A writer that is never idle has its log wiped so often.
const BUSY: Duration = Duration::from_secs(60);

/// How long a wipe may keep the writer waiting for a reader.
const WAIT_MAX: Duration = Duration::from_millis(50);

/// How long the last checkpoint waits for readers that end with the program.
const LAST_WAIT_MAX: Duration = Duration::from_secs(10);

/// How often old copies are looked for.
const SWEEP: Duration = Duration::from_secs(3600);

/// How long the copy is kept that was made before a migration: by then the newer program has proved itself, or has been given up.
const COPY_KEPT: Duration = Duration::from_secs(7 * 86_400);

/// What the checkpointer works with.
pub(crate) struct Checkpointer {
    connection: Connection,
    path: Option<PathBuf>,
    /// Commits that were not copied yet.
    seen: u64,
    /// Whether the log may have what is deleted by now.
    dirty: bool,
    wiped: Instant,
    swept: Instant,
}

impl Checkpointer {
    /// On a connection of its own.
    pub(crate) fn new(connection: Connection) -> Self {
        let path = connection.path().filter(|path| !path.is_empty()).map(PathBuf::from);
        let now = Instant::now();
        Self { connection, path, seen: 0, dirty: false, wiped: now, swept: now }
    }

    /// Runs until the writer has ended; it tells of its commits.
    pub(crate) fn run(mut self, commits: &Receiver<()>) {
        self.patience(WAIT_MAX);
        self.sweep();
        loop {
            match commits.recv_timeout(self.pause()) {
                Ok(()) => self.committed(),
                Err(RecvTimeoutError::Timeout) => self.waited(),
                Err(RecvTimeoutError::Disconnected) => {
                    self.patience(LAST_WAIT_MAX);
                    self.checkpoint("TRUNCATE");
                    return;
                }
            }
            if self.swept.elapsed() >= SWEEP {
                self.sweep();
            }
        }
    }

    fn pause(&self) -> Duration {
        if self.seen > 0 {
            PAUSE
        } else if self.dirty {
            IDLE
        } else {
            SWEEP
        }
    }

    fn committed(&mut self) {
        self.seen += 1;
        self.dirty = true;
        if self.seen < COMMITS_PER_CHECKPOINT {
            return;
        }
        self.seen = 0;
        if self.wiped.elapsed() >= BUSY {
            self.wipe();
        } else {
            self.checkpoint("PASSIVE");
        }
        // A busy writer is faster on a log that has its length.
        if let Some(path) = &self.path
            && let Err(error) = lengthen_log(path)
        {
            tracing::debug!(%error, "cannot lengthen the log");
        }
    }

    fn waited(&mut self) {
        if self.seen > 0 {
            self.seen = 0;
            self.checkpoint("PASSIVE");
        } else if self.dirty {
            self.wipe();
        }
    }

    /// Empties the log, which thereby loses what was deleted. While somebody still reads what it has, it stays, and is tried again.
    fn wipe(&mut self) {
        if self.checkpoint("TRUNCATE") {
            self.dirty = false;
            self.wiped = Instant::now();
        }
    }

    /// Whether all of the log was copied.
    fn checkpoint(&self, mode: &str) -> bool {
        let is_busy = self
            .connection
            .query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| row.get::<_, bool>(0));
        match is_busy {
            Ok(is_busy) => !is_busy,
            Err(error) => {
                // The log keeps everything; the next checkpoint tries again.
                tracing::warn!(error = &error as &dyn std::error::Error, "checkpoint failed");
                false
            }
        }
    }

    fn patience(&self, patience: Duration) {
        if let Err(error) = self.connection.busy_timeout(patience) {
            tracing::debug!(%error, "cannot bound how long a checkpoint waits");
        }
    }

    fn sweep(&mut self) {
        self.swept = Instant::now();
        let Some(path) = &self.path else { return };
        if let Err(error) = sweep_copies(path, SystemTime::now()) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "cannot delete an old copy of the database"
            );
        }
    }
}

/// Deletes the copies of the database at `path` that were made before its migrations and have served their time: what was deleted and
/// revoked since is still in them.
pub(crate) fn sweep_copies(path: &Path, now: SystemTime) -> io::Result<()> {
    let Some(directory) = path.parent() else { return Ok(()) };
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if !is_copy(path, &entry.path()) {
            continue;
        }
        let age = now.duration_since(entry.metadata()?.modified()?).unwrap_or_default();
        if age >= COPY_KEPT {
            fs::remove_file(entry.path())?;
            tracing::info!(copy = %entry.path().display(), "deleted the copy from before an earlier update");
        }
    }
    Ok(())
}

/// Whether `found` is such a copy, or the rest of one.
fn is_copy(database: &Path, found: &Path) -> bool {
    let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let (Some(database), Some(found)) = (name(database), name(found)) else { return false };
    let version = found.strip_prefix(&database).and_then(|rest| rest.strip_prefix(".v"));
    let version = version.and_then(|rest| rest.strip_suffix(".new").unwrap_or(rest).strip_suffix(".backup"));
    version.is_some_and(|version| !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn copies_go_after_a_week_and_nothing_else_does() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("dosd.db");
        let names = [
            ("dosd.db", true),
            ("dosd.db-wal", true),
            ("dosd.db.v7.backup", false),
            ("dosd.db.v12.backup.new", false),
            ("dosd.db.v.backup", true),
            ("dosd.db.v7.backup.mine", true),
            ("other.db.v7.backup", true),
        ];
        for (name, _) in names {
            File::create(temp.path().join(name)).unwrap();
        }
        let made = SystemTime::now();
        sweep_copies(&path, made + COPY_KEPT - Duration::from_secs(60)).unwrap();
        assert!(names.iter().all(|(name, _)| temp.path().join(name).exists()));
        sweep_copies(&path, made + COPY_KEPT + Duration::from_secs(60)).unwrap();
        for (name, stays) in names {
            assert_eq!(temp.path().join(name).exists(), stays, "{name}");
        }
    }
}
