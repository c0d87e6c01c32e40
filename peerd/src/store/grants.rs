//! Grants, given and received, and what a viewer has for them: owner shares and sealed copies.
//!
//! What always holds: a grant never goes back to a lower revision; when a received grant ends, its share, its held views
//! and its open views end in the same transaction.

use dos_protocol::{
    ImageArg, ImageName, ImageNo, PeerId, PeerName, SealedHash, SplitId, Timestamp,
    limits::PAGE_MAX,
    model::{Grant, SealedCopy},
    text::spellings,
};
use rusqlite::{Connection, OptionalExtension, Params, params};

use super::{
    Error, Store, asserting, contacted, execute, hash_of, id,
    library::add_copy,
    page, release,
    stored::{self, encode},
};
use crate::rules::{
    cache::Cached,
    grants::{self, Change, Renamed},
};

impl Store {
    /// Takes over a grant as the directory reported it in an answer. Returns the sealed copies that are superfluous.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn take_grant(&self, grant: Grant) -> Result<Vec<SealedHash>, Error> {
        self.write_counting(move |connection| {
            let me = super::own(connection)?.peer;
            Ok(receive(connection, me, &grant)?.map(|received| received.free).unwrap_or_default())
        })
        .await
    }

    /// The directory does not know this grant, which ends it, unless it has changed here since it was asked, or the directory is yet to
    /// be told of it. Returns the sealed copies that are superfluous.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn end_grant(&self, asked: Grant) -> Result<Vec<SealedHash>, Error> {
        self.write_counting(move |connection| match grant(connection, asked.image, asked.viewer)? {
            Some(now) if grants::is_unchanged(asked.revision, now.revision) => unknown(connection, now),
            _ => Ok(Vec::new()),
        })
        .await
    }

    /// A page of the grants of `owner` in the order of image names, viewers and images: those behind this one.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn given(
        &self,
        owner: PeerId,
        after: Option<(ImageName, PeerId, ImageNo)>,
    ) -> Result<Vec<Grant>, Error> {
        self.read(move |connection| {
            let (name, viewer, image) = position(after.as_ref());
            let sql = "SELECT body FROM grants WHERE owner = ?1 AND (name, viewer, image) > (?2, ?3, ?4)
                       ORDER BY name, viewer, image LIMIT ?5";
            grant_page(connection, sql, params![id(owner), name, viewer, image, PAGE_MAX])
        })
        .await
    }

    /// The grants of one's own images to one viewer.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn grants_given_to(&self, viewer: PeerId) -> Result<Vec<Grant>, Error> {
        self.read(move |connection| {
            let sql = "SELECT body FROM grants, self WHERE viewer = ?1 AND owner = self.peer ORDER BY image";
            stored::all(connection, sql, params![id(viewer)])
        })
        .await
    }

    /// A page of the grants to `viewer` in the order of owners, image names and images: those behind this one.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn received(
        &self,
        viewer: PeerId,
        after: Option<(PeerId, ImageName, ImageNo)>,
    ) -> Result<Vec<Grant>, Error> {
        self.read(move |connection| {
            let after = after.map(|(owner, name, image)| (name, owner, image));
            let (name, owner, image) = position(after.as_ref());
            let sql = "SELECT body FROM grants WHERE viewer = ?1 AND (owner, name, image) > (?2, ?3, ?4)
                       ORDER BY owner, name, image LIMIT ?5";
            grant_page(connection, sql, params![id(viewer), owner, name, image, PAGE_MAX])
        })
        .await
    }

    /// One grant.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn grant(&self, image: ImageNo, viewer: PeerId) -> Result<Option<Grant>, Error> {
        self.read(move |connection| grant(connection, image, viewer)).await
    }

    /// The grant to `viewer` for the image that a person named, as [`grants::choose`] chooses it.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn find_received(&self, viewer: PeerId, arg: ImageArg) -> Result<Option<Grant>, Error> {
        self.read(move |connection| {
            let sql = "SELECT body FROM grants WHERE viewer = ?1 AND name = ?2";
            for spelling in spellings(arg.name.as_str()) {
                let named = stored::all(connection, sql, params![id(viewer), &*spelling])?;
                if let Some(found) = grants::choose(named, arg.owner.as_ref()) {
                    return Ok(Some(found));
                }
            }
            Ok(None)
        })
        .await
    }

    /// The grant that its viewer has received for an image of this name, of whichever owner.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn received_by_name(
        &self,
        viewer: PeerId,
        name: ImageName,
    ) -> Result<Option<Grant>, Error> {
        self.read(move |connection| {
            let sql = "SELECT body FROM grants WHERE viewer = ?1 AND name = ?2";
            for spelling in spellings(name.as_str()) {
                let named = stored::all(connection, sql, params![id(viewer), &*spelling])?;
                if let Some(found) = grants::choose_any(named) {
                    return Ok(Some(found));
                }
            }
            Ok(None)
        })
        .await
    }

    /// The owner's share for a grant, sealed by the vault, if it is here and of this split.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn owner_share(&self, image: ImageNo, split: SplitId) -> Result<Option<Vec<u8>>, Error> {
        self.read(move |connection| {
            let mut statement =
                connection.prepare_cached("SELECT share FROM shares WHERE image = ?1 AND split = ?2")?;
            let key = params![image.0.cast_signed(), split.as_bytes()];
            Ok(statement.query_row(key, |row| row.get(0)).optional()?)
        })
        .await
    }

    /// Forgets the owner's share for a grant, which is not what it must be.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn forget_share(&self, image: ImageNo) -> Result<(), Error> {
        self.write(move |connection| {
            execute(connection, "DELETE FROM shares WHERE image = ?1", [image.0.cast_signed()])?;
            Ok(())
        })
        .await
    }

    /// Whether the sealed copy is here whole.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn has_copy(&self, hash: SealedHash) -> Result<bool, Error> {
        self.read(move |connection| {
            let sql = "SELECT EXISTS (SELECT 1 FROM copies WHERE hash = ?1)";
            Ok(connection.prepare_cached(sql)?.query_row([hash.as_bytes()], |row| row.get(0))?)
        })
        .await
    }

    /// The file of a sealed copy is in place; `None` for `blocks` if only the share came. Returns false, and remembers
    /// nothing, if the grant does not need it (any more): it may have changed while the copy travelled.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn copy_arrived(
        &self,
        fetched: Grant,
        share: Vec<u8>,
        blocks: Option<Vec<u8>>,
    ) -> Result<bool, Error> {
        self.write_counting(move |connection| {
            let now = grant(connection, fetched.image, fetched.viewer)?;
            if !grants::needs(now.as_ref(), &fetched) {
                return Ok(false);
            }
            contacted::note(connection, fetched.path.owner)?;
            if let Some(blocks) = blocks {
                let SealedCopy { hash, bytes } = fetched.sealed;
                add_copy(connection, &hash, bytes, &blocks)?;
            }
            execute(
                connection,
                "INSERT OR REPLACE INTO shares (image, split, share) VALUES (?1, ?2, ?3)",
                params![fetched.image.0.cast_signed(), fetched.split.as_bytes(), share],
            )?;
            Ok(true)
        })
        .await
    }

    /// Forgets a copy whose file is damaged or deleted.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn forget_copy(&self, hash: SealedHash) -> Result<(), Error> {
        self.write(move |connection| {
            execute(connection, "DELETE FROM copies WHERE hash = ?1", [hash.as_bytes()])?;
            Ok(())
        })
        .await
    }

    /// A copy was used just now.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn copy_used(&self, hash: SealedHash) -> Result<(), Error> {
        self.write(move |connection| {
            let sql = "UPDATE copies SET used_at = ?2 WHERE hash = ?1";
            execute(connection, sql, params![hash.as_bytes(), Timestamp::now().0])?;
            Ok(())
        })
        .await
    }

    /// The received copies, the least recently used first. Copies of one's own images are not among them.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn cached(&self) -> Result<Vec<Cached>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT hash, bytes, EXISTS (SELECT 1 FROM held WHERE held.hash = copies.hash) FROM copies
                 WHERE NOT EXISTS (SELECT 1 FROM images WHERE images.hash = copies.hash)
                   AND NOT EXISTS (SELECT 1 FROM publications WHERE publications.hash = copies.hash)
                 ORDER BY used_at",
            )?;
            let mut rows = statement.query([])?;
            let mut copies = Vec::new();
            while let Some(row) = rows.next()? {
                copies.push(Cached {
                    hash: hash_of(&row.get::<_, Vec<u8>>(0)?)?,
                    bytes: row.get::<_, i64>(1)?.cast_unsigned(),
                    held: row.get(2)?,
                });
            }
            Ok(copies)
        })
        .await
    }

    /// A page of the grants of contacts to `viewer` that are not revoked and lack their copy or their share, those to the newest
    /// images first: those to images before this one. A blocked contact is none.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn lacking(&self, viewer: PeerId, before: Option<ImageNo>) -> Result<Vec<Grant>, Error> {
        self.read(move |connection| {
            let before = before.map_or(i64::MAX, |image| image.0.cast_signed());
            let sql = "SELECT body FROM grants WHERE viewer = ?1 AND revoked = 0 AND image < ?2
                 AND owner IN (SELECT peer FROM contacted) AND owner NOT IN (SELECT peer FROM blocks)
                 AND (NOT EXISTS (SELECT 1 FROM copies WHERE copies.hash = grants.hash)
                   OR NOT EXISTS (SELECT 1 FROM shares WHERE shares.image = grants.image))
                 ORDER BY image DESC LIMIT ?3";
            grant_page(connection, sql, params![id(viewer), before, PAGE_MAX])
        })
        .await
    }
}

