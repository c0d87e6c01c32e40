//! Frames, and the messages in them.
//!
//! What is read is written and read again, and is the same: so nothing that one program accepts is lost on the way to another.

use std::{fmt::Debug, io};

use dos_protocol::{
    admin::{FromDosd, ToDosd},
    control::{FromPeerd, ToPeerd, read_command, read_reply},
    directory::{FromDirectory, ToDirectory, read_message, read_request},
    frame::{self, FrameError},
    kind,
    node::{self, FromNode, ToNode},
    peer::{FromPeer, ToPeer},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::io::AsyncReadExt as _;

/// Reads a message, and what is written of it.
fn again<T: Serialize + DeserializeOwned + PartialEq + Debug>(body: &[u8]) {
    let Ok(message) = frame::decode::<T>(body) else { return };
    let written = frame::to_frame(&message).expect("what was read can be written");
    let read: T = frame::decode(&written[4..]).expect("what was written can be read");
    assert_eq!(message, read);
}

/// What peers and the directory send each other, the relay's calls and tickets among it.
pub fn directory(body: &[u8]) {
    again::<ToDirectory>(body);
    again::<FromDirectory>(body);
    drop(read_request(body));
    if let Ok(dos_protocol::directory::Incoming::UnknownUpdate(update)) = read_message(body) {
        drop(update.read());
    }
}

/// What peers send each other.
pub fn peer(body: &[u8]) {
    again::<ToPeer>(body);
    again::<FromPeer>(body);
    drop(kind::read::<ToPeer>(body));
    drop(kind::read::<FromPeer>(body));
}

/// What two nodes of a directory send each other.
pub fn node(body: &[u8]) {
    again::<ToNode>(body);
    again::<FromNode>(body);
    let _ = node::asked(body);
}

/// What dosctl and peerd send each other.
pub fn control(body: &[u8]) {
    again::<ToPeerd>(body);
    again::<FromPeerd>(body);
    drop(read_command(body));
    drop(read_reply(body));
}

/// What the operator's commands and dosd send each other.
pub fn admin(body: &[u8]) {
    again::<ToDosd>(body);
    again::<FromDosd>(body);
    drop(kind::read::<ToDosd>(body));
    drop(kind::read::<FromDosd>(body));
}

/// A stream of frames: both readers read the same, however the bytes arrive.
pub fn frames(bytes: &[u8]) {
    let Some((&piece, stream)) = bytes.split_first() else { return };
    let mut rest = stream;
    let mut blocking = Vec::new();
    let end = loop {
        match frame::read_blocking(&mut rest) {
            Ok(Some(body)) => blocking.push(body),
            Ok(None) => break "end",
            Err(error) => break name(&error),
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let (read, ended) = runtime.expect("a runtime").block_on(in_pieces(stream, usize::from(piece).max(1)));
    assert_eq!((&blocking, end), (&read, ended));
    for body in &blocking {
        drop(frame::decode::<ciborium::Value>(body));
    }
}

async fn in_pieces(stream: &[u8], piece: usize) -> (Vec<Vec<u8>>, &'static str) {
    let chunks = stream
        .chunks(piece)
        .fold(Box::new(tokio::io::empty()) as Pieces<'_>, |before, chunk| Box::new(before.chain(chunk)));
    let mut reader = frame::Reader::new(chunks);
    let mut read = Vec::new();
    loop {
        match reader.next().await {
            Ok(Some(body)) => read.push(body),
            Ok(None) => return (read, "end"),
            Err(error) => return (read, name(&error)),
        }
    }
}

type Pieces<'a> = Box<dyn tokio::io::AsyncRead + Unpin + 'a>;

fn name(error: &FrameError) -> &'static str {
    match error {
        FrameError::TooLarge(_) => "too large",
        FrameError::Malformed(_) => "malformed",
        FrameError::Cut => "cut",
        FrameError::Slow => "slow",
        FrameError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => "cut",
        FrameError::Io(_) => "failed",
    }
}
