//! One's own images, those on their way to the directory, and the sealed files of both.

use std::collections::HashSet;

use dos_protocol::{
    ImageName, ImageNo, SealedHash, Timestamp, Visibility, directory::Publish, model::ImageInfo,
    record::ImageRecord, text::spellings,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    Error, Store, albums, asserting, execute, grants, hash_of, release, requests,
    stored::{self, decode, encode},
};

/// An image of one's own.
#[derive(Debug, Clone)]
pub(crate) struct OwnImage {
    /// As the directory knows it.
    pub info: ImageInfo,
    /// Its content key, sealed by the vault for the row of its sealed copy.
    pub content_key: Vec<u8>,
    /// The secret of its owner shares, sealed likewise.
    pub share_secret: Vec<u8>,
}

/// An image on its way to the directory.
#[derive(Debug, Clone)]
pub(crate) struct Publication {
    /// What is sent to the directory.
    pub publish: Publish,
    /// Who is to see it, if that was said.
    pub visibility: Option<Visibility>,
    /// As in [`OwnImage`].
    pub content_key: Vec<u8>,
    /// As in [`OwnImage`].
    pub share_secret: Vec<u8>,
}

impl Store {
    /// The image of this name, also if it is stored in another spelling of the same letters.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn own_image(&self, name: ImageName) -> Result<Option<OwnImage>, Error> {
        self.read(move |connection| {
            let sql = "SELECT info, content_key, share_secret FROM images WHERE name = ?1";
            for spelling in spellings(name.as_str()) {
                if let Some(found) = one_image(connection, sql, params![&*spelling])? {
                    return Ok(Some(found));
                }
            }
            Ok(None)
        })
        .await
    }

    /// The image with this number.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn own_image_no(&self, no: ImageNo) -> Result<Option<OwnImage>, Error> {
        self.read(move |connection| {
            let sql = "SELECT info, content_key, share_secret FROM images WHERE no = ?1";
            one_image(connection, sql, params![no.0.cast_signed()])
        })
        .await
    }

    /// The list of blocks of a sealed copy that is here.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn blocks(&self, hash: SealedHash) -> Result<Option<Vec<u8>>, Error> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached("SELECT blocks FROM copies WHERE hash = ?1")?;
            Ok(statement.query_row([hash.as_bytes()], |row| row.get(0)).optional()?)
        })
        .await
    }

    /// Writes down an image that is sealed, before it is sent to the directory: a lost answer leaves it to be sent again.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn begin_publication(
        &self,
        publication: Publication,
        blocks: Vec<u8>,
    ) -> Result<(), Error> {
        self.write(move |connection| {
            let publish = &publication.publish;
            let hash = publish.sealed.hash;
            add_copy(connection, &hash, publish.sealed.bytes, &blocks)?;
            let body = encode(publish)?;
            execute(
                connection,
                "INSERT INTO publications (hash, name, content_key, share_secret, publish, visibility)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    hash.as_bytes(),
                    publish.name.as_str(),
                    publication.content_key,
                    publication.share_secret,
                    body,
                    publication.visibility.map(Visibility::as_str)
                ],
            )?;
            Ok(())
        })
        .await
    }

    /// Every image that the directory has not confirmed.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn publications(&self) -> Result<Vec<Publication>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT publish, content_key, share_secret, visibility FROM publications ORDER BY rowid",
            )?;
            let columns = |row: &Row<'_>| {
                Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?, row.get(2)?, row.get::<_, Option<String>>(3)?))
            };
            let rows = statement.query_map([], columns)?;
            rows.map(|row| {
                let (body, content_key, share_secret, visibility) = row?;
                let visibility = visibility.map(|text| text.parse());
                let visibility = visibility.transpose().map_err(|_| Error::Damaged("publication"))?;
                Ok(Publication { publish: decode(&body)?, visibility, content_key, share_secret })
            })
            .collect()
        })
        .await
    }

    /// The directory knows the image now. Returns the sealed copies that are superfluous.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn finish_publication(&self, info: ImageInfo) -> Result<Vec<SealedHash>, Error> {
        self.write(move |connection| {
            let replaced: Option<Vec<u8>> = connection
                .prepare_cached("SELECT hash FROM images WHERE no = ?1")?
                .query_row([info.no.0.cast_signed()], |row| row.get(0))
                .optional()?;
            let body = encode(&info)?;
            let hash = info.sealed.hash;
            let sql = "SELECT publish FROM publications WHERE hash = ?1";
            let publish = stored::one::<Publish>(connection, sql, [hash.as_bytes()])?;
            execute(
                connection,
                "INSERT OR REPLACE INTO images (no, name, hash, content_key, share_secret, info, preview, private)
                 SELECT ?1, ?2, hash, content_key, share_secret, ?3, ?5, ?6 FROM publications WHERE hash = ?4",
                params![
                    info.no.0.cast_signed(),
                    info.name.as_str(),
                    body,
                    hash.as_bytes(),
                    publish.map(|publish| publish.preview.data),
                    info.visibility == Visibility::Private
                ],
            )?;
            albums::enter(connection, info.no, info.record.as_ref().and_then(ImageRecord::album))?;
            execute(connection, "DELETE FROM publications WHERE hash = ?1", [hash.as_bytes()])?;
            release_all(connection, replaced.iter().map(|old| hash_of(old)))
        })
        .await
    }

    /// The directory refused the image. Returns the sealed copies that are superfluous.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn drop_publication(&self, hash: SealedHash) -> Result<Vec<SealedHash>, Error> {
        self.write(move |connection| {
            execute(connection, "DELETE FROM publications WHERE hash = ?1", [hash.as_bytes()])?;
            release_all(connection, std::iter::once(Ok(hash)))
        })
        .await
    }

    /// An image has another name now, under which it is signed with the record that `info` has.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn rename_image(&self, info: ImageInfo) -> Result<(), Error> {
        self.write(move |connection| rename(connection, info.no, &info.name, info.record.clone())).await
    }

    /// Images of one's own that are not signed, in the order of their numbers: those behind this one.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn unsigned_images(
        &self,
        after: Option<ImageNo>,
        limit: u32,
    ) -> Result<Vec<OwnImage>, Error> {
        self.read(move |connection| {
            let sql = "SELECT info, content_key, share_secret FROM images WHERE no > ?1 ORDER BY no LIMIT ?2";
            let mut next = after.map_or(-1, |no| no.0.cast_signed());
            loop {
                let mut statement = connection.prepare_cached(sql)?;
                let columns = |row: &Row<'_>| Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?, row.get(2)?));
                let rows = statement.query_map(params![next, limit], columns)?;
                let mut images = Vec::new();
                for row in rows {
                    let (info, content_key, share_secret) = row?;
                    images.push(OwnImage { info: decode(&info)?, content_key, share_secret });
                }
                let Some(last) = images.last() else { return Ok(images) };
                next = last.info.no.0.cast_signed();
                images.retain(|image| image.info.record.is_none());
                if !images.is_empty() {
                    return Ok(images);
                }
            }
        })
        .await
    }

    /// An image of one's own is signed now.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn set_record(&self, info: ImageInfo) -> Result<(), Error> {
        self.write(move |connection| {
            let sql = "UPDATE images SET info = ?2 WHERE no = ?1 AND name = ?3 AND hash = ?4";
            let hash = info.sealed.hash;
            let values =
                params![info.no.0.cast_signed(), encode(&info)?, info.name.as_str(), hash.as_bytes()];
            execute(connection, sql, values).map(drop)
        })
        .await
    }

    /// An image of one's own is seen by others, or in another album now, as `info` says.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn set_image(&self, info: ImageInfo) -> Result<(), Error> {
        self.write(move |connection| {
            let sql = "UPDATE images SET info = ?2, private = ?3 WHERE no = ?1 AND name = ?4 AND hash = ?5";
            let (hash, is_private) = (info.sealed.hash, info.visibility == Visibility::Private);
            let no = info.no.0.cast_signed();
            let values = params![no, encode(&info)?, is_private, info.name.as_str(), hash.as_bytes()];
            if execute(connection, sql, values)? > 0 {
                albums::enter(connection, info.no, info.record.as_ref().and_then(ImageRecord::album))?;
            }
            Ok(())
        })
        .await
    }

    /// Who may see an image of one's own, unless an earlier release has written it down, which did not know.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn visibility_of(&self, no: ImageNo) -> Result<Option<Visibility>, Error> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached("SELECT private FROM images WHERE no = ?1")?;
            let private = statement.query_row([no.0.cast_signed()], |row| row.get::<_, Option<bool>>(0));
            let private = private.optional()?.flatten();
            Ok(private.map(|private| if private { Visibility::Private } else { Visibility::Listed }))
        })
        .await
    }

    /// An image is withdrawn, and with it every grant of it and request for it. Returns the sealed copies that are
    /// superfluous.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn remove_image(&self, no: ImageNo) -> Result<Vec<SealedHash>, Error> {
        self.write(move |connection| remove(connection, no)).await
    }

    /// The sealed files that must be there, and the sealed copies that may still arrive.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn files_needed(&self) -> Result<(HashSet<SealedHash>, HashSet<SealedHash>), Error> {
        self.read(|connection| {
            let hashes = |sql: &str| -> Result<HashSet<SealedHash>, Error> {
                let mut statement = connection.prepare_cached(sql)?;
                let rows = statement.query_map([], |row| row.get::<_, Vec<u8>>(0))?;
                rows.map(|hash| hash_of(&hash?)).collect()
            };
            let arriving = hashes("SELECT hash FROM grants, self WHERE viewer = self.peer AND revoked = 0")?;
            Ok((hashes("SELECT hash FROM copies")?, arriving))
        })
        .await
    }
}

