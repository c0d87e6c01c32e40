//! Kinds of messages, and what becomes of a message that a newer program has made.
//!
//! A message is `"kind"` or `{"kind": content}` (serde's external tagging), on every conversation and at every level. What
//! this version cannot read is looked at a second time for its kind alone: an unknown kind is told from nonsense by the
//! list of the kinds that this version knows, never by the text of an error. The first, common reading costs nothing more.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor},
};
use strum::VariantNames;

use crate::{
    error::{Code, WireError},
    frame,
};

/// Characters of an unknown kind's name that are kept, for people.
const KIND_CHARS_MAX: usize = 64;

/// Why a message cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Of a kind that this version does not know.
    #[error("a message of the unknown kind \"{}\"", .0.escape_debug())]
    Unknown(Box<str>),
    /// Of a known kind, or of none, and not as it must be.
    #[error("malformed message: {0}")]
    Malformed(Box<str>),
}

impl Unreadable {
    /// What the sender of a request is answered: `unsupported` or `invalid`.
    #[must_use]
    pub fn refusal(&self) -> WireError {
        let code = match self {
            Self::Unknown(_) => Code::Unsupported,
            Self::Malformed(_) => Code::Invalid,
        };
        WireError::new(code, self.to_string())
    }
}

/// Reads a message of a set of kinds.
///
/// # Errors
/// As in [`Unreadable`]. A known kind whose content has an unknown kind in it is malformed here: who can say more looks
/// into the content.
pub fn read<T: DeserializeOwned + VariantNames>(body: &[u8]) -> Result<T, Unreadable> {
    frame::decode(body).map_err(|error| match frame::decode::<Kind>(body) {
        Ok(Kind(kind)) if !T::VARIANTS.contains(&&*kind) => Unreadable::Unknown(kind),
        _ => Unreadable::Malformed(error.to_string().into()),
    })
}

/// The content of a message of this kind, read as `T`: as much of it as an older version needs.
pub(crate) fn content<T: DeserializeOwned>(kind: &str, body: &[u8]) -> Option<T> {
    let Tagged { kind: found, content } = frame::decode(body).ok()?;
    (*found == *kind).then_some(content)
}

/// The name of a kind, whatever its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kind(pub(crate) Box<str>);

impl Kind {
    /// Why a message with this kind of `T` in it cannot be read, when `error` is what the reader says.
    pub(crate) fn unreadable<T: VariantNames>(self, error: &frame::FrameError) -> Unreadable {
        if T::VARIANTS.contains(&&*self.0) {
            Unreadable::Malformed(error.to_string().into())
        } else {
            Unreadable::Unknown(self.0)
        }
    }
}

fn shorten(text: &str) -> Box<str> {
    text.chars().take(KIND_CHARS_MAX).collect()
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KindVisitor;
        impl<'de> Visitor<'de> for KindVisitor {
            type Value = Kind;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a kind")
            }
            fn visit_str<E>(self, text: &str) -> Result<Kind, E> {
                Ok(Kind(shorten(text)))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Kind, A::Error> {
                TaggedVisitor::<IgnoredAny>(PhantomData).visit_map(map).map(|tagged| Kind(tagged.kind))
            }
        }
        deserializer.deserialize_any(KindVisitor)
    }
}

/// A kind with content; further entries of the map are passed over.
struct Tagged<T> {
    kind: Box<str>,
    content: T,
}

struct TaggedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for TaggedVisitor<T> {
    type Value = Tagged<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a kind with content")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tagged<T>, A::Error> {
        let missing = || <A::Error as serde::de::Error>::custom("a message without a kind");
        let kind = map.next_key::<String>()?.ok_or_else(missing)?;
        let content = map.next_value()?;
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Tagged { kind: shorten(&kind), content })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Tagged<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TaggedVisitor(PhantomData))
    }
}

/// Reads a value that older versions do not know every case of; an unknown one is `None`, and may be left out.
pub(crate) fn known_or_none<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let value = Option::<ciborium::Value>::deserialize(deserializer)?;
    Ok(value.and_then(|value| value.deserialized().ok()))
}

#[cfg(test)]
mod tests {
    use ciborium::{Value, cbor};

    use super::*;

    #[derive(Debug, PartialEq, Deserialize, strum::VariantNames)]
    #[serde(rename_all = "snake_case")]
    #[strum(serialize_all = "snake_case")]
    enum Message {
        Plain,
        Full { number: u8 },
    }

    fn bytes(value: &Value) -> Vec<u8> {
        let mut bytes = Vec::new();
        ciborium::into_writer(value, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn an_unknown_kind_is_told_from_a_malformed_known_one() {
        let read = |value: Value| read::<Message>(&bytes(&value));
        assert_eq!(read(cbor!("plain").unwrap()), Ok(Message::Plain));
        assert_eq!(read(cbor!({"full" => {"number" => 7}}).unwrap()), Ok(Message::Full { number: 7 }));
        for (unknown, kind) in [
            (cbor!("later").unwrap(), "later"),
            (cbor!({"later" => 7}).unwrap(), "later"),
            (cbor!({"later" => {"number" => 7}, "more" => 1}).unwrap(), "later"),
        ] {
            assert_eq!(read(unknown), Err(Unreadable::Unknown(kind.into())));
        }
        for malformed in [
            cbor!({"full" => {"number" => "text"}}).unwrap(),
            cbor!({"full" => {}}).unwrap(),
            cbor!(7).unwrap(),
            cbor!({}).unwrap(),
            cbor!([]).unwrap(),
        ] {
            assert!(matches!(read(malformed), Err(Unreadable::Malformed(_))));
        }
        assert!(matches!(super::read::<Message>(b"GET / HTTP/1.1"), Err(Unreadable::Malformed(_))));
    }

    #[test]
    fn the_name_of_an_unknown_kind_is_shortened() {
        let long = "x".repeat(4 * KIND_CHARS_MAX);
        let Err(Unreadable::Unknown(kind)) = read::<Message>(&bytes(&Value::Text(long))) else { panic!() };
        assert_eq!(kind.len(), KIND_CHARS_MAX);
    }

    #[test]
    fn a_refusal_says_which_of_the_two_it_is() {
        assert_eq!(Unreadable::Unknown("x".into()).refusal().code, Code::Unsupported);
        assert_eq!(Unreadable::Malformed("x".into()).refusal().code, Code::Invalid);
    }
}
