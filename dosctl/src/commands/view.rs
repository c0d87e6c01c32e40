//! `dosctl view`: spends one view and shows the original, or saves its bytes.
//!
//! The place for them is known to be good before a view is spent: a file is open and has the room, a terminal has been asked what it
//! can draw, a viewer has been found. The view is over when the first byte comes: what fails afterwards has used it.

mod consent;
mod several;

use std::ffi::{OsStr, OsString};

use dos_host::shell::quoted;
use dos_protocol::{
    Allowance, Code, ImageArg, ImageId, ImagePath, WireError,
    control::{Command, Outcome, Spends},
};

use crate::{
    client::Client,
    context::{Context, Taker, unexpected},
    decoder::Decoder,
    desktop::Opened,
    draft::{self, Draft, Existing, How, Place},
    error::Error,
    others::AlbumArg,
    output::{
        Stream, json,
        words::{size, views_left},
    },
    own::Named,
    picture::{Graphics, Share, Surface, detect::Wanted},
    progress, terminal,
};
use consent::Consent;

/// The most bytes of an original that is drawn in a terminal: it is held in memory for that.
const DRAWN_BYTES_MAX: u64 = 256 << 20;

/// Spend one view and show or save the original; your own images are free
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl view bob/sea                   draw it in the terminal
  dosctl view bob/sea -o sea.jpg        save it
  dosctl view bob/sea --open            open it in the desktop's viewer
  dosctl view bob/sea -o - | convert - sea.png
  dosctl view 'bob/holiday*' -o pictures

A view is counted before the first byte of the picture comes, and gives the picture once. Before \
that nothing is lost: a FILE that cannot be written or has no room, a refusal, and a lost \
connection to the directory cost no view. Afterwards the view is used: a crash of dosctl or peerd, \
or a reader that stops early, costs at most the one view in flight.

A person at a terminal is asked before the last view is spent (--last agrees), and before one is spent on a terminal \
that can draw nothing but coloured half blocks (--yes agrees to both). Before several views are spent a person is \
asked once. A script is asked nothing.")]
pub(crate) struct Args {
    /// Images, as OWNER/NAME, as OWNER/PATTERN with * and ?, or NAME for your own
    #[arg(required_unless_present = "album", value_name = "IMAGE")]
    images: Vec<Named>,
    /// Every image of a peer's album that you may view
    #[arg(long, value_name = "OWNER/ALBUM")]
    album: Option<AlbumArg>,
    /// Save it to FILE, or write it to standard output with -; several go to a folder, each under its name
    #[arg(short, long, value_name = "FILE|FOLDER|-", allow_hyphen_values = true, conflicts_with = "open")]
    output: Option<OsString>,
    /// Replace FILE if it exists
    #[arg(short, long, requires = "output")]
    force: bool,
    /// Permissions of FILE, as chmod takes them in octal [default: 600, less what the umask takes away]
    #[arg(long, value_name = "MODE", requires = "output", value_parser = draft::mode)]
    mode: Option<u32>,
    /// Open it in the desktop's viewer, from a file in memory that is removed afterwards
    #[arg(long)]
    open: bool,
    /// With --open: run CMD FILE instead of the desktop's viewer
    #[arg(long, value_name = "CMD", env = "DOSCTL_VIEWER", hide_env_values = true)]
    viewer: Option<OsString>,
    /// How to draw it in the terminal
    #[arg(long, value_name = "HOW", env = "DOSCTL_GRAPHICS", hide_env_values = true, default_value = "auto")]
    graphics: Wanted,
    /// Ask nothing before the view is spent, whatever it shows and however few are left
    #[arg(short, long)]
    yes: bool,
    /// Do not ask before the last view is spent
    #[arg(long)]
    last: bool,
    /// Use a view from an earlier checkout, without the directory
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    progress: progress::ProgressArgs,
}

/// One image that is viewed.
#[derive(Clone, Copy)]
struct One<'a> {
    args: &'a Args,
    image: &'a ImageArg,
    /// Where it is saved.
    output: Option<&'a OsStr>,
    /// It was agreed to before, with others.
    agreed: bool,
}

/// Where the original goes.
enum Target {
    File(Draft, Place),
    Terminal(Box<Drawing>),
    Viewer(Opened),
}

