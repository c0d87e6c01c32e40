//! Images: what owners have published, and their previews.

use std::borrow::Cow;

use dos_protocol::{
    ImageName, ImageNo, PeerId, Timestamp, Visibility,
    directory::{Publish, Set, Sign},
    model::{Format, ImageInfo},
    record::ImageRecord,
    text::spellings,
};
use dos_sql::{self as sql, Connection, Optional as _, params};

use super::{Change, Changed, InboxRow, Refusal, Store, grants, hiding, inbox, next_number, requests, row};
use crate::rules::{
    Owe, Wanted,
    grants::access,
    publish::{self, Published, Publishing, no_image},
    visibility,
};

pub(super) fn by_no(connection: &Connection, no: ImageNo) -> sql::Result<Option<ImageInfo>> {
    let sql = format!("SELECT {} FROM images WHERE no = ?1", row::IMAGE_COLUMNS);
    connection.prepare(&sql)?.query_row([row::number(no.0)], row::image).optional()
}

/// The owner's image of this name, also if it is stored in another spelling of the same letters.
pub(super) fn by_name(
    connection: &Connection,
    owner: PeerId,
    name: &ImageName,
) -> sql::Result<Option<ImageInfo>> {
    let mut tried: Option<Cow<'_, str>> = None;
    for spelling in spellings(name.as_str()) {
        if tried.as_ref() == Some(&spelling) {
            continue;
        }
        if let Some(found) = by_spelling(connection, owner, &spelling)? {
            return Ok(Some(found));
        }
        tried = Some(spelling);
    }
    Ok(None)
}

/// The owner's image whose name is written so.
pub(super) fn by_spelling(
    connection: &Connection,
    owner: PeerId,
    name: &str,
) -> sql::Result<Option<ImageInfo>> {
    let sql = format!("SELECT {} FROM images WHERE owner = ?1 AND name = ?2", row::IMAGE_COLUMNS);
    let mut statement = connection.prepare(&sql)?;
    statement.query_row(params![row::peer_number(owner), name], row::image).optional()
}

/// The image with this number, if it belongs to `owner`.
pub(super) fn own(connection: &Connection, owner: PeerId, no: ImageNo) -> Result<ImageInfo, Refusal> {
    Ok(publish::own(by_no(connection, no)?, owner)?)
}

impl Store {
    /// Makes an image known, or replaces one. The same sealed copy under the same name again changes nothing.
    ///
    /// # Errors
    /// `conflict` if the name is taken, `denied` if the peer has too many images.
    pub async fn publish(
        &self,
        change: Change,
        (publish, wanted): (Publish, Wanted),
    ) -> Result<ImageInfo, Refusal> {
        let room = self.room();
        self.change_once(change, move |connection| {
            let (owner, now) = (change.peer, change.now);
            let Counts { images, preview_bytes, row_bytes } = counts(connection, owner)?;
            let existing = by_name(connection, owner, &publish.name)?;
            let state = Publishing { existing, images, preview_bytes, row_bytes, quotas: room.quotas };
            match publish::publish(state, &publish)? {
                Published::Unchanged(image) => Ok(image.into()),
                Published::New => {
                    room.admit(connection)?;
                    let no = ImageNo(next_number(connection, "image")?);
                    let visibility = wanted.instead_of(None);
                    let image = publish::published(owner, (no, visibility), &publish);
                    write(connection, &image, &publish.preview.data, now)?;
                    count(connection, owner, 1, image.preview.bytes.into())?;
                    let told = visibility::change(None, Some(&image));
                    Ok(Changed::from(image).telling(owner, told, now))
                }
                Published::Replaced(old) => {
                    room.admit(connection)?;
                    grants::check_touching(connection, (owner, old.no), &room.quotas)?;
                    let visibility = wanted.instead_of(Some(old.visibility));
                    let image = publish::published(owner, (old.no, visibility), &publish);
                    delete(connection, old.no)?;
                    write(connection, &image, &publish.preview.data, now)?;
                    let grown = i64::from(image.preview.bytes) - i64::from(old.preview.bytes);
                    count(connection, owner, 0, grown)?;
                    let mut rows = grants::touch_all(connection, change, image.no)?;
                    rows.extend(hiding::hide(connection, change, (Some(old.visibility), &image))?);
                    let told = visibility::change(Some(&old), Some(&image));
                    Ok(Changed::owing(image, rows).telling(owner, told, now))
                }
            }
        })
        .await
    }

