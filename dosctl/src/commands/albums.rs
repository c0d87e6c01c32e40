//! `dosctl albums`: every album of one's own.

use dos_protocol::control::{Command, Outcome};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{human, json},
};

/// List your albums
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: Args, context: &Context) -> Result<(), Error> {
    let Outcome::Albums(albums) = context.ask(Command::Albums)? else { return Err(unexpected()) };
    context.screen.show(&json::Albums { albums: &albums }, |text| human::albums(text, &albums))
}
