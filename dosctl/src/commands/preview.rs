//! `dosctl preview`: the small version of an image.

use std::ffi::OsString;

use dos_host::shell::quoted;
use dos_protocol::{
    Code, ImageArg, WireError,
    control::{Command, Outcome},
    directory::Preview,
    limits::LARGE_PREVIEW_PIXELS,
    model::Format,
    record::SignatureState,
};

use crate::{
    context::{Context, unexpected},
    decoder::Decoder,
    draft::{self, Draft, Existing, How, Place},
    error::Error,
    output::{
        json,
        words::{self, size},
    },
    picture::{Share, detect::Wanted},
    terminal,
};

/// What a preview takes of the window, at most: 256 pixels at the size of usual cells.
const SHARE: Share = Share::Cells(48, 20);

/// Show or save the preview of an image; spends no view
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl preview bob/sea
  dosctl preview bob/sea -o sea.jpg
  dosctl preview bob/sea --size 64 -o icon.jpg")]
pub(crate) struct Args {
    /// The image, as OWNER/NAME, or NAME for your own
    image: ImageArg,
    /// Save it to FILE, or write it to standard output with -
    #[arg(short, long, value_name = "FILE|-", allow_hyphen_values = true)]
    output: Option<OsString>,
    /// Permissions of FILE, as chmod takes them in octal [default: 600, less what the umask takes away]
    #[arg(long, value_name = "MODE", requires = "output", value_parser = draft::mode)]
    mode: Option<u32>,
    /// Scale it down to N pixels on its longer edge; it is never enlarged
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(LARGE_PREVIEW_PIXELS)))]
    size: Option<u32>,
    /// How to draw it in the terminal
    #[arg(long, value_name = "HOW", env = "DOSCTL_GRAPHICS", hide_env_values = true, default_value = "auto")]
    graphics: Wanted,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let place = args.output.as_deref().map(Place::from);
    let how = How { existing: Existing::Replace, mode: args.mode };
    let mut draft = place.as_ref().map(|place| Draft::open(place, how)).transpose()?;
    let draws = draft.is_none() && !context.screen.is_json();
    let surface = if draws { terminal::surface(args.graphics) } else { None };
    let Outcome::Preview { path, preview, signature, as_of } =
        context.ask(Command::Preview(args.image.clone()))?
    else {
        return Err(unexpected());
    };
    let preview = match args.size {
        Some(side) => sized(preview, side, context)?,
        None => preview,
    };
    let info = preview.info();
    if let Some(at) = as_of {
        context.screen.note(&words::out_of_reach(at));
    }
    if signature == Some(SignatureState::None) {
        context.screen.note("warning: its owner has not signed this preview: its peerd is an older one\n");
    }
    let what =
        format!("{} {}x{}, {}", info.format.as_str(), info.width, info.height, size(info.bytes.into()));
    if let Some(mut draft) = draft.take() {
        let streamed = draft.is_stdout();
        draft.write(&preview.data)?;
        context.screen.warn(draft.finish()?.as_deref());
        if streamed {
            context.screen.note(&format!("preview of {}: {what}\n", args.image));
            return Ok(());
        }
    }
    if let Some(surface) = &surface {
        let hint = format!("dosctl preview {} -o FILE", quoted(&args.image.to_string()));
        let mut decoder = Decoder::start().map_err(|error| error.hint(hint))?;
        terminal::draw(&decoder.draw(&preview.data, (surface, SHARE))?)?;
    }
    context.screen.show(
        &json::Preview {
            image: &path,
            info,
            signature: signature.map(SignatureState::as_str),
            as_of: as_of.map(json::Moment),
        },
        |text| match &place {
            Some(Place::Path(file)) => {
                text.line(&format!("saved the preview of {} in {}: {what}", args.image, file.display()));
            }
            _ => {
                text.line(&format!("preview of {}: {what}", args.image));
                text.note("save it with -o FILE");
            }
        },
    )
}

/// The preview within a square of `side` pixels. One that is smaller stays as it is, and that is said: there is nothing more to be seen at
/// the directory.
fn sized(preview: Preview, side: u32, context: &Context) -> Result<Preview, Error> {
    let (width, height) = (preview.width, preview.height);
    let longest = width.max(height);
    if longest < side {
        context
            .screen
            .note(&format!("the preview has {width}x{height} pixels, which is all that there is of it\n"));
    }
    if longest <= side {
        return Ok(preview);
    }
    let failed = |error: String| {
        let text = "the preview cannot be scaled";
        WireError::new(Code::Invalid, text).caused_by(error).hint("dosctl preview IMAGE")
    };
    let mut decoder = Decoder::start().map_err(|error| error.hint("dosctl preview IMAGE"))?;
    let small = decoder.scale(&preview.data, (side, side));
    let small = small.map_err(|error| failed(error.to_string()))?;
    let data = small.to_jpeg().map_err(|error| failed(error.to_string()))?;
    Ok(Preview { format: Format::Jpeg, width: small.width, height: small.height, data })
}
