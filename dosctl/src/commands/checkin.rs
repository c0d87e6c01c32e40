//! `dosctl checkin`: gives held views back.

use dos_protocol::{
    ImageArg,
    control::{Command, Outcome},
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{json, words::views_left},
};

/// Gives back the unused views of a checkout
#[derive(Debug, clap::Args)]
pub struct Args {
    /// OWNER/NAME
    image: ImageArg,
}

/// Runs it.
///
/// # Errors
/// Why it could not be done.
pub fn run(args: Args, context: &Context) -> Result<(), Error> {
    match context.ask(Command::Checkin(args.image.clone()))? {
        Outcome::Held { path, held, views_left: left } => {
            context.screen.show(&json::Held { image: &path, held, views_left: left }, |text| {
                text.line(&format!("unused views of {} are given back; {}", args.image, views_left(left)));
            })
        }
        _ => Err(unexpected()),
    }
}
