//! Names of peers and of images: what is allowed, and why something is refused.
//!
//! What is allowed has become less with time. A name is read by the rules of the first release, wherever it is stored or comes from, so
//! that what has it can be found, renamed and removed; what is given a name anew goes by the stricter ones ([`ImageName::check_new`]).

use std::{fmt, marker::PhantomData, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    limits::{DESCRIPTION_BYTES_MAX, IMAGE_NAME_BYTES_MAX, PEER_NAME_CHARS_MAX},
    text::{is_invisible, is_mark, nfc},
};

pub use crate::text::printable;

/// Why a name is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing in it.
    #[error("a name cannot be empty")]
    Empty,
    /// Longer than a peer's name may be.
    #[error("a peer's name has at most {PEER_NAME_CHARS_MAX} characters")]
    PeerTooLong,
    /// A character outside `a-z0-9._-`.
    #[error("a peer's name is made of a-z, 0-9, '.', '_' and '-', not '{}'", .0.escape_debug())]
    PeerCharacter(char),
    /// Longer than an image's name may be.
    #[error("an image's name has at most {IMAGE_NAME_BYTES_MAX} bytes")]
    ImageTooLong,
    /// Longer than a description may be.
    #[error("a description has at most {DESCRIPTION_BYTES_MAX} bytes")]
    DescriptionTooLong,
    /// A control character, or one that changes the direction of the text around it.
    #[error("a description is one line of text, without '{}'", .0.escape_debug())]
    DescriptionCharacter(char),
    /// A slash, a control character, or one that changes the direction of the text around it.
    #[error("an image's name cannot contain '{}'", .0.escape_debug())]
    ImageCharacter(char),
    /// A character that is not seen, in a new name.
    #[error("a name cannot contain the invisible character {}", .0.escape_unicode())]
    Invisible(char),
    /// A dot or a dash at the beginning of a new name.
    #[error("a name cannot begin with '.' or '-'")]
    Start,
    /// A new name that begins with a mark which would be drawn on what stands before it.
    #[error("a name cannot begin with the combining mark {}", .0.escape_unicode())]
    Mark(char),
    /// `.`, `..`, or white space at an end.
    #[error(
        "an image's name cannot be \".\" or \"..\", nor begin or end with white space or a '-' at its start"
    )]
    ImageShape,
}

/// Defines a checked text with the usual conversions.
macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                $check(text)?;
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(TextVisitor::<Self>::new($what))
            }
        }
    };
}

checked_text! {
    /// A peer's name: 1 to 32 of `a-z0-9._-`, unique in a directory. Never mistaken for an ID, which has a capital,
    /// nor for an address, which has a colon.
    PeerName, "a peer's name", check_peer
}
checked_text! {
    /// An image's name, unique per owner: 1 to 100 bytes of UTF-8 without slash, control or direction characters.
    ImageName, "an image's name", check_image
}
checked_text! {
    /// A name under which an owner puts images together. It has the form of an image's name, and is no part of one.
    AlbumName, "an album's name", check_image
}

checked_text! {
    /// What is to be seen on an image, in its owner's words: 1 to 500 bytes of UTF-8 in one line, without control or direction
    /// characters. Whoever does not see the image gets it read out.
    Description, "a description", check_description
}

impl AlbumName {
    /// The name in the spelling in which it is stored (NFC), if an album may be called so.
    ///
    /// # Errors
    /// Why not.
    pub fn new_name(&self) -> Result<Self, NameError> {
        let name: ImageName = nfc(&self.0).parse()?;
        name.check_new()?;
        Ok(Self(name.0))
    }
}

impl ImageName {
    /// The name that a file suggests: its own without the extension, with what a name cannot have left out.
    ///
    /// # Errors
    /// If nothing usable is left.
    pub fn from_file_stem(stem: &str) -> Result<Self, NameError> {
        let mut kept: String = nfc(stem).chars().filter(|&c| c != '/' && !is_invisible(c)).collect();
        while kept.len() > IMAGE_NAME_BYTES_MAX {
            kept.pop();
        }
        let is_bad_start = |c: char| matches!(c, '-' | '.') || c.is_whitespace() || is_mark(c);
        kept.trim_start_matches(is_bad_start).trim_end().parse()
    }

    /// The same name in the spelling in which new names are stored (NFC).
    ///
    /// # Errors
    /// If it is too long then.
    pub fn composed(&self) -> Result<Self, NameError> {
        nfc(&self.0).parse()
    }

    /// Whether something may be given this name anew.
    ///
    /// # Errors
    /// Why not.
    pub fn check_new(&self) -> Result<(), NameError> {
        if let Some(bad) = self.0.chars().find(|&c| is_invisible(c)) {
            return Err(NameError::Invisible(bad));
        }
        match self.0.chars().next() {
            Some('.' | '-') => Err(NameError::Start),
            Some(mark) if is_mark(mark) => Err(NameError::Mark(mark)),
            _ => Ok(()),
        }
    }
}

impl PeerName {
    /// Whether a peer may be given this name anew.
    ///
    /// # Errors
    /// Why not.
    pub fn check_new(&self) -> Result<(), NameError> {
        if self.0.starts_with(['.', '-']) { Err(NameError::Start) } else { Ok(()) }
    }
}

fn check_peer(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if let Some(bad) = text.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-')) {
        return Err(NameError::PeerCharacter(bad));
    }
    if text.len() > PEER_NAME_CHARS_MAX { Err(NameError::PeerTooLong) } else { Ok(()) }
}

