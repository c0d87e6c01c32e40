//! Rights, given and received, and what a viewer has for them: owner shares and sealed copies.
//!
//! What always holds: a right never goes back to a lower revision; when a received right ends, its share, its held views
//! and its open views end in the same transaction.

use dos_protocol::{
    ImageArg, ImageName, ImageNo, PeerId, PeerRef, SealedHash, SplitId, Timestamp,
    limits::PAGE_MAX,
    model::{Grant, SealedCopy},
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Error, Store, bodies, body, execute, hash_of, id, library::add_copy, release, to_blob};

/// A received copy that may be deleted to make room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Evictable {
    /// Which.
    pub hash: SealedHash,
    /// Its size in bytes.
    pub bytes: u64,
}

impl Store {
    /// Takes over a right as the directory told it in an answer. Returns the sealed copies that are superfluous.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn take_grant(&self, grant: Grant) -> Result<Vec<SealedHash>, Error> {
        self.write(move |connection| {
            let me = super::own(connection)?.peer;
            Ok(apply(connection, me, &grant)?.1)
        })
        .await
    }

    /// A page of the grants that `owner` has given, those after this image's name and viewer.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn given(
        &self,
        owner: PeerId,
        after: Option<(ImageName, PeerId)>,
    ) -> Result<Vec<Grant>, Error> {
        self.read(move |connection| {
            let (name, viewer) =
                after.as_ref().map_or(("", 0), |(name, viewer)| (name.as_str(), id(*viewer)));
            let sql = "SELECT body FROM grants WHERE owner = ?1 AND (name, viewer) > (?2, ?3)
                       ORDER BY name, viewer LIMIT ?4";
            bodies(connection, "right", sql, params![id(owner), name, viewer, PAGE_MAX])
        })
        .await
    }

    /// A page of the grants that `viewer` has received, those after this owner, image's name and image.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn received(
        &self,
        viewer: PeerId,
        after: Option<(PeerId, ImageName, ImageNo)>,
    ) -> Result<Vec<Grant>, Error> {
        self.read(move |connection| {
            let (owner, name, image) = after.as_ref().map_or((0, "", 0), |(owner, name, image)| {
                (id(*owner), name.as_str(), image.0.cast_signed())
            });
            let sql = "SELECT body FROM grants WHERE viewer = ?1 AND (owner, name, image) > (?2, ?3, ?4)
                       ORDER BY owner, name, image LIMIT ?5";
            bodies(connection, "right", sql, params![id(viewer), owner, name, image, PAGE_MAX])
        })
        .await
    }

    /// One right.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn grant(&self, image: ImageNo, viewer: PeerId) -> Result<Option<Grant>, Error> {
        self.read(move |connection| grant(connection, image, viewer)).await
    }

    /// The right that `viewer` has to the image that a person named: one that is not revoked before one that is, then
    /// the newest image of that name.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn find_received(&self, viewer: PeerId, arg: ImageArg) -> Result<Option<Grant>, Error> {
        self.read(move |connection| {
            let sql = "SELECT body FROM grants WHERE viewer = ?1 AND name = ?2 ORDER BY revoked, image DESC";
            let all: Vec<Grant> = bodies(connection, "right", sql, params![id(viewer), arg.name.as_str()])?;
            Ok(all.into_iter().find(|grant| match &arg.owner {
                Some(PeerRef::Id(owner)) => grant.path.owner == *owner,
                Some(PeerRef::Name(name)) => grant.owner_name.as_ref() == Some(name),
                Some(PeerRef::Address(_)) | None => false,
            }))
        })
        .await
    }

    /// The owner's share for a right, sealed by the vault, if it is here and of this split.
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

    /// Whether the sealed copy is here whole.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn has_copy(&self, hash: SealedHash) -> Result<bool, Error> {
        self.read(move |connection| has_copy(connection, &hash)).await
    }

    /// The file of a sealed copy is in place; `None` for `blocks` if only the share came. Returns false, and remembers
    /// nothing, if the right does not need it (any more).
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn copy_arrived(
        &self,
        right: Grant,
        share: Vec<u8>,
        blocks: Option<Vec<u8>>,
    ) -> Result<bool, Error> {
        self.write(move |connection| {
            let Some(now) = grant(connection, right.image, right.viewer)? else { return Ok(false) };
            if now.revoked || now.sealed.hash != right.sealed.hash || now.split != right.split {
                return Ok(false);
            }
            if let Some(blocks) = blocks {
                let SealedCopy { hash, bytes } = right.sealed;
                add_copy(connection, &hash, bytes, &blocks)?;
            }
            execute(
                connection,
                "INSERT OR REPLACE INTO shares (image, split, share) VALUES (?1, ?2, ?3)",
                params![right.image.0.cast_signed(), right.split.as_bytes(), share],
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
            let now = Timestamp::now().0;
            execute(
                connection,
                "UPDATE copies SET used_at = ?2 WHERE hash = ?1",
                params![hash.as_bytes(), now],
            )?;
            Ok(())
        })
        .await
    }

    /// What the received copies take together in bytes, and those of them that may be deleted, the least recently used
    /// first. Copies of one's own images count for nothing; those with held views are not offered.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn cache(&self) -> Result<(u64, Vec<Evictable>), Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT hash, bytes, EXISTS (SELECT 1 FROM held WHERE held.hash = copies.hash) FROM copies
                 WHERE NOT EXISTS (SELECT 1 FROM images WHERE images.hash = copies.hash)
                   AND NOT EXISTS (SELECT 1 FROM publications WHERE publications.hash = copies.hash)
                 ORDER BY used_at",
            )?;
            let rows = statement.query_map([], |row| {
                Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?, row.get::<_, bool>(2)?))
            })?;
            let (mut total, mut free) = (0u64, Vec::new());
            for row in rows {
                let (hash, bytes, held) = row?;
                let bytes = bytes.cast_unsigned();
                total = total.saturating_add(bytes);
                if !held {
                    free.push(Evictable { hash: hash_of(&hash)?, bytes });
                }
            }
            Ok((total, free))
        })
        .await
    }

    /// A page of the grants of `viewer` that lack their copy or their share and could be used, the newest images first.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn lacking(&self, viewer: PeerId, before: Option<ImageNo>) -> Result<Vec<Grant>, Error> {
        self.read(move |connection| {
            let before = before.map_or(i64::MAX, |image| image.0.cast_signed());
            let sql = "SELECT body FROM grants WHERE viewer = ?1 AND revoked = 0 AND image < ?2
                 AND (NOT EXISTS (SELECT 1 FROM copies WHERE copies.hash = grants.hash)
                   OR NOT EXISTS (SELECT 1 FROM shares WHERE shares.image = grants.image))
                 ORDER BY image DESC LIMIT ?3";
            bodies(connection, "right", sql, params![id(viewer), before, PAGE_MAX])
        })
        .await
    }
}

