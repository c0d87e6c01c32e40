//! Changes that were done, under their operation IDs: asked again after a lost answer they are not done again.
//!
//! The answer is written in the transaction of the change. A refusal is not kept: nothing was done.

use dos_protocol::{OperationId, PeerId, Timestamp, limits::OPERATION_REMEMBERED};
use dos_sql::{self as sql, Connection, Optional as _, params};

use super::{Answered, Change, Changed, Refusal, row};
use crate::rules::{quota::are_too_many, refusal::conflict};

/// Forgotten changes that go with each new one: more than one, so that the table shrinks after a busy time.
const FORGOTTEN_AT_ONCE: u32 = 4;

const FORGET_OLD: &str = "DELETE FROM done WHERE (peer, operation) IN
    (SELECT peer, operation FROM done WHERE at < ?1 ORDER BY at LIMIT ?2)";

/// The oldest quarter of a peer's answers at once: to find them is a step for every one that it has.
const FORGET_QUARTER: &str = "DELETE FROM done WHERE (peer, operation) IN
    (SELECT peer, operation FROM done WHERE peer = ?1 ORDER BY at
     LIMIT (SELECT count(*) / 4 + 1 FROM done WHERE peer = ?1))";

/// Does `work` and keeps its answer, or gives the answer that was kept.
pub(super) fn once<T: Answered>(
    connection: &Connection,
    change: Change,
    work: impl FnOnce(&Connection) -> Result<Changed<T>, Refusal>,
) -> Result<Changed<T>, Refusal> {
    let Some(operation) = change.operation else { return work(connection) };
    if let Some(answer) = find(connection, change.peer, operation)? {
        let answer = T::from_bytes(&answer)?;
        let answer = answer.ok_or_else(|| conflict("that operation ID belongs to another change"))?;
        return Ok(answer.into());
    }
    let changed = work(connection)?;
    let answer = changed.value.to_bytes()?;
    remember(connection, (change.peer, operation), &answer, change.now)?;
    Ok(changed)
}

fn find(connection: &Connection, peer: PeerId, operation: OperationId) -> sql::Result<Option<Vec<u8>>> {
    let mut statement = connection.prepare("SELECT answer FROM done WHERE peer = ?1 AND operation = ?2")?;
    let key = params![row::peer_number(peer), operation.as_bytes().as_slice()];
    statement.query_row(key, |row| row.get(0)).optional()
}

fn remember(
    connection: &Connection,
    (peer, operation): (PeerId, OperationId),
    answer: &[u8],
    now: Timestamp,
) -> sql::Result<()> {
    connection
        .prepare("INSERT INTO done(peer, operation, answer, at) VALUES(?1, ?2, ?3, ?4)")?
        .execute(params![row::peer_number(peer), operation.as_bytes().as_slice(), answer, now.0])?;
    // What others have done is theirs, if they do something in the meantime.
    if !connection.is_shared() {
        forget(connection, now, FORGOTTEN_AT_ONCE)?;
    }
    let sql = "SELECT answer_bytes FROM peers WHERE id = ?1";
    let bytes = connection.prepare(sql)?.query_row([row::peer_number(peer)], |row| row::unsigned(row, 0));
    if bytes.optional()?.is_some_and(are_too_many) {
        connection.prepare(FORGET_QUARTER)?.execute([row::peer_number(peer)])?;
    }
    Ok(())
}

/// Forgets changes whose time is over, the oldest ones, at most `limit`.
pub(super) fn forget(connection: &Connection, now: Timestamp, limit: u32) -> sql::Result<usize> {
    let since = now.before(OPERATION_REMEMBERED);
    connection.prepare(FORGET_OLD)?.execute(params![since.0, limit])
}
