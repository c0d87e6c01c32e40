//! The viewer's ledger: views that have begun, and views held for use without the directory.
//!
//! What always holds: the ID of a view is durable before the directory hears of it, and stays until the picture has been
//! shown; a held view is counted down in the same transaction that opens it. An open view belongs to at most one live
//! command ([`Live`]); one that belongs to none was left by a crash or a lost connection, and is taken up again.

use dos_protocol::{ImageNo, SealedHash, ViewId};
use rusqlite::{Connection, params};

use super::{
    Error, Store, execute, hash_of,
    live::{Live, Open},
    release,
};

/// An open view, owned until dropped. Its row stays until [`Store::close_view`].
pub(crate) type OpenView = Open<ViewId>;

/// An open view, and whether an earlier command had begun it.
#[derive(Debug)]
pub(crate) struct Taken {
    /// The view.
    pub view: OpenView,
    /// How many views it spends.
    pub views: u32,
    /// Whether an earlier command had begun it.
    pub resumed: bool,
}

/// Views held of an image under one checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// The view ID of the checkout.
    pub checkout: ViewId,
    /// Of which image.
    pub image: ImageNo,
    /// How many are left.
    pub left: u32,
}

/// A held view that was opened.
#[derive(Debug)]
pub(crate) struct HeldView {
    /// The view.
    pub view: OpenView,
    /// The checkout that it is of.
    pub checkout: ViewId,
    /// The sealed copy to show.
    pub hash: SealedHash,
    /// The content key, sealed by the vault for the row of the checkout.
    pub key: Vec<u8>,
}

impl Store {
    /// Takes up an open view of the image that no live command owns, or begins a fresh one.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn take_view(&self, live: Live, image: ImageNo) -> Result<Taken, Error> {
        self.write(move |connection| {
            if let Some((id, _, _)) = left_open(connection, &live, image, "view")?
                && let Some(view) = live.claim(id)
            {
                return Ok(Taken { view, views: 1, resumed: true });
            }
            begin(connection, &live, image, "view", (1, None))
        })
        .await
    }

    /// Takes up an open checkout of the image that no live command owns, if it is of `views` views or `views` is not
    /// given; begins a fresh one if there is none and `views` is given.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn take_checkout(
        &self,
        live: Live,
        image: ImageNo,
        views: Option<u32>,
    ) -> Result<Option<Taken>, Error> {
        self.write(move |connection| {
            if let Some((id, left, _)) = left_open(connection, &live, image, "checkout")?
                && views.is_none_or(|views| views == left)
                && let Some(view) = live.claim(id)
            {
                return Ok(Some(Taken { view, views: left, resumed: true }));
            }
            let Some(views) = views else { return Ok(None) };
            begin(connection, &live, image, "checkout", (views, None)).map(Some)
        })
        .await
    }

    /// Whether an earlier command has left a view of the image open.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn left_open(&self, live: Live, image: ImageNo) -> Result<bool, Error> {
        self.read(move |connection| Ok(left_open(connection, &live, image, "view")?.is_some())).await
    }

    /// Images whose checkouts an earlier command has left open.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn open_checkouts(&self) -> Result<Vec<ImageNo>, Error> {
        self.read(|connection| {
            let sql = "SELECT DISTINCT image FROM views WHERE kind = 'checkout'";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| row.get::<_, i64>(0))?;
            rows.map(|no| Ok(ImageNo(no?.cast_unsigned()))).collect()
        })
        .await
    }

    /// The view is over: its picture has been shown, or it never came about. Returns the sealed copies that are
    /// superfluous.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn close_view(&self, id: ViewId) -> Result<Vec<SealedHash>, Error> {
        self.write(move |connection| {
            execute(connection, "DELETE FROM views WHERE id = ?1", [id.as_bytes()])?;
            drop_spent(connection)
        })
        .await
    }

    /// The checkout was paid: its views are held from now on, and its open row is gone.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn hold(&self, held: Held, hash: SealedHash, key: Vec<u8>) -> Result<(), Error> {
        self.write(move |connection| {
            execute(
                connection,
                "INSERT OR IGNORE INTO held (checkout, image, hash, unused, key) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    held.checkout.as_bytes(),
                    held.image.0.cast_signed(),
                    hash.as_bytes(),
                    held.left,
                    key
                ],
            )?;
            execute(connection, "DELETE FROM views WHERE id = ?1", [held.checkout.as_bytes()])?;
            Ok(())
        })
        .await
    }

    /// How many views of the image are held and not used.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn held_left(&self, image: ImageNo) -> Result<u32, Error> {
        self.read(move |connection| {
            let sql = "SELECT coalesce(sum(unused), 0) FROM held WHERE image = ?1 AND in_return = 0";
            let sum: i64 =
                connection.prepare_cached(sql)?.query_row([image.0.cast_signed()], |row| row.get(0))?;
            Ok(u32::try_from(sum).unwrap_or(u32::MAX))
        })
        .await
    }

    /// Opens a held view: one that an earlier command has left open, or a fresh one, counted down. `None` if none is
    /// held.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn take_held(&self, live: Live, image: ImageNo) -> Result<Option<HeldView>, Error> {
        self.write(move |connection| {
            if let Some((id, _, Some(checkout))) = left_open(connection, &live, image, "offline")?
                && let Some(view) = live.claim(id)
            {
                return held_row(connection, checkout)?
                    .map_or(Ok(None), |(hash, key)| Ok(Some(HeldView { view, checkout, hash, key })));
            }
            let sql = "SELECT checkout FROM held WHERE image = ?1 AND in_return = 0 AND unused > 0
                       ORDER BY checkout LIMIT 1";
            let found = first_id(connection, sql, params![image.0.cast_signed()])?;
            let Some(checkout) = found else { return Ok(None) };
            execute(
                connection,
                "UPDATE held SET unused = unused - 1 WHERE checkout = ?1",
                [checkout.as_bytes()],
            )?;
            let Taken { view, .. } = begin(connection, &live, image, "offline", (1, Some(checkout)))?;
            held_row(connection, checkout)?
                .map_or(Ok(None), |(hash, key)| Ok(Some(HeldView { view, checkout, hash, key })))
        })
        .await
    }

    /// Marks every checkout of the image as being given back: from now on its views cannot be used.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn begin_checkin(&self, image: ImageNo) -> Result<Vec<Held>, Error> {
        self.write(move |connection| {
            execute(connection, "UPDATE held SET in_return = 1 WHERE image = ?1", [image.0.cast_signed()])?;
            execute(
                connection,
                "DELETE FROM views WHERE image = ?1 AND kind = 'offline'",
                [image.0.cast_signed()],
            )?;
            returning(connection, Some(image))
        })
        .await
    }

    /// Every checkout that is being given back.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn returning(&self) -> Result<Vec<Held>, Error> {
        self.read(|connection| returning(connection, None)).await
    }

    /// The checkout was given back. Returns the sealed copies that are superfluous.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn finish_checkin(&self, checkout: ViewId) -> Result<Vec<SealedHash>, Error> {
        self.write(move |connection| drop_held(connection, checkout)).await
    }

    /// Destroys the held views of an image, whose right is over.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn destroy_held(&self, image: ImageNo) -> Result<Vec<SealedHash>, Error> {
        self.write(move |connection| {
            execute(
                connection,
                "DELETE FROM views WHERE image = ?1 AND kind = 'offline'",
                [image.0.cast_signed()],
            )?;
            execute(connection, "UPDATE held SET unused = 0 WHERE image = ?1", [image.0.cast_signed()])?;
            drop_spent(connection)
        })
        .await
    }
}

