//! Signatures (Ed25519, RFC 8032): who says what, whoever passes it on.
//!
//! What is signed is a [`Statement`]: a context, so that a signature for one purpose never serves another, and fields, each
//! with its length before it, so that no two different statements have the same bytes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 64;

/// Not the key's signature of the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not valid")]
pub struct BadSignature;

/// An Ed25519 signature; a byte string on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signature(#[serde(with = "serde_bytes")] [u8; SIGNATURE_BYTES]);

impl Signature {
    /// Its 64 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; SIGNATURE_BYTES] {
        &self.0
    }
}

impl From<[u8; SIGNATURE_BYTES]> for Signature {
    fn from(bytes: [u8; SIGNATURE_BYTES]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(..)")
    }
}

/// What is signed: a context and its fields in a fixed order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement(Vec<u8>);

impl Statement {
    /// A statement without fields; `context` says what for and in which version.
    #[must_use]
    pub fn new(context: &str) -> Self {
        Self(Vec::with_capacity(256)).bytes(context.as_bytes())
    }

    /// With a further field.
    #[must_use]
    pub fn bytes(mut self, field: &[u8]) -> Self {
        self.0.extend_from_slice(&u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
        self.0.extend_from_slice(field);
        self
    }

    /// With a number as a further field.
    #[must_use]
    pub fn number(self, field: u64) -> Self {
        self.bytes(&field.to_be_bytes())
    }

    /// The bytes that are signed.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_that_differ_in_where_a_field_ends_differ_in_their_bytes() {
        let statements = [
            Statement::new("a").bytes(b"bc"),
            Statement::new("a").bytes(b"b").bytes(b"c"),
            Statement::new("ab").bytes(b"c"),
            Statement::new("a").bytes(b"bc").bytes(b""),
            Statement::new("a").number(0x6263),
        ];
        for (at, one) in statements.iter().enumerate() {
            for other in &statements[at + 1..] {
                assert_ne!(one.as_bytes(), other.as_bytes());
            }
        }
    }

    #[test]
    fn a_signature_shows_nothing_of_itself() {
        assert_eq!(format!("{:?}", Signature::from([7; 64])), "Signature(..)");
    }
}
