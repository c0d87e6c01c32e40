//! `dosctl watch`: events as they happen.

use dos_protocol::control::Command;

use crate::{
    context::Context,
    error::Error,
    output::{human, json},
};

/// Shows events as they happen, until interrupted
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs it.
///
/// # Errors
/// Why it could not be done.
pub fn run(_: Args, context: &Context) -> Result<(), Error> {
    context.follow(Command::Watch { peers: Vec::new() }, &mut |event| {
        context.screen.show(&json::Event::from(event), |text| human::event(text, event))
    })
}