type OpenRow = (ViewId, u32, Option<ViewId>);

/// An open view of this kind that no live command owns: its ID, its number of views, its checkout.
fn left_open(
    connection: &Connection,
    live: &Live,
    image: ImageNo,
    kind: &str,
) -> Result<Option<OpenRow>, Error> {
    let mut statement = connection
        .prepare_cached("SELECT id, views, checkout FROM views WHERE image = ?1 AND kind = ?2 ORDER BY id")?;
    let mut rows = statement.query(params![image.0.cast_signed(), kind])?;
    while let Some(row) = rows.next()? {
        let id = view_id(&row.get::<_, Vec<u8>>(0)?)?;
        let checkout: Option<Vec<u8>> = row.get(2)?;
        if !live.has(id) {
            return Ok(Some((id, row.get(1)?, checkout.map(|id| view_id(&id)).transpose()?)));
        }
    }
    Ok(None)
}

fn begin(
    connection: &Connection,
    live: &Live,
    image: ImageNo,
    kind: &str,
    (views, checkout): (u32, Option<ViewId>),
) -> Result<Taken, Error> {
    let id = ViewId::generate();
    execute(
        connection,
        "INSERT INTO views (id, image, kind, views, checkout) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![id.as_bytes(), image.0.cast_signed(), kind, views, checkout.as_ref().map(ViewId::as_bytes)],
    )?;
    let view = live.claim(id).ok_or(Error::Damaged("view ID"))?;
    Ok(Taken { view, views, resumed: false })
}

fn held_row(connection: &Connection, checkout: ViewId) -> Result<Option<(SealedHash, Vec<u8>)>, Error> {
    let mut statement = connection.prepare_cached("SELECT hash, key FROM held WHERE checkout = ?1")?;
    let mut rows = statement.query([checkout.as_bytes()])?;
    rows.next()?.map(|row| Ok((hash_of(&row.get::<_, Vec<u8>>(0)?)?, row.get(1)?))).transpose()
}

fn returning(connection: &Connection, image: Option<ImageNo>) -> Result<Vec<Held>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT checkout, image, unused FROM held WHERE in_return = 1 AND (?1 IS NULL OR image = ?1)",
    )?;
    let rows = statement.query_map(params![image.map(|no| no.0.cast_signed())], |row| {
        Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?, row.get(2)?))
    })?;
    rows.map(|row| {
        let (checkout, image, left) = row?;
        Ok(Held { checkout: view_id(&checkout)?, image: ImageNo(image.cast_unsigned()), left })
    })
    .collect()
}

/// Forgets held rows of which nothing is left and nothing is being shown.
fn drop_spent(connection: &Connection) -> Result<Vec<SealedHash>, Error> {
    let sql = "SELECT checkout FROM held WHERE unused = 0 AND in_return = 0
               AND NOT EXISTS (SELECT 1 FROM views WHERE views.checkout = held.checkout)";
    let mut free = Vec::new();
    while let Some(checkout) = first_id(connection, sql, [])? {
        free.extend(drop_held(connection, checkout)?);
    }
    Ok(free)
}

fn drop_held(connection: &Connection, checkout: ViewId) -> Result<Vec<SealedHash>, Error> {
    let hash = held_row(connection, checkout)?.map(|(hash, _)| hash);
    execute(connection, "DELETE FROM held WHERE checkout = ?1", [checkout.as_bytes()])?;
    match hash {
        Some(hash) if release(connection, &hash)? => Ok(vec![hash]),
        _ => Ok(Vec::new()),
    }
}

fn first_id(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> Result<Option<ViewId>, Error> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(|row| view_id(&row.get::<_, Vec<u8>>(0)?)).transpose()
}

fn view_id(bytes: &[u8]) -> Result<ViewId, Error> {
    <[u8; 16]>::try_from(bytes).map(ViewId::from).map_err(|_| Error::Damaged("view ID"))
}
