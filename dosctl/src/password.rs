//! Where a password comes from: a prompt on the terminal, standard input, or a file. Never from the arguments, which every
//! user of the machine can see.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::AsFd,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use dos_host::signals::Ignored;
use dos_protocol::{Code, Password, WireError, limits::PASSWORD_BYTES_MAX};
use signal_hook::consts::SIGINT;
use zeroize::Zeroizing;

use crate::error::{Error, of_file};

/// Where the password comes from, instead of a prompt.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct Source {
    /// Read the password from the first line of standard input
    #[arg(long, conflicts_with = "password_file")]
    password_stdin: bool,
    /// Read the password from the first line of FILE
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// How often a person types the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Typed {
    /// Once: a wrong one is refused.
    Once,
    /// Twice: in a new password a slip of the finger would not show.
    Twice,
}

impl Source {
    /// Whether standard input or a file is named.
    #[must_use]
    pub(crate) fn is_named(&self) -> bool {
        self.password_stdin || self.password_file.is_some()
    }

    /// The password.
    ///
    /// # Errors
    /// `invalid` if it is none, or was typed differently the second time; `usage` without a terminal to ask on;
    /// `not_found` without the file.
    pub(crate) fn read(&self, typed: Typed) -> Result<Password, Error> {
        let text = match &self.password_file {
            Some(path) => first_line(path)?,
            None if self.password_stdin => {
                let unreadable = |error| of_file("cannot read standard input", &error, Code::Invalid);
                // Not through the buffer of standard input, which is not wiped.
                let file = io::stdin().as_fd().try_clone_to_owned().map(File::from);
                file.and_then(line_of).map_err(unreadable)?
            }
            None => return prompt(typed),
        };
        let text =
            std::str::from_utf8(&text).map_err(|_| Error::new(Code::Invalid, "the password is not UTF-8"))?;
        parse(text)
    }
}

fn parse(text: &str) -> Result<Password, Error> {
    text.parse()
        .map_err(|error: dos_protocol::password::PasswordError| Error::new(Code::Invalid, error.to_string()))
}

fn prompt(typed: Typed) -> Result<Password, Error> {
    let password = parse(&ask("password: ")?)?;
    if typed == Typed::Twice && *ask("password again: ")? != *password.as_str() {
        return Err(Error::new(Code::Invalid, "the two passwords differ"));
    }
    Ok(password)
}

fn ask(prompt: &str) -> Result<Zeroizing<String>, Error> {
    // An interrupt must not end us before the terminal shows again what is typed.
    let is_ignored = Ignored::of_process().has(SIGINT);
    let held = (!is_ignored).then(|| signal_hook::flag::register(SIGINT, Arc::new(AtomicBool::new(false))));
    let typed = rpassword::prompt_password(prompt).map(Zeroizing::new);
    if let Some(Ok(held)) = held {
        signal_hook::low_level::unregister(held);
    }
    typed.map_err(|error| {
        if error.kind() == io::ErrorKind::Interrupted && !is_ignored {
            // Ends us, as it would have; if it does not, the error does.
            drop(signal_hook::low_level::emulate_default_handler(SIGINT));
        }
        let text = "there is no terminal to ask for the password on";
        WireError::new(Code::Usage, text)
            .caused_by(crate::error::cause_of(&error))
            .hint("use --password-stdin or --password-file FILE")
            .into()
    })
}

fn first_line(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let read = File::open(path).and_then(line_of);
    read.map_err(|error| of_file(format!("cannot read {}", path.display()), &error, Code::Invalid).into())
}

/// The first line without its end; more than any password has is not read.
fn line_of(mut source: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let limit = PASSWORD_BYTES_MAX + 3;
    // Never grown, so that no copy of it is left behind; read byte by byte, so that nothing after the line is taken.
    let mut text = Zeroizing::new(Vec::with_capacity(limit));
    let mut byte = Zeroizing::new([0; 1]);
    while text.len() < limit && text.last() != Some(&b'\n') {
        match source.read(byte.as_mut_slice()) {
            Ok(0) => break,
            Ok(_) => text.extend_from_slice(byte.as_slice()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    if text.last() == Some(&b'\n') {
        text.pop();
    }
    if text.last() == Some(&b'\r') {
        text.pop();
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line_whatever_ends_it() {
        for text in ["correct horse", "correct horse\n", "correct horse\r\n", "correct horse\nmore\n"] {
            assert_eq!(line_of(text.as_bytes()).unwrap().as_slice(), b"correct horse", "{text:?}");
        }
        assert_eq!(line_of(&b""[..]).unwrap().len(), 0);
    }

    #[test]
    fn an_endless_line_is_cut_and_refused_as_too_long() {
        let line = line_of(io::repeat(b'x')).unwrap();
        let error = parse(std::str::from_utf8(&line).unwrap()).unwrap_err();
        assert_eq!(error.exit_code(), 8);
        assert!(error.to_string().contains("at most"), "{error}");
    }

    #[test]
    fn a_file_that_is_not_there_is_told() {
        let source = Source { password_stdin: false, password_file: Some("/nonexistent/password".into()) };
        assert_eq!(source.read(Typed::Once).unwrap_err().exit_code(), 5);
    }
}
