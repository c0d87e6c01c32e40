//! `dosctl remove`: withdraws an image.

use dos_protocol::{
    ImageName,
    control::{Command, Outcome},
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::json,
};

/// Withdraws an image of one's own and every right to it
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image's name
    name: ImageName,
}

/// Runs it.
///
/// # Errors
/// Why it could not be done.
pub fn run(args: Args, context: &Context) -> Result<(), Error> {
    match context.ask(Command::Remove(args.name))? {
        Outcome::Removed(path) => context.screen.show(&json::Removed { image: &path }, |text| {
            text.line(&format!("removed {} and every right to it", path.name));
        }),
        _ => Err(unexpected()),
    }
}
