//! `dosctl password`: sets the password with which the ID can be taken back, or removes it.

use dos_protocol::control::{Command, Outcome};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::json,
    password::{Source, Typed},
};

/// Sets or changes the password with which the ID can be taken back on another machine
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: dosctl password, and on the other machine dosctl login --server LINK --name NAME"
)]
pub struct Args {
    /// Removes it: without the key the ID is then lost
    #[arg(long, conflicts_with_all = ["password_stdin", "password_file"])]
    remove: bool,
    #[command(flatten)]
    source: Source,
}

/// Runs it.
///
/// # Errors
/// Why it could not be done.
pub fn run(args: Args, context: &Context) -> Result<(), Error> {
    let password = if args.remove { None } else { Some(args.source.read(Typed::Twice)?) };
    let state = if password.is_some() { "set" } else { "removed" };
    match context.ask(Command::SetPassword(password))? {
        Outcome::Done => context.screen.show(&json::PasswordState { password: state }, |text| {
            text.line(&format!("the password is {state}"));
        }),
        _ => Err(unexpected()),
    }
}
