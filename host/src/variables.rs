//! The environment, in which an empty variable is no variable: so files for compose and systemd write what is not set.

use std::{env, ffi::OsString};

/// The value of an environment variable, if it has one that is not empty.
#[must_use]
pub fn var_os(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// A command line that takes empty variables for unset ones, in all of its commands.
#[must_use]
pub fn without_empty(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|arg| {
        let is_empty =
            arg.get_env().is_some_and(|name| env::var_os(name).is_some_and(|value| value.is_empty()));
        if is_empty { arg.env(None::<&'static str>) } else { arg }
    });
    command.mut_subcommands(without_empty)
}