/// Characters that would make a name ambiguous in `OWNER/NAME`, break a terminal line or hide what it says.
fn is_refused(c: char) -> bool {
    c == '/'
        || c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
}

fn check_image(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > IMAGE_NAME_BYTES_MAX {
        return Err(NameError::ImageTooLong);
    }
    if let Some(bad) = text.chars().find(|c| is_refused(*c)) {
        return Err(NameError::ImageCharacter(bad));
    }
    if matches!(text, "." | "..") || text.trim() != text || text.starts_with('-') {
        return Err(NameError::ImageShape);
    }
    Ok(())
}

fn check_description(text: &str) -> Result<(), NameError> {
    if text.trim().is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > DESCRIPTION_BYTES_MAX {
        return Err(NameError::DescriptionTooLong);
    }
    match text.chars().find(|&c| c != '/' && is_refused(c)) {
        Some(bad) => Err(NameError::DescriptionCharacter(bad)),
        None => Ok(()),
    }
}

/// Reads any checked text from a string, borrowed or not.
pub(crate) struct TextVisitor<T> {
    what: &'static str,
    text: PhantomData<T>,
}

impl<T> TextVisitor<T> {
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what, text: PhantomData }
    }
}

impl<T: FromStr<Err: fmt::Display>> de::Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peer_names_are_refused_with_the_reason() {
        assert!("alice.m_7-x".parse::<PeerName>().is_ok());
        assert_eq!("".parse::<PeerName>(), Err(NameError::Empty));
        assert_eq!("Alice".parse::<PeerName>(), Err(NameError::PeerCharacter('A')));
        assert_eq!("a b".parse::<PeerName>(), Err(NameError::PeerCharacter(' ')));
        assert_eq!("a".repeat(33).parse::<PeerName>(), Err(NameError::PeerTooLong));
    }

    #[test]
    fn image_names_take_what_people_write_and_refuse_what_deceives() {
        for good in ["sea", "Sea at dawn (2).final", "海", "a-b", "1"] {
            assert!(good.parse::<ImageName>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", " a", "a ", "a/b", "a\nb", "a\u{1b}[2J", "evil\u{202e}gpj", "-rf"] {
            assert!(bad.parse::<ImageName>().is_err(), "{bad:?}");
        }
        assert_eq!("x".repeat(101).parse::<ImageName>(), Err(NameError::ImageTooLong));
    }

    #[test]
    fn a_file_stem_becomes_a_name_or_says_why_not() {
        assert_eq!(ImageName::from_file_stem("sea").map(|n| n.to_string()), Ok("sea".into()));
        assert_eq!(ImageName::from_file_stem("--a\nb ").map(|n| n.to_string()), Ok("ab".into()));
        assert_eq!(ImageName::from_file_stem(&"é".repeat(200)).map(|n| n.as_str().len()), Ok(100));
        assert_eq!(ImageName::from_file_stem("\n"), Err(NameError::Empty));
    }

    #[test]
    fn a_new_name_is_seen_and_is_no_option_and_no_hidden_file() {
        let check = |name: &str| name.parse::<ImageName>().unwrap().check_new();
        for good in ["sea", "Sea at dawn (2).final", "海", "e\u{301}", "a\u{3000}b", "1.2"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        // What is stored under such names is read.
        assert_eq!(check(".hidden"), Err(NameError::Start));
        assert_eq!(check("\u{301}e"), Err(NameError::Mark('\u{301}')));
        for c in ['\u{200b}', '\u{200d}', '\u{ad}', '\u{61c}', '\u{fe0f}', '\u{3164}', '\u{a0}', '\u{e0041}']
        {
            assert_eq!(check(&format!("sea{c}side")), Err(NameError::Invisible(c)));
        }
        let peer = |name: &str| name.parse::<PeerName>().unwrap().check_new();
        assert_eq!((peer("-rf"), peer(".ssh")), (Err(NameError::Start), Err(NameError::Start)));
        assert_eq!(peer("a-b.c"), Ok(()));
    }

    #[test]
    fn an_album_is_called_like_an_image() {
        let name = |name: &str| name.parse::<AlbumName>().and_then(|name| name.new_name());
        assert_eq!(name("cafe\u{301} 2024").unwrap().as_str(), "caf\u{e9} 2024");
        assert_eq!(name("a/b"), Err(NameError::ImageCharacter('/')));
        assert_eq!(name(".hidden"), Err(NameError::Start));
    }

    #[test]
    fn a_description_is_a_line_of_text_of_bounded_length() {
        let described = |text: &str| text.parse::<Description>().map(|text| text.to_string());
        assert_eq!(described("A boat / two gulls.").as_deref(), Ok("A boat / two gulls."));
        assert_eq!(described("x".repeat(500).as_str()).map(|text| text.len()), Ok(500));
        assert_eq!(described("x".repeat(501).as_str()), Err(NameError::DescriptionTooLong));
        assert_eq!(described(" "), Err(NameError::Empty));
        for bad in ["two\nlines", "\u{1b}[2J", "\u{202e}txet"] {
            assert!(matches!(described(bad), Err(NameError::DescriptionCharacter(_))), "{bad:?}");
        }
    }

    #[test]
    fn one_name_has_one_spelling() {
        let name: ImageName = "cafe\u{301}".parse().unwrap();
        assert_eq!(name.composed().unwrap().as_str(), "caf\u{e9}");
        assert_eq!(ImageName::from_file_stem("cafe\u{301}").unwrap().as_str(), "caf\u{e9}");
        assert_eq!(
            ImageName::from_file_stem(".\u{301}-sea\u{200b}\u{202e}side ").unwrap().as_str(),
            "seaside"
        );
    }
}
