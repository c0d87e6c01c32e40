//! A question that a person answers on the terminal.

use std::io::{self, BufRead, IsTerminal, Write};

use dos_protocol::{Code, WireError};

use crate::error::Error;

/// An answer is a word.
const ANSWER_BYTES_MAX: u64 = 64;

/// Asks on standard error and reads the answer from standard input; anything but `y` or `yes` is no.
///
/// # Errors
/// `usage` with `hint` if there is no terminal.
pub(crate) fn confirm(question: &str, hint: &str) -> Result<bool, Error> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let error = WireError::new(Code::Usage, "there is no terminal to ask on");
        return Err(error.hint(hint).into());
    }
    let mut out = io::stderr();
    let asked = write!(out, "{question} [y/N] ").and_then(|()| out.flush());
    asked.map_err(|error| Error::new(Code::Internal, format!("cannot ask: {error}")))?;
    let mut answer = String::new();
    let read = io::Read::take(io::stdin().lock(), ANSWER_BYTES_MAX).read_line(&mut answer);
    read.map_err(|error| Error::new(Code::Internal, format!("cannot read the answer: {error}")))?;
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_one() {
        for yes in ["y\n", "Y", " yes \n", "YES"] {
            assert!(is_yes(yes), "{yes:?}");
        }
        for no in ["", "\n", "n", "no", "yep", "y y"] {
            assert!(!is_yes(no), "{no:?}");
        }
    }
}