    /// The image with this name, and what the caller may do with it.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn image(&self, caller: PeerId, owner: PeerId, name: ImageName) -> Result<ImageInfo, Refusal> {
        self.read_brief(move |connection| {
            let (image, standing) = hiding::seen(connection, (owner, &name), caller)?;
            let mut image = image.ok_or_else(|| no_image(owner, &name))?;
            if owner != caller {
                let grant = standing.and_then(|(_, grant)| grant);
                let last = requests::last_states(connection, caller, &[image.no])?;
                let last = last.get(&image.no).copied();
                image.access = Some(access(grant.as_ref(), last, Timestamp::now()));
            }
            Ok(image)
        })
        .await
    }

    /// The preview of the image with this name, with what is known of the image.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn preview(
        &self,
        caller: PeerId,
        owner: PeerId,
        name: ImageName,
    ) -> Result<(ImageInfo, Vec<u8>), Refusal> {
        self.read(move |connection| {
            let (image, _) = hiding::seen(connection, (owner, &name), caller)?;
            let image = image.ok_or_else(|| no_image(owner, &name))?;
            let mut statement = connection.prepare("SELECT data FROM previews WHERE image = ?1")?;
            let data = statement.query_row([row::number(image.no.0)], |row| row.get(0))?;
            Ok((image, data))
        })
        .await
    }

    /// Withdraws an image with every grant for it and every pending request.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn remove_image(&self, change: Change, no: ImageNo) -> Result<(), Refusal> {
        self.change_once(change, move |connection| {
            let image = own(connection, change.peer, no)?;
            let told = visibility::change(Some(&image), None);
            let rows = remove_by(connection, change, &image)?;
            Ok(Changed::owing((), rows).telling(image.owner, told, change.now))
        })
        .await
    }

    /// Takes the owner's word for an image that was published without, and the preview that it speaks of.
    ///
    /// # Errors
    /// `not_found`; `stale` for another sealed copy; `denied` if the previews get too large.
    pub async fn sign_image(&self, change: Change, sign: Sign) -> Result<ImageInfo, Refusal> {
        let room = self.room();
        self.change_once(change, move |connection| {
            let image = own(connection, change.peer, sign.image)?;
            let Counts { preview_bytes, .. } = counts(connection, change.peer)?;
            let Some(signed) = publish::sign(&image, &sign, (preview_bytes, room.quotas))? else {
                return Ok(image.into());
            };
            room.admit(connection)?;
            let sql = "UPDATE images SET preview_format = ?2, preview_width = ?3, preview_height = ?4,
                           preview_bytes = ?5 WHERE no = ?1";
            connection.prepare(sql)?.execute(params![
                row::number(signed.no.0),
                Format::as_str(signed.preview.format),
                signed.preview.width,
                signed.preview.height,
                signed.preview.bytes,
            ])?;
            write_word(connection, &signed)?;
            write_preview(connection, signed.no, &sign.preview.data)?;
            let change = i64::from(signed.preview.bytes) - i64::from(image.preview.bytes);
            count(connection, signed.owner, 0, change)?;
            Ok(signed.into())
        })
        .await
    }

    /// Says who may see an image, and which album it is in. Those who do not see it any more are told that it is gone.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn set_image(&self, change: Change, set: Set) -> Result<ImageInfo, Refusal> {
        let room = self.room();
        self.change_once(change, move |connection| {
            let image = own(connection, change.peer, set.image)?;
            let Counts { row_bytes, .. } = counts(connection, change.peer)?;
            let Some(changed) = publish::set(&image, &set, (row_bytes, room.quotas))? else {
                return Ok(image.into());
            };
            room.admit(connection)?;
            connection
                .prepare("UPDATE images SET private = ?2 WHERE no = ?1")?
                .execute(params![row::number(image.no.0), changed.visibility == Visibility::Private])?;
            write_word(connection, &changed)?;
            let rows = hiding::hide(connection, change, (Some(image.visibility), &changed))?;
            let told = visibility::change(Some(&image), Some(&changed));
            Ok(Changed::owing(changed, rows).telling(image.owner, told, change.now))
        })
        .await
    }

    /// Gives an image another name.
    ///
    /// # Errors
    /// `not_found`; `conflict` if the name is taken; `denied` if too much waits for one who has a grant.
    pub async fn rename_image(
        &self,
        change: Change,
        no: ImageNo,
        (name, record): (ImageName, Option<ImageRecord>),
    ) -> Result<ImageInfo, Refusal> {
        let room = self.room();
        self.change_once(change, move |connection| {
            let image = own(connection, change.peer, no)?;
            // The image itself may be found, if only its spelling changes.
            let taken = by_name(connection, change.peer, &name)?.is_some_and(|other| other.no != no);
            let Some((now, owe)) = publish::rename(&image, (name, record), taken)? else {
                return Ok(image.into());
            };
            let told = visibility::change(Some(&image), Some(&now));
            let image = now;
            room.admit(connection)?;
            grants::check_touching(connection, (change.peer, no), &room.quotas)?;
            connection.execute(
                "UPDATE images SET name = ?2 WHERE no = ?1",
                params![row::number(no.0), image.name.as_str()],
            )?;
            write_word(connection, &image)?;
            let mut rows = vec![inbox::owe_one(connection, owe, change.now)?];
            rows.extend(grants::touch_all(connection, change, no)?);
            Ok(Changed::owing(image, rows).telling(change.peer, told, change.now))
        })
        .await
    }
}

