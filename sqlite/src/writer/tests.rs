//! What the writer promises: batches, isolation of failures, order, durability of what was answered.

use std::{sync::Mutex, time::Duration};

use super::*;
use crate::{Migration, OpenError, Readers, Schema, open_reader, open_writer};

const SCHEMA: Schema =
    Schema { application_id: 7, migrations: &[Migration { sql: "CREATE TABLE t(n INTEGER PRIMARY KEY)" }] };

fn start(path: &std::path::Path) -> (Writer, WriterThread) {
    let writing = open_writer(path, &SCHEMA).unwrap();
    Writer::start(writing, open_writer(path, &SCHEMA).unwrap()).unwrap()
}

fn insert(n: i64) -> impl FnOnce(&Connection) -> Result<i64, StoreError> + Send + 'static {
    move |connection| {
        connection.execute("INSERT INTO t VALUES(?1)", [n])?;
        Ok(n)
    }
}

/// Another program that looks into the database removes the log when it is through, if it finds no lock. (SQLite guards against
/// that by itself since 3.51; the one that an administrator has may be older.)
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_database_is_locked_for_as_long_as_it_is_open() {
    use std::os::unix::fs::MetadataExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let (writer, thread) = start(&path);
    writer.call(insert(1)).await.unwrap();
    let inode = format!(":{}", std::fs::metadata(&path).unwrap().ino());
    let process = std::process::id().to_string();
    let is_locked = || {
        std::fs::read_to_string("/proc/locks").unwrap().lines().any(|lock| {
            let mut fields = lock.split_whitespace();
            fields.any(|field| field == process) && fields.any(|file| file.ends_with(&inode))
        })
    };
    assert!(is_locked());
    drop(writer);
    thread.join();
    assert!(!is_locked());
}

#[tokio::test]
async fn a_failing_operation_undoes_only_itself() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let (writer, thread) = start(&path);
    let failing = writer.call(|connection| {
        connection.execute("INSERT INTO t VALUES(2)", [])?;
        connection.execute("INSERT INTO t VALUES(1)", [])?;
        Ok::<(), StoreError>(())
    });
    let (first, second, third) = tokio::join!(writer.call(insert(1)), failing, writer.call(insert(3)));
    assert!(first.is_ok() && second.is_err() && third.is_ok());
    let readers = Readers::open(&path, 1).unwrap();
    let sum =
        |c: &Connection| Ok::<i64, StoreError>(c.query_row("SELECT sum(n) FROM t", [], |row| row.get(0))?);
    assert_eq!(readers.read(sum).await.unwrap(), 4);
    drop(writer);
    thread.join();
}

#[tokio::test]
async fn what_runs_after_the_commit_runs_in_order_and_sees_it_committed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let (writer, thread) = start(&path);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut calls = Vec::new();
    for n in 0..200 {
        let (seen, writer, path) = (Arc::clone(&seen), writer.clone(), path.clone());
        calls.push(tokio::spawn(async move {
            let then = move |n: &mut i64| {
                let committed =
                    open_reader(&path)
                        .unwrap()
                        .query_row("SELECT count(*) FROM t WHERE n = ?1", [*n], |r| r.get(0));
                seen.lock().unwrap().push((*n, committed == Ok(1i64)));
            };
            writer.call_then(insert(n), then).await.unwrap();
        }));
    }
    for call in calls {
        call.await.unwrap();
    }
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen, (0..200).map(|n| (n, true)).collect::<Vec<_>>());
    let stats = writer.stats();
    assert_eq!((stats.operations, stats.failures), (200, 0));
    assert!(stats.commits < 200, "no two operations shared a commit");
    drop(writer);
    thread.join();
}

#[tokio::test]
async fn closing_commits_what_was_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let (writer, thread) = start(&path);
    let call = writer.call(insert(5));
    let (answer, ()) = tokio::join!(call, async { drop(writer.clone()) });
    assert_eq!(answer.unwrap(), 5);
    drop(writer);
    thread.join();
    assert!(!dir.path().join("db-wal").exists(), "the log is not copied into the database");
    let again = open_writer(&path, &SCHEMA).unwrap();
    assert_eq!(again.query_row("SELECT n FROM t", [], |row| row.get::<_, i64>(0)), Ok(5));
}

#[tokio::test]
async fn the_log_does_not_grow_while_little_is_written_and_a_killed_writer_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let (writer, _thread) = start(&path);
    let length = || dir.path().join("db-wal").metadata().unwrap().len();
    let before = length();
    for n in 0..300 {
        writer.call(insert(n)).await.unwrap();
    }
    assert_eq!(length(), before);
    // What a kill leaves: the files as they are, with the log full of frames and zeros behind them.
    let left = tempfile::tempdir().unwrap();
    for name in ["db", "db-wal"] {
        std::fs::copy(dir.path().join(name), left.path().join(name)).unwrap();
    }
    let again = open_writer(&left.path().join("db"), &SCHEMA).unwrap();
    assert_eq!(again.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)), Ok(300));
    drop(writer);
}

