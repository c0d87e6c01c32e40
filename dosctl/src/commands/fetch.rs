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

/// Brings the sealed copy of an image here, peer to peer; spends no view
#[derive(Debug, clap::Args)]
pub struct Args {
    /// OWNER/NAME
    image: ImageArg,
    #[command(flatten)]
    progress: progress::ProgressArgs,
}

/// Runs it.
///
/// # Errors
/// Why it could not be done.
pub fn run(args: Args, context: &Context) -> Result<(), Error> {
    let context = &context.reporting_to(Stream::Out, args.progress.progress);
    match context.ask(Command::Fetch(args.image.clone()))? {
        Outcome::Fetched { path, bytes, way, round_trip_us } => {
            let round_trip_ms = round_trip_us.map(millis);
            let told = json::Fetched { image: &path, bytes, way: way.into(), round_trip_ms };
            context.screen.show(&told, |text| {
                text.line(&match way {
                    Some(way) => format!(
                        "fetched the sealed copy of {} ({}; {})",
                        args.image,
                        size(bytes),
                        in_words(way)
                    ),
                    None => format!("the sealed copy of {} is here ({})", args.image, size(bytes)),
                });
            })
        }
        _ => Err(unexpected()),
    }
}