/// What is drawn at the end.
struct Drawing {
    surface: Surface,
    /// Before the view is spent.
    decoder: Decoder,
    bytes: Vec<u8>,
}

/// What peerd reports at the end.
struct Viewed {
    path: ImagePath,
    image_id: ImageId,
    bytes: u64,
    left: Allowance,
}

impl Target {
    fn choose(one: One<'_>, context: &Context) -> Result<Self, Error> {
        let One { args, image, .. } = one;
        if let Some(output) = one.output {
            let place = Place::from(output);
            let existing = if args.force { Existing::Replace } else { Existing::Refuse };
            let how = How { existing, mode: args.mode };
            let draft = Draft::open(&place, how).map_err(|error| with_force(error, image))?;
            return Ok(Self::File(draft, place));
        }
        if args.open {
            return Ok(Self::Viewer(Opened::prepare(context, image, args.viewer.clone())?));
        }
        // A document and a picture cannot share standard output.
        let surface = if context.screen.is_json() { None } else { terminal::surface(args.graphics) };
        let Some(surface) = surface else {
            let text = "there is nowhere to show the image: add -o FILE, -o - for standard output, or --open";
            let hint = format!("dosctl view {} -o FILE", quoted(&image.to_string()));
            return Err(WireError::new(Code::Usage, text).hint(hint).into());
        };
        let decoder = Decoder::start().map_err(|error| elsewhere(error.into(), image, NOT_SPENT))?;
        Ok(Self::Terminal(Box::new(Drawing { surface, decoder, bytes: Vec::new() })))
    }

    fn bytes(&self) -> u64 {
        match self {
            Self::File(draft, _) => draft.bytes(),
            Self::Terminal(drawing) => u64::try_from(drawing.bytes.len()).unwrap_or(u64::MAX),
            Self::Viewer(opened) => opened.bytes(),
        }
    }

    /// Makes sure that there is room.
    fn reserve(&self, bytes: u64) -> Result<(), Error> {
        match self {
            Self::File(draft, _) => draft.reserve(bytes),
            Self::Viewer(opened) => opened.reserve(bytes),
            Self::Terminal(..) if bytes > DRAWN_BYTES_MAX => {
                let text = format!("an image of more than {} cannot be drawn", size(DRAWN_BYTES_MAX));
                Err(Error::new(Code::Invalid, text))
            }
            Self::Terminal(..) => Ok(()),
        }
    }

    fn write(&mut self, piece: &[u8]) -> Result<(), Error> {
        let more = self.bytes().saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        match self {
            Self::File(draft, _) => draft.write(piece),
            Self::Viewer(opened) => opened.write(piece),
            Self::Terminal(..) => {
                // Of a peerd that has not said how much would come.
                self.reserve(more)?;
                if let Self::Terminal(drawing) = self {
                    drawing.bytes.extend_from_slice(piece);
                }
                Ok(())
            }
        }
    }
}

/// The target of a view, and what is agreed with peerd about it.
struct Viewing<'a> {
    target: Target,
    image: &'a ImageArg,
    /// Whether peerd has said how many bytes come, and spends the view only then. One of the first release does not, and keeps
    /// the view open until it hears that the picture was shown.
    agreed: bool,
    /// Until the view is known to be wanted.
    consent: Option<Consent>,
}

impl Taker for Viewing<'_> {
    fn prepare(&mut self, bytes: u64, spends: Option<Spends>) -> Result<(), Error> {
        self.agreed = true;
        self.target.reserve(bytes).map_err(|error| elsewhere(error, self.image, NOT_SPENT))?;
        // Once: what comes again is the same image, replaced meanwhile.
        self.consent.take().map_or(Ok(()), |consent| consent.obtain(spends, self.image))
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.target.write(piece).map_err(|error| elsewhere(error, self.image, cost(self.agreed)))
    }
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let stdout = args.output.as_deref().is_some_and(|output| output == "-");
    let stream = if stdout { Stream::Err } else { Stream::Out };
    let context = &context.reporting_to(stream, args.progress.progress);
    if let (None, [Named::One(image)]) = (&args.album, &*args.images) {
        let one = One { args: &args, image, output: args.output.as_deref(), agreed: false };
        return view(one, context, &|viewed, line| {
            context.screen.show(&viewed.document(), |text| text.line(line))
        })
        .map(drop);
    }
    several::run(&args, context)
}