/// Gives an image of one's own another name. One of another number that had it here has lost it at the directory, and
/// will be named anew by an update of its own.
pub(super) fn rename(
    connection: &Connection,
    no: ImageNo,
    name: &ImageName,
    record: Option<ImageRecord>,
) -> Result<(), Error> {
    let sql = "SELECT info, content_key, share_secret FROM images WHERE no = ?1";
    let known = one_image(connection, sql, params![no.0.cast_signed()])?;
    // Where the update was here before the answer, the record is still to be noted.
    let is_news =
        |known: &OwnImage| known.info.name != *name || (record.is_some() && known.info.record != record);
    let Some(known) = known.filter(is_news) else { return Ok(()) };
    // A placeholder that no image can be called, as names have no slash.
    execute(
        connection,
        "UPDATE images SET name = '/' || no WHERE name = ?1 AND no <> ?2",
        params![name.as_str(), no.0.cast_signed()],
    )?;
    // A record under the old name says nothing of the new one: it is signed anew.
    let body = encode(&ImageInfo { name: name.clone(), record, ..known.info })?;
    execute(
        connection,
        "UPDATE images SET name = ?2, info = ?3 WHERE no = ?1",
        params![no.0.cast_signed(), name.as_str(), body],
    )?;
    Ok(())
}

