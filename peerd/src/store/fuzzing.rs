//! A door for the fuzz targets, which are another crate; there is none in any other build.

use dos_protocol::{
    directory::{Publish, Request},
    model::{Grant, ImageInfo},
};

use super::stored::{Stored, decode, encode};

/// Reads bytes as every kind of value that is stored.
///
/// # Panics
/// If what was read is not stored and read again as the same.
pub fn stored(bytes: &[u8]) {
    value::<Grant>(bytes);
    value::<ImageInfo>(bytes);
    value::<Request>(bytes);
    value::<Publish>(bytes);
}

fn value<T: Stored + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    if let Ok(value) = decode::<T>(bytes) {
        let again = encode(&value).and_then(|bytes| decode::<T>(&bytes));
        assert_eq!(again.ok(), Some(value));
    }
}
