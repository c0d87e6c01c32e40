//! Images: what owners have published, and their previews.

use dos_protocol::{
    ImageName, ImageNo, ImagePath, PeerId, Timestamp,
    directory::{Publish, Update},
    model::{Format, ImageInfo},
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Changed, Owed, Quotas, Refusal, Store, grants, inbox, next_number, requests, row};
use crate::limits::reached;

pub(super) fn by_no(connection: &Connection, no: ImageNo) -> rusqlite::Result<Option<ImageInfo>> {
    let sql = format!("SELECT {} FROM images WHERE no = ?1", row::IMAGE_COLUMNS);
    connection.prepare_cached(&sql)?.query_row([row::number(no.0)], row::image).optional()
}

pub(super) fn by_name(
    connection: &Connection,
    owner: PeerId,
    name: &ImageName,
) -> rusqlite::Result<Option<ImageInfo>> {
    let sql = format!("SELECT {} FROM images WHERE owner = ?1 AND name = ?2", row::IMAGE_COLUMNS);
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_row(params![row::peer_number(owner), name.as_str()], row::image).optional()
}

/// The image with this number, if it belongs to `owner`; whose else it is, is nobody's business.
pub(super) fn own(connection: &Connection, owner: PeerId, no: ImageNo) -> Result<ImageInfo, Refusal> {
    let found = by_no(connection, no)?.filter(|image| image.owner == owner);
    found.ok_or_else(|| Refusal::not_found("you have no such image"))
}

impl Store {
    /// Makes an image known, or replaces one. The same sealed copy under the same name again changes nothing.
    ///
    /// # Errors
    /// `conflict` if the name is taken, `denied` if the peer has too many images.
    pub async fn publish(
        &self,
        owner: PeerId,
        publish: Publish,
        now: Timestamp,
    ) -> Result<ImageInfo, Refusal> {
        let quotas = self.quotas();
        self.change(move |connection| match by_name(connection, owner, &publish.name)? {
            Some(old) if old.sealed.hash == publish.sealed.hash => Ok(old.into()),
            Some(old) if publish.replace => {
                check_previews(connection, owner, quotas, old.preview.bytes, &publish)?;
                replace(connection, &old, &publish, now)
            }
            Some(_) => Err(Refusal::conflict(format!("you have an image named {} already", publish.name))),
            None => {
                check_images(connection, owner, quotas)?;
                check_previews(connection, owner, quotas, 0, &publish)?;
                insert(connection, owner, &publish, now)
            }
        })
        .await
    }

    /// The image with this name, and the name's owner must exist.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn image(&self, asker: PeerId, owner: PeerId, name: ImageName) -> Result<ImageInfo, Refusal> {
        self.read_brief(move |connection| {
            let mut image = by_name(connection, owner, &name)?.ok_or_else(|| no_image(owner, &name))?;
            if owner != asker {
                image.access = Some(grants::access(connection, asker, image.no, Timestamp::now())?);
            }
            Ok(image)
        })
        .await
    }

    /// The preview of the image with this name, with what is known of the image.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn preview(&self, owner: PeerId, name: ImageName) -> Result<(ImageInfo, Vec<u8>), Refusal> {
        self.read(move |connection| {
            let image = by_name(connection, owner, &name)?.ok_or_else(|| no_image(owner, &name))?;
            let mut statement = connection.prepare_cached("SELECT data FROM previews WHERE image = ?1")?;
            let data = statement.query_row([row::number(image.no.0)], |row| row.get(0))?;
            Ok((image, data))
        })
        .await
    }

    /// Withdraws an image with every right to it and every pending request.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn remove_image(&self, owner: PeerId, no: ImageNo, now: Timestamp) -> Result<(), Refusal> {
        self.change(move |connection| {
            let image = own(connection, owner, no)?;
            Ok(Changed { value: (), owed: remove(connection, &image, now)? })
        })
        .await
    }

    /// Gives an image another name.
    ///
    /// # Errors
    /// `not_found`, or `conflict` if the name is taken.
    pub async fn rename_image(
        &self,
        owner: PeerId,
        no: ImageNo,
        name: ImageName,
        now: Timestamp,
    ) -> Result<ImageInfo, Refusal> {
        self.change(move |connection| {
            let mut image = own(connection, owner, no)?;
            if image.name == name {
                return Ok(image.into());
            }
            if by_name(connection, owner, &name)?.is_some() {
                return Err(Refusal::conflict(format!("you have an image named {name} already")));
            }
            connection.execute(
                "UPDATE images SET name = ?2 WHERE no = ?1",
                params![row::number(no.0), name.as_str()],
            )?;
            image.name = name;
            let path = ImagePath { owner, name: image.name.clone() };
            let mut owed = vec![inbox::owe(connection, owner, now, Update::Renamed { image: no, path })?];
            owed.extend(grants::touch_all(connection, &image, now)?);
            Ok(Changed { value: image, owed })
        })
        .await
    }
}

