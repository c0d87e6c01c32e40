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

/// Why something is [`Code::Denied`], where a program can do something about it.
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
}

/// An error as it travels between programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct WireError {
    /// For programs. One that only a newer program knows is read as `internal`.
    #[serde(deserialize_with = "known_code")]
    pub code: Code,
    /// For people: lower case, without a full stop, naming the thing.
    pub message: Box<str>,
    /// Why it was denied, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "known_or_none")]
    pub reason: Option<Reason>,
    /// What caused it, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Box<str>>,
    /// A command that helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Box<str>>,
    /// Asking again before so many milliseconds is pointless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

fn known_code<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Code, D::Error> {
    Ok(known_or_none(deserializer)?.unwrap_or(Code::Internal))
}

impl WireError {
    /// An error with this code and text.
    #[must_use]
    pub fn new(code: Code, message: impl Into<Box<str>>) -> Self {
        Self { code, message: message.into(), reason: None, cause: None, hint: None, retry_after_ms: None }
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

    /// With the command that helps.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Box<str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