/// Forgets an image, of whichever owner, with every grant of it and every request for it. Returns the sealed copies that
/// are superfluous.
pub(super) fn remove(connection: &Connection, no: ImageNo) -> Result<Vec<SealedHash>, Error> {
    let mut statement = connection.prepare_cached("SELECT hash FROM images WHERE no = ?1")?;
    let hash: Option<Vec<u8>> = statement.query_row([no.0.cast_signed()], |row| row.get(0)).optional()?;
    execute(connection, "DELETE FROM images WHERE no = ?1", [no.0.cast_signed()])?;
    if hash.is_some() {
        albums::forget(connection, no)?;
        asserting::remember_removed(connection, no)?;
    }
    let mut free = grants::end_all(connection, no)?;
    requests::end_all(connection, no)?;
    free.extend(release_all(connection, hash.iter().map(|old| hash_of(old)))?);
    Ok(free)
}

/// Notes a whole sealed file.
pub(super) fn add_copy(
    connection: &Connection,
    hash: &SealedHash,
    bytes: u64,
    blocks: &[u8],
) -> Result<(), Error> {
    execute(
        connection,
        "INSERT OR REPLACE INTO copies (hash, bytes, used_at, blocks) VALUES (?1, ?2, ?3, ?4)",
        params![hash.as_bytes(), bytes.cast_signed(), Timestamp::now().0, blocks],
    )?;
    Ok(())
}

fn one_image(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> Result<Option<OwnImage>, Error> {
    let columns = |row: &Row<'_>| Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?, row.get(2)?));
    let row = connection.prepare_cached(sql)?.query_row(params, columns).optional()?;
    row.map(|(info, content_key, share_secret)| {
        Ok(OwnImage { info: decode(&info)?, content_key, share_secret })
    })
    .transpose()
}

fn release_all(
    connection: &Connection,
    hashes: impl Iterator<Item = Result<SealedHash, Error>>,
) -> Result<Vec<SealedHash>, Error> {
    let mut free = Vec::new();
    for hash in hashes {
        let hash = hash?;
        if release(connection, &hash)? {
            free.push(hash);
        }
    }
    Ok(free)
}
