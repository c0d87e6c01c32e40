//! Why a command failed, and with which exit code it ends. How that is printed is in [`crate::output`].
//!
//! Failures of peerd and of dosctl itself have one form, [`WireError`]: a stable code, a text, a cause, a hint.

use std::{error::Error as _, io};

use dos_protocol::{Code, WireError};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Reported by peerd, or found here, in the same terms.
    #[error(transparent)]
    Told(#[from] WireError),
    /// Some of several things failed; never empty.
    #[error("{} of them failed", .0.len())]
    Several(Vec<Failure>),
    /// The reader of standard output has closed it.
    #[error("standard output was closed")]
    ClosedPipe,
    /// Standard output does not take what we write.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

/// Why one of several things failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Which, as the person named it.
    about: Box<str>,
    error: WireError,
}

/// How many things a message names that failed for the same reason.
const NAMED_MAX: usize = 3;

impl Failure {
    #[must_use]
    pub(crate) fn new(about: impl Into<Box<str>>, error: WireError) -> Self {
        Self { about: about.into(), error }
    }

    /// The error with what it is about.
    fn told(&self) -> WireError {
        if self.error.message.contains(&*self.about) {
            return self.error.clone();
        }
        let message = format!("{}: {}", self.about, self.error.message);
        WireError { message: message.into(), ..self.error.clone() }
    }
}

/// One error for all things that failed for the same reason, in the order in which the reasons came up first.
fn grouped(failures: &[Failure]) -> Vec<WireError> {
    let mut groups: Vec<(&Failure, Vec<&str>)> = Vec::new();
    for failure in failures {
        let same = |first: &Failure| {
            let (one, other) = (&first.error, &failure.error);
            (one.code, &one.message, &one.cause) == (other.code, &other.message, &other.cause)
        };
        match groups.iter_mut().find(|(first, _)| same(first)) {
            Some((_, about)) => about.push(&failure.about),
            None => groups.push((failure, vec![&failure.about])),
        }
    }
    groups.into_iter().map(|(first, about)| group_told(first, &about)).collect()
}

fn group_told(first: &Failure, about: &[&str]) -> WireError {
    let [_, _, ..] = about else { return first.told() };
    let named = about.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
    let named = match about.len().saturating_sub(NAMED_MAX) {
        0 => named,
        more => format!("{named} and {more} more"),
    };
    WireError { message: format!("{named}: {}", first.error.message).into(), ..first.error.clone() }
}

impl Error {
    /// A failure with this code and text.
    #[must_use]
    pub(crate) fn new(code: Code, message: impl Into<Box<str>>) -> Self {
        Self::Told(WireError::new(code, message))
    }

    /// What became of a write to standard output.
    #[must_use]
    pub(crate) fn of_output(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::ClosedPipe } else { Self::Output(error) }
    }

    /// What there is to tell, the decisive failure first.
    #[must_use]
    pub(crate) fn told(&self) -> Vec<WireError> {
        match self {
            Self::Told(error) => vec![error.clone()],
            Self::Several(failures) => failures.iter().map(Failure::told).collect(),
            Self::ClosedPipe | Self::Output(_) => {
                let error = WireError::new(Code::Internal, self.to_string());
                vec![match self.source() {
                    Some(source) => error.caused_by(source.to_string()),
                    None => error,
                }]
            }
        }
    }

    /// What there is to tell a person: things that failed for the same reason together.
    #[must_use]
    pub(crate) fn told_together(&self) -> Vec<WireError> {
        match self {
            Self::Several(failures) => grouped(failures),
            _ => self.told(),
        }
    }

    /// The exit code of the command: that of the first failure.
    #[must_use]
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Told(error) => error.code.exit_code(),
            Self::Several(errors) => errors.first().map_or(1, |failure| failure.error.code.exit_code()),
            Self::ClosedPipe | Self::Output(_) => Code::Internal.exit_code(),
        }
    }
}

/// What went wrong with a file, in the terms of the exit codes: `what` says what could not be done.
#[must_use]
pub(crate) fn of_file(what: impl Into<Box<str>>, error: &io::Error, otherwise: Code) -> WireError {
    let code = if error.kind() == io::ErrorKind::NotFound { Code::NotFound } else { otherwise };
    WireError::new(code, what).caused_by(cause_of(error))
}

/// The system's words for an error, without its number.
#[must_use]
pub(crate) fn cause_of(error: &io::Error) -> String {
    let text = error.to_string();
    let bare = text.split_once(" (os error").map_or(text.as_str(), |(text, _)| text);
    let mut chars = bare.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_follow_the_error_codes() {
        for (code, exit) in [
            (Code::Internal, 1),
            (Code::Unsupported, 1),
            (Code::Usage, 2),
            (Code::NoDaemon, 3),
            (Code::Offline, 4),
            (Code::NotFound, 5),
            (Code::Denied, 6),
            (Code::Conflict, 7),
            (Code::Invalid, 8),
            (Code::Timeout, 9),
        ] {
            assert_eq!(Error::new(code, "x").exit_code(), exit, "{code}");
        }
    }

    #[test]
    fn the_first_of_several_failures_decides() {
        let failed = |about: &str, code| Failure::new(about, WireError::new(code, "no"));
        let errors = vec![failed("a", Code::Invalid), failed("b", Code::NotFound)];
        assert_eq!(Error::Several(errors).exit_code(), 8);
    }

    #[test]
    fn what_failed_for_the_same_reason_is_told_together() {
        let failed = |about: &str, message: &str| Failure::new(about, WireError::new(Code::Invalid, message));
        let error = Error::Several(vec![
            failed("a", "no"),
            failed("b", "b is bad"),
            failed("c", "no"),
            failed("d", "no"),
            failed("e", "no"),
            failed("f", "no"),
        ]);
        let told = error.told_together();
        let told: Vec<&str> = told.iter().map(|error| &*error.message).collect();
        assert_eq!(told, ["a, c, d and 2 more: no", "b is bad"]);
        assert_eq!(error.told().len(), 6);
    }

    #[test]
    fn a_closed_pipe_is_told_from_a_full_disk() {
        assert!(matches!(Error::of_output(io::ErrorKind::BrokenPipe.into()), Error::ClosedPipe));
        let full = Error::of_output(io::ErrorKind::StorageFull.into());
        assert_eq!(full.exit_code(), 1);
        assert!(full.told()[0].cause.is_some());
    }

    #[test]
    fn causes_are_lower_case_and_without_numbers() {
        assert_eq!(cause_of(&io::Error::from_raw_os_error(13)), "permission denied");
    }
}
