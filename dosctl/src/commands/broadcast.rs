//! `dosctl broadcast`: says something to everybody who is online.

use dos_protocol::control::{Command, Outcome};

use super::send::checked;
use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{json, words::count},
};

/// Says something to every peer that is online and has not blocked you
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What it says
    text: String,
}

/// Runs it.
///
/// # Errors
/// Why it could not be done.
pub fn run(args: Args, context: &Context) -> Result<(), Error> {
    match context.ask(Command::Broadcast(checked(args.text)?))? {
        Outcome::Told(told) => context.screen.show(&json::Told { told }, |text| match told {
            0 => text.line("there was nobody to tell"),
            told => text.line(&format!("told {}", count(told, "peer"))),
        }),
        _ => Err(unexpected()),
    }
}
