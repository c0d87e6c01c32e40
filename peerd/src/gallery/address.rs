//! Addresses of the gallery's pages, and what is read from them.

use std::fmt::Write as _;

use dos_protocol::{
    Code, ImageArg, ImageName, PeerId, PeerRef, WireError, directory::Cursor, model::ImagePath,
};

/// A text as a part of an address: everything but letters, digits and `-._~` is written as bytes (RFC 3986, section 2).
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => out.push(char::from(byte)),
            // A dot is written as a byte, too: a name of dots alone would be a way up.
            _ => {
                // Writing to a string does not fail.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// The page of an image, or what is below `kind` for it.
pub(super) fn of_image(kind: &str, path: &ImagePath) -> String {
    format!("/{kind}/{}/{}", path.owner, encoded(path.name.as_str()))
}

/// An image that an address or a form names.
///
/// # Errors
/// `not_found`, since nothing has such a name.
pub(super) fn image((owner, name): (&str, &str)) -> Result<ImagePath, WireError> {
    let unknown = || WireError::new(Code::NotFound, "there is no such picture");
    let owner: PeerId = owner.parse().map_err(|_| unknown())?;
    let name: ImageName = name.parse().map_err(|_| unknown())?;
    Ok(ImagePath { owner, name })
}

/// As commands name it.
pub(super) fn arg(path: &ImagePath) -> ImageArg {
    ImageArg { owner: Some(PeerRef::Id(path.owner)), name: path.name.clone() }
}

/// Where a page of pictures goes on.
pub(super) fn of_cursor(cursor: &Cursor) -> String {
    match &cursor.image {
        Some(name) => format!("{}/{name}", cursor.peer),
        None => cursor.peer.to_string(),
    }
}

/// The same, read.
pub(super) fn cursor(text: &str) -> Option<Cursor> {
    match text.split_once('/') {
        Some((peer, name)) => Some(Cursor { peer: peer.parse().ok()?, image: Some(name.parse().ok()?) }),
        None => Some(Cursor { peer: text.parse().ok()?, image: None }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_is_one_part_of_an_address() {
        assert_eq!(encoded("Möwe & \"Meer\"?#/%"), "M%C3%B6we%20%26%20%22Meer%22%3F%23%2F%25");
        assert_eq!(encoded("..."), "%2E%2E%2E");
    }

    #[test]
    fn cursors_are_read_as_they_are_written() {
        for text in ["7xKqPm2R", "7xKqPm2R/sea & sun"] {
            assert_eq!(of_cursor(&cursor(text).unwrap()), text);
        }
        assert_eq!(cursor("nobody"), None);
    }
}
