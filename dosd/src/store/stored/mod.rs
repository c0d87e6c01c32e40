//! What is stored of updates and of answers: types of their own with a version in the first byte, never what travels.
//!
//! Version 1 is postcard (<https://postcard.jamesmunns.com/wire-format>) of the types in [`v1`]: fields in their order, without
//! names. A version that has been released is never changed; a new one is added. Rows of an inbox that older stores have written
//! begin with 0: they are the frames that were sent then, and are read by [`frames`].

mod answer;
mod frames;
mod v1;

use dos_protocol::{Timestamp, directory::Update};

pub(super) use answer::{Answered, is_answer};

/// The version that is written.
const VERSION: u8 = 1;

/// Of a frame the first byte of a length below 16 MiB.
const FRAME: u8 = 0;

/// Why a row cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoredError {
    /// It begins with a version that this program does not know.
    #[error("{}", match .0 { Some(version) => format!("a row of version {version}"), None => "an empty row".to_owned() })]
    Version(Option<u8>),
    /// It has another shape.
    #[error("a row of another shape")]
    Shape(#[from] postcard::Error),
    /// It is an old frame of another shape.
    #[error("an old row of another shape")]
    Frame(#[from] dos_protocol::frame::FrameError),
    /// It has the right shape and a value that is never written.
    #[error("a row with a value that is never written")]
    Value,
}

/// A row of an inbox.
pub(super) fn encode_update(at: Timestamp, update: &Update) -> Result<Vec<u8>, StoredError> {
    encode(&v1::Row { at: at.0, update: update.into() })
}

/// What a row of an inbox says, and since when.
pub(super) fn decode_update(bytes: &[u8]) -> Result<(Timestamp, Update), StoredError> {
    match bytes.split_first() {
        Some((&VERSION, body)) => {
            let row: v1::Row<'_> = decode(body)?;
            Ok((Timestamp(row.at), row.update.try_into()?))
        }
        Some((&FRAME, _)) => frames::decode(bytes),
        other => Err(StoredError::Version(other.map(|(version, _)| *version))),
    }
}

fn encode(body: &impl serde::Serialize) -> Result<Vec<u8>, StoredError> {
    Ok(postcard::to_extend(body, vec![VERSION])?)
}

fn decode<'de, T: serde::Deserialize<'de>>(body: &'de [u8]) -> Result<T, StoredError> {
    match postcard::take_from_bytes(body)? {
        (value, []) => Ok(value),
        _ => Err(StoredError::Value),
    }
}

#[cfg(test)]
pub(super) mod tests;
