//! Reading what the other program sends, which may be newer after an upgrade of one of the two.

use serde::Deserialize;

use super::{Command, FromPeerd, ToPeerd};
use crate::{
    error::{Code, WireError},
    frame::{self, FrameError},
    kind::{Kind, Unreadable, content, read},
};

/// Reads a message of dosctl.
///
/// # Errors
/// What to answer: `unsupported` for a kind of message or command that this version does not know, else `invalid`.
pub fn read_command(body: &[u8]) -> Result<ToPeerd, WireError> {
    let unreadable = match read(body) {
        Ok(message) => return Ok(message),
        Err(unreadable) => unreadable,
    };
    let inner: Option<Kind> = content("do", body).or_else(|| content("perform", body));
    let inner = inner.map(|kind| kind.unreadable::<Command>(&FrameError::Malformed("its content".into())));
    Err(match (&unreadable, &inner) {
        (Unreadable::Unknown(kind), _) | (_, Some(Unreadable::Unknown(kind))) => WireError::new(
            Code::Unsupported,
            format!("this peerd does not know the command \"{}\"", kind.escape_debug()),
        )
        .hint("restart peerd after an upgrade"),
        _ => unreadable.refusal(),
    })
}

/// What dosctl reads from peerd.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// A message that this version knows.
    Message(FromPeerd),
    /// An event that this version cannot read: of a newer kind, or with something newer in it.
    UnknownEvent(Box<str>),
    /// Something else that only a newer peerd sends.
    Unknown(Unreadable),
}

/// Reads a message of peerd.
///
/// # Errors
/// If it is no CBOR item.
pub fn read_reply(body: &[u8]) -> Result<Reply, FrameError> {
    let unreadable = match read(body) {
        Ok(message) => return Ok(Reply::Message(message)),
        Err(unreadable) => unreadable,
    };
    if let Some(EventHead { what: Kind(kind) }) = content("event", body) {
        return Ok(Reply::UnknownEvent(kind));
    }
    frame::decode::<serde::de::IgnoredAny>(body)?;
    Ok(Reply::Unknown(unreadable))
}

#[derive(Deserialize)]
struct EventHead {
    what: Kind,
}

#[cfg(test)]
mod tests {
    use ciborium::{Value, cbor};
    use strum::VariantNames;

    use super::{super::EventKind, *};

    fn bytes(value: &Value) -> Vec<u8> {
        let mut bytes = Vec::new();
        ciborium::into_writer(value, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn an_unknown_command_is_unsupported_and_a_malformed_one_invalid() {
        let code = |value: Value| read_command(&bytes(&value)).unwrap_err().code;
        assert_eq!(code(cbor!({"do" => {"dance" => 7}}).unwrap()), Code::Unsupported);
        assert_eq!(code(cbor!({"do" => "dance"}).unwrap()), Code::Unsupported);
        assert_eq!(code(cbor!("dance").unwrap()), Code::Unsupported);
        assert_eq!(code(cbor!({"do" => {"cancel" => "text"}}).unwrap()), Code::Invalid);
        assert_eq!(code(cbor!({"do" => 7}).unwrap()), Code::Invalid);
        assert_eq!(
            read_command(&bytes(&cbor!({"do" => "status"}).unwrap())),
            Ok(ToPeerd::Do(Box::new(Command::Status)))
        );
    }

    #[test]
    fn an_unknown_event_is_told_by_its_kind() {
        let event = cbor!({"event" => {"at" => 1, "what" => {"eclipse" => {"sun" => true}}}}).unwrap();
        assert_eq!(read_reply(&bytes(&event)).unwrap(), Reply::UnknownEvent("eclipse".into()));
        assert!(!EventKind::VARIANTS.contains(&"eclipse"));
        let later = cbor!({"song" => 1}).unwrap();
        let expected = Reply::Unknown(Unreadable::Unknown("song".into()));
        assert_eq!(read_reply(&bytes(&later)).unwrap(), expected);
        assert!(read_reply(b"\xff").is_err());
    }
}
