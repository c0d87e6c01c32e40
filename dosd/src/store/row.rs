//! Conversions between rows and the protocol's types. A value that no version of ours has written is an error.

use dos_protocol::{
    ImageName, ImageNo, PeerId, PeerName, SealingKey, Timestamp, Visibility,
    model::{Format, ImageInfo, Original, PreviewInfo, SealedCopy},
    node::NodeId,
    record::{Album, Described, ImageRecord, Taken, Thumb},
    signature::SIGNATURE_BYTES,
};
use dos_sql::{self as sql, Row, ValueRef};

fn alien(column: usize) -> sql::Error {
    sql::Error::Alien(column)
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
pub(super) fn peer(row: Row<'_>, column: usize) -> sql::Result<PeerId> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).ok().and_then(PeerId::from_number).ok_or_else(|| alien(column))
}

/// A peer's name, if it has one.
pub(super) fn peer_name(row: Row<'_>, column: usize) -> sql::Result<Option<PeerName>> {
    match row.get_ref(column)?.as_str_or_null().map_err(|_| alien(column))? {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| alien(column)),
    }
}

/// An image's name.
pub(super) fn image_name(row: Row<'_>, column: usize) -> sql::Result<ImageName> {
    let text = row.get_ref(column)?.as_str().map_err(|_| alien(column))?;
    text.parse().map_err(|_| alien(column))
}

/// A node, if there is one.
pub(super) fn node(row: Row<'_>, column: usize) -> sql::Result<Option<NodeId>> {
    let number: Option<i64> = row.get(column)?;
    let read =
        |number: i64| u64::try_from(number).ok().and_then(NodeId::from_number).ok_or_else(|| alien(column));
    number.map(read).transpose()
}

/// A number that is never negative.
pub(super) fn unsigned(row: Row<'_>, column: usize) -> sql::Result<u64> {
    u64::try_from(row.get::<i64>(column)?).map_err(|_| alien(column))
}

/// A small number that is never negative.
pub(super) fn small(row: Row<'_>, column: usize) -> sql::Result<u32> {
    u32::try_from(row.get::<i64>(column)?).map_err(|_| alien(column))
}

/// Bytes of a fixed length.
pub(super) fn bytes<const N: usize>(row: Row<'_>, column: usize) -> sql::Result<[u8; N]> {
    let blob = row.get_ref(column)?.as_blob().map_err(|_| alien(column))?;
    blob.try_into().map_err(|_| alien(column))
}

pub(super) fn bytes_or_none<const N: usize>(row: Row<'_>, column: usize) -> sql::Result<Option<[u8; N]>> {
    let blob = row.get_ref(column)?.as_blob_or_null().map_err(|_| alien(column))?;
    blob.map(|blob| blob.try_into().map_err(|_| alien(column))).transpose()
}

/// `(?1, ?2), (?3, ?4), ...`
pub(super) fn places(count: usize, columns: usize) -> String {
    let row = |row: usize| {
        let places: Vec<String> =
            (1..=columns).map(|column| format!("?{}", row * columns + column)).collect();
        format!("({})", places.join(", "))
    };
    (0..count).map(row).collect::<Vec<_>>().join(", ")
}

/// Cuts a page to `limit` entries, and tells whether there were more.
pub(super) fn cut<T>(page: &mut Vec<T>, limit: u32) -> bool {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = page.len() > limit;
    page.truncate(limit);
    more
}

/// A free text, if there is one.
pub(super) fn text(row: Row<'_>, column: usize) -> sql::Result<Option<Box<str>>> {
    Ok(row.get::<Option<String>>(column)?.map(String::into_boxed_str))
}

/// A moment.
pub(super) fn time(row: Row<'_>, column: usize) -> sql::Result<Timestamp> {
    row.get(column).map(Timestamp)
}

/// A moment, if there is one.
pub(super) fn time_or_none(row: Row<'_>, column: usize) -> sql::Result<Option<Timestamp>> {
    Ok(row.get::<Option<i64>>(column)?.map(Timestamp))
}

/// A value from a small closed set.
pub(super) fn one_of<T>(row: Row<'_>, column: usize, read: impl FnOnce(i64) -> Option<T>) -> sql::Result<T> {
    read(row.get(column)?).ok_or_else(|| alien(column))
}

fn format(row: Row<'_>, column: usize) -> sql::Result<Format> {
    let text = row.get_ref(column)?.as_str().map_err(|_| alien(column))?;
    text.parse().map_err(|()| alien(column))
}

/// The columns that [`image`] reads, in its order.
pub(super) const IMAGE_COLUMNS: &str = "owner, name, no, image_id, format, width, height, bytes, sealed_hash, \
     sealed_bytes, preview_format, preview_width, preview_height, preview_bytes, record, private, album, \
     album_signature, description, description_signature, thumbhash, thumbhash_signature, taken, \
     taken_signature, published_at";

