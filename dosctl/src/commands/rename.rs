//! `dosctl rename`: gives an image another name.

use dos_protocol::{
    ImageArg, ImageName,
    control::{Command, Outcome},
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::json,
    own,
};

/// Rename an image of yours; the grants to it stay
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: dosctl rename sea \"Sea at dawn\"")]
pub(crate) struct Args {
    /// Name of the image
    name: ImageArg,
    /// New name
    new: ImageName,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let Args { name, new } = args;
    let name = own::name_of(name, context)?;
    context.run(Command::Rename { name: name.clone(), new }, |outcome| match outcome {
        Outcome::Image(image) => context.screen.show(&json::Image::from(&*image), |text| {
            text.line(&format!("renamed {name} to {}", image.name));
        }),
        _ => Err(unexpected()),
    })
}
