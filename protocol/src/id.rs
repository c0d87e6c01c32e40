//! Identifiers. Each is a type of its own, so that one is never passed for another.
//!
//! Text forms are canonical: what [`std::fmt::Display`] prints, [`std::str::FromStr`] reads, and nothing else.
//! Drawing random ones needs a source of randomness and therefore happens in the programs.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text or a number is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not eight base58 characters with a capital among them.
    #[error("a peer ID is 8 base58 characters with at least one capital, such as \"7xKqPm2R\"")]
    Peer,
    /// Not 64 hexadecimal digits.
    #[error("a hash is 64 hexadecimal digits")]
    Hash,
}

const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const PEER_ID_CHARS: usize = 8;

/// The short, unique ID of a peer: 8 base58 characters (Bitcoin alphabet), at least one of them a capital letter.
///
/// Names have no capitals ([`crate::PeerName`]), so an ID can never be mistaken for a name. Held as a number below
/// 58^8 (47 bits) whose order is the order of the text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(u64);

impl PeerId {
    /// How many different numbers there are: 58^8.
    pub const COUNT: u64 = 58u64.pow(8);

    /// The ID with this number, if its text has a capital letter in it.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        let id = Self(number);
        (number < Self::COUNT && id.text().iter().any(u8::is_ascii_uppercase)).then_some(id)
    }

    /// The number, below [`PeerId::COUNT`].
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }

    fn text(self) -> [u8; PEER_ID_CHARS] {
        let mut text = [b'1'; PEER_ID_CHARS];
        let mut rest = self.0;
        for place in text.iter_mut().rev() {
            *place = usize::try_from(rest % 58)
                .ok()
                .and_then(|digit| ALPHABET.get(digit).copied())
                .unwrap_or(b'1');
            rest /= 58;
        }
        text
    }
}

impl FromStr for PeerId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.len() != PEER_ID_CHARS {
            return Err(IdError::Peer);
        }
        let mut number = 0u64;
        for byte in text.bytes() {
            let digit = ALPHABET.iter().position(|known| *known == byte).ok_or(IdError::Peer)?;
            number = number * 58 + u64::try_from(digit).map_err(|_| IdError::Peer)?;
        }
        Self::from_number(number).ok_or(IdError::Peer)
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(std::str::from_utf8(&self.text()).unwrap_or("????????"))
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for PeerId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for PeerId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(crate::name::TextVisitor::<Self>::new("a peer ID"))
    }
}

/// Defines a 32-byte hash: hexadecimal as text and in JSON, a byte string on the wire.
macro_rules! hash {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// The 32 bytes of the hash.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl From<[u8; 32]> for $name {
            fn from(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                blake3::Hash::from_hex(text).map(|hash| Self(hash.into())).map_err(|_| IdError::Hash)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(blake3::Hash::from_bytes(self.0).to_hex().as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serializer.serialize_bytes(&self.0)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    return deserializer.deserialize_str(crate::name::TextVisitor::<Self>::new("a hash"));
                }
                let bytes = serde_bytes::ByteArray::<32>::deserialize(deserializer)?;
                Ok(Self(bytes.into_array()))
            }
        }
    };
}

hash! {
    /// What an original is: the BLAKE3 hash of its bytes.
    ImageId
}
hash! {
    /// What a sealed copy is: the BLAKE3 hash of the whole sealed file.
    SealedHash
}

hash! {
    /// By which an owner share is known without being told: a BLAKE3 hash of the share under a context of its own. The share has
    /// 256 random bits, so this tells nothing of it.
    ShareCheck
}

/// Defines a counting number that travels as an integer.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

number! {
    /// The number that the directory gives an image for good: it survives a rename and a replaced content.
    ImageNo
}
number! {
    /// The place of an update in a peer's inbox, from 1, without gaps.
    Seq
}
number! {
    /// How often a grant has changed. Of two states of a grant the one with the higher revision is the newer.
    Revision
}
number! {
    /// Drawn at random whenever a peerd starts: tells the same daemon coming back from another one.
    Instance
}

impl Seq {
    /// The place after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Defines an identifier that its maker draws, as a UUIDv7 (RFC 9562, section 5.7).
macro_rules! drawn {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// A fresh one.
            #[must_use]
            pub fn generate() -> Self {
                Self(uuid::Uuid::now_v7())
            }

            /// Its 16 bytes, for storage.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl From<[u8; 16]> for $name {
            fn from(bytes: [u8; 16]) -> Self {
                Self(uuid::Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

drawn! {
    /// One view that a viewer means to spend.
    ///
    /// Asking again with the same ID counts nothing. Time comes first in it, so the directory's ledger grows at its end.
    ViewId
}
drawn! {
    /// One message, drawn by its sender: sent again with the same ID it arrives once. Unique only beside its sender.
    MessageId
}

/// Which splitting of a content key a grant and an owner share belong to: 16 random bytes, fresh whenever a right is
/// given anew. Shares of different splittings do not fit together.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SplitId(#[serde(with = "serde_bytes")] [u8; 16]);

impl SplitId {
    /// Its 16 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl From<[u8; 16]> for SplitId {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for SplitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&uuid::Uuid::from_bytes(self.0), f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_peer_id_needs_a_capital_and_eight_characters() {
        assert!("7xKqPm2R".parse::<PeerId>().is_ok());
        for bad in ["margaret", "7xKqPm2", "7xKqPm2RR", "7xKqPm20", "7xKqPmO2", "", "ÄÄÄÄ"] {
            assert_eq!(bad.parse::<PeerId>(), Err(IdError::Peer), "{bad}");
        }
    }

    #[test]
    fn hashes_read_what_they_print() {
        let id = ImageId::from([7; 32]);
        assert_eq!(id.to_string().parse::<ImageId>(), Ok(id));
        assert_eq!("zz".parse::<ImageId>(), Err(IdError::Hash));
    }

    proptest! {
        #[test]
        fn peer_ids_read_what_they_print_and_keep_the_order(a in 0..PeerId::COUNT, b in 0..PeerId::COUNT) {
            let (Some(a), Some(b)) = (PeerId::from_number(a), PeerId::from_number(b)) else { return Ok(()) };
            prop_assert_eq!(a.to_string().parse::<PeerId>(), Ok(a));
            prop_assert_eq!(a.to_string().cmp(&b.to_string()), a.cmp(&b));
        }
    }
}
drawn! {
    /// One change that a peer asks for, drawn by that peer: asked again with the same ID it is not done again, and is
    /// answered the same, for [`crate::limits::OPERATION_REMEMBERED`]. Unique only beside its peer.
    OperationId
}

/// Defines 16 random bytes that travel as a byte string.
macro_rules! random_bytes {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(#[serde(with = "serde_bytes")] [u8; 16]);

        impl $name {
            /// Its 16 bytes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl From<[u8; 16]> for $name {
            fn from(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&uuid::Uuid::from_bytes(self.0), f)
            }
        }
    };
}

random_bytes! {
    /// Which history the directory's data belongs to: drawn anew when the data is restored from a backup, or turns out to be older
    /// than what a peer has acknowledged.
    Incarnation
}
random_bytes! {
    /// Tells two attempts to sign in that have the same number apart.
    Nonce
}
