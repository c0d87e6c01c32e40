//! `dosctl view`: spends one view and shows the original, or saves its bytes.
//!
//! The place for them is known to be good before a view can be spent: a file is open, a terminal has been asked what it can
//! draw, a viewer has been found. The view is over only when the picture is there; until then the next `view` of the image
//! goes on with it and spends none.

use std::{ffi::OsString, io::Cursor};

use dos_protocol::{
    Allowance, Code, ImageArg, ImageId, ImagePath, WireError,
    control::{Command, Outcome},
};

use crate::{
    client::Client,
    context::{Context, unexpected},
    desktop::Opened,
    draft::{Draft, Place},
    error::Error,
    output::{
        Stream, json,
        words::{size, views_left},
    },
    picture::{Share, Surface, detect::Wanted},
    progress, terminal,
};

/// The most bytes of an original that is drawn in a terminal: it is held in memory for that.
const DRAWN_BYTES_MAX: u64 = 256 << 20;

/// Spend one view and show or save the original; your own images are free
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl view bob/sea                   draw it in the terminal
  dosctl view bob/sea -o sea.jpg        save it
  dosctl view bob/sea --open            open it in the desktop's viewer
  dosctl view bob/sea -o - | convert - sea.png")]
pub(crate) struct Args {
    /// The image, as OWNER/NAME, or NAME for your own
    image: ImageArg,
    /// Save it to FILE, or write it to standard output with -
    #[arg(short, long, value_name = "FILE|-", allow_hyphen_values = true, conflicts_with = "open")]
    output: Option<OsString>,
    /// Open it in the desktop's viewer, from a file in memory that is removed afterwards
    #[arg(long)]
    open: bool,
    /// With --open: run CMD FILE instead of the desktop's viewer
    #[arg(long, value_name = "CMD", env = "DOSCTL_VIEWER", hide_env_values = true)]
    viewer: Option<OsString>,
    /// How to draw it in the terminal
    #[arg(long, value_name = "HOW", env = "DOSCTL_GRAPHICS", hide_env_values = true, default_value = "auto")]
    graphics: Wanted,
    /// Use a view from an earlier checkout, without the directory
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    progress: progress::ProgressArgs,
}

/// Where the original goes.
enum Target {
    File(Draft, Place),
    Terminal(Surface, Vec<u8>),
    Viewer(Opened),
}

/// What peerd reports at the end.
struct Viewed {
    path: ImagePath,
    image_id: ImageId,
    bytes: u64,
    left: Allowance,
}

impl Target {
    fn choose(args: &Args, context: &Context) -> Result<Self, Error> {
        if let Some(output) = &args.output {
            let place = Place::from(output.as_os_str());
            return Ok(Self::File(Draft::open(&place)?, place));
        }
        if args.open {
            return Ok(Self::Viewer(Opened::prepare(context, &args.image, args.viewer.clone())?));
        }
        // A document and a picture cannot share standard output.
        let surface = if context.screen.is_json() { None } else { terminal::surface(args.graphics) };
        surface.map(|surface| Self::Terminal(surface, Vec::new())).ok_or_else(|| {
            let text = "there is nowhere to show the image: add -o FILE, -o - for standard output, or --open";
            let hint = format!("dosctl view '{}' -o FILE", args.image);
            WireError::new(Code::Usage, text).hint(hint).into()
        })
    }

    fn bytes(&self) -> u64 {
        match self {
            Self::File(draft, _) => draft.bytes(),
            Self::Terminal(_, bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Self::Viewer(opened) => opened.bytes(),
        }
    }

    fn write(&mut self, piece: &[u8]) -> Result<(), Error> {
        match self {
            Self::File(draft, _) => draft.write(piece),
            Self::Viewer(opened) => opened.write(piece),
            Self::Terminal(_, bytes) => {
                let more = u64::try_from(bytes.len().saturating_add(piece.len())).unwrap_or(u64::MAX);
                if more > DRAWN_BYTES_MAX {
                    let text = format!("an image of more than {} cannot be drawn", size(DRAWN_BYTES_MAX));
                    return Err(Error::new(Code::Invalid, text));
                }
                bytes.extend_from_slice(piece);
                Ok(())
            }
        }
    }
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let mut target = Target::choose(&args, context)?;
    let streamed = matches!(&target, Target::File(_, Place::Stdout));
    let stream = if streamed { Stream::Err } else { Stream::Out };
    let context = &context.reporting_to(stream, args.progress.progress);
    let command = Command::View { image: args.image.clone(), offline: args.offline };
    let mut client = context.start(command)?;
    let mut sink = |piece: &[u8]| target.write(piece).map_err(|error| still_open(error, &args.image));
    let outcome = context.answer(&mut client, &mut sink)?;
    let Outcome::Viewed { path, image_id, bytes, views_left: left } = outcome else {
        return Err(unexpected());
    };
    if bytes != target.bytes() {
        let text = format!("of {bytes} bytes of {}, {} arrived", args.image, target.bytes());
        return Err(Error::new(Code::Internal, text));
    }
    let viewed = Viewed { path, image_id, bytes, left };
    settle(target, client, &viewed, (&args.image, context))
}

/// Puts the picture where it belongs, then has peerd close the view. If peerd is gone by then, the next `view` goes on with
/// this one: the user has the picture, and has lost nothing.
fn settle(
    target: Target,
    client: Client,
    viewed: &Viewed,
    (image, context): (&ImageArg, &Context),
) -> Result<(), Error> {
    let what = format!("{image} ({}), {}", size(viewed.bytes), views_left(viewed.left));
    let document = || json::Viewed {
        image: &viewed.path,
        bytes: viewed.bytes,
        views_left: viewed.left,
        image_id: viewed.image_id,
    };
    match target {
        Target::File(draft, place) => {
            draft.finish()?;
            client.shown();
            match place {
                Place::Stdout => {
                    context.screen.note(&format!("viewed {what}\n"));
                    Ok(())
                }
                Place::Path(file) => context.screen.show(&document(), |text| {
                    text.line(&format!("saved {what}, in {}", file.display()));
                }),
            }
        }
        Target::Terminal(surface, bytes) => {
            let picture = surface.draw(Cursor::new(bytes), Share::Window);
            let picture = picture.map_err(|error| still_open(WireError::from(error).into(), image))?;
            terminal::draw(&picture)?;
            client.shown();
            context.screen.note(&format!("viewed {what}\n"));
            Ok(())
        }
        Target::Viewer(opened) => {
            let viewer = opened.show().map_err(|error| still_open(error, image))?;
            client.shown();
            context.screen.show(&document(), |text| text.line(&format!("opened {what}")))?;
            viewer.wait(&|note| context.screen.note(note))
        }
    }
}

/// Adds to a failure after a view was spent how to see the picture without spending another.
fn still_open(error: Error, image: &ImageArg) -> Error {
    match error {
        Error::Told(error) if error.hint.is_none() => {
            let message = format!("{}; the view stays open, and saving it costs no other", error.message);
            WireError { message: message.into(), ..error }
                .hint(format!("dosctl view '{image}' -o FILE"))
                .into()
        }
        other => other,
    }
}
