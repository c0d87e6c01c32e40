//! `dosctl shares`: the grants that this peer has given or received.

use dos_protocol::{
    Timestamp,
    control::{Command, Outcome},
};

use super::sides;
use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{human, json},
};

/// List grants, with the views left and used
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: dosctl shares --received")]
pub(crate) struct Args {
    /// Only grants that you have given
    #[arg(long)]
    given: bool,
    /// Only grants that you have received
    #[arg(long)]
    received: bool,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let (given, received) = sides(args.given, args.received);
    context.run(Command::Shares { given, received }, |outcome| match outcome {
        Outcome::Grants { given: gave, received: got, now } => {
            // By the directory's clock; an older peerd does not know it.
            let now = now.unwrap_or_else(Timestamp::now);
            context.screen.show(&json::Shares::new(&gave, &got, now), |text| {
                text.now = now;
                human::shares(text, given.then_some(&gave[..]), received.then_some(&got[..]));
            })
        }
        _ => Err(unexpected()),
    })
}
