//! Invites: a code that lets somebody register where a directory takes new peers by invitation only.
//!
//! A code is 16 characters of base58 from the system's randomness: 93 bits, which nobody guesses. The directory keeps
//! its BLAKE3 hash and the first characters, by which an operator tells invites apart.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The alphabet of base58 (Bitcoin's): no 0, O, I, l.
const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// Characters of a code.
pub const CODE_CHARS: usize = 16;

/// Characters of a code that a list shows.
pub const PREFIX_CHARS: usize = 4;

/// Not 16 characters of base58.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an invite is {CODE_CHARS} characters of base58")]
pub struct InviteError;

/// The code of an invite; [`fmt::Debug`] shows its beginning alone.
#[derive(Clone, PartialEq, Eq)]
pub struct InviteCode(Box<str>);

impl InviteCode {
    /// The whole code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its first [`PREFIX_CHARS`] characters, which are no secret.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.0.get(..PREFIX_CHARS).unwrap_or_default()
    }

    /// Its BLAKE3 hash, by which a directory knows it.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        blake3::hash(self.0.as_bytes()).into()
    }

    /// A fresh one.
    ///
    /// # Errors
    /// If the system gives no randomness.
    #[cfg(feature = "tls")]
    pub fn generate() -> Result<Self, crate::key::SecretError> {
        let mut code = String::with_capacity(CODE_CHARS);
        for _ in 0..CODE_CHARS {
            let index = usize::try_from(crate::random::below(58)?).unwrap_or(0);
            code.extend(ALPHABET.get(index).copied().map(char::from));
        }
        Ok(Self(code.into()))
    }
}

impl FromStr for InviteCode {
    type Err = InviteError;

    fn from_str(text: &str) -> Result<Self, InviteError> {
        let valid = text.len() == CODE_CHARS && text.bytes().all(|byte| ALPHABET.contains(&byte));
        if valid { Ok(Self(text.into())) } else { Err(InviteError) }
    }
}

impl fmt::Display for InviteCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for InviteCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InviteCode({}..)", self.prefix())
    }
}

impl Serialize for InviteCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for InviteCode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(crate::name::TextVisitor::<Self>::new("an invite"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_code_is_refused() {
        assert!("abcdefghijkmnopq".parse::<InviteCode>().is_ok());
        for bad in
            ["", "abcd", "abcdefghijkmnopqr", "abcdefghijklmnop", "0bcdefghijkmnopq", "äbcdefghijkmnop"]
        {
            assert!(bad.parse::<InviteCode>().is_err(), "{bad}");
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn fresh_codes_differ_read_themselves_and_do_not_show() {
        let code = InviteCode::generate().unwrap();
        assert_ne!(code, InviteCode::generate().unwrap());
        assert_eq!(code.as_str().parse(), Ok(code.clone()));
        assert!(!format!("{code:?}").contains(code.as_str()));
        assert!(code.as_str().starts_with(code.prefix()) && code.prefix().len() == PREFIX_CHARS);
    }
}
