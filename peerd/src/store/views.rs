//! The viewer's ledger: views that have begun, and views held for use without the directory.
//!
//! What always holds: the ID of a view is durable before the directory is asked to count it, and stays until the view is closed,
//! which is before its first byte is given out; a held view is counted down before that, too. An open view belongs to at most one
//! live command ([`Live`]); one that belongs to none was left by a crash or a lost connection, and is taken up again. What was
//! closed is kept until the directory knows it.

use dos_protocol::{ImageNo, SealedHash, ViewId, limits::VIEWS_CLOSED_MAX};
use rusqlite::{Connection, params};

use super::{
    Error, Store, execute, hash_of,
    live::{Live, Open},
    release,
};
use crate::rules::views::{self, HeldRow, OpenRow, Take};

/// An open view, owned until dropped. Its row stays until [`Store::close_view`] or [`Store::give_up_view`].
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

/// A held view that can be shown.
#[derive(Debug)]
pub(crate) struct HeldView {
    /// The checkout that it is of.
    pub checkout: ViewId,
    /// The sealed copy to show.
    pub hash: SealedHash,
    /// The content key, sealed by the vault for the row of the checkout.
    pub key: Vec<u8>,
}

/// A held view that was counted down.
#[derive(Debug)]
pub(crate) struct UsedHeld {
    /// How many views of the image are left here.
    pub left: u32,
    /// Sealed copies that are superfluous now.
    pub free: Vec<SealedHash>,
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

    /// The view is over: from here on its picture may be given out, once. False if it is not open any more, because its grant
    /// has ended.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn close_view(&self, id: ViewId) -> Result<bool, Error> {
        self.write(move |connection| close(connection, id)).await
    }

    /// The view never came about: the directory does not know it.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn give_up_view(&self, id: ViewId) -> Result<(), Error> {
        self.write(move |connection| delete(connection, id).map(drop)).await
    }

    /// Views that are over and of which the directory does not know that yet, some of the oldest.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn closed_views(&self) -> Result<Vec<ViewId>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT id FROM closed ORDER BY id LIMIT ?1")?;
            let mut rows = statement.query([i64::try_from(VIEWS_CLOSED_MAX).unwrap_or(i64::MAX)])?;
            let mut ids = Vec::new();
            while let Some(row) = rows.next()? {
                ids.push(view_id(&row.get::<_, Vec<u8>>(0)?)?);
            }
            Ok(ids)
        })
        .await
    }

    /// The directory knows that these views are over.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn forget_closed(&self, ids: Vec<ViewId>) -> Result<(), Error> {
        self.write(move |connection| {
            for id in ids {
                execute(connection, "DELETE FROM closed WHERE id = ?1", [id.as_bytes()])?;
            }
            Ok(())
        })
        .await
    }

    /// The checkout was paid: its views are held from now on, and it is closed. False if it is not open any more, because its
    /// grant has ended: then nothing is held.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn hold(&self, held: Held, hash: SealedHash, key: Vec<u8>) -> Result<bool, Error> {
        self.write(move |connection| {
            if !close(connection, held.checkout)? {
                return Ok(false);
            }
            let sql = "INSERT INTO held (checkout, image, hash, unused, key) VALUES (?1, ?2, ?3, ?4, ?5)";
            let image = held.image.0.cast_signed();
            let values = params![held.checkout.as_bytes(), image, hash.as_bytes(), held.left, key];
            execute(connection, sql, values)?;
            Ok(true)
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

    /// A held view of the image that can be shown, if there is one. It is still counted as held.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn next_held(&self, image: ImageNo) -> Result<Option<HeldView>, Error> {
        self.read(move |connection| {
            let Some(HeldRow { checkout, .. }) = views::next_held(&held_of(connection, image)?) else {
                return Ok(None);
            };
            let held = held_copy(connection, checkout)?;
            Ok(held.map(|(hash, key)| HeldView { checkout, hash, key }))
        })
        .await
    }

    /// Counts a held view down: from here on its picture may be given out, once. `None` if the checkout has none any more.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn use_held(&self, checkout: ViewId) -> Result<Option<UsedHeld>, Error> {
        self.write(move |connection| {
            let rows = held_rows(connection, None)?;
            let Some((image, row)) = rows.into_iter().find(|(_, row)| row.checkout == checkout) else {
                return Ok(None);
            };
            let Some(used) = views::use_one(row) else { return Ok(None) };
            save(connection, used)?;
            let free = drop_spent(connection)?;
            let left = views::usable(&held_of(connection, image)?);
            Ok(Some(UsedHeld { left, free }))
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
            for row in rows {
                save(connection, views::give_back(row))?;
            }
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
}

const KIND_VIEW: &str = "view";
const KIND_CHECKOUT: &str = "checkout";

/// The open views of an image of this kind, the oldest first: their IDs begin with the time.
fn open_rows(
    connection: &Connection,
    live: &Live,
    image: ImageNo,
    kind: &str,
) -> Result<Vec<OpenRow>, Error> {
    let mut statement = connection
        .prepare_cached("SELECT id, views FROM views WHERE image = ?1 AND kind = ?2 ORDER BY id")?;
    let mut rows = statement.query(params![image.0.cast_signed(), kind])?;
    let mut open = Vec::new();
    while let Some(row) = rows.next()? {
        let view = view_id(&row.get::<_, Vec<u8>>(0)?)?;
        open.push(OpenRow { view, views: row.get(1)?, owned: live.has(view) });
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
            let fresh = insert(connection, of, views)?;
            Some(Started { view: claim(live, fresh)?, views, resumed: false })
        }
    })
}

