//! `dosctl name`: another name for oneself.

use dos_protocol::{
    PeerName,
    control::{Command, Outcome},
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{json, words::peer},
};

/// Take another name; others find you under it from now on, and the old one is free
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: dosctl name alicia")]
pub(crate) struct Args {
    /// The new name: 1 to 32 of a-z 0-9 . _ -
    new: PeerName,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    context.run(Command::Name(args.new), |outcome| match outcome {
        Outcome::Named { id, was, name } => {
            let told = json::Named { id, name: &name, was: was.as_ref() };
            context.screen.show(&told, |text| {
                text.line(&format!("{} is {name} now", peer(was.as_ref(), id)));
                if was.as_ref().is_some_and(|was| *was != name) {
                    text.note("others find you under it from now on, and the old name is free");
                }
            })
        }
        _ => Err(unexpected()),
    })
}
