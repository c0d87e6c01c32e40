//! The file of an image that is to be added: a regular file, or standard input.
//!
//! What always holds: opening it never waits, whatever it is; what cannot be an image by its first bytes is refused before peerd hears
//! of it; a file that is changed while it is read is noticed before its last byte is sent.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, Read},
    os::{
        fd::AsFd,
        unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    },
    path::Path,
};

use dos_host::shell::quoted;
use dos_preview::{Format, HEAD_BYTES};
use dos_protocol::{Code, WireError, limits::ORIGINAL_BYTES_MAX};
use rustix::fs::OFlags;

use crate::error::of_file;

/// An open source.
#[derive(Debug)]
pub(crate) struct Source {
    file: File,
    shown: String,
    head: io::Cursor<Vec<u8>>,
    /// What a regular file was when it was opened.
    before: Option<State>,
    read: u64,
}

/// What of a file changes when somebody writes to it or replaces it.
#[derive(Debug, PartialEq, Eq)]
struct State {
    file: (u64, u64),
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl State {
    fn of(known: &Metadata) -> Self {
        Self {
            file: (known.dev(), known.ino()),
            bytes: known.len(),
            modified: (known.mtime(), known.mtime_nsec()),
            changed: (known.ctime(), known.ctime_nsec()),
        }
    }
}

impl Source {
    /// Opens the file at `path`, an image unless it may be `any` file; `-` is standard input.
    ///
    /// # Errors
    /// `not_found`, or `invalid` for what is no file, too large, or no image.
    pub(crate) fn open(path: &Path, any: bool) -> Result<Self, WireError> {
        if path.as_os_str() == "-" {
            let shown = "standard input".to_owned();
            let file = io::stdin().as_fd().try_clone_to_owned();
            let file =
                file.map_err(|error| of_file(format!("cannot read {shown}"), &error, Code::Invalid))?;
            return Self::begin((file.into(), None), shown, any);
        }
        let shown = format!("\"{}\"", path.display());
        let failed = |error: io::Error| of_file(format!("cannot read {shown}"), &error, Code::Invalid);
        // Opening a FIFO would wait for somebody who writes to it; a regular file does not mind.
        let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or_default();
        let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
            Ok(file) => file,
            // What cannot be opened at all, such as a socket.
            Err(error) => {
                let known = std::fs::metadata(path).map_err(failed)?;
                check_kind(&known, &shown)?;
                return Err(failed(error));
            }
        };
        let known = file.metadata().map_err(failed)?;
        check_kind(&known, &shown)?;
        if known.len() > ORIGINAL_BYTES_MAX {
            let text = format!("{shown} has more than {} GiB", ORIGINAL_BYTES_MAX >> 30);
            return Err(WireError::new(Code::Invalid, text));
        }
        Self::begin((file, Some(State::of(&known))), shown, any)
    }

    fn begin((mut file, before): (File, Option<State>), shown: String, any: bool) -> Result<Self, WireError> {
        let mut head = Vec::new();
        (&mut file)
            .take(u64::try_from(HEAD_BYTES).unwrap_or(u64::MAX))
            .read_to_end(&mut head)
            .map_err(|error| of_file(format!("cannot read {shown}"), &error, Code::Invalid))?;
        if !any && Format::of_head(&head).is_none() {
            let error = WireError::new(Code::Invalid, format!("{shown} is not an image"));
            return Err(error
                .caused_by("its first bytes are those of no known format")
                .hint("dosctl add FILE --any"));
        }
        Ok(Self { file, shown, head: io::Cursor::new(head), before, read: 0 })
    }

    /// Its size, 0 for what has none.
    #[must_use]
    pub(crate) fn bytes(&self) -> u64 {
        self.before.as_ref().map_or(0, |before| before.bytes)
    }

    /// Reads the next piece, of at most `bytes_max`; an empty one is the end, of a file that has not changed meanwhile.
    ///
    /// # Errors
    /// `invalid` if it cannot be read, or has changed.
    pub(crate) fn piece(&mut self, bytes_max: usize) -> Result<Vec<u8>, WireError> {
        let mut piece = Vec::with_capacity(bytes_max);
        let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
        let read = (&mut self.head).chain(&mut self.file).take(limit).read_to_end(&mut piece);
        let count =
            read.map_err(|error| of_file(format!("cannot read {}", self.shown), &error, Code::Invalid))?;
        self.read = self.read.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        if count == 0 {
            self.check_unchanged()?;
        }
        Ok(piece)
    }

    fn check_unchanged(&self) -> Result<(), WireError> {
        let Some(before) = &self.before else { return Ok(()) };
        let now = self.file.metadata();
        let now =
            now.map_err(|error| of_file(format!("cannot read {}", self.shown), &error, Code::Invalid))?;
        if State::of(&now) == *before && self.read == before.bytes {
            return Ok(());
        }
        let text = format!("{} was changed while it was read", self.shown);
        Err(WireError::new(Code::Invalid, text)
            .caused_by("what was read of it may be neither the old nor the new file"))
    }
}

/// Only a regular file has an end that does not depend on anybody else.
fn check_kind(known: &Metadata, shown: &str) -> Result<(), WireError> {
    let kind = known.file_type();
    if kind.is_file() {
        return Ok(());
    }
    let refused = |what: &str| WireError::new(Code::Invalid, format!("cannot add {shown}: it is {what}"));
    Err(if kind.is_dir() {
        refused("a directory").hint(format!("dosctl add -r {}", quoted(shown.trim_matches('"'))))
    } else if kind.is_fifo() {
        refused("a pipe").hint("dosctl add - --name NAME < PIPE")
    } else if kind.is_socket() {
        refused("a socket")
    } else {
        refused("a device").hint("dosctl add - --name NAME < DEVICE")
    })
}