fn claim(live: &Live, view: ViewId) -> Result<OpenView, Error> {
    live.claim(view).ok_or(Error::Damaged("view ID"))
}

fn insert(connection: &Connection, (image, kind): (ImageNo, &str), views: u32) -> Result<ViewId, Error> {
    let id = ViewId::generate();
    let sql = "INSERT INTO views (id, image, kind, views) VALUES (?1, ?2, ?3, ?4)";
    execute(connection, sql, params![id.as_bytes(), image.0.cast_signed(), kind, views])?;
    Ok(id)
}

/// Forgets an open view. False if there is none.
fn delete(connection: &Connection, id: ViewId) -> Result<bool, Error> {
    Ok(execute(connection, "DELETE FROM views WHERE id = ?1", [id.as_bytes()])? > 0)
}

/// Closes an open view, for the directory to know. False if there is none.
fn close(connection: &Connection, id: ViewId) -> Result<bool, Error> {
    if !delete(connection, id)? {
        return Ok(false);
    }
    execute(connection, "INSERT OR IGNORE INTO closed (id) VALUES (?1)", [id.as_bytes()])?;
    Ok(true)
}

/// The checkouts of an image, or all, the oldest first, each with its image.
fn held_rows(connection: &Connection, image: Option<ImageNo>) -> Result<Vec<(ImageNo, HeldRow)>, Error> {
    let which = if image.is_some() { "image = ?1" } else { "?1 IS NULL" };
    let sql = format!("SELECT checkout, image, unused, in_return FROM held WHERE {which} ORDER BY checkout");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![image.map(|no| no.0.cast_signed())])?;
    let mut held = Vec::new();
    while let Some(row) = rows.next()? {
        let checkout = view_id(&row.get::<_, Vec<u8>>(0)?)?;
        let image = ImageNo(row.get::<_, i64>(1)?.cast_unsigned());
        held.push((image, HeldRow { checkout, unused: row.get(2)?, in_return: row.get(3)? }));
    }
    Ok(held)
}

fn held_of(connection: &Connection, image: ImageNo) -> Result<Vec<HeldRow>, Error> {
    Ok(held_rows(connection, Some(image))?.into_iter().map(|(_, row)| row).collect())
}

fn save(connection: &Connection, row: HeldRow) -> Result<(), Error> {
    let sql = "UPDATE held SET unused = ?2, in_return = ?3 WHERE checkout = ?1";
    execute(connection, sql, params![row.checkout.as_bytes(), row.unused, row.in_return])?;
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
