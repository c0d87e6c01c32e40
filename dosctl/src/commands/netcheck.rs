//! `dosctl netcheck`: what peerd knows of its network.

use dos_protocol::control::{Command, Outcome};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{human, json},
};

/// Show how this machine's daemon is seen from outside, and what would help others to reach it
#[derive(Debug, clap::Args)]
#[command(after_help = "`dosctl ping PEER --explain` tries every way to one peer.")]
pub(crate) struct Args {}

pub(crate) fn run(_: Args, context: &Context) -> Result<(), Error> {
    context.run(Command::Netcheck, |outcome| match outcome {
        Outcome::Netcheck(netcheck) => {
            context.screen.show(&json::Netcheck::from(&*netcheck), |text| human::netcheck(text, &netcheck))
        }
        _ => Err(unexpected()),
    })
}
