//! Moving the store from its file to database servers: checked, copied in one transaction, and checked again. And what is done to it there
//! without a server that runs.
//!
//! The file stays as it is, but for being brought up to date. What has something in it already is not written to.

use std::{path::Path, thread, time::Duration};

use dos_protocol::{Code, Timestamp, WireError, admin::Checked};
use dos_sql::{Connection, OpenError, Server, Session, Value, off_the_runtime, params_from_iter};

use super::{
    Refusal,
    check::{check, check_server},
    images, incarnation, nodes, row,
    schema::{POSTGRES, SCHEMA},
};
use crate::rules::refusal::conflict;

/// Every table, in an order in which what others refer to is there first.
pub(super) const TABLES: [&str; 20] = [
    "peers",
    "images",
    "previews",
    "counters",
    "grants",
    "views",
    "views_forgotten",
    "requests",
    "inbox_heads",
    "inbox",
    "inbox_shares",
    "invites",
    "messages",
    "blocks",
    "done",
    "passwords",
    "directory",
    "forks",
    "withheld",
    "lockouts",
];

/// The operator's tables.
pub(super) const OPERATORS: [&str; 2] = ["bans", "audit"];

/// Those on whose rows triggers count, which have counted them already.
const COUNTED: [&str; 5] = ["images", "grants", "requests", "done", "inbox"];

/// Rows in one statement, and numbers of rows that there is a statement for.
const BATCHES: [usize; 2] = [100, 1];

/// A statement is sent when its values take so much, however few rows they are.
const BATCH_BYTES: usize = 4 << 20;

/// Copies the database at `from`, which nobody may be using, to these servers.
///
/// # Errors
/// `not_found` if there is no database, `invalid` if it is not sound or a server cannot be used, `conflict` if there is something
/// in the store there already.
pub(crate) fn move_to(from: &Path, to: &Server) -> Result<Checked, Refusal> {
    let before = check(from)?;
    sound(&before, "the database is not sound")?;
    off_the_runtime(|| copy(from, to))?;
    let after = off_the_runtime(|| check_server(to))?;
    sound(&after, "what was copied is not sound; the file is as it was")?;
    Ok(after)
}

/// Makes the tables on these servers, or brings them up to date; the version that there was before, and the one that is there now.
///
/// # Errors
/// `invalid` if a server cannot be used.
pub(crate) fn migrate(servers: &Server) -> Result<(usize, usize), Refusal> {
    off_the_runtime(|| {
        let session = Session::open_patient(servers).map_err(|error| unusable(error.into()))?;
        let before = POSTGRES.apply(&session).map_err(unusable)?;
        Ok((before, POSTGRES.version()))
    })
}

/// How long a server that lives may take to raise its beat.
const BEATS: Duration = Duration::from_secs(3);

/// Makes what was restored on these servers another incarnation: numbers that were given after the backup was made are not given again,
/// and peers bring back what they know. Sessions that the backup has are over.
///
/// # Errors
/// `conflict` if a server uses it; `invalid` if the servers cannot be used, or the store is not sound.
pub(crate) fn leap(servers: &Server) -> Result<Checked, Refusal> {
    off_the_runtime(|| {
        let checked = check_server(servers)?;
        sound(&checked, "what was restored is not sound")?;
        let session = Session::open_patient(servers).map_err(|error| unusable(error.into()))?;
        POSTGRES.apply(&session).map_err(unusable)?;
        let connection = Connection::Postgres(&session);
        let before = nodes::beats(&connection)?;
        if !before.is_empty() {
            thread::park_timeout(BEATS);
        }
        session.begin_alone().map_err(dos_sql::Error::from)?;
        // One that has stood still ended with what the backup is of.
        if nodes::beats(&connection)?.iter().any(|beat| !before.contains(beat)) {
            return Err(conflict("a server uses this store").hint("dosd shutdown").into());
        }
        incarnation::renew(&connection, Timestamp::now())?;
        connection
            .execute_batch("DELETE FROM nodes; UPDATE inbox_heads SET node = NULL WHERE node IS NOT NULL")?;
        session.commit("COMMIT").map_err(dos_sql::Error::from)?;
        Ok(checked)
    })
}

