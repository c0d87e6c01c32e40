//! `dosctl status`: how things stand.

use dos_protocol::control::{Command, Outcome};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{human, json},
};

/// Shows this daemon, its ID, its session, and what is pending
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs it.
///
/// # Errors
/// Why it could not be done.
pub fn run(_: Args, context: &Context) -> Result<(), Error> {
    match context.ask(Command::Status)? {
        Outcome::Status(status) => {
            context.screen.show(&json::Status::from(&*status), |text| human::status(text, &status))
        }
        _ => Err(unexpected()),
    }
}