/// Withdraws an image with every right to it and every pending request, and owes that to whom it concerns.
pub(super) fn remove(
    connection: &Connection,
    image: &ImageInfo,
    now: Timestamp,
) -> Result<Vec<Owed>, Refusal> {
    let no = image.no;
    let mut concerned = grants::holders(connection, no)?;
    concerned.extend(requests::close_for_image(connection, no, now)?);
    concerned.push(image.owner);
    concerned.sort_unstable();
    concerned.dedup();
    let path = ImagePath { owner: image.owner, name: image.name.clone() };
    let update = || Update::Removed { image: no, path: path.clone() };
    let owed = concerned
        .into_iter()
        .map(|peer| inbox::owe(connection, peer, now, update()))
        .collect::<Result<Vec<Owed>, Refusal>>()?;
    for sql in [
        "DELETE FROM grants WHERE image = ?1",
        "DELETE FROM views_forgotten WHERE image = ?1",
        "DELETE FROM previews WHERE image = ?1",
        "DELETE FROM images WHERE no = ?1",
    ] {
        connection.prepare_cached(sql)?.execute([row::number(no.0)])?;
    }
    count_images(connection, image.owner, -1, -i64::from(image.preview.bytes))?;
    Ok(owed)
}

/// All images of a peer.
pub(super) fn all_of(connection: &Connection, owner: PeerId) -> rusqlite::Result<Vec<ImageInfo>> {
    let sql = format!("SELECT {} FROM images WHERE owner = ?1", row::IMAGE_COLUMNS);
    connection.prepare_cached(&sql)?.query_map([row::peer_number(owner)], row::image)?.collect()
}

/// There is no such image.
pub(super) fn no_image(owner: PeerId, name: &ImageName) -> Refusal {
    Refusal::not_found(format!("there is no image {owner}/{name}"))
}

fn check_images(connection: &Connection, owner: PeerId, quotas: Quotas) -> Result<(), Refusal> {
    let mut statement = connection.prepare_cached("SELECT images FROM peers WHERE id = ?1")?;
    if statement.query_row([row::peer_number(owner)], |row| row::unsigned(row, 0))? >= quotas.images {
        let why = format!("a peer can publish at most {} images", quotas.images);
        return Err(reached("images_per_peer", &why).into());
    }
    Ok(())
}

/// `gone` bytes of previews go when the new one comes.
fn check_previews(
    connection: &Connection,
    owner: PeerId,
    quotas: Quotas,
    gone: u32,
    publish: &Publish,
) -> Result<(), Refusal> {
    let mut statement = connection.prepare_cached("SELECT preview_bytes FROM peers WHERE id = ?1")?;
    let before = statement.query_row([row::peer_number(owner)], |row| row::unsigned(row, 0))?;
    let bytes = u64::from(publish.preview.info().bytes);
    if before.saturating_sub(gone.into()).saturating_add(bytes) > quotas.preview_bytes {
        let why = format!("the previews of a peer have at most {} bytes together", quotas.preview_bytes);
        return Err(reached("preview_bytes_per_peer", &why).into());
    }
    Ok(())
}

fn insert(
    connection: &Connection,
    owner: PeerId,
    publish: &Publish,
    now: Timestamp,
) -> Result<Changed<ImageInfo>, Refusal> {
    let no = ImageNo(next_number(connection, "image")?);
    write(connection, owner, no, publish, now)?;
    count_images(connection, owner, 1, publish.preview.info().bytes.into())?;
    Ok(published(owner, no, publish).into())
}

fn replace(
    connection: &Connection,
    old: &ImageInfo,
    publish: &Publish,
    now: Timestamp,
) -> Result<Changed<ImageInfo>, Refusal> {
    connection.prepare_cached("DELETE FROM images WHERE no = ?1")?.execute([row::number(old.no.0)])?;
    write(connection, old.owner, old.no, publish, now)?;
    let change = i64::from(publish.preview.info().bytes) - i64::from(old.preview.bytes);
    count_images(connection, old.owner, 0, change)?;
    let image = published(old.owner, old.no, publish);
    let owed = grants::touch_all(connection, &image, now)?;
    Ok(Changed { value: image, owed })
}

fn write(
    connection: &Connection,
    owner: PeerId,
    no: ImageNo,
    publish: &Publish,
    now: Timestamp,
) -> Result<(), Refusal> {
    let (original, preview) = (&publish.original, publish.preview.info());
    let sql = format!(
        "INSERT INTO images({}, published_at) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)",
        row::IMAGE_COLUMNS
    );
    connection.prepare_cached(&sql)?.execute(params![
        row::peer_number(owner),
        publish.name.as_str(),
        row::number(no.0),
        original.image_id.as_bytes().as_slice(),
        original.format.as_str(),
        original.width,
        original.height,
        row::number(original.bytes),
        publish.sealed.hash.as_bytes().as_slice(),
        row::number(publish.sealed.bytes),
        Format::as_str(preview.format),
        preview.width,
        preview.height,
        preview.bytes,
        now.0,
    ])?;
    connection
        .prepare_cached("INSERT OR REPLACE INTO previews(image, data) VALUES(?1, ?2)")?
        .execute(params![row::number(no.0), publish.preview.data])?;
    Ok(())
}

fn published(owner: PeerId, no: ImageNo, publish: &Publish) -> ImageInfo {
    ImageInfo {
        no,
        owner,
        name: publish.name.clone(),
        original: publish.original,
        sealed: publish.sealed,
        preview: publish.preview.info(),
        access: None,
    }
}

/// So many images and bytes of previews more, or less.
fn count_images(connection: &Connection, owner: PeerId, images: i64, bytes: i64) -> rusqlite::Result<()> {
    let sql = "UPDATE peers SET images = images + ?2, preview_bytes = preview_bytes + ?3 WHERE id = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    statement.execute(params![row::peer_number(owner), images, bytes]).map(drop)
}
