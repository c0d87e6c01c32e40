//! ThumbHashes (<https://evanw.github.io/thumbhash>): some bytes from which a viewer draws the colours of a preview before that is there.
//!
//! What their maker says with them is not looked at here: they are bytes of bounded number, and who draws one copes with any.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::limits::THUMBHASH_BYTES_MAX;

/// The least bytes: the averages, and no frequencies.
const BYTES_MIN: usize = 5;

/// A ThumbHash: 5 to 25 bytes; as text in base64 (RFC 4648 section 4).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ThumbHash(Vec<u8>);

/// Not as many bytes as a ThumbHash has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a ThumbHash has {BYTES_MIN} to {THUMBHASH_BYTES_MAX} bytes")]
pub struct NoThumbHash;

impl ThumbHash {
    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<Vec<u8>> for ThumbHash {
    type Error = NoThumbHash;

    fn try_from(bytes: Vec<u8>) -> Result<Self, NoThumbHash> {
        if (BYTES_MIN..=THUMBHASH_BYTES_MAX).contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(NoThumbHash)
        }
    }
}

impl fmt::Display for ThumbHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&STANDARD.encode(&self.0))
    }
}

impl Serialize for ThumbHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_bytes::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for ThumbHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes: Vec<u8> = serde_bytes::deserialize(deserializer)?;
        bytes.try_into().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_a_bounded_number_of_bytes_and_a_text() {
        for (len, is_one) in [(0, false), (4, false), (5, true), (25, true), (26, false)] {
            assert_eq!(ThumbHash::try_from(vec![0xfb; len]).is_ok(), is_one, "{len}");
        }
        let hash = ThumbHash::try_from(vec![0xfb, 0xff, 0, 1, 2]).unwrap();
        assert_eq!(hash.to_string(), "+/8AAQI=");
    }
}