/// As [`image`], with when it was added, for listings. The answer to a change does not tell that: it has to be the same when it is asked
/// for again, and what is kept of it then does not have it.
pub(super) fn listed(row: Row<'_>) -> sql::Result<ImageInfo> {
    Ok(ImageInfo { added_at: Some(time(row, 24)?), ..image(row)? })
}

/// An image, without what the caller may do with it.
pub(super) fn image(row: Row<'_>) -> sql::Result<ImageInfo> {
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
        record: record(row, 14)?,
        signature: None,
        visibility: visibility(row, 15)?,
        added_at: None,
    })
}

/// Who may see an image: the column that says whether it is private.
pub(super) fn visibility(row: Row<'_>, column: usize) -> sql::Result<Visibility> {
    Ok(if row.get(column)? { Visibility::Private } else { Visibility::Listed })
}

/// What the owner has signed of an image, if it has; what it has signed beside that, each with its signature, stands two columns behind it.
fn record(row: Row<'_>, column: usize) -> sql::Result<Option<ImageRecord>> {
    if matches!(row.get_ref(column)?, ValueRef::Null) {
        return Ok(None);
    }
    let bytes = bytes::<RECORD_BYTES>(row, column)?;
    let (revision, rest) = bytes.split_first_chunk::<8>().ok_or_else(|| alien(column))?;
    let (hash, signature) = rest.split_first_chunk::<32>().ok_or_else(|| alien(column))?;
    let signature: [u8; SIGNATURE_BYTES] = signature.try_into().map_err(|_| alien(column))?;
    let revision = u64::from_be_bytes(*revision);
    Ok(Some(ImageRecord {
        revision,
        preview_hash: *hash,
        signature: signature.into(),
        album: album(row, column + 2)?,
        description: described(row, column + 4)?,
        thumbhash: thumb(row, column + 6)?,
        taken: taken(row, column + 8)?,
    }))
}

fn album(row: Row<'_>, column: usize) -> sql::Result<Option<Album>> {
    if matches!(row.get_ref(column)?, ValueRef::Null) {
        return Ok(None);
    }
    let name = row.get_ref(column)?.as_str().map_err(|_| alien(column))?;
    let name = name.parse().map_err(|_| alien(column))?;
    Ok(Some(Album { name, signature: bytes::<SIGNATURE_BYTES>(row, column + 1)?.into() }))
}

fn described(row: Row<'_>, column: usize) -> sql::Result<Option<Described>> {
    if matches!(row.get_ref(column)?, ValueRef::Null) {
        return Ok(None);
    }
    let text = row.get_ref(column)?.as_str().map_err(|_| alien(column))?;
    let text = text.parse().map_err(|_| alien(column))?;
    Ok(Some(Described { text, signature: bytes::<SIGNATURE_BYTES>(row, column + 1)?.into() }))
}

fn thumb(row: Row<'_>, column: usize) -> sql::Result<Option<Thumb>> {
    if matches!(row.get_ref(column)?, ValueRef::Null) {
        return Ok(None);
    }
    let hash = row.get_ref(column)?.as_blob().map_err(|_| alien(column))?.to_vec();
    let hash = hash.try_into().map_err(|_| alien(column))?;
    Ok(Some(Thumb { hash, signature: bytes::<SIGNATURE_BYTES>(row, column + 1)?.into() }))
}

fn taken(row: Row<'_>, column: usize) -> sql::Result<Option<Taken>> {
    if matches!(row.get_ref(column)?, ValueRef::Null) {
        return Ok(None);
    }
    let at = row.get_ref(column)?.as_str().map_err(|_| alien(column))?;
    let at = at.parse().map_err(|_| alien(column))?;
    Ok(Some(Taken { at, signature: bytes::<SIGNATURE_BYTES>(row, column + 1)?.into() }))
}

const RECORD_BYTES: usize = 8 + 32 + SIGNATURE_BYTES;

/// As [`record`] reads it.
pub(super) fn record_bytes(record: &ImageRecord) -> Vec<u8> {
    [
        record.revision.to_be_bytes().as_slice(),
        record.preview_hash.as_slice(),
        record.signature.as_bytes().as_slice(),
    ]
    .concat()
}

/// A peer's sealing key, if it has one.
pub(super) fn sealing(row: Row<'_>, column: usize) -> sql::Result<Option<SealingKey>> {
    if matches!(row.get_ref(column)?, ValueRef::Null) {
        return Ok(None);
    }
    let bytes = bytes::<{ 32 + SIGNATURE_BYTES }>(row, column)?;
    let (key, signature) = bytes.split_first_chunk::<32>().ok_or_else(|| alien(column))?;
    let signature: [u8; SIGNATURE_BYTES] = signature.try_into().map_err(|_| alien(column))?;
    Ok(Some(SealingKey { key: *key, signature: signature.into() }))
}

/// As [`sealing`] reads it.
pub(super) fn sealing_bytes(sealing: &SealingKey) -> Vec<u8> {
    [sealing.key.as_slice(), sealing.signature.as_bytes().as_slice()].concat()
}
