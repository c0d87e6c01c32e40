//! What is shown, and where: data on standard output, everything else on standard error, as text or as JSON.
//!
//! The only place that writes to either. Colour and bars only on terminals, never with `NO_COLOR`.

pub(crate) mod human;
pub(crate) mod json;
pub(crate) mod table;
pub(crate) mod words;

use std::io::{self, IsTerminal, Write};

use dos_protocol::{Timestamp, WireError, name::printable};
use serde::Serialize;

use crate::error::Error;

/// Standard output and standard error as a command sees them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    json: bool,
    colour_out: bool,
    colour_err: bool,
}

/// Where something is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// A view of an answer for people, in the making.
#[derive(Debug)]
pub(crate) struct Text {
    /// The data, line by line.
    pub(crate) out: String,
    /// What is not data, line by line.
    pub(crate) notes: String,
    /// Whether the data may be coloured.
    pub(crate) colour: bool,
    /// The moment that "ago" counts from.
    pub(crate) now: Timestamp,
}

impl Text {
    #[must_use]
    pub(crate) fn new(colour: bool, now: Timestamp) -> Self {
        Self { out: String::new(), notes: String::new(), colour, now }
    }

    /// Adds a line of data. Control characters of others are replaced.
    pub(crate) fn line(&mut self, line: &str) {
        self.out.push_str(&printable(line));
        self.out.push('\n');
    }

    /// Adds a line that is not data.
    pub(crate) fn note(&mut self, line: &str) {
        self.notes.push_str(&printable(line));
        self.notes.push('\n');
    }
}

impl Screen {
    #[must_use]
    pub(crate) fn of_process(json: bool) -> Self {
        let wanted = dos_host::variables::var_os("NO_COLOR").is_none()
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self {
            json,
            colour_out: wanted && io::stdout().is_terminal(),
            colour_err: wanted && io::stderr().is_terminal(),
        }
    }

    /// Whether a progress bar may be drawn.
    #[must_use]
    pub(crate) fn shows_progress(&self) -> bool {
        !self.json && self.colour_err
    }

    /// Whether documents are JSON.
    #[must_use]
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Shows an answer: the document with `--json`, else what `human` makes of it.
    ///
    /// # Errors
    /// If standard output does not take it.
    pub(crate) fn show<T: Serialize>(
        &self,
        document: &T,
        human: impl FnOnce(&mut Text),
    ) -> Result<(), Error> {
        if self.json {
            return self.print(&json::document(document)?);
        }
        let mut text = Text::new(self.colour_out, Timestamp::now());
        human(&mut text);
        self.print(&text.out)?;
        self.note(&text.notes);
        Ok(())
    }

    /// Shows something that is not the answer, but what a question is about: on standard error.
    pub(crate) fn explain(&self, human: impl FnOnce(&mut Text)) {
        let mut text = Text::new(self.colour_err, Timestamp::now());
        human(&mut text);
        self.note(&text.out);
        self.note(&text.notes);
    }

    /// Writes data as it is and flushes it.
    ///
    /// # Errors
    /// If standard output does not take it.
    pub(crate) fn print(&self, data: &str) -> Result<(), Error> {
        let mut out = io::stdout().lock();
        out.write_all(data.as_bytes()).and_then(|()| out.flush()).map_err(Error::of_output)
    }

    /// Writes something that is not data; not with `--json`. A failure is not reported: there is nowhere to report it.
    pub(crate) fn note(&self, text: &str) {
        if !self.json && !text.is_empty() {
            io::stderr().write_all(text.as_bytes()).unwrap_or_default();
        }
    }

    /// Writes what a person should know of something that succeeded; not with `--json`.
    pub(crate) fn warn(&self, warning: Option<&str>) {
        if let Some(warning) = warning {
            self.note(&format!("warning: {}\n", printable(warning)));
        }
    }

    /// Writes a line of JSON that is no answer. A failure is not reported: that of the answer will be.
    pub(crate) fn aside<T: Serialize>(stream: Stream, document: &T) {
        let Ok(line) = json::document(document) else { return };
        match stream {
            Stream::Out => {
                let mut out = io::stdout().lock();
                out.write_all(line.as_bytes()).and_then(|()| out.flush()).unwrap_or_default();
            }
            Stream::Err => io::stderr().write_all(line.as_bytes()).unwrap_or_default(),
        }
    }

    /// Tells on standard error that an event of this kind was skipped, since only a newer peerd knows it.
    pub(crate) fn skipped(&self, kind: &str) {
        let hint = "update dosctl";
        if self.json {
            Self::aside(Stream::Err, &json::Skipped { skipped: json::SkippedEvent { event: kind, hint } });
        } else {
            self.note(&format!("skipped an event of the unknown kind \"{}\": {hint}\n", printable(kind)));
        }
    }

    /// Writes an error to standard error.
    pub(crate) fn fail(&self, error: &Error) {
        let text = if self.json {
            json::error(&error.told())
        } else {
            error.told_together().iter().map(|error| error_text(error, self.colour_err)).collect()
        };
        io::stderr().write_all(text.as_bytes()).unwrap_or_default();
    }
}

/// `error:`, `cause:` where there is one, `hint:` likewise.
#[must_use]
pub(crate) fn error_text(error: &WireError, colour: bool) -> String {
    let (on, off) = if colour { ("\u{1b}[1;31m", "\u{1b}[0m") } else { ("", "") };
    let mut text = format!("{on}error:{off} {}\n", printable(&error.message));
    for (label, part) in [("cause", &error.cause), ("hint", &error.hint)] {
        if let Some(part) = part {
            text.push_str(&format!("{label}: {}\n", printable(part)));
        }
    }
    text
}

#[cfg(test)]
mod tests;
