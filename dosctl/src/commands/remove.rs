//! `dosctl remove`: withdraws an image.

use dos_protocol::{
    ImageArg,
    control::{Command, Outcome},
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::json,
    own,
};

/// Remove an image of yours from the directory, with every grant to it
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: dosctl remove sea")]
pub(crate) struct Args {
    /// Name of the image
    name: ImageArg,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    context.run(Command::Remove(own::name_of(args.name, context)?), |outcome| match outcome {
        Outcome::Removed(path) => context.screen.show(&json::Removed { image: &path }, |text| {
            text.line(&format!("removed {} and every grant to it", path.name));
        }),
        _ => Err(unexpected()),
    })
}
