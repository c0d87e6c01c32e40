//! Updates of kinds that this version does not know: kept until a version comes that does.
//!
//! What always holds: such an update has its place in the inbox like any other and takes effect at most once, when a newer
//! version of this program has read it.

use dos_protocol::{PeerId, Seq, Timestamp, directory::UnknownUpdate};
use rusqlite::{Connection, params};

use super::{
    Error, Store, execute,
    inbox::{self, Applied, Incoming},
};

/// Updates kept; of more, the oldest are given up.
const UNKNOWN_UPDATES_MAX: u32 = 1_000;

impl Store {
    /// Applies the updates that an older version has kept and this one knows.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn apply_kept_updates(&self, me: PeerId) -> Result<Applied, Error> {
        self.write(move |connection| {
            let mut applied = Applied::default();
            for kept in kept(connection)? {
                let Some(update) = kept.read() else { continue };
                inbox::one(connection, me, &Incoming { seq: kept.seq, at: kept.at, update }, &mut applied)?;
                let sql = "DELETE FROM unknown_updates WHERE seq = ?1";
                execute(connection, sql, [kept.seq.0.cast_signed()])?;
            }
            applied.unknown = count(connection)?;
            Ok(applied)
        })
        .await
    }
}

fn kept(connection: &Connection) -> Result<Vec<UnknownUpdate>, Error> {
    let mut statement =
        connection.prepare_cached("SELECT seq, at, kind, body FROM unknown_updates ORDER BY seq")?;
    let rows = statement.query_map([], |row| {
        Ok(UnknownUpdate {
            seq: Seq(row.get::<_, i64>(0)?.cast_unsigned()),
            at: Timestamp(row.get(1)?),
            kind: row.get::<_, String>(2)?.into(),
            body: row.get::<_, Vec<u8>>(3)?.into(),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Keeps an update.
pub(super) fn keep(connection: &Connection, update: &UnknownUpdate) -> Result<(), Error> {
    execute(
        connection,
        "INSERT OR IGNORE INTO unknown_updates (seq, at, kind, body) VALUES (?1, ?2, ?3, ?4)",
        params![update.seq.0.cast_signed(), update.at.0, update.kind, update.body],
    )?;
    let sql = "DELETE FROM unknown_updates WHERE seq IN
                   (SELECT seq FROM unknown_updates ORDER BY seq DESC LIMIT -1 OFFSET ?1)";
    execute(connection, sql, [UNKNOWN_UPDATES_MAX])?;
    Ok(())
}

/// How many there are.
pub(super) fn count(connection: &Connection) -> Result<u64, Error> {
    let sql = "SELECT count(*) FROM unknown_updates";
    let count: i64 = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(count.cast_unsigned())
}
