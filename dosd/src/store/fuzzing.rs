//! A door for the fuzz targets, which are another crate; there is none in any other build.

use dos_protocol::{
    directory::{Blocked, Request},
    model::{Grant, ImageInfo},
};

use super::stored::{Answered, decode_update, encode_update};

/// Reads bytes as a row of an inbox and as a kept answer.
///
/// # Panics
/// If what was read is not stored and read again as the same.
pub fn stored(bytes: &[u8]) {
    if let Ok((at, update)) = decode_update(bytes) {
        let again = encode_update(at, &update).and_then(|bytes| decode_update(&bytes));
        assert_eq!(again.ok(), Some((at, update)));
    }
    answer::<()>(bytes);
    answer::<Grant>(bytes);
    answer::<Request>(bytes);
    answer::<ImageInfo>(bytes);
    answer::<Blocked>(bytes);
}

fn answer<T: Answered + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    if let Ok(Some(answer)) = T::from_bytes(bytes) {
        let again = answer.to_bytes().and_then(|bytes| T::from_bytes(&bytes));
        assert_eq!(again.ok().flatten(), Some(answer));
    }
}
