//! The messages' bytes are a promise: golden ones, and the refusal of what is not a message.
use super::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn an_unknown_request_is_unsupported_and_keeps_its_id() {
    let mut body = Vec::new();
    let op = ciborium::value::Value::Map(vec![("dance".into(), 7.into())]);
    let inner = ciborium::value::Value::Map(vec![("id".into(), 9.into()), ("op".into(), op)]);
    let message = ciborium::value::Value::Map(vec![("request".into(), inner)]);
    ciborium::into_writer(&message, &mut body).unwrap();
    let (id, error) = read_request(&body).unwrap_err();
    assert_eq!((id, error.code), (Some(9), Code::Unsupported));
}

#[test]
fn a_malformed_request_is_invalid_and_keeps_its_id() {
    let mut body = Vec::new();
    let op = ciborium::value::Value::Map(vec![("cancel".into(), "text".into())]);
    let inner = ciborium::value::Value::Map(vec![("id".into(), 9.into()), ("op".into(), op)]);
    let message = ciborium::value::Value::Map(vec![("request".into(), inner)]);
    ciborium::into_writer(&message, &mut body).unwrap();
    let (id, error) = read_request(&body).unwrap_err();
    assert_eq!((id, error.code), (Some(9), Code::Invalid));
}

#[test]
fn garbage_and_unknown_messages_are_refused_without_an_id() {
    assert_eq!(read_request(b"GET / HTTP/1.1").unwrap_err().0, None);
    let mut body = Vec::new();
    let message = ciborium::value::Value::Map(vec![("song".into(), 1.into())]);
    ciborium::into_writer(&message, &mut body).unwrap();
    let (id, error) = read_request(&body).unwrap_err();
    assert_eq!((id, error.code), (None, Code::Unsupported));
}

#[test]
fn debug_never_shows_a_share() {
    let key = KeyShare { split: SplitId::from([1; 16]), share: [0xab; 32] };
    assert!(!format!("{key:?}").contains("171") && !format!("{key:?}").contains("ab, "));
}

/// `kind: bytes of the frame` for messages of every kind; to be changed only together with the ALPN version.
#[test]
fn golden_bytes() {
    for (message, golden) in [
        (to_hex(&ToDirectory::Ack(Seq(300))), "00000008a16361636b19012c"),
        (to_hex(&ToDirectory::Pong(7)), "00000007a164706f6e6707"),
        (
            to_hex(&ToDirectory::Request { id: 1, op: Op::SignOut }),
            "0000001aa16772657175657374a262696401626f70687369676e5f6f7574",
        ),
        (to_hex(&FromDirectory::Ping(1)), "00000007a16470696e6701"),
    ] {
        assert_eq!(message, golden.replace(' ', ""));
    }
}

fn to_hex<T: Serialize>(message: &T) -> String {
    hex(&frame::to_frame(message).unwrap())
}
