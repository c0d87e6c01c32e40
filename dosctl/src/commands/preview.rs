//! `dosctl preview`: the downsampled image.

use std::ffi::OsString;

use dos_protocol::{
    ImageArg,
    control::{Command, Outcome},
};

use crate::{
    context::{Context, unexpected},
    draft::{Draft, Place},
    error::Error,
    output::{json, words::size},
};

/// Shows or saves the downsampled image; free
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: dosctl preview bob/sea -o sea.webp")]
pub struct Args {
    /// OWNER/NAME, or NAME for one's own
    image: ImageArg,
    /// Saves it in this file, or writes it to standard output (-); otherwise it is only described
    #[arg(short, long, value_name = "FILE|-", allow_hyphen_values = true)]
    output: Option<OsString>,
}

/// Runs it.
///
/// # Errors
/// Why it could not be done.
pub fn run(args: Args, context: &Context) -> Result<(), Error> {
    let place = args.output.as_deref().map(Place::from);
    let mut draft = place.as_ref().map(Draft::open).transpose()?;
    let Outcome::Preview { path, preview } = context.ask(Command::Preview(args.image.clone()))? else {
        return Err(unexpected());
    };
    let info = preview.info();
    let what =
        format!("{} {}x{}, {}", info.format.as_str(), info.width, info.height, size(info.bytes.into()));
    if let Some(mut draft) = draft.take() {
        let streamed = draft.is_stdout();
        draft.write(&preview.data)?;
        draft.finish()?;
        if streamed {
            context.screen.note(&format!("preview of {}: {what}\n", args.image));
            return Ok(());
        }
    }
    context.screen.show(&json::Preview { image: &path, info }, |text| match &place {
        Some(Place::Path(file)) => {
            text.line(&format!("saved the preview of {} in {}: {what}", args.image, file.display()));
        }
        _ => {
            text.line(&format!("preview of {}: {what}", args.image));
            text.note("save it with -o FILE");
        }
    })
}
