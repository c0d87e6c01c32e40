//! Conversions between rows and the protocol's types. A value that no version of ours has written is an error.

use dos_protocol::{
    ImageName, ImageNo, PeerId, PeerName, Timestamp,
    model::{Format, ImageInfo, Original, PreviewInfo, SealedCopy},
};
use rusqlite::{Row, types::Type};

/// A column that holds what we never wrote.
#[derive(Debug, thiserror::Error)]
#[error("a value that this program never writes")]
struct Alien;

fn alien(column: usize) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Null, Box::new(Alien))
}

/// The number under which a peer is stored.
pub(super) fn peer_number(peer: PeerId) -> i64 {
    peer.number().cast_signed()
}

/// A counting number as SQLite stores it.
pub(super) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A peer's ID.
pub(super) fn peer(row: &Row<'_>, column: usize) -> rusqlite::Result<PeerId> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).ok().and_then(PeerId::from_number).ok_or_else(|| alien(column))
}

/// A peer's name, if it has one.
pub(super) fn peer_name(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<PeerName>> {
    match row.get_ref(column)?.as_str_or_null().map_err(|_| alien(column))? {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| alien(column)),
    }
}

/// An image's name.
pub(super) fn image_name(row: &Row<'_>, column: usize) -> rusqlite::Result<ImageName> {
    let text = row.get_ref(column)?.as_str().map_err(|_| alien(column))?;
    text.parse().map_err(|_| alien(column))
}

/// A number that is never negative.
pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    u64::try_from(row.get::<_, i64>(column)?).map_err(|_| alien(column))
}

/// A small number that is never negative.
pub(super) fn small(row: &Row<'_>, column: usize) -> rusqlite::Result<u32> {
    u32::try_from(row.get::<_, i64>(column)?).map_err(|_| alien(column))
}

/// Bytes of a fixed length.
pub(super) fn bytes<const N: usize>(row: &Row<'_>, column: usize) -> rusqlite::Result<[u8; N]> {
    let blob = row.get_ref(column)?.as_blob().map_err(|_| alien(column))?;
    blob.try_into().map_err(|_| alien(column))
}

pub(super) fn bytes_or_none<const N: usize>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<Option<[u8; N]>> {
    let blob = row.get_ref(column)?.as_blob_or_null().map_err(|_| alien(column))?;
    blob.map(|blob| blob.try_into().map_err(|_| alien(column))).transpose()
}

/// Cuts a page to `limit` entries, and tells whether there were more.
pub(super) fn cut<T>(page: &mut Vec<T>, limit: u32) -> bool {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = page.len() > limit;
    page.truncate(limit);
    more
}

/// A free text, if there is one.
pub(super) fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Box<str>>> {
    Ok(row.get::<_, Option<String>>(column)?.map(String::into_boxed_str))
}

/// A moment.
pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp)
}

/// A moment, if there is one.
pub(super) fn time_or_none(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp))
}

/// A value from a small closed set.
pub(super) fn one_of<T>(
    row: &Row<'_>,
    column: usize,
    read: impl FnOnce(i64) -> Option<T>,
) -> rusqlite::Result<T> {
    read(row.get(column)?).ok_or_else(|| alien(column))
}

fn format(row: &Row<'_>, column: usize) -> rusqlite::Result<Format> {
    let text = row.get_ref(column)?.as_str().map_err(|_| alien(column))?;
    text.parse().map_err(|()| alien(column))
}

/// The columns that [`image`] reads, in its order.
pub(super) const IMAGE_COLUMNS: &str = "owner, name, no, image_id, format, width, height, bytes, sealed_hash, \
     sealed_bytes, preview_format, preview_width, preview_height, preview_bytes";

/// An image, without what the caller may do with it.
pub(super) fn image(row: &Row<'_>) -> rusqlite::Result<ImageInfo> {
    Ok(ImageInfo {
        owner: peer(row, 0)?,
        name: image_name(row, 1)?,
        no: ImageNo(unsigned(row, 2)?),
        original: Original {
            image_id: bytes::<32>(row, 3)?.into(),
            format: format(row, 4)?,
            width: small(row, 5)?,
            height: small(row, 6)?,
            bytes: unsigned(row, 7)?,
        },
        sealed: SealedCopy { hash: bytes::<32>(row, 8)?.into(), bytes: unsigned(row, 9)? },
        preview: PreviewInfo {
            format: format(row, 10)?,
            width: small(row, 11)?,
            height: small(row, 12)?,
            bytes: small(row, 13)?,
        },
        access: None,
    })
}
