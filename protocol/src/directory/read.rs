//! Reading a peer's message so that whatever it is can be answered.

use serde::Deserialize;

use super::ToDirectory;
use crate::{
    error::{Code, WireError},
    frame::{self, FrameError},
};

/// Reads a peer's message; a request that cannot be read is told from other nonsense, so that it can be refused by its
/// ID.
///
/// # Errors
/// What to send back: its ID where it has one, and `unsupported` for an unknown kind or `invalid` for a malformed one.
pub fn read_request(body: &[u8]) -> Result<ToDirectory, (Option<u32>, WireError)> {
    let error = match frame::decode(body) {
        Ok(message) => return Ok(message),
        Err(FrameError::Malformed(text)) => text,
        Err(other) => other.to_string().into(),
    };
    let refuse = |code: Code, text: String| WireError::new(code, text);
    match frame::decode::<Head>(body) {
        Ok(Head::Request { id, op: Kind(kind) }) => {
            let known = !error.contains("unknown variant") || !error.contains(&format!("`{kind}`"));
            Err(if known {
                (Some(id), refuse(Code::Invalid, format!("malformed request: {error}")))
            } else {
                (Some(id), refuse(Code::Unsupported, "this directory does not know that request".into()))
            })
        }
        Err(_) if error.contains("unknown variant") => {
            Err((None, refuse(Code::Unsupported, "this directory does not know that message".into())))
        }
        Err(_) => Err((None, refuse(Code::Invalid, format!("malformed message: {error}")))),
    }
}

/// As much of a request as is needed to refuse it.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Head {
    Request { id: u32, op: Kind },
}

/// The name of an operation, whatever its content.
struct Kind(String);

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KindVisitor;
        impl<'de> serde::de::Visitor<'de> for KindVisitor {
            type Value = Kind;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an operation")
            }
            fn visit_str<E>(self, text: &str) -> Result<Kind, E> {
                Ok(Kind(text.chars().take(64).collect()))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
                let kind = map.next_key::<String>()?.unwrap_or_default();
                map.next_value::<serde::de::IgnoredAny>()?;
                while map.next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?.is_some() {}
                self.visit_str(&kind)
            }
        }
        deserializer.deserialize_any(KindVisitor)
    }
}