pub(super) fn sound(checked: &Checked, why: &str) -> Result<(), Refusal> {
    if checked.findings.is_empty() {
        return Ok(());
    }
    Err(WireError::new(Code::Invalid, why).caused_by(checked.findings.join("; ")).into())
}

/// What a person can do something about, with its cause.
pub(super) fn unusable(error: OpenError) -> Refusal {
    let mut told = WireError::new(Code::Invalid, error.to_string());
    let mut source = std::error::Error::source(&error);
    let mut causes = Vec::new();
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    if !causes.is_empty() {
        told = told.caused_by(causes.join(": "));
    }
    told.into()
}

fn copy(from: &Path, to: &Server) -> Result<(), Refusal> {
    let session = Session::open_patient(to).map_err(|error| unusable(error.into()))?;
    if !session.durability().is_on_disk() {
        return Err(unusable(OpenError::NotDurable(session.durability().clone())));
    }
    POSTGRES.apply(&session).map_err(unusable)?;
    let file = dos_sqlite::open_writer(from, &SCHEMA).map_err(|error| unusable(error.into()))?;
    let (source, target) = (Connection::Sqlite(&file), Connection::Postgres(&session));
    images::hash_previews(&source)?;
    session.begin_alone().map_err(dos_sql::Error::from)?;
    for table in ["peers", "invites", "bans", "audit"] {
        if target.query_row(&format!("SELECT EXISTS(SELECT 1 FROM {table})"), (), |row| row.get(0))? {
            return Err(
                conflict("there is a store in the database already: a move goes to an empty one").into()
            );
        }
    }
    triggers(&target, "DISABLE")?;
    target.execute_batch("DELETE FROM counters; DELETE FROM directory")?;
    for table in TABLES.into_iter().chain(OPERATORS) {
        let rows = copy_table((&source, &target), table)?;
        tracing::info!(table, rows, "copied");
    }
    triggers(&target, "ENABLE")?;
    target.execute_batch(
        "SELECT setval(pg_get_serial_sequence('audit', 'no'), coalesce(max(no), 0) + 1, false) FROM audit",
    )?;
    session.commit("COMMIT").map_err(|error| unusable(error.into()))
}

fn triggers(target: &Connection, what: &str) -> Result<(), Refusal> {
    COUNTED
        .iter()
        .try_for_each(|table| Ok(target.execute_batch(&format!("ALTER TABLE {table} {what} TRIGGER USER"))?))
}

/// Copies one table; answers how many rows it has.
fn copy_table((source, target): (&Connection, &Connection), table: &str) -> Result<u64, Refusal> {
    let mut names = source.prepare(&format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid"))?;
    let names = names.query_map((), |row| row.get::<String>(0))?.collect::<dos_sql::Result<Vec<_>>>()?;
    let columns: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    let columns = columns.join(", ");
    let mut statement = source.prepare(&format!("SELECT {columns} FROM {table}"))?;
    let mut rows = statement.query(())?;
    let (mut waiting, mut bytes, mut count) = (Vec::new(), 0, 0);
    while let Some(row) = rows.next()? {
        for column in 0..names.len() {
            let value: Value = row.get(column)?;
            bytes += match &value {
                Value::Text(text) => text.len(),
                Value::Blob(blob) => blob.len(),
                _ => 8,
            };
            waiting.push(value);
        }
        count += 1;
        if waiting.len() == BATCHES[0] * names.len() || bytes > BATCH_BYTES {
            insert(target, (table, &columns, names.len()), &mut waiting)?;
            bytes = 0;
        }
    }
    insert(target, (table, &columns, names.len()), &mut waiting)?;
    Ok(count)
}

pub(super) fn insert(
    target: &Connection,
    (table, columns, width): (&str, &str, usize),
    values: &mut Vec<Value>,
) -> Result<(), Refusal> {
    let mut rest = values.as_slice();
    for rows in BATCHES {
        while let Some((batch, others)) = rest.split_at_checked(rows * width) {
            if batch.is_empty() {
                break;
            }
            let places = row::places(rows, width);
            target
                .prepare(&format!("INSERT INTO {table}({columns}) VALUES {places}"))?
                .execute(params_from_iter(batch))?;
            rest = others;
        }
    }
    values.clear();
    Ok(())
}
