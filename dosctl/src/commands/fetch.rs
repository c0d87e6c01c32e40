//! `dosctl fetch`: brings sealed copies here.

use dos_protocol::{
    Code, ImageArg, ImagePath,
    control::{Command, Outcome, Progress, Way},
};

use crate::{
    context::{Context, unexpected},
    error::{Error, Failure},
    others::{self, AlbumArg},
    output::{
        Stream, json,
        words::{millis, size, way as in_words},
    },
    own::Named,
    progress,
    together::{self, Done, FETCHES, Turn, Work},
};

/// Fetch the sealed copies of images from their owners; spends no view
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl fetch bob/sea
  dosctl fetch 'bob/holiday*' alice/dunes
  dosctl fetch --album bob/holiday")]
pub(crate) struct Args {
    /// Images, as OWNER/NAME, or as OWNER/PATTERN with * and ?
    #[arg(required_unless_present = "album", value_name = "IMAGE")]
    images: Vec<Named>,
    /// Every image of a peer's album that you may view
    #[arg(long, value_name = "OWNER/ALBUM")]
    album: Option<AlbumArg>,
    #[command(flatten)]
    progress: progress::ProgressArgs,
}

/// A copy that is here.
struct Fetched {
    path: ImagePath,
    bytes: u64,
    way: Option<Way>,
    round_trip_us: Option<u64>,
}

impl Fetched {
    fn document(&self) -> json::Fetched<'_> {
        let round_trip_ms = self.round_trip_us.map(millis);
        json::Fetched { image: &self.path, bytes: self.bytes, way: self.way.into(), round_trip_ms }
    }

    fn line(&self, image: &ImageArg) -> String {
        let bytes = size(self.bytes);
        match self.way {
            Some(way) => format!("fetched the sealed copy of {image} ({bytes}; {})", in_words(way)),
            None => format!("the sealed copy of {image} is here ({bytes})"),
        }
    }
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let context = &context.reporting_to(Stream::Out, args.progress.progress);
    if let (None, [Named::One(image)]) = (&args.album, &*args.images) {
        let fetched = fetch(image, context)?;
        return context.screen.show(&fetched.document(), |text| text.line(&fetched.line(image)));
    }
    let chosen = others::chosen(&args.images, args.album.as_ref(), context)?;
    let images: Vec<ImageArg> = chosen.into_iter().map(|chosen| chosen.image).collect();
    let work = Work { jobs: images.clone(), at_once: FETCHES, step: "fetching", bytes: None };
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    together::in_order(work, context, fetch_one, |number, outcome| {
        let Some(image) = images.get(number) else { return Err(unexpected()) };
        match outcome {
            Ok(fetched) => {
                // A person sees how far it is; a script gets one document.
                if !context.screen.is_json() {
                    context.screen.show(&fetched.document(), |text| text.line(&fetched.line(image)))?;
                }
                done.push(fetched);
            }
            Err(Error::Told(error)) if error.code != Code::NoDaemon => {
                failed.push(Failure::new(image.to_string(), error));
            }
            Err(error) => return Err(error),
        }
        Ok(true)
    })?;
    let bytes = done.iter().map(|fetched| fetched.bytes).sum();
    let images = done.iter().map(Fetched::document).collect();
    let document = json::FetchedAll { images, failed: failed.len() };
    context.screen.show(&document, |text| {
        let copies = u64::try_from(done.len()).unwrap_or(u64::MAX);
        let are = if done.len() == 1 { "sealed copy is" } else { "sealed copies are" };
        text.note(&format!("{copies} {are} here ({})", size(bytes)));
    })?;
    if failed.is_empty() { Ok(()) } else { Err(Error::Several(failed)) }
}

fn fetch(image: &ImageArg, context: &Context) -> Result<Fetched, Error> {
    fetched(context.perform(Command::Fetch(image.clone()))?.1)
}

/// One of several.
fn fetch_one(
    image: &ImageArg,
    context: &Context,
    (_, report): (&Turn<'_>, &mut dyn FnMut(Done)),
) -> Result<Fetched, Error> {
    let mut of = |progress: Progress| report((progress.done, progress.total));
    fetched(context.ask_reporting(Command::Fetch(image.clone()), &mut of)?)
}

fn fetched(outcome: Outcome) -> Result<Fetched, Error> {
    match outcome {
        Outcome::Fetched { path, bytes, way, round_trip_us } => {
            Ok(Fetched { path, bytes, way, round_trip_us })
        }
        _ => Err(unexpected()),
    }
}
