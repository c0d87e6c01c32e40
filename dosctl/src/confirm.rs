//! Asking a person before something happens to others: on the terminal, wherever standard output and error go.

use std::{
    fs::OpenOptions,
    io::{self, BufRead, BufReader, Read, Write},
};

use dos_protocol::Code;

use crate::error::{Error, of_file};

/// More than anybody types for a yes or a no.
const ANSWER_BYTES_MAX: u64 = 64;

/// Whether the person at the terminal says yes. Anything else is a no, also the end of what is typed, and that no one is there.
///
/// # Errors
/// If the terminal fails.
pub(crate) fn confirm(question: &str) -> Result<bool, Error> {
    Ok(ask(question)?.is_some_and(|answer| is_yes(&answer)))
}

/// What the person at the terminal types for a question: a line without what is around it; nothing if no one is there.
///
/// # Errors
/// If the terminal fails.
pub(crate) fn ask(question: &str) -> Result<Option<String>, Error> {
    let Ok(mut terminal) = OpenOptions::new().read(true).write(true).open("/dev/tty") else {
        return Ok(None);
    };
    let asked = terminal.write_all(question.as_bytes()).and_then(|()| terminal.flush());
    let answer = asked.and_then(|()| answer(&mut BufReader::new(terminal)));
    let answer = answer.map_err(|error| of_file("cannot ask on the terminal", &error, Code::Internal))?;
    Ok(Some(answer.trim().to_owned()))
}

fn answer(terminal: &mut impl BufRead) -> io::Result<String> {
    let mut answer = Vec::new();
    terminal.take(ANSWER_BYTES_MAX).read_until(b'\n', &mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        for (typed, expected) in [
            ("y\n", true),
            ("Yes\n", true),
            (" y ", true),
            ("\n", false),
            ("", false),
            ("no\n", false),
            ("yup\n", false),
        ] {
            assert_eq!(is_yes(&answer(&mut typed.as_bytes()).unwrap()), expected, "{typed:?}");
        }
        let endless = answer(&mut BufReader::new(io::repeat(b'y'))).unwrap();
        assert_eq!(endless.len(), 64);
    }
}
