//! `dosctl checkin`: returns the views of a checkout that are left.

use dos_protocol::{
    ImageArg,
    control::{Command, Outcome},
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{json, words::views_left},
};

/// Return the unused views of a checkout
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: dosctl checkin bob/sea")]
pub(crate) struct Args {
    /// The image, as OWNER/NAME
    image: ImageArg,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    context.run(Command::Checkin(args.image.clone()), |outcome| match outcome {
        Outcome::Held { path, held, views_left: left } => {
            context.screen.show(&json::Held { image: &path, held, views_left: left }, |text| {
                text.line(&format!("returned the unused views of {}; {}", args.image, views_left(left)));
            })
        }
        _ => Err(unexpected()),
    })
}
