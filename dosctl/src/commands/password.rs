//! `dosctl password`: sets the password with which another machine gets the ID and its key, or removes it.

use dos_protocol::control::{Command, Outcome};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::json,
    password::{Source, Typed},
};

/// Set, change or remove the password with which another machine gets your ID and key
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl password
  dosctl password --remove

On another machine: dosctl login --server LINK --name NAME")]
pub(crate) struct Args {
    /// Remove the password: whoever loses the key has then lost the ID
    #[arg(long, conflicts_with_all = ["password_stdin", "password_file"])]
    remove: bool,
    #[command(flatten)]
    source: Source,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let password = if args.remove { None } else { Some(args.source.read(Typed::Twice)?) };
    let state = if password.is_some() { "set" } else { "removed" };
    context.run(Command::SetPassword(password), |outcome| match outcome {
        Outcome::Done => context.screen.show(&json::PasswordState { password: state }, |text| {
            text.line(&format!("the password is {state}"));
        }),
        _ => Err(unexpected()),
    })
}
