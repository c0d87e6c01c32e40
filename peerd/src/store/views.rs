//! The viewer's ledger: views that have begun, and views held for use without the directory.
//!
//! What always holds: the ID of a view is durable before the directory is asked to count it, and stays until the picture has
//! been shown; a held view is counted down in the same transaction that opens it. An open view belongs to at most one live
//! command ([`Live`]); one that belongs to none was left by a crash or a lost connection, and is taken up again.

use dos_protocol::{ImageNo, SealedHash, ViewId};
use rusqlite::{Connection, params};

use super::{
    Error, Store, execute, hash_of,
    live::{Live, Open},
    release,
};
use crate::rules::views::{self, HeldRow, OpenRow, Take, TakeHeld};

/// An open view, owned until dropped. Its row stays until [`Store::close_view`].
pub(crate) type OpenView = Open<ViewId>;

/// An open view that a command has started with.
#[derive(Debug)]
pub(crate) struct Started {
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
    /// Of this image.
    pub image: ImageNo,
    /// How many are left.
    pub left: u32,
    /// How many were held when this state turned out to be one put back from a copy: they are not given back.
    pub given_up: u32,
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
    pub(crate) async fn take_view(&self, live: Live, image: ImageNo) -> Result<Started, Error> {
        self.write(move |connection| {
            let take = views::take_view(&open_rows(connection, &live, image, KIND_VIEW)?);
            start(connection, &live, (image, KIND_VIEW), take)?.ok_or(Error::Damaged("view"))
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
    ) -> Result<Option<Started>, Error> {
        self.write(move |connection| {
            let take = views::take_checkout(&open_rows(connection, &live, image, KIND_CHECKOUT)?, views);
            start(connection, &live, (image, KIND_CHECKOUT), take)
        })
        .await
    }

    /// Whether an earlier command has left a view of the image open.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn left_open(&self, live: Live, image: ImageNo) -> Result<bool, Error> {
        self.read(move |connection| {
            let take = views::take_view(&open_rows(connection, &live, image, KIND_VIEW)?);
            Ok(matches!(take, Take::Resume(_)))
        })
        .await
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
        self.read(move |connection| Ok(views::usable(&held_of(connection, image)?))).await
    }

    /// Opens a held view: one that an earlier command has left open, or a fresh one, counted down. `None` if none is
    /// held.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn take_held(&self, live: Live, image: ImageNo) -> Result<Option<HeldView>, Error> {
        self.write(move |connection| {
            let open = open_rows(connection, &live, image, KIND_OFFLINE)?;
            let (view, checkout) = match views::take_held(&open, &held_of(connection, image)?) {
                TakeHeld::Nothing => return Ok(None),
                TakeHeld::Resume { view, checkout } => (claim(&live, view)?, checkout),
                TakeHeld::Begin { checkout, left } => {
                    set_unused(connection, checkout, left)?;
                    let fresh = insert(connection, (image, KIND_OFFLINE), 1, Some(checkout))?;
                    (claim(&live, fresh)?, checkout)
                }
            };
            let held = held_copy(connection, checkout)?;
            Ok(held.map(|(hash, key)| HeldView { view, checkout, hash, key }))
        })
        .await
    }

