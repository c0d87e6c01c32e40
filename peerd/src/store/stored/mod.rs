//! What is stored as one value: grants, requests, images and publications, in types of this program's own.
//!
//! What always holds: a value begins with the byte of its version, and then comes one CBOR map of plain numbers, texts and
//! bytes, whose names are those of the rows here, whatever the protocol calls them. So the protocol can change without
//! changing a database, and a database can change with a version of its own.
//!
//! Version 1 has the names and shapes that the last release wrote without a version byte. A CBOR map begins with 0xa0 to 0xbf,
//! so the two are told apart by their first byte, and a row of that release is read by the same type. It is rewritten when its
//! state changes.

mod grant;
mod image;
mod news;
mod request;
mod text;

#[cfg(test)]
mod tests;

use dos_protocol::{SealedHash, model::SealedCopy};
use rusqlite::{Connection, OptionalExtension, Params, Row};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_bytes::ByteArray;

use super::Error;

pub(super) use news::Item;
pub(super) use text::{contact_state, contact_state_text, delivery, delivery_text, peer_name};

/// The version of what is written.
const VERSION: u8 = 1;

/// The first bytes of a CBOR map: a row of a release that wrote no version.
const MAPS: std::ops::RangeInclusive<u8> = 0xa0..=0xbf;

/// Something that is stored as one value.
pub(super) trait Stored: Sized {
    /// What it is, for an error.
    const WHAT: &'static str;

    /// Its row.
    type Row: Serialize + DeserializeOwned;

    /// As it is stored.
    fn row(&self) -> Self::Row;

    /// As it was stored; `None` if the row does not hold what it must.
    fn from_row(row: Self::Row) -> Option<Self>;
}

/// The bytes of a value.
///
/// # Errors
/// [`Error::Damaged`], which no value brings about.
pub(super) fn encode<T: Stored>(value: &T) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![VERSION];
    ciborium::into_writer(&value.row(), &mut bytes).map_err(|_| Error::Damaged(T::WHAT))?;
    Ok(bytes)
}

/// The value of the bytes, of this version or of the last release, which wrote none.
///
/// # Errors
/// [`Error::Damaged`] if they are something else.
pub(super) fn decode<T: Stored>(bytes: &[u8]) -> Result<T, Error> {
    let mut map = match bytes.split_first() {
        Some((&VERSION, map)) => map,
        Some((first, _)) if MAPS.contains(first) => bytes,
        _ => return Err(Error::Damaged(T::WHAT)),
    };
    let row: Option<T::Row> = ciborium::from_reader(&mut map).ok();
    row.filter(|_| map.is_empty()).and_then(T::from_row).ok_or(Error::Damaged(T::WHAT))
}

/// The first column of the first row as a value, if there is a row.
///
/// # Errors
/// As in [`Error`].
pub(super) fn one<T: Stored>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
) -> Result<Option<T>, Error> {
    let bytes: Option<Vec<u8>> =
        connection.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional()?;
    bytes.map(|bytes| decode(&bytes)).transpose()
}

/// The first column of every row as a value.
///
/// # Errors
/// As in [`Error`].
pub(super) fn all<T: Stored>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
) -> Result<Vec<T>, Error> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params, |row| row.get::<_, Vec<u8>>(0))?;
    rows.map(|bytes| decode(&bytes?)).collect()
}

/// The first column of a row as a value, with its size in bytes.
///
/// # Errors
/// As in [`Error`].
pub(super) fn column<T: Stored>(row: &Row<'_>) -> Result<(T, usize), Error> {
    let bytes: Vec<u8> = row.get(0)?;
    Ok((decode(&bytes)?, bytes.len()))
}

/// A sealed copy inside of another row.
#[derive(Debug, Serialize, Deserialize)]
struct CopyRow {
    hash: ByteArray<32>,
    bytes: u64,
}

impl From<SealedCopy> for CopyRow {
    fn from(copy: SealedCopy) -> Self {
        Self { hash: ByteArray::new(*copy.hash.as_bytes()), bytes: copy.bytes }
    }
}

impl From<CopyRow> for SealedCopy {
    fn from(row: CopyRow) -> Self {
        Self { hash: SealedHash::from(row.hash.into_array()), bytes: row.bytes }
    }
}