#[test]
fn a_newer_schema_is_refused_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let connection = open_writer(&path, &SCHEMA).unwrap();
    connection.pragma_update(None, "user_version", 9).unwrap();
    drop(connection);
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(open_writer(&path, &SCHEMA), Err(OpenError::Newer { found: 9, known: 1 })));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

const TWICE: Schema = Schema {
    application_id: 7,
    migrations: &[
        Migration { sql: "CREATE TABLE t(n INTEGER PRIMARY KEY)" },
        Migration { sql: "ALTER TABLE t ADD COLUMN m INTEGER" },
    ],
};

#[test]
fn a_database_is_copied_before_it_is_brought_up_to_date_and_only_then() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let copy = crate::copy_name(&path, 1);
    let old = open_writer(&path, &SCHEMA).unwrap();
    old.execute("INSERT INTO t VALUES(41)", []).unwrap();
    drop(old);
    drop(open_writer(&path, &SCHEMA).unwrap());
    assert!(!copy.exists(), "nothing was to be done");
    drop(open_writer(&path, &TWICE).unwrap());
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let copied = open_writer(&copy, &SCHEMA).unwrap();
    assert_eq!(copied.query_row("SELECT n FROM t", [], |row| row.get::<_, i64>(0)), Ok(41));
    drop(open_writer(&dir.path().join("new"), &TWICE).unwrap());
    assert!(!crate::copy_name(&dir.path().join("new"), 1).exists(), "a new database has nothing to copy");
}

#[test]
fn a_database_that_cannot_be_copied_is_not_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    drop(open_writer(&path, &SCHEMA).unwrap());
    std::fs::create_dir_all(crate::copy_name(&path, 1).join("in the way")).unwrap();
    assert!(matches!(open_writer(&path, &TWICE), Err(OpenError::Copy(..))));
    drop(open_writer(&path, &SCHEMA).expect("it is still the old version"));
}

#[test]
fn the_database_of_another_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    drop(open_writer(&path, &SCHEMA).unwrap());
    let other = Schema { application_id: 8, ..SCHEMA };
    assert!(matches!(open_writer(&path, &other), Err(OpenError::Foreign)));
}

#[test]
fn the_file_is_readable_to_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let connection = open_writer(&path, &SCHEMA).unwrap();
    connection.execute("INSERT INTO t VALUES(1)", []).unwrap();
    for name in ["db", "db-wal", "db-shm"] {
        let mode = dir.path().join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_writer_that_hangs_or_is_gone_does_not_answer() {
    let dir = tempfile::tempdir().unwrap();
    let (writer, thread) = start(&dir.path().join("db"));
    assert!(writer.answers().await);
    let before = std::fs::metadata(dir.path().join("db-wal")).unwrap().len();
    assert!(writer.answers().await, "asked again");
    let (go_on, waiting) = sync_channel::<()>(0);
    let (began, begun) = tokio::sync::oneshot::channel();
    let hanging = writer.clone();
    let hangs = tokio::spawn(async move {
        let work = move |_: &Connection| {
            began.send(()).unwrap();
            waiting.recv().map_err(|_| StoreError::Closed)
        };
        hanging.call(work).await
    });
    begun.await.unwrap();
    let asker = writer.clone();
    let mut asking = Box::pin(asker.answers());
    let soon = Duration::from_millis(50);
    assert!(tokio::time::timeout(soon, &mut asking).await.is_err(), "answered by a writer that hangs");
    go_on.send(()).unwrap();
    assert!(asking.await);
    drop(asker);
    hangs.await.unwrap().unwrap();
    let after = std::fs::metadata(dir.path().join("db-wal")).unwrap().len();
    assert_eq!(after, before, "asking writes nothing");
    let died = writer.call(|_| -> Result<(), StoreError> { panic!("as a bug would") }).await;
    assert!(died.is_err());
    assert!(!writer.answers().await);
    drop(writer);
    thread.join();
}

#[tokio::test]
async fn nothing_is_answered_as_done_once_the_files_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data/db");
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    let (writing, checkpoints) = (open_writer(&path, &SCHEMA).unwrap(), open_writer(&path, &SCHEMA).unwrap());
    let (writer, thread) = Writer::start_watching(writing, checkpoints, &path).unwrap();
    assert!(writer.call(insert(1)).await.is_ok());
    std::fs::rename(path.parent().unwrap(), dir.path().join("moved")).unwrap();
    assert!(matches!(writer.call(insert(2)).await, Err(StoreError::Gone(gone)) if gone == path));
    assert_eq!(writer.gone().await, path);
    // Also if they come back: what was written meanwhile may have gone elsewhere.
    std::fs::rename(dir.path().join("moved"), path.parent().unwrap()).unwrap();
    assert!(matches!(writer.call(insert(3)).await, Err(StoreError::Gone(_))) && !writer.answers().await);
    drop(writer);
    thread.join();
}
