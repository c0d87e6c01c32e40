//! Passwords at the directory: what OPAQUE (RFC 9807) says, and a peer's seed as it is kept there. None of it tells the password,
//! nor the seed, to anyone who reads it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{id::PeerId, key::PublicKey, limits::BLOB_BYTES_MAX, name::PeerName};

/// Bytes that only one of the two sides can read: at least one, at most [`BLOB_BYTES_MAX`].
#[derive(Clone, PartialEq, Eq)]
pub struct Blob(Box<[u8]>);

/// Nothing, or too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a part of a password login has 1 to {BLOB_BYTES_MAX} bytes")]
pub struct BlobError;

impl Blob {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<Vec<u8>> for Blob {
    type Error = BlobError;

    fn try_from(bytes: Vec<u8>) -> Result<Self, BlobError> {
        if (1..=BLOB_BYTES_MAX).contains(&bytes.len()) { Ok(Self(bytes.into())) } else { Err(BlobError) }
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = serde_bytes::ByteBuf::deserialize(deserializer)?;
        bytes.into_vec().try_into().map_err(serde::de::Error::custom)
    }
}

/// What the directory keeps for a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escrow {
    /// The record of OPAQUE, by which a login with the password is recognised.
    pub record: Blob,
    /// The seed of the peer's key, sealed under the export key of OPAQUE, which only the password gives.
    pub sealed: Blob,
}

/// See [`super::Op::LoginStart`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginStart {
    /// The name of the peer whose password it is.
    pub name: PeerName,
    /// The first message of OPAQUE.
    pub request: Blob,
}

/// See [`super::Answer::LoggedIn`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedIn {
    /// The peer's ID.
    pub id: PeerId,
    /// Its key: the one that the seed makes.
    pub key: PublicKey,
    /// As in [`Escrow`].
    pub sealed: Blob,
    /// Whether a daemon is signed in with the ID now.
    pub online: bool,
}
