//! `dosctl broadcast`: a message to every peer that is online.

use dos_protocol::control::{Command, Outcome};

use super::send::checked;
use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{json, words::count},
};

/// Send a message to every peer that is online and has not blocked you
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: dosctl broadcast \"the scanner is free\"")]
pub(crate) struct Args {
    /// Text of the message
    text: String,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    context.run(Command::Broadcast(checked(args.text)?), |outcome| match outcome {
        Outcome::Told(told) => context.screen.show(&json::Told { told }, |text| match told {
            0 => text.line("no other peer is online"),
            told => text.line(&format!("sent to {}", count(told, "peer"))),
        }),
        _ => Err(unexpected()),
    })
}