/// Views one; `show` shows what came of it, where there is a place for that.
fn view(one: One<'_>, context: &Context, show: Show<'_>) -> Result<Viewed, Error> {
    let One { args, image, agreed, .. } = one;
    let target = Target::choose(one, context)?;
    let command = Command::View { image: image.clone(), offline: args.offline, asks: true };
    let mut client = context.start(command)?;
    let coarse = args.graphics == Wanted::Auto
        && matches!(&target, Target::Terminal(drawing) if matches!(drawing.surface.graphics, Graphics::Blocks(_)));
    let consent = Consent { yes: args.yes || agreed, last: args.last, coarse, can_ask: context.can_ask() };
    let mut viewing = Viewing { target, image, agreed: false, consent: Some(consent) };
    let outcome = context.answer(&mut client, &mut viewing)?;
    let Viewing { target, agreed, .. } = viewing;
    let Outcome::Viewed { path, image_id, bytes, views_left: left } = outcome else {
        return Err(unexpected());
    };
    if bytes != target.bytes() {
        let text = format!("of {bytes} bytes of {image}, {} arrived", target.bytes());
        return Err(Error::new(Code::Internal, text));
    }
    let viewed = Viewed { path, image_id, bytes, left };
    settle(target, Some(client).filter(|_| !agreed), &viewed, (image, context, show))?;
    Ok(viewed)
}

impl Viewed {
    fn document(&self) -> json::Viewed<'_> {
        json::Viewed { image: &self.path, bytes: self.bytes, views_left: self.left, image_id: self.image_id }
    }
}

/// What shows what came of a view.
type Show<'a> = &'a dyn Fn(&Viewed, &str) -> Result<(), Error>;

/// Puts the picture where it belongs, and tells a peerd of the first release that it is there.
fn settle(
    target: Target,
    older: Option<Client>,
    viewed: &Viewed,
    (image, context, show): (&ImageArg, &Context, Show<'_>),
) -> Result<(), Error> {
    let what = format!("{image} ({}), {}", size(viewed.bytes), views_left(viewed.left));
    match target {
        Target::File(draft, place) => {
            let warning = draft.finish().map_err(|error| with_force(error, image))?;
            context.screen.warn(warning.as_deref());
            shown(older);
            match place {
                Place::Stdout => {
                    context.screen.note(&format!("viewed {what}\n"));
                    Ok(())
                }
                Place::Path(file) => show(viewed, &format!("saved {what}, in {}", file.display())),
            }
        }
        Target::Terminal(drawing) => {
            let Drawing { surface, mut decoder, bytes } = *drawing;
            let picture = decoder.draw(&bytes, (&surface, Share::Window));
            let picture = picture.map_err(|error| elsewhere(error.into(), image, cost(older.is_none())))?;
            terminal::draw(&picture)?;
            shown(older);
            context.screen.note(&format!("viewed {what}\n"));
            Ok(())
        }
        Target::Viewer(opened) => {
            let viewer = opened
                .show(older.is_none())
                .map_err(|error| elsewhere(error, image, cost(older.is_none())))?;
            shown(older);
            show(viewed, &format!("opened {what}"))?;
            viewer.wait(&|note| context.screen.note(note))
        }
    }
}

const NOT_SPENT: &str = "no view was spent";

/// What a failure has cost after the picture has begun to come.
fn cost(agreed: bool) -> &'static str {
    if agreed { "the view is used" } else { "the view stays open, and saving it costs no other" }
}

fn shown(older: Option<Client>) {
    if let Some(client) = older {
        client.shown();
    }
}

/// Adds to a failure what it cost, and how to save the picture instead.
fn elsewhere(error: Error, image: &ImageArg, cost: &str) -> Error {
    match error {
        Error::Told(error) if error.hint.is_none() => {
            let message = format!("{}; {cost}", error.message);
            let hint = format!("dosctl view {} -o FILE", quoted(&image.to_string()));
            WireError { message: message.into(), ..error }.hint(hint).into()
        }
        other => other,
    }
}

/// Adds to the refusal of a file that exists how to replace it.
fn with_force(error: Error, image: &ImageArg) -> Error {
    match error {
        Error::Told(error) if error.code == Code::Conflict => {
            error.hint(format!("dosctl view {} -o FILE --force", quoted(&image.to_string()))).into()
        }
        other => other,
    }
}
