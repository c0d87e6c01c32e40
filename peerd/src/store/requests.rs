//! Requests for access: those of others, and one's own.
//!
//! What always holds: a request never goes back to a lower revision.

use dos_protocol::{ImageNo, PeerId, PeerName, directory::Request, limits::PAGE_MAX};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    Error, Store, contacted, execute, id, page,
    stored::{self, encode},
};
use crate::rules::requests;

impl Store {
    /// Takes over a request as the directory reported it in an answer.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn take_request(&self, request: Request) -> Result<(), Error> {
        self.take_requests(vec![request]).await
    }

    /// Takes over a page of requests.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn take_requests(&self, requests: Vec<Request>) -> Result<(), Error> {
        self.write_counting(move |connection| {
            let me = super::own(connection)?.peer;
            for request in &requests {
                receive(connection, me, request)?;
            }
            Ok(())
        })
        .await
    }

    /// A page of the requests that came in, or went out, in the order of their numbers: those behind this one; only pending
    /// ones unless `all`.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn requests(
        &self,
        (incoming, all): (bool, bool),
        after: u64,
    ) -> Result<Vec<Request>, Error> {
        self.read(move |connection| {
            // All of them are read in the order of the table (hence no index for `+incoming`), pending ones by their index.
            let sql = if all {
                "SELECT body FROM asks WHERE +incoming = ?1 AND request > ?2 ORDER BY request LIMIT ?3"
            } else {
                "SELECT body FROM asks WHERE incoming = ?1 AND pending = 1 AND request > ?2
                 ORDER BY request LIMIT ?3"
            };
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query(params![incoming, after.cast_signed(), PAGE_MAX])?;
            Ok(page::read(&mut rows, PAGE_MAX, stored::column)?.0)
        })
        .await
    }

    /// One request.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn request(&self, request: u64) -> Result<Option<Request>, Error> {
        self.read(move |connection| {
            let sql = "SELECT body FROM asks WHERE request = ?1";
            stored::one(connection, sql, [request.cast_signed()])
        })
        .await
    }

    /// How many requests of others wait for an answer, given to `then` on the writer's thread: whatever keeps the number gets the
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
pub(super) fn receive(connection: &Connection, me: Option<PeerId>, new: &Request) -> Result<bool, Error> {
    let known: Option<i64> = connection
        .prepare_cached("SELECT revision FROM asks WHERE request = ?1")?
        .query_row([new.request.cast_signed()], |row| row.get(0))
        .optional()?;
    let newer = requests::is_newer(known.map(i64::cast_unsigned), new);
    if newer {
        write(connection, me, new)?;
        if me == Some(new.from) {
            contacted::note(connection, new.path.owner)?;
        }
    }
    Ok(newer)
}

/// A peer has another name: every request with it says so.
pub(super) fn name_peer(connection: &Connection, peer: PeerId, name: &PeerName) -> Result<(), Error> {
    let me = super::own(connection)?.peer;
    for mut request in
        stored::all::<Request>(connection, "SELECT body FROM asks WHERE other = ?1", [id(peer)])?
    {
        let called = if request.from == peer { &mut request.from_name } else { &mut request.owner_name };
        if called.as_ref() != Some(name) {
            *called = Some(name.clone());
            write(connection, me, &request)?;
        }
    }
    Ok(())
}

fn write(connection: &Connection, me: Option<PeerId>, request: &Request) -> Result<(), Error> {
    execute(
        connection,
        "INSERT OR REPLACE INTO asks (request, image, incoming, pending, revision, body, other)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            request.request.cast_signed(),
            request.image.0.cast_signed(),
            requests::is_incoming(me, request),
            requests::is_pending(request),
            request.revision.cast_signed(),
            encode(request)?,
            id(requests::other_side(me, request)),
        ],
    )?;
    Ok(())
}

/// The image is gone: requests for it that wait for an answer get none.
pub(super) fn end_all(connection: &Connection, image: ImageNo) -> Result<(), Error> {
    let me = super::own(connection)?.peer;
    let sql = "SELECT body FROM asks WHERE image = ?1 AND pending = 1";
    for request in stored::all::<Request>(connection, sql, [image.0.cast_signed()])? {
        if let Some(ended) = requests::without_image(request) {
            write(connection, me, &ended)?;
        }
    }
    Ok(())
}
