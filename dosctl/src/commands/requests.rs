//! `dosctl requests`: the requests of this peer and to it.

use dos_protocol::control::{Command, Outcome};

use super::sides;
use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{human, json},
};

/// List pending requests
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl requests --incoming    what others request from you
  dosctl requests --all         with approved, denied and cancelled requests

Answer with `dosctl approve REQUEST` or `dosctl deny REQUEST`.")]
pub(crate) struct Args {
    /// Only requests for your images
    #[arg(long)]
    incoming: bool,
    /// Only requests that you have made
    #[arg(long)]
    outgoing: bool,
    /// Include approved, denied and cancelled requests
    #[arg(long)]
    all: bool,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let (incoming, outgoing) = sides(args.incoming, args.outgoing);
    context.run(Command::Requests { incoming, outgoing, all: args.all }, |outcome| match outcome {
        Outcome::Requests { incoming: came, outgoing: went, contacts } => {
            context.screen.show(&json::Requests::new(&came, &went, &contacts), |text| {
                let (came, went) = (incoming.then_some(&came[..]), outgoing.then_some(&went[..]));
                human::requests(text, (came, went), &contacts, args.all);
            })
        }
        _ => Err(unexpected()),
    })
}
