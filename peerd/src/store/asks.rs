//! Requests for access: those of others, and one's own.
//!
//! What always holds: a request never goes back to a lower revision.

use dos_protocol::{
    ImageNo, PeerId,
    directory::{Request, RequestState},
    limits::PAGE_MAX,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Error, Store, bodies, body, execute, id, to_blob};

impl Store {
    /// Takes over a request as the directory told it in an answer.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn take_ask(&self, asked: Request) -> Result<(), Error> {
        self.write(move |connection| {
            let me = super::own(connection)?.peer;
            apply(connection, me, &asked)?;
            Ok(())
        })
        .await
    }

    /// A page of the requests that came in, or went out, those after this number; only pending ones unless `all`.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn asks(
        &self,
        (incoming, all): (bool, bool),
        after: u64,
    ) -> Result<Vec<Request>, Error> {
        self.read(move |connection| {
            let sql = "SELECT body FROM asks WHERE incoming = ?1 AND (?2 OR pending = 1) AND request > ?3
                       ORDER BY request LIMIT ?4";
            bodies(connection, "request", sql, params![incoming, all, after.cast_signed(), PAGE_MAX])
        })
        .await
    }

    /// One request.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn ask(&self, request: u64) -> Result<Option<Request>, Error> {
        self.read(move |connection| {
            let sql = "SELECT body FROM asks WHERE request = ?1";
            body(connection, "request", sql, [request.cast_signed()])
        })
        .await
    }

    /// How many requests of others wait for an answer, told to `then` on the writer's thread: whoever keeps the number gets the
    /// states of the store in their order.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn count_pending(&self, then: impl FnOnce(u64) + Send + 'static) -> Result<(), Error> {
        self.writer.call_then(super::waiting, |count: &mut u64| then(*count)).await.map(drop)
    }
}

pub(super) fn count_pending(connection: &Connection) -> Result<u64, Error> {
    let sql = "SELECT count(*) FROM asks WHERE incoming = 1 AND pending = 1";
    let count: i64 = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(count.cast_unsigned())
}

/// Takes over a request if it is newer than the one known. Returns whether it was.
pub(super) fn apply(connection: &Connection, me: Option<PeerId>, new: &Request) -> Result<bool, Error> {
    let known: Option<i64> = connection
        .prepare_cached("SELECT revision FROM asks WHERE request = ?1")?
        .query_row([new.request.cast_signed()], |row| row.get(0))
        .optional()?;
    if known.is_some_and(|known| known.cast_unsigned() >= new.revision) {
        return Ok(false);
    }
    write(connection, me == Some(new.path.owner), new)?;
    Ok(true)
}

fn write(connection: &Connection, incoming: bool, asked: &Request) -> Result<(), Error> {
    execute(
        connection,
        "INSERT OR REPLACE INTO asks (request, image, incoming, pending, revision, body, other)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            asked.request.cast_signed(),
            asked.image.0.cast_signed(),
            incoming,
            asked.state == RequestState::Pending,
            asked.revision.cast_signed(),
            to_blob("request", asked)?,
            id(if incoming { asked.from } else { asked.path.owner }),
        ],
    )?;
    Ok(())
}

/// The image is gone: whoever waits for an answer gets none.
pub(super) fn void(connection: &Connection, image: ImageNo) -> Result<(), Error> {
    let me = super::own(connection)?.peer;
    let sql = "SELECT body FROM asks WHERE image = ?1 AND pending = 1";
    for asked in bodies::<Request>(connection, "request", sql, [image.0.cast_signed()])? {
        let reason = Some("the image was removed".into());
        let incoming = me == Some(asked.path.owner);
        write(connection, incoming, &Request { state: RequestState::Denied, reason, ..asked })?;
    }
    Ok(())
}
