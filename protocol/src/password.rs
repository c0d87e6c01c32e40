//! Passwords, on their way from a person to the directory: never shown, wiped when dropped.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use crate::limits::{PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN};

/// A password of [`PASSWORD_CHARS_MIN`] characters to [`PASSWORD_BYTES_MAX`] bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

/// Why a text is no password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Easily guessed.
    #[error("a password has at least {PASSWORD_CHARS_MIN} characters")]
    Short,
    /// Larger than anybody types.
    #[error("a password has at most {PASSWORD_BYTES_MAX} bytes")]
    Long,
}

impl Password {
    /// What was typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same password in the one spelling in which passwords are set: composed (NFC), with ordinary spaces (RFC 8265, section 4.2).
    /// Keyboards and systems differ in how they write the same letters. Nothing if it was typed so.
    #[must_use]
    pub fn normalised(&self) -> Option<Self> {
        let mut text = Zeroizing::new(String::with_capacity(self.0.len()));
        let is_space = |c: char| c.is_whitespace() && !c.is_control();
        text.extend(self.0.chars().map(|c| if is_space(c) { ' ' } else { c }).nfc());
        (*text != *self.0).then_some(Self(text))
    }
}

impl FromStr for Password {
    type Err = PasswordError;

    fn from_str(text: &str) -> Result<Self, PasswordError> {
        if text.len() > PASSWORD_BYTES_MAX {
            Err(PasswordError::Long)
        } else if text.chars().count() < PASSWORD_CHARS_MIN {
            Err(PasswordError::Short)
        } else {
            Ok(Self(Zeroizing::new(text.to_owned())))
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

impl Serialize for Password {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_neither_short_nor_huge_and_never_shown() {
        assert_eq!("1234567".parse::<Password>(), Err(PasswordError::Short));
        assert_eq!("x".repeat(PASSWORD_BYTES_MAX + 1).parse::<Password>(), Err(PasswordError::Long));
        let password: Password = "correct horse".parse().unwrap();
        assert_eq!(format!("{password:?}"), "Password(..)");
        assert_eq!(password.as_str(), "correct horse");
    }

    #[test]
    fn a_password_is_set_in_one_spelling() {
        let normalised =
            |text: &str| text.parse::<Password>().unwrap().normalised().map(|p| p.as_str().to_owned());
        assert_eq!(normalised("correct horse"), None);
        assert_eq!(normalised("caf\u{e9} au lait"), None);
        assert_eq!(normalised("cafe\u{301}\u{a0}au lait").as_deref(), Some("caf\u{e9} au lait"));
    }
}
