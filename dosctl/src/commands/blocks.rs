//! `dosctl blocks`: the blocked peers.

use dos_protocol::control::{Command, Outcome};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{human, json},
};

/// List the peers that you have blocked
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: Args, context: &Context) -> Result<(), Error> {
    context.run(Command::Blocks, |outcome| match outcome {
        Outcome::Blocks(blocks) => {
            context.screen.show(&json::Blocks::new(&blocks), |text| human::blocks(text, &blocks))
        }
        _ => Err(unexpected()),
    })
}
