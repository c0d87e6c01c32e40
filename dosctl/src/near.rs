//! The command that was meant, where an argument led to nothing and peerd knows one that would not have.

use std::ffi::OsString;

use dos_host::shell::quoted;
use dos_protocol::{Near, WireError};

use crate::error::Error;

/// Puts the command with the other argument into the hint.
#[must_use]
pub(crate) fn with_command(error: Error, args: &[OsString]) -> Error {
    match error {
        Error::Told(error) => match error.near.as_ref().and_then(|near| command(near, args)) {
            Some(command) => Error::Told(WireError { hint: Some(command.into()), ..error }),
            None => Error::Told(error),
        },
        other => other,
    }
}

/// The command line with what was meant in place of what was given, for a shell.
fn command(near: &Near, args: &[OsString]) -> Option<String> {
    let args: Vec<&str> = args.iter().skip(1).map(|arg| arg.to_str()).collect::<Option<_>>()?;
    let place = args.iter().position(|arg| *arg == &*near.given)?;
    let meant = args.iter().enumerate().map(|(at, arg)| quoted(if at == place { &near.meant } else { arg }));
    Some(format!("dosctl {}", meant.collect::<Vec<_>>().join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_is_the_command_that_was_meant() {
        let near = |given: &str, meant: &str| Near { given: given.into(), meant: meant.into() };
        let args = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        let line = args("/usr/bin/dosctl share sea.jpg bob --views 3");
        assert_eq!(command(&near("sea.jpg", "sea"), &line).unwrap(), "dosctl share sea bob --views 3");
        let line = args("dosctl view sea -o x.jpg");
        let meant = command(&near("sea", "alice/the sea"), &line).unwrap();
        assert_eq!(meant, "dosctl view 'alice/the sea' -o x.jpg");
        // Named in another way than it was typed.
        assert_eq!(command(&near("sea", "alice/sea"), &args("dosctl view se")), None);
    }
}