/// Writes down the owner's word for an image, with all that it says beside what the image is.
fn write_word(connection: &Connection, image: &ImageInfo) -> sql::Result<()> {
    let sql = "UPDATE images SET record = ?2, album = ?3, album_signature = ?4, description = ?5,
                   description_signature = ?6, thumbhash = ?7, thumbhash_signature = ?8, taken = ?9,
                   taken_signature = ?10 WHERE no = ?1";
    let album = image.record.as_ref().and_then(|record| record.album.as_ref());
    let described = image.record.as_ref().and_then(|record| record.description.as_ref());
    let thumb = image.record.as_ref().and_then(|record| record.thumbhash.as_ref());
    let taken = image.record.as_ref().and_then(|record| record.taken.as_ref());
    let values = params![
        row::number(image.no.0),
        image.record.as_ref().map(row::record_bytes),
        album.map(|album| album.name.as_str()),
        album.map(|album| album.signature.as_bytes().as_slice()),
        described.map(|described| described.text.as_str()),
        described.map(|described| described.signature.as_bytes().as_slice()),
        thumb.map(|thumb| thumb.hash.as_bytes()),
        thumb.map(|thumb| thumb.signature.as_bytes().as_slice()),
        taken.map(|taken| taken.at.to_string()),
        taken.map(|taken| taken.signature.as_bytes().as_slice()),
    ];
    connection.prepare(sql)?.execute(values).map(drop)
}

/// Withdraws an image for the operator, with every grant for it and every pending request, and owes that to all whom it concerns.
pub(super) fn remove(
    connection: &Connection,
    image: &ImageInfo,
    now: Timestamp,
) -> Result<Vec<InboxRow>, Refusal> {
    let owed = withdraw(connection, image, now)?;
    inbox::owe(connection, owed, now)
}

/// The same for its owner, from whom some may be hidden.
pub(super) fn remove_by(
    connection: &Connection,
    change: Change,
    image: &ImageInfo,
) -> Result<Vec<InboxRow>, Refusal> {
    let owed = withdraw(connection, image, change.now)?;
    inbox::owe_by(connection, change, owed)
}

fn withdraw(connection: &Connection, image: &ImageInfo, now: Timestamp) -> Result<Vec<Owe>, Refusal> {
    let owed = publish::removed(image, concerned(connection, image)?);
    requests::close_for_image(connection, image.no, now)?;
    for sql in [
        "DELETE FROM grants WHERE image = ?1",
        "DELETE FROM views_forgotten WHERE image = ?1",
        "DELETE FROM forks WHERE image = ?1",
        "DELETE FROM previews WHERE image = ?1",
    ] {
        connection.prepare(sql)?.execute([row::number(image.no.0)])?;
    }
    delete(connection, image.no)?;
    count(connection, image.owner, -1, -i64::from(image.preview.bytes))?;
    Ok(owed)
}

/// The peers that have, or had, a grant for an image, and those that have a pending request for it. For those who had a grant for a
/// private one it is gone already.
fn concerned(connection: &Connection, image: &ImageInfo) -> sql::Result<Vec<PeerId>> {
    let mut statement = connection.prepare(
        "SELECT viewer FROM grants WHERE image = ?1 AND (share IS NOT NULL OR ?2 = 0)
         UNION SELECT viewer FROM requests WHERE image = ?1 AND state = 0",
    )?;
    let key = params![row::number(image.no.0), image.visibility == Visibility::Private];
    statement.query_map(key, |row| row::peer(row, 0))?.collect()
}

