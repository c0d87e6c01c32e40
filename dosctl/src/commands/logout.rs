//! `dosctl logout`: goes offline and stays so.

use dos_protocol::control::{Command, Outcome};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::json,
};

/// Goes offline, and stays so across restarts of peerd
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs it.
///
/// # Errors
/// Why it could not be done.
pub fn run(_: Args, context: &Context) -> Result<(), Error> {
    match context.ask(Command::Logout)? {
        Outcome::Session { id, state, .. } => {
            context.screen.show(&json::Session { id, state, replayed: None }, |text| {
                text.line(&format!("{id} is {}", state.as_str()));
            })
        }
        _ => Err(unexpected()),
    }
}
