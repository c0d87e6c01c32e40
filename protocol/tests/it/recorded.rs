//! A recorded session of the first release: every message that its programs sent each other is read, and what it says is said
//! again in the same words. So the other way round, too, an old program finds every key that it knows.

use ciborium::Value;
use dos_protocol::{
    admin::{FromDosd, ToDosd},
    control::{Reply, read_command, read_reply},
    directory::{Incoming, read_message, read_request},
    frame,
    kind::read,
    peer::{FromPeer, ToPeer},
};
use serde::Serialize;

use crate::golden::{hex, unhex};

const SESSION: &str = include_str!("../../../testdata/d608605/session.txt");

/// Whether all that `old` says stands in `new`.
fn says_all_of(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Map(old), Value::Map(new)) => old
            .iter()
            .all(|(key, value)| new.iter().any(|(other, found)| other == key && says_all_of(value, found))),
        (Value::Array(old), Value::Array(new)) => {
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| says_all_of(old, new))
        }
        (old, new) => old == new,
    }
}

fn again<T: Serialize>(message: &T) -> Value {
    Value::serialized(message).unwrap()
}

/// The message as these programs read it and would send it.
fn read_and_say(conversation: &str, body: &[u8]) -> Value {
    match conversation {
        "ToDirectory" => again(&read_request(body).unwrap()),
        "FromDirectory" => {
            let Incoming::Message(message) = read_message(body).unwrap() else { panic!("unknown") };
            again(&message)
        }
        "ToPeerd" => again(&read_command(body).unwrap()),
        "FromPeerd" => {
            let Reply::Message(message) = read_reply(body).unwrap() else { panic!("unknown") };
            again(&message)
        }
        "ToPeer" => again(&read::<ToPeer>(body).unwrap()),
        "FromPeer" => again(&read::<FromPeer>(body).unwrap()),
        "ToDosd" => again(&read::<ToDosd>(body).unwrap()),
        "FromDosd" => again(&read::<FromDosd>(body).unwrap()),
        other => panic!("no conversation {other}"),
    }
}

#[test]
fn a_session_of_the_first_release_is_understood() {
    let mut messages = 0;
    for line in SESSION.lines() {
        let (conversation, recorded) = line.split_once(' ').unwrap();
        let body = unhex(recorded);
        let old: Value = frame::decode(&body).unwrap();
        let new = read_and_say(conversation, &body);
        assert!(says_all_of(&old, &new), "{conversation}: {} became {new:?}", hex(&body));
        messages += 1;
    }
    assert!(messages > 100, "the recording has {messages} messages");
}
