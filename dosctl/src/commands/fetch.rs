//! `dosctl fetch`: brings a sealed copy here.

use dos_protocol::{
    ImageArg,
    control::{Command, Outcome},
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{json, words::size},
};

/// Brings the sealed copy of an image here, peer to peer; spends no view
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
    match context.ask(Command::Fetch(args.image.clone()))? {
        Outcome::Fetched { path, bytes, way: _ } => {
            context.screen.show(&json::Fetched { image: &path, bytes }, |text| {
                text.line(&format!("fetched the sealed copy of {} ({})", args.image, size(bytes)));
            })
        }
        _ => Err(unexpected()),
    }
}
