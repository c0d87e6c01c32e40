//! `dosctl contacts`: the peers whose keys are pinned.

use dos_protocol::control::{Command, Outcome};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{human, json},
};

/// List the peers whose keys you know, how, and whose key has changed
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A key is pinned the first time that you share with a peer, ask it for access, message it or fetch from it.
From then on only that key is served and believed. `dosctl trust PEER` compares and confirms it.")]
pub(crate) struct Args {}

pub(crate) fn run(_: Args, context: &Context) -> Result<(), Error> {
    context.run(Command::Contacts, |outcome| match outcome {
        Outcome::Contacts(contacts) => {
            context.screen.show(&json::Contacts::new(&contacts), |text| human::known(text, &contacts))
        }
        _ => Err(unexpected()),
    })
}