/// The columns behind which a page begins. No name is empty, and no ID or number as low as those of the first page.
fn position(after: Option<&(ImageName, PeerId, ImageNo)>) -> (&str, i64, i64) {
    after.map_or(("", i64::MIN, i64::MIN), |(name, peer, image)| {
        (name.as_str(), id(*peer), image.0.cast_signed())
    })
}

fn grant_page(connection: &Connection, sql: &str, params: impl Params) -> Result<Vec<Grant>, Error> {
    let mut statement = connection.prepare_cached(sql)?;
    Ok(page::read(&mut statement.query(params)?, PAGE_MAX, stored::column)?.0)
}

pub(super) fn grant(connection: &Connection, image: ImageNo, viewer: PeerId) -> Result<Option<Grant>, Error> {
    let sql = "SELECT body FROM grants WHERE image = ?1 AND viewer = ?2";
    stored::one(connection, sql, params![image.0.cast_signed(), id(viewer)])
}

/// What came of a grant that was newer than the one known.
#[derive(Debug)]
pub(super) struct Received {
    /// The sealed copies that are superfluous now.
    pub(super) free: Vec<SealedHash>,
    /// Its sealed copy may be fetched.
    pub(super) usable: bool,
    /// Its image has another name.
    pub(super) renamed: Option<Renamed>,
}

