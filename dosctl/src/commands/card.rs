//! `dosctl card`: one's own key, to be given to others.

use dos_protocol::control::{Command, Outcome};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{human, json},
};

/// Show your own card: a link that others trust, and your fingerprint
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Give the link to a person over a channel that you both trust (in person, a call, a mail that you have
exchanged before): `dosctl trust LINK` there makes your key verified, before anything was shared.
Or read the fingerprint to each other: it is the same 30 digits wherever it is shown.

Examples:
  dosctl card
  dosctl card --json | jq -r .link")]
pub(crate) struct Args {}

pub(crate) fn run(_: Args, context: &Context) -> Result<(), Error> {
    context.run(Command::Card, |outcome| match outcome {
        Outcome::Card(card) => context.screen.show(&json::Card::from(&card), |text| human::card(text, &card)),
        _ => Err(unexpected()),
    })
}
