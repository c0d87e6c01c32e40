//! `dosctl blocks`: who is blocked.

use dos_protocol::control::{Command, Outcome};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{human, json},
};

/// Lists whom you have blocked
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs it.
///
/// # Errors
/// Why it could not be done.
pub fn run(_: Args, context: &Context) -> Result<(), Error> {
    match context.ask(Command::Blocks)? {
        Outcome::Blocks(blocks) => {
            context.screen.show(&json::Blocks::new(&blocks), |text| human::blocks(text, &blocks))
        }
        _ => Err(unexpected()),
    }
}
