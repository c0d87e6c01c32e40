//! The token at which a listing continues: `PEERID`, or `PEERID/NAME`. To people and scripts it is opaque.

use std::{fmt, str::FromStr};

use dos_protocol::{ImageName, PeerId, directory::Cursor};
use serde::{Serialize, Serializer};

/// Not a token that a listing gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cursor is the value of \"next\" in an earlier listing")]
pub(crate) struct CursorError;

/// A [`Cursor`] as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token(pub(crate) Cursor);

impl FromStr for Token {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (peer, image) = text.split_once('/').map_or((text, None), |(peer, image)| (peer, Some(image)));
        let peer = peer.parse::<PeerId>().map_err(|_| CursorError)?;
        let image = image.map(str::parse::<ImageName>).transpose().map_err(|_| CursorError)?;
        Ok(Self(Cursor { peer, image }))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.image {
            Some(image) => write!(f, "{}/{image}", self.0.peer),
            None => fmt::Display::fmt(&self.0.peer, f),
        }
    }
}

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_read_what_they_print() {
        for text in ["7xKqPm2R", "7xKqPm2R/sea", "7xKqPm2R/Sea at dawn (2)"] {
            assert_eq!(text.parse::<Token>().map(|token| token.to_string()), Ok(text.into()));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "/", "alice", "7xKqPm2R/", "7xKqPm2R/a/b", "7xKqPm2R/a\nb", "7xKqPm2"] {
            assert_eq!(text.parse::<Token>(), Err(CursorError), "{text}");
        }
    }
}
