//! What is deleted is in no file any more.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt as _, path::Path};

use dos_testing::wait_until_async;

use super::*;
use crate::{Migration, OVERWRITE_FREE_PAGES, Schema, open_reader, open_writer};

const SECRET: &[u8] = b"a share that was revoked a moment ago";
const TABLE: &str = "CREATE TABLE t(n INTEGER PRIMARY KEY, content BLOB)";
const FIRST: Schema = Schema { application_id: 7, migrations: &[Migration { sql: TABLE }] };
const SECOND: Schema = Schema {
    application_id: 7,
    migrations: &[Migration { sql: TABLE }, Migration { sql: OVERWRITE_FREE_PAGES }],
};

/// How often the secret is in the files of a directory.
fn found(dir: &Path) -> usize {
    let files = fs::read_dir(dir).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
    files.map(|file| file.windows(SECRET.len()).filter(|window| *window == SECRET).count()).sum()
}

/// Rows that fill pages of their own, so that deleting them makes pages free.
fn fill(connection: &Connection, rows: i64) {
    let content = [SECRET, &[7; 3000]].concat();
    for n in 0..rows {
        connection.execute("INSERT INTO t VALUES(?1, ?2)", (n, &content)).unwrap();
    }
}

#[tokio::test]
async fn what_is_deleted_is_in_no_file_once_the_writer_is_idle() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let (writer, thread) =
        Writer::start(open_writer(&path, &FIRST).unwrap(), open_writer(&path, &FIRST).unwrap()).unwrap();
    let filled = |connection: &Connection| {
        fill(connection, 20);
        Ok::<(), StoreError>(())
    };
    writer.call(filled).await.unwrap();
    assert!(found(dir.path()) > 0);
    // A read that began before still sees everything, and keeps the log.
    let reader = open_reader(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM t").unwrap();
    writer.call(|connection| Ok::<_, StoreError>(connection.execute("DELETE FROM t", [])?)).await.unwrap();
    let rows: i64 = reader.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
    assert!(rows == 20 && found(dir.path()) > 0, "what a read still needs stays");
    drop(reader);
    wait_until_async("the secret is gone", async || found(dir.path()) == 0).await;
    drop(writer);
    thread.join();
}

#[test]
fn what_an_earlier_program_has_deleted_goes_with_the_update() {
    let dir = tempfile::tempdir().unwrap();
    // Not UTF-8, as a path may be.
    let path = dir.path().join(OsStr::from_bytes(b"d\xffb"));
    let connection = open_writer(&path, &FIRST).unwrap();
    connection.pragma_update(None, "secure_delete", "FAST").unwrap();
    fill(&connection, 20);
    connection.execute("DELETE FROM t WHERE n > 2", []).unwrap();
    drop(connection);
    assert!(found(dir.path()) > 3, "it is in free pages");
    drop(open_writer(&path, &SECOND).unwrap());
    let reader = open_reader(&path).unwrap();
    let kept: i64 = reader.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
    // Once in the database, once in the copy from before.
    assert_eq!((kept, found(dir.path())), (3, 6));
}
