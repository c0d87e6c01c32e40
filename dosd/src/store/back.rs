//! Moving the store from database servers back to a file: checked, copied as of one moment, and checked again.
//!
//! What always holds: the database stays as it is; nothing has the file's name before it is complete, verified and durable; and no
//! server uses the store meanwhile.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use dos_protocol::{Code, WireError, admin::Checked};
use dos_sql::{Connection, Server, Session, Value, off_the_runtime};

use super::{
    ConnectError, Joining, Refusal,
    check::{check, check_server},
    nodes,
    restore::{Unfinished, put, unwritable},
    schema::{POSTGRES, SCHEMA},
    transfer::{OPERATORS, TABLES, insert, sound, unusable},
};
use crate::rules::refusal::{conflict, not_found};

/// Rows that are read at once.
const BATCH: usize = 100;

/// Copies the store on these servers, which no server may be using, to a new file.
///
/// # Errors
/// `conflict` if there is a file already, or a server uses the store; `not_found` if there is no store; `invalid` if it is not
/// sound, or something cannot be read or written.
pub(crate) fn move_back(from: &Server, to: &Path) -> Result<Checked, Refusal> {
    if fs::symlink_metadata(to).is_ok() {
        let why = format!("there is a database {} already: a move goes to an empty place", to.display());
        return Err(conflict(why).into());
    }
    let mut new = to.as_os_str().to_owned();
    new.push(".new");
    let new = Unfinished(new.into());
    off_the_runtime(|| copy(from, &new.0))?;
    let after = check(&new.0)?;
    sound(&after, "what was copied is not sound; the database is as it was")?;
    put(&new.0, to)?;
    Ok(after)
}

fn copy(from: &Server, new: &Path) -> Result<(), Refusal> {
    let session = Session::open_patient(from).map_err(|error| unusable(error.into()))?;
    if POSTGRES.found(&session).map_err(unusable)? == 0 {
        return Err(not_found("there is no store in the database").into());
    }
    sound(&check_server(from)?, "the store in the database is not sound")?;
    POSTGRES.apply(&session).map_err(unusable)?;
    let joining = Joining { address: "a move to a file".into(), cluster: None };
    let own = nodes::enter(&session, &joining).map_err(in_use)?;
    let source = Connection::Postgres(&session);
    let copied = copy_all(&source, new);
    // In whatever state the transaction is, this one leaves the list.
    session
        .batch("ROLLBACK")
        .and_then(|()| {
            let own = nodes::node_number(own);
            session.batch(&format!("DELETE FROM nodes WHERE node = {own}"))
        })
        .map_err(|error| unusable(error.into()))?;
    copied
}

fn in_use(error: ConnectError) -> Refusal {
    let code = if matches!(error, ConnectError::InUse(_)) { Code::Conflict } else { Code::Invalid };
    WireError::new(code, error.to_string()).hint("dosd shutdown").into()
}

fn copy_all(source: &Connection<'_>, new: &Path) -> Result<(), Refusal> {
    // Nobody joins while this is held, and what is read is of one moment.
    source.execute_batch("BEGIN ISOLATION LEVEL REPEATABLE READ; LOCK TABLE meta IN EXCLUSIVE MODE")?;
    if source.query_row("SELECT count(*) FROM nodes", (), |row| row.get::<i64>(0))? != 1 {
        return Err(conflict("a server has begun to use the store").into());
    }
    let made = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(new);
    drop(made.map_err(|error| unwritable(new, &error))?);
    let file = dos_sqlite::open_writer(new, &SCHEMA).map_err(|error| unusable(error.into()))?;
    let target = Connection::Sqlite(&file);
    target.execute_batch("BEGIN IMMEDIATE")?;
    // What they count is counted already.
    let triggers = triggers(&target)?;
    for (name, _) in &triggers {
        target.execute_batch(&format!("DROP TRIGGER {name}"))?;
    }
    target.execute_batch("DELETE FROM counters; DELETE FROM directory")?;
    for table in TABLES.into_iter().chain(OPERATORS) {
        let rows = copy_table((source, &target), table)?;
        tracing::info!(table, rows, "copied");
    }
    for (_, sql) in &triggers {
        target.execute_batch(sql)?;
    }
    target.execute_batch("COMMIT")?;
    // The last connection copies the log into the database and removes it.
    file.close().map_err(|(_, error)| error.into())
}

/// The names of all triggers, and the statements that make them.
fn triggers(target: &Connection<'_>) -> Result<Vec<(String, String)>, Refusal> {
    let mut all =
        target.prepare("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name")?;
    Ok(all.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<dos_sql::Result<_>>()?)
}

/// Copies one table; answers how many rows it has.
fn copy_table((source, target): (&Connection<'_>, &Connection<'_>), table: &str) -> Result<u64, Refusal> {
    let mut names = target.prepare(&format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid"))?;
    let names = names.query_map((), |row| row.get::<String>(0))?.collect::<dos_sql::Result<Vec<_>>>()?;
    let columns: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    let columns = columns.join(", ");
    // A table may be larger than the memory.
    source
        .execute_batch(&format!("DECLARE of_{table} NO SCROLL CURSOR FOR SELECT {columns} FROM {table}"))?;
    let mut count = 0;
    loop {
        let mut waiting: Vec<Value> = Vec::with_capacity(BATCH * names.len());
        let mut fetch = source.prepare(&format!("FETCH {BATCH} FROM of_{table}"))?;
        let mut rows = fetch.query(())?;
        while let Some(row) = rows.next()? {
            for column in 0..names.len() {
                waiting.push(row.get(column)?);
            }
            count += 1;
        }
        if waiting.is_empty() {
            source.execute_batch(&format!("CLOSE of_{table}"))?;
            return Ok(count);
        }
        insert(target, (table, &columns, names.len()), &mut waiting)?;
    }
}