    /// Marks every checkout of the image as being given back: from now on its views cannot be used.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn begin_checkin(&self, image: ImageNo) -> Result<Vec<Held>, Error> {
        self.write(move |connection| {
            let rows = held_of(connection, image)?;
            save(connection, image, rows.into_iter().map(views::give_back))?;
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

    /// Destroys the held views of an image, whose grant is over.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn destroy_held(&self, image: ImageNo) -> Result<Vec<SealedHash>, Error> {
        self.write(move |connection| {
            let rows = held_of(connection, image)?;
            save(connection, image, rows.into_iter().map(views::destroy))?;
            drop_spent(connection)
        })
        .await
    }
}

const KIND_VIEW: &str = "view";
const KIND_CHECKOUT: &str = "checkout";
const KIND_OFFLINE: &str = "offline";

/// The open views of an image of this kind, the oldest first: their IDs begin with the time.
fn open_rows(
    connection: &Connection,
    live: &Live,
    image: ImageNo,
    kind: &str,
) -> Result<Vec<OpenRow>, Error> {
    let mut statement = connection
        .prepare_cached("SELECT id, views, checkout FROM views WHERE image = ?1 AND kind = ?2 ORDER BY id")?;
    let mut rows = statement.query(params![image.0.cast_signed(), kind])?;
    let mut open = Vec::new();
    while let Some(row) = rows.next()? {
        let view = view_id(&row.get::<_, Vec<u8>>(0)?)?;
        let checkout: Option<Vec<u8>> = row.get(2)?;
        let checkout = checkout.map(|id| view_id(&id)).transpose()?;
        open.push(OpenRow { view, views: row.get(1)?, checkout, owned: live.has(view) });
    }
    Ok(open)
}

/// Does what the rule says. A view is claimed in the transaction that read who owns it, on the one thread that writes, so that
/// no other command has claimed it in between.
fn start(
    connection: &Connection,
    live: &Live,
    of: (ImageNo, &str),
    take: Take,
) -> Result<Option<Started>, Error> {
    Ok(match take {
        Take::Nothing => None,
        Take::Resume(OpenRow { view, views, .. }) => {
            Some(Started { view: claim(live, view)?, views, resumed: true })
        }
        Take::Begin(views) => {
            let fresh = insert(connection, of, views, None)?;
            Some(Started { view: claim(live, fresh)?, views, resumed: false })
        }
    })
}

fn claim(live: &Live, view: ViewId) -> Result<OpenView, Error> {
    live.claim(view).ok_or(Error::Damaged("view ID"))
}

fn insert(
    connection: &Connection,
    (image, kind): (ImageNo, &str),
    views: u32,
    checkout: Option<ViewId>,
) -> Result<ViewId, Error> {
    let id = ViewId::generate();
    execute(
        connection,
        "INSERT INTO views (id, image, kind, views, checkout) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![id.as_bytes(), image.0.cast_signed(), kind, views, checkout.as_ref().map(ViewId::as_bytes)],
    )?;
    Ok(id)
}

/// The checkouts of an image, or all, the oldest first, each with its image.
fn held_rows(connection: &Connection, image: Option<ImageNo>) -> Result<Vec<(ImageNo, HeldRow)>, Error> {
    let which = if image.is_some() { "image = ?1" } else { "?1 IS NULL" };
    let sql = format!(
        "SELECT checkout, image, unused, in_return,
                EXISTS (SELECT 1 FROM views WHERE views.checkout = held.checkout)
         FROM held WHERE {which} ORDER BY checkout"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![image.map(|no| no.0.cast_signed())])?;
    let mut held = Vec::new();
    while let Some(row) = rows.next()? {
        let checkout = view_id(&row.get::<_, Vec<u8>>(0)?)?;
        let image = ImageNo(row.get::<_, i64>(1)?.cast_unsigned());
        let (unused, in_return, shown) = (row.get(2)?, row.get(3)?, row.get(4)?);
        held.push((image, HeldRow { checkout, unused, in_return, shown }));
    }
    Ok(held)
}

fn held_of(connection: &Connection, image: ImageNo) -> Result<Vec<HeldRow>, Error> {
    Ok(held_rows(connection, Some(image))?.into_iter().map(|(_, row)| row).collect())
}

fn set_unused(connection: &Connection, checkout: ViewId, unused: u32) -> Result<(), Error> {
    let sql = "UPDATE held SET unused = ?2 WHERE checkout = ?1";
    execute(connection, sql, params![checkout.as_bytes(), unused])?;
    Ok(())
}

/// Saves the checkouts of an image, of which nothing is being shown any more.
fn save(connection: &Connection, image: ImageNo, rows: impl Iterator<Item = HeldRow>) -> Result<(), Error> {
    let sql = "DELETE FROM views WHERE image = ?1 AND kind = ?2";
    execute(connection, sql, params![image.0.cast_signed(), KIND_OFFLINE])?;
    for row in rows {
        let sql = "UPDATE held SET unused = ?2, in_return = ?3 WHERE checkout = ?1";
        execute(connection, sql, params![row.checkout.as_bytes(), row.unused, row.in_return])?;
    }
    Ok(())
}

fn held_copy(connection: &Connection, checkout: ViewId) -> Result<Option<(SealedHash, Vec<u8>)>, Error> {
    let mut statement = connection.prepare_cached("SELECT hash, key FROM held WHERE checkout = ?1")?;
    let mut rows = statement.query([checkout.as_bytes()])?;
    rows.next()?.map(|row| Ok((hash_of(&row.get::<_, Vec<u8>>(0)?)?, row.get(1)?))).transpose()
}

fn returning(connection: &Connection, image: Option<ImageNo>) -> Result<Vec<Held>, Error> {
    let rows = held_rows(connection, image)?.into_iter().filter(|(_, row)| row.in_return);
    rows.map(|(image, row)| {
        let sql = "SELECT given_up FROM held WHERE checkout = ?1";
        let given_up =
            connection.prepare_cached(sql)?.query_row([row.checkout.as_bytes()], |row| row.get(0))?;
        Ok(Held { checkout: row.checkout, image, left: row.unused, given_up })
    })
    .collect()
}

/// Gives up everything that is held or open: its keys are destroyed, and it is reported like what is given back. Returns how many
/// views of each image that were.
pub(super) fn give_up(connection: &Connection) -> Result<Vec<(ImageNo, u32)>, Error> {
    // Of an open checkout it is not known whether it was paid, and of a paid one not what became of its views.
    for sql in [
        "INSERT OR IGNORE INTO held (checkout, image, hash, unused, in_return, key, given_up)
         SELECT id, image, zeroblob(32), 0, 1, x'', views FROM views WHERE kind = 'checkout'",
        "DELETE FROM views",
        "UPDATE held SET given_up = unused, unused = 0, in_return = 1, key = x'' WHERE in_return = 0",
        "DELETE FROM held WHERE in_return = 1 AND unused = 0 AND given_up = 0",
    ] {
        execute(connection, sql, [])?;
    }
    let sql = "SELECT image, sum(given_up) FROM held WHERE given_up > 0 GROUP BY image ORDER BY image";
    let mut statement = connection.prepare_cached(sql)?;
    let rows =
        statement.query_map([], |row| Ok((ImageNo(row.get::<_, i64>(0)?.cast_unsigned()), row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Sealed copies that were held, and are needed by nothing else any more perhaps.
pub(super) fn superfluous(connection: &Connection) -> Result<Vec<SealedHash>, Error> {
    let sql = "SELECT hash FROM copies WHERE hash NOT IN (SELECT hash FROM held)
                   AND hash NOT IN (SELECT hash FROM images) AND hash NOT IN (SELECT hash FROM publications)
                   AND hash NOT IN (SELECT hash FROM grants WHERE revoked = 0)";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| row.get::<_, Vec<u8>>(0))?;
    rows.map(|hash| hash_of(&hash?)).collect()
}

/// Forgets the checkouts of which nothing is left. Returns the sealed copies that are superfluous.
fn drop_spent(connection: &Connection) -> Result<Vec<SealedHash>, Error> {
    let mut free = Vec::new();
    for (_, row) in held_rows(connection, None)? {
        if views::is_spent(row) {
            free.extend(drop_held(connection, row.checkout)?);
        }
    }
    Ok(free)
}

fn drop_held(connection: &Connection, checkout: ViewId) -> Result<Vec<SealedHash>, Error> {
    let hash = held_copy(connection, checkout)?.map(|(hash, _)| hash);
    execute(connection, "DELETE FROM held WHERE checkout = ?1", [checkout.as_bytes()])?;
    match hash {
        Some(hash) if release(connection, &hash)? => Ok(vec![hash]),
        _ => Ok(Vec::new()),
    }
}

fn view_id(bytes: &[u8]) -> Result<ViewId, Error> {
    <[u8; 16]>::try_from(bytes).map(ViewId::from).map_err(|_| Error::Damaged("view ID"))
}