pub(super) fn grant(connection: &Connection, image: ImageNo, viewer: PeerId) -> Result<Option<Grant>, Error> {
    let sql = "SELECT body FROM grants WHERE image = ?1 AND viewer = ?2";
    body(connection, "right", sql, params![image.0.cast_signed(), id(viewer)])
}

fn has_copy(connection: &Connection, hash: &SealedHash) -> Result<bool, Error> {
    let mut statement = connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM copies WHERE hash = ?1)")?;
    Ok(statement.query_row([hash.as_bytes()], |row| row.get(0))?)
}

/// Takes over a right if it is newer than the one known. Returns whether it was, and the sealed copies that are
/// superfluous now.
pub(super) fn apply(
    connection: &Connection,
    me: Option<PeerId>,
    new: &Grant,
) -> Result<(bool, Vec<SealedHash>), Error> {
    let old = grant(connection, new.image, new.viewer)?;
    if old.as_ref().is_some_and(|old| old.revision >= new.revision) {
        return Ok((false, Vec::new()));
    }
    write(connection, new)?;
    let mut free = Vec::new();
    if me == Some(new.viewer) {
        if new.revoked {
            end_received(connection, new.image)?;
        }
        let split_changed = old.as_ref().is_some_and(|old| old.split != new.split);
        if new.revoked || split_changed {
            execute(
                connection,
                "DELETE FROM shares WHERE image = ?1 AND (?2 OR split <> ?3)",
                params![new.image.0.cast_signed(), new.revoked, new.split.as_bytes()],
            )?;
        }
        let hashes = [old.map(|old| old.sealed.hash), Some(new.sealed.hash)];
        for hash in hashes.into_iter().flatten() {
            if (new.revoked || hash != new.sealed.hash)
                && !free.contains(&hash)
                && release(connection, &hash)?
            {
                free.push(hash);
            }
        }
    }
    Ok((true, free))
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
            to_blob("right", grant)?
        ],
    )?;
    Ok(())
}

/// Ends what depends on a received right.
fn end_received(connection: &Connection, image: ImageNo) -> Result<(), Error> {
    for sql in [
        "DELETE FROM shares WHERE image = ?1",
        "DELETE FROM held WHERE image = ?1",
        "DELETE FROM views WHERE image = ?1",
    ] {
        execute(connection, sql, [image.0.cast_signed()])?;
    }
    Ok(())
}

/// A right that the directory does not know any more ends. Returns the sealed copies that are superfluous.
pub(super) fn end(connection: &Connection, grant: Grant) -> Result<Vec<SealedHash>, Error> {
    let (hash, received) = (grant.sealed.hash, super::own(connection)?.peer == Some(grant.viewer));
    let image = grant.image;
    write(connection, &Grant { revoked: true, ..grant })?;
    if received {
        end_received(connection, image)?;
    }
    Ok(if received && release(connection, &hash)? { vec![hash] } else { Vec::new() })
}

/// The image is gone: every known right to it ends, whoever's it is. Returns the sealed copies that are superfluous.
pub(super) fn end_all(connection: &Connection, image: ImageNo) -> Result<Vec<SealedHash>, Error> {
    let sql = "SELECT body FROM grants WHERE image = ?1 AND revoked = 0";
    let mut free = Vec::new();
    for grant in bodies::<Grant>(connection, "right", sql, [image.0.cast_signed()])? {
        write(connection, &Grant { revoked: true, ..grant.clone() })?;
        free.push(grant.sealed.hash);
    }
    end_received(connection, image)?;
    free.dedup();
    let mut released = Vec::new();
    for hash in free {
        if release(connection, &hash)? {
            released.push(hash);
        }
    }
    Ok(released)
}
