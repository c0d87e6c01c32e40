//! The bytes of every kind of message are a promise. Each stands in a snapshot with its name, its bytes and what they mean in
//! CBOR's diagnostic notation; it is encoded and decoded. A kind without a sample fails the test.
//!
//! A change of an existing line breaks programs that are in use. New kinds and new keys that may be missing are new lines.

mod admin;
mod control;
mod directory;
mod model;
mod node;
mod peer;

use std::{collections::BTreeSet, fmt::Debug, fmt::Write};

use ciborium::Value;
use dos_protocol::frame;
use serde::{Serialize, de::DeserializeOwned};
use strum::VariantNames;

use crate::diagnostic::notation;

/// Bytes as text.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Text as bytes.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The kind of what stands at `path` in a message.
fn kind_at(mut value: &Value, path: &[&str]) -> Option<String> {
    for key in path {
        let Value::Map(pairs) = value else { return None };
        value = &pairs.iter().find(|(found, _)| found.as_text() == Some(key))?.1;
    }
    match value {
        Value::Map(pairs) => pairs[0].0.as_text().map(str::to_owned),
        other => other.as_text().map(str::to_owned),
    }
}

/// The samples of one conversation's direction.
struct Samples<T> {
    messages: Vec<T>,
}

impl<T: Serialize + DeserializeOwned + PartialEq + Debug> Samples<T> {
    /// The samples as a snapshot holds them; every one is read back from the bytes that stand there.
    fn text(&self) -> String {
        let mut text = String::new();
        for message in &self.messages {
            let body = frame::to_frame(message).unwrap().split_off(4);
            let value: Value = frame::decode(&body).unwrap();
            writeln!(text, "{}\n{}\n", hex(&body), notation(&value)).unwrap();
        }
        let bytes = text.lines().step_by(3).map(unhex);
        for (message, body) in self.messages.iter().zip(bytes) {
            assert_eq!(&frame::decode::<T>(&body).unwrap(), message);
        }
        text
    }

    /// Fails for kinds of `K`, which stand at `path` in a message, that no sample has.
    fn have_every<K: VariantNames>(&self, path: &[&str]) {
        let found: BTreeSet<String> = self
            .messages
            .iter()
            .filter_map(|message| kind_at(&Value::serialized(message).unwrap(), path))
            .collect();
        let missing: Vec<_> = K::VARIANTS.iter().filter(|kind| !found.contains(**kind)).collect();
        assert!(missing.is_empty(), "no golden message of {missing:?}");
    }
}
