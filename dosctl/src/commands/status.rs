//! `dosctl status`: the daemon, its session, and what is pending.

use dos_protocol::control::{Command, Outcome};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{human, json},
};

/// Show the daemon, its ID, its session and what is pending
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: Args, context: &Context) -> Result<(), Error> {
    context.run(Command::Status, |outcome| match outcome {
        Outcome::Status(status) => {
            context.screen.show(&json::Status::from(&*status), |text| human::status(text, &status))
        }
        _ => Err(unexpected()),
    })
}
