//! `dosctl view`: spends one view and brings the original's bytes.
//!
//! The place for them is open before a view can be spent, and gets its name only if every byte has arrived.

use std::ffi::OsString;

use dos_protocol::{
    Code, ImageArg, WireError,
    control::{Command, Outcome},
};

use crate::{
    context::{Context, unexpected},
    draft::{Draft, Place},
    error::Error,
    output::{
        json,
        words::{size, views_left},
    },
};

/// Spends one view and saves the full image; one's own images are free
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: dosctl view bob/sea -o sea.jpg")]
pub struct Args {
    /// OWNER/NAME, or NAME for one's own
    image: ImageArg,
    /// Saves it in this file, or writes it to standard output (-)
    #[arg(short, long, value_name = "FILE|-", allow_hyphen_values = true)]
    output: Option<OsString>,
    /// Uses a view from an earlier checkout, without the directory
    #[arg(long)]
    offline: bool,
}

/// Runs it.
///
/// # Errors
/// Why it could not be done.
pub fn run(args: Args, context: &Context) -> Result<(), Error> {
    let Some(output) = args.output else {
        let text = "say where the image goes: -o FILE, or -o - for standard output";
        let hint = format!("dosctl view '{}' -o FILE", args.image);
        return Err(WireError::new(Code::Usage, text).hint(hint).into());
    };
    let place = Place::from(output.as_os_str());
    let mut draft = Draft::open(&place)?;
    let command = Command::View { image: args.image.clone(), offline: args.offline };
    let mut client = context.start(command)?;
    let outcome = context.answer(&mut client, &mut |piece| draft.write(piece))?;
    let Outcome::Viewed { path, image_id, bytes, views_left: left } = outcome else {
        return Err(unexpected());
    };
    if bytes != draft.bytes() {
        let text = format!("of {bytes} bytes of {}, {} arrived", args.image, draft.bytes());
        return Err(Error::new(Code::Internal, text));
    }
    draft.finish()?;
    // If peerd is gone by now, the next `view` goes on with this one: the user has the picture, and has lost nothing.
    client.shown();
    let what = format!("{} ({}), {}", args.image, size(bytes), views_left(left));
    match place {
        Place::Stdout => {
            context.screen.note(&format!("viewed {what}\n"));
            Ok(())
        }
        Place::Path(file) => {
            let document = json::Viewed { image: &path, bytes, views_left: left, image_id };
            context.screen.show(&document, |text| {
                text.line(&format!("saved {what}, in {}", file.display()));
            })
        }
    }
}
