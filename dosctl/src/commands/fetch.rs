//! `dosctl fetch`: brings a sealed copy here.

use dos_protocol::{
    ImageArg,
    control::{Command, Outcome},
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::{
        Stream, json,
        words::{millis, size, way as in_words},
    },
    progress,
};

/// Fetch the sealed copy of an image from its owner; spends no view
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: dosctl fetch bob/sea")]
pub(crate) struct Args {
    /// The image, as OWNER/NAME
    image: ImageArg,
    #[command(flatten)]
    progress: progress::ProgressArgs,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let context = &context.reporting_to(Stream::Out, args.progress.progress);
    context.run(Command::Fetch(args.image.clone()), |outcome| match outcome {
        Outcome::Fetched { path, bytes, way, round_trip_us } => {
            let round_trip_ms = round_trip_us.map(millis);
            let told = json::Fetched { image: &path, bytes, way: way.into(), round_trip_ms };
            let (image, bytes) = (&args.image, size(bytes));
            context.screen.show(&told, |text| {
                text.line(&match way {
                    Some(way) => format!("fetched the sealed copy of {image} ({bytes}; {})", in_words(way)),
                    None => format!("the sealed copy of {image} is here ({bytes})"),
                });
            })
        }
        _ => Err(unexpected()),
    })
}
