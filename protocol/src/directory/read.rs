//! Reading what the other side sends, so that whatever it is can be answered, and a newer program's messages end nothing.

use serde::Deserialize;

use super::{FromDirectory, Op, ToDirectory, Update};
use crate::{
    error::{Code, WireError},
    frame::{self, FrameError},
    id::Seq,
    kind::{Kind, Unreadable, content, read},
    time::Timestamp,
};

/// Reads a peer's message; a request that cannot be read is told from other nonsense, so that it can be refused by its
/// ID.
///
/// # Errors
/// What to send back: its ID where it has one, and `unsupported` for an unknown kind or `invalid` for a malformed one.
pub fn read_request(body: &[u8]) -> Result<ToDirectory, (Option<u32>, WireError)> {
    let unreadable = match read::<ToDirectory>(body) {
        Ok(message) => return Ok(message),
        Err(unreadable) => unreadable,
    };
    let Some(RequestHead { id, op }) = content("request", body) else {
        return Err((None, unreadable.refusal()));
    };
    let error = match op.unreadable::<Op>(&FrameError::Malformed(unreadable.to_string().into())) {
        Unreadable::Unknown(kind) => WireError::new(
            Code::Unsupported,
            format!("this directory does not know the request \"{}\"", kind.escape_debug()),
        ),
        Unreadable::Malformed(_) => unreadable.refusal(),
    };
    Err((Some(id), error))
}

/// As much of a request as is needed to refuse it.
#[derive(Deserialize)]
struct RequestHead {
    id: u32,
    op: Kind,
}

/// What a peer reads from the directory.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming {
    /// A message that this version knows.
    Message(FromDirectory),
    /// An update of a kind that this version does not know, or with something unknown in it. It has its place in the inbox
    /// and is acknowledged like any other.
    UnknownUpdate(UnknownUpdate),
    /// An answer that this version cannot read.
    UnknownAnswer {
        /// To which request.
        id: u32,
    },
    /// Something else that a newer directory sends; nothing needs to be answered.
    Unknown(Unreadable),
}

/// See [`Incoming::UnknownUpdate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownUpdate {
    /// Its place in the inbox.
    pub seq: Seq,
    /// When it came about.
    pub at: Timestamp,
    /// Its kind's name, for people.
    pub kind: Box<str>,
    /// The body of its frame, for a version that can read it: see [`UnknownUpdate::read`].
    pub body: Box<[u8]>,
}

impl UnknownUpdate {
    /// The update, if this version knows it: it may be newer than the one that received it.
    #[must_use]
    pub fn read(&self) -> Option<Update> {
        match frame::decode(&self.body) {
            Ok(FromDirectory::Update { update, .. }) => Some(update),
            _ => None,
        }
    }
}

/// Reads a message of the directory.
///
/// # Errors
/// If it is no CBOR item. Anything else is told by [`Incoming`]: a directory that is newer ends no session.
pub fn read_message(body: &[u8]) -> Result<Incoming, FrameError> {
    let unreadable = match read(body) {
        Ok(message) => return Ok(Incoming::Message(message)),
        Err(unreadable) => unreadable,
    };
    if let Some(UpdateHead { seq, at, update: Kind(kind) }) = content("update", body) {
        return Ok(Incoming::UnknownUpdate(UnknownUpdate { seq, at, kind, body: body.into() }));
    }
    if let Some(AnswerHead { id }) = content("answer", body) {
        return Ok(Incoming::UnknownAnswer { id });
    }
    frame::decode::<serde::de::IgnoredAny>(body)?;
    Ok(Incoming::Unknown(unreadable))
}

#[derive(Deserialize)]
struct UpdateHead {
    seq: Seq,
    at: Timestamp,
    update: Kind,
}

#[derive(Deserialize)]
struct AnswerHead {
    id: u32,
}