pub(super) fn delete(connection: &Connection, no: ImageNo) -> sql::Result<()> {
    connection.prepare("DELETE FROM images WHERE no = ?1")?.execute([row::number(no.0)]).map(drop)
}

/// All images of a peer.
pub(super) fn all_of(connection: &Connection, owner: PeerId) -> sql::Result<Vec<ImageInfo>> {
    let sql = format!("SELECT {} FROM images WHERE owner = ?1", row::IMAGE_COLUMNS);
    connection.prepare(&sql)?.query_map([row::peer_number(owner)], row::image)?.collect()
}

/// What a peer has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    pub(super) images: u64,
    /// Bytes of their previews together.
    pub(super) preview_bytes: u64,
    /// Bytes of its rows.
    pub(super) row_bytes: u64,
}

pub(super) fn counts(connection: &Connection, owner: PeerId) -> sql::Result<Counts> {
    let sql = "SELECT images, preview_bytes, row_bytes FROM peers WHERE id = ?1";
    connection.prepare(sql)?.query_row([row::peer_number(owner)], |row| {
        Ok(Counts {
            images: row::unsigned(row, 0)?,
            preview_bytes: row::unsigned(row, 1)?,
            row_bytes: row::unsigned(row, 2)?,
        })
    })
}

pub(super) fn write(
    connection: &Connection,
    image: &ImageInfo,
    preview: &[u8],
    now: Timestamp,
) -> sql::Result<()> {
    let sql = format!(
        "INSERT INTO images({})
         VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,NULL,?15,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,?16)",
        row::IMAGE_COLUMNS
    );
    connection.prepare(&sql)?.execute(params![
        row::peer_number(image.owner),
        image.name.as_str(),
        row::number(image.no.0),
        image.original.image_id.as_bytes().as_slice(),
        image.original.format.as_str(),
        image.original.width,
        image.original.height,
        row::number(image.original.bytes),
        image.sealed.hash.as_bytes().as_slice(),
        row::number(image.sealed.bytes),
        Format::as_str(image.preview.format),
        image.preview.width,
        image.preview.height,
        image.preview.bytes,
        image.visibility == Visibility::Private,
        now.0,
    ])?;
    write_word(connection, image)?;
    write_preview(connection, image.no, preview)
}

fn write_preview(connection: &Connection, image: ImageNo, preview: &[u8]) -> sql::Result<()> {
    connection
        .prepare(
            "INSERT INTO previews(image, data, hash) VALUES(?1, ?2, ?3)
             ON CONFLICT(image) DO UPDATE SET data = excluded.data, hash = excluded.hash",
        )?
        .execute(params![row::number(image.0), preview, hash_of(preview).as_slice()])
        .map(drop)
}

/// The hash of a preview, by which it is verified.
pub(super) fn hash_of(preview: &[u8]) -> [u8; 32] {
    *blake3::hash(preview).as_bytes()
}

/// Previews that are hashed in one transaction.
const HASHED_AT_ONCE: u32 = 500;

/// Writes down the hashes of previews of an older version, which wrote none.
pub(super) fn hash_previews(connection: &Connection) -> sql::Result<()> {
    loop {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let mut statement =
            connection.prepare("SELECT image, data FROM previews WHERE hash IS NULL LIMIT ?1")?;
        let hashed = statement.query_map([HASHED_AT_ONCE], |row| {
            Ok((row.get::<i64>(0)?, hash_of(row.get_ref(1)?.as_blob().unwrap_or_default())))
        })?;
        let hashed = hashed.collect::<Result<Vec<_>, _>>()?;
        let mut save = connection.prepare("UPDATE previews SET hash = ?2 WHERE image = ?1")?;
        for (image, hash) in &hashed {
            save.execute(params![image, hash.as_slice()])?;
        }
        connection.execute_batch("COMMIT")?;
        if hashed.is_empty() {
            return Ok(());
        }
    }
}

/// Images and bytes of previews more, or fewer.
pub(super) fn count(connection: &Connection, owner: PeerId, images: i64, bytes: i64) -> sql::Result<()> {
    let sql = "UPDATE peers SET images = images + ?2, preview_bytes = preview_bytes + ?3 WHERE id = ?1";
    let mut statement = connection.prepare(sql)?;
    statement.execute(params![row::peer_number(owner), images, bytes]).map(drop)
}