/// Takes over a grant; `None` if it is not newer than the one known.
pub(super) fn receive(
    connection: &Connection,
    me: Option<PeerId>,
    new: &Grant,
) -> Result<Option<Received>, Error> {
    let known = grant(connection, new.image, new.viewer)?;
    let Some(change) = grants::receive(me, known.as_ref(), new) else { return Ok(None) };
    write(connection, new)?;
    if me == Some(new.path.owner) {
        contacted::note(connection, new.viewer)?;
    }
    let (usable, renamed) = (change.usable, grants::renamed(me, known.as_ref(), new));
    Ok(Some(Received { free: apply(connection, new.image, change)?, usable, renamed }))
}

/// The directory does not know a grant, which ends it, unless the directory is yet to be told of it. Returns the sealed copies that are
/// superfluous.
pub(super) fn unknown(connection: &Connection, grant: Grant) -> Result<Vec<SealedHash>, Error> {
    if asserting::has_grant(connection, grant.image, grant.viewer)? {
        return Ok(Vec::new());
    }
    end(connection, grant)
}

fn end(connection: &Connection, grant: Grant) -> Result<Vec<SealedHash>, Error> {
    let image = grant.image;
    let (ended, change) = grants::end(super::own(connection)?.peer, grant);
    write(connection, &ended)?;
    apply(connection, image, change)
}

/// The image is gone: every known grant of it ends, whether given or received. Returns the sealed copies that are superfluous.
pub(super) fn end_all(connection: &Connection, image: ImageNo) -> Result<Vec<SealedHash>, Error> {
    let sql = "SELECT body FROM grants WHERE image = ?1 AND revoked = 0";
    let grants = stored::all(connection, sql, [image.0.cast_signed()])?;
    // First what is held of it, or the copies would seem to be needed.
    apply(connection, image, Change { ends: true, ..Change::default() })?;
    let mut free = Vec::new();
    for grant in grants {
        free.extend(end(connection, grant)?);
    }
    Ok(free)
}

/// A peer has another name: every grant that it has given or received says so.
pub(super) fn name_peer(connection: &Connection, peer: PeerId, name: &PeerName) -> Result<(), Error> {
    for sql in ["SELECT body FROM grants WHERE owner = ?1", "SELECT body FROM grants WHERE viewer = ?1"] {
        for mut grant in stored::all::<Grant>(connection, sql, [id(peer)])? {
            let called = if grant.viewer == peer { &mut grant.viewer_name } else { &mut grant.owner_name };
            if called.as_ref() != Some(name) {
                *called = Some(name.clone());
                write(connection, &grant)?;
            }
        }
    }
    Ok(())
}

fn write(connection: &Connection, grant: &Grant) -> Result<(), Error> {
    execute(
        connection,
        "INSERT OR REPLACE INTO grants (image, viewer, owner, name, revision, revoked, hash, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            grant.image.0.cast_signed(),
            id(grant.viewer),
            id(grant.path.owner),
            grant.path.name.as_str(),
            grant.revision.0.cast_signed(),
            grant.revoked,
            grant.sealed.hash.as_bytes(),
            encode(grant)?
        ],
    )?;
    Ok(())
}

/// Saves what a change of the grant does to what is stored for it. Returns the sealed copies that nothing needs any more.
fn apply(connection: &Connection, image: ImageNo, change: Change) -> Result<Vec<SealedHash>, Error> {
    let image = image.0.cast_signed();
    if change.ends {
        for sql in [
            "DELETE FROM shares WHERE image = ?1",
            "DELETE FROM held WHERE image = ?1",
            "DELETE FROM views WHERE image = ?1",
        ] {
            execute(connection, sql, [image])?;
        }
    }
    if let Some(split) = change.split {
        let sql = "DELETE FROM shares WHERE image = ?1 AND split <> ?2";
        execute(connection, sql, params![image, split.as_bytes()])?;
    }
    let mut free = Vec::new();
    for hash in change.superfluous {
        if release(connection, &hash)? {
            free.push(hash);
        }
    }
    Ok(free)
}
