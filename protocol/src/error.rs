//! Errors as they travel: a stable code, a text for people, sometimes a reason and a hint. Nothing internal.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::kind::known_or_none;

/// What went wrong, for programs. The set only grows; dosctl's exit codes follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Code {
    /// A fault of ours.
    Internal,
    /// The arguments make no sense.
    Usage,
    /// The daemon is not running or its socket is out of reach.
    NoDaemon,
    /// Not signed in, the directory is out of reach, or the owner is offline and there is no local copy.
    Offline,
    /// No such peer, image, request or file.
    NotFound,
    /// No grant for it, or a limit is reached.
    Denied,
    /// It exists already, or somebody else is there.
    Conflict,
    /// Not an image, damaged, too large, a bad name, a malformed message.
    Invalid,
    /// No answer in time.
    Timeout,
    /// The message is of a kind that this version does not know.
    Unsupported,
    /// What the caller holds (a sealed copy, a share) has been superseded; fetch it again. Never reaches a person.
    Stale,
}

impl Code {
    /// The code as it is written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The exit code of a command that ends with this.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Internal | Self::Unsupported | Self::Stale => 1,
            Self::Usage => 2,
            Self::NoDaemon => 3,
            Self::Offline => 4,
            Self::NotFound => 5,
            Self::Denied => 6,
            Self::Conflict => 7,
            Self::Invalid => 8,
            Self::Timeout => 9,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why something is [`Code::Denied`] or a [`Code::Conflict`], where a program can do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    /// There was never a grant.
    NeverGranted,
    /// All views are used.
    UsedUp,
    /// The owner revoked the grant.
    Revoked,
    /// The grant has expired.
    Expired,
    /// The directory takes no new peers (in this way).
    Closed,
    /// A limit is reached.
    Limit,
    /// Wrong name or password.
    WrongPassword,
    /// Too many wrong passwords; see `retry_after_ms`.
    Locked,
    /// The other peer takes nothing from this one.
    Blocked,
    /// The other peer was asked whether it takes direct messages of this one.
    NotAccepted,
    /// The other peer holds another key than the one that is pinned.
    KeyChanged,
    /// Another machine is signed in with this ID, and is taken over only by force.
    Elsewhere,
    /// The view ID is over: its view was shown, or its views were given back.
    ViewClosed,
    /// The owner does not allow checkouts.
    NotOffline,
}

impl Reason {
    /// The reason as it is written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether programs of the first release know it. They end a session over one that they do not.
    fn is_of_first_release(self) -> bool {
        match self {
            Self::NeverGranted
            | Self::UsedUp
            | Self::Revoked
            | Self::Expired
            | Self::Closed
            | Self::Limit
            | Self::WrongPassword
            | Self::Locked
            | Self::Blocked
            | Self::NotAccepted => true,
            Self::KeyChanged | Self::Elsewhere | Self::ViewClosed | Self::NotOffline => false,
        }
    }
}

/// An error as it travels between programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
#[serde(from = "Travelling", into = "Travelling")]
pub struct WireError {
    /// For programs. One that only a newer program knows is read as `internal`.
    pub code: Code,
    /// For people: lower case, without a full stop, naming the thing.
    pub message: Box<str>,
    /// Why it was denied, if that is known.
    pub reason: Option<Reason>,
    /// What caused it, in one line.
    pub cause: Option<Box<str>>,
    /// A command that helps.
    pub hint: Option<Box<str>>,
    /// Asking again before so many milliseconds is pointless.
    pub retry_after_ms: Option<u64>,
    /// What may have been meant.
    pub near: Option<Near>,
}

/// An argument that led to nothing, and one that would lead to something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Near {
    /// The one that was given.
    pub given: Box<str>,
    /// The one to put in its place.
    pub meant: Box<str>,
}

/// See [`WireError`].
#[derive(Serialize, Deserialize)]
struct Travelling {
    #[serde(deserialize_with = "known_code")]
    code: Code,
    message: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "known_or_none")]
    reason: Option<Reason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hint: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    near: Option<Near>,
    /// A reason that programs of the first release do not know: a key that they ignore.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "known_or_none")]
    later_reason: Option<Reason>,
}

impl From<WireError> for Travelling {
    fn from(error: WireError) -> Self {
        let WireError { code, message, reason, cause, hint, retry_after_ms, near } = error;
        let later_reason = reason.filter(|reason| !reason.is_of_first_release());
        let reason = reason.filter(|reason| reason.is_of_first_release());
        Self { code, message, reason, cause, hint, retry_after_ms, near, later_reason }
    }
}

impl From<Travelling> for WireError {
    fn from(error: Travelling) -> Self {
        let Travelling { code, message, reason, cause, hint, retry_after_ms, near, later_reason } = error;
        Self { code, message, reason: reason.or(later_reason), cause, hint, retry_after_ms, near }
    }
}

fn known_code<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Code, D::Error> {
    Ok(known_or_none(deserializer)?.unwrap_or(Code::Internal))
}

impl WireError {
    /// An error with this code and text.
    #[must_use]
    pub fn new(code: Code, message: impl Into<Box<str>>) -> Self {
        Self {
            code,
            message: message.into(),
            reason: None,
            cause: None,
            hint: None,
            retry_after_ms: None,
            near: None,
        }
    }

    /// With the reason for a denial.
    #[must_use]
    pub fn because(mut self, reason: Reason) -> Self {
        self.reason = Some(reason);
        self
    }

    /// With its cause.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<str>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Asking again before this time is over is pointless.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after_ms = Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1));
        self
    }

    /// With what may have been meant.
    #[must_use]
    pub fn near(mut self, near: Near) -> Self {
        self.near = Some(near);
        self
    }

    /// With the command that helps.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Box<str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame;

    /// What a program of the first release reads of an error: it knows these reasons and no others.
    #[derive(Debug, PartialEq, Deserialize)]
    struct First {
        code: Code,
        #[serde(default)]
        reason: Option<FirstReason>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum FirstReason {
        NeverGranted,
        UsedUp,
        Revoked,
        Expired,
        Closed,
        Limit,
        WrongPassword,
        Locked,
        Blocked,
        NotAccepted,
    }

    fn denied(reason: Reason) -> Vec<u8> {
        let error = WireError::new(Code::Denied, "x").because(reason);
        frame::to_frame(&error).unwrap().split_off(4)
    }

    #[test]
    fn a_reason_that_the_first_release_does_not_know_is_none_to_it() {
        for (reason, known) in [
            (Reason::UsedUp, Some(FirstReason::UsedUp)),
            (Reason::NotAccepted, Some(FirstReason::NotAccepted)),
            (Reason::ViewClosed, None),
            (Reason::NotOffline, None),
        ] {
            let body = denied(reason);
            let first = frame::decode::<First>(&body).unwrap();
            assert_eq!(first, First { code: Code::Denied, reason: known }, "{reason:?}");
            assert_eq!(frame::decode::<WireError>(&body).unwrap().reason, Some(reason));
        }
    }
}
