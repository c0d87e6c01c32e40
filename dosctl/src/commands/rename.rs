//! `dosctl rename`: gives an image another name.

use dos_protocol::{
    ImageName,
    control::{Command, Outcome},
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::json,
};

/// Gives an image of one's own another name; the rights to it go on
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image's name
    name: ImageName,
    /// Its new name
    new: ImageName,
}

/// Runs it.
///
/// # Errors
/// Why it could not be done.
pub fn run(args: Args, context: &Context) -> Result<(), Error> {
    let Args { name, new } = args;
    match context.ask(Command::Rename { name: name.clone(), new })? {
        Outcome::Image(image) => context.screen.show(&json::Image::from(&*image), |text| {
            text.line(&format!("renamed {name} to {}", image.name));
        }),
        _ => Err(unexpected()),
    }
}
