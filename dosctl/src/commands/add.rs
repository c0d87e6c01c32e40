//! `dosctl add`: publishes images. Each file is read here and streamed to peerd, whatever its size.
//!
//! Several files are sealed and looked at beside each other, and published in their order. It goes on after a failure; the first failure
//! decides the exit code.

mod folder;

use std::{
    collections::HashSet,
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use dos_host::shell::quoted;
use dos_protocol::{
    AlbumName, Code, Description, ImageName, WireError,
    control::{AddOptions, AlbumChange, Command, Outcome, Spends},
    model::ImageInfo,
};

use super::set;
use crate::{
    client::Client,
    context::{Context, Taker, unexpected},
    error::{Error, Failure},
    many,
    output::{Stream, human, json, words::count},
    own,
    progress::{self, Meter},
    source::Source,
    together::{self, Done, Turn, Work},
};
use folder::Plan;

/// Publish images; the originals stay here, the directory gets previews
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl add sea.jpg dunes.png
  dosctl add -r Pictures/holiday --album holiday
  dosctl add letter.png --private
  dosctl add sea.jpg --description 'A fishing boat between two cliffs, at dawn'
  dosctl add DSC_0042.JPG --name sea --keep-date
  dosctl add sea-retouched.jpg --name sea --replace
  dosctl add IMG_0042.HEIC scan.tif
  scanimage --format=png | dosctl add - --name scan")]
pub(crate) struct Args {
    /// Image files of any format; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Add the images in folders, and in those inside them; what is published already, unchanged, is skipped
    #[arg(short, long, conflicts_with_all = ["name", "replace", "any"])]
    recursive: bool,
    /// Name of the image, with one FILE [default: the file name without its extension]
    #[arg(long)]
    name: Option<ImageName>,
    /// Replace the image of the same name; the grants to it stay
    #[arg(long)]
    replace: bool,
    /// Refuse images whose preview shows them in part or not at all
    #[arg(long)]
    strict: bool,
    /// Put the images into this album, also those in folders that are published already
    #[arg(long, value_name = "ALBUM")]
    album: Option<AlbumName>,
    /// What is to be seen on the image, with one FILE; for those who do not see it, up to 500 bytes
    #[arg(long, value_name = "TEXT", conflicts_with = "recursive")]
    description: Option<Description>,
    /// Show others when the picture was taken, if its camera has written that down; nothing else of the metadata, and no place
    #[arg(long)]
    keep_date: bool,
    /// Only peers that have a grant see that the image is there, its name and its preview
    #[arg(long, conflicts_with = "listed")]
    private: bool,
    /// Every peer of the directory sees the image's name and preview [default: as the directory's operator has it]
    #[arg(long)]
    listed: bool,
    /// Take any file, also what is no image or too damaged to be shown
    #[arg(long)]
    any: bool,
    #[command(flatten)]
    progress: progress::ProgressArgs,
}

impl Args {
    /// The command by which a file gets this name, at once or when its turn comes.
    fn command(&self, name: ImageName, in_turn: bool) -> Command {
        let options = AddOptions { strict: self.strict, any: self.any, keep_date: self.keep_date, in_turn };
        let visibility = set::visibility(self.private, self.listed);
        if visibility.is_none() && self.album.is_none() && self.description.is_none() {
            return Command::Add { name, replace: self.replace, options: Some(options) };
        }
        let (album, description) = (self.album.clone(), self.description.clone());
        Command::AddAs { name, replace: self.replace, options, visibility, album, description }
    }
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let context = &context.reporting_to(Stream::Out, args.progress.progress);
    for (option, is_given) in [("--name", args.name.is_some()), ("--description", args.description.is_some())]
    {
        if is_given && args.files.len() > 1 {
            let error = WireError::new(Code::Usage, format!("{option} goes with one file only"));
            return Err(error.hint("dosctl add --help").into());
        }
    }
    if args.recursive {
        return add_folders(&Arc::new(args), context);
    }
    let mut tally = Tally::default();
    if let [path] = args.files.as_slice() {
        // There is nothing to say of one file that is not said of the command.
        let added = add_one(&args, (path, args.name.as_ref()), context)?;
        tally.take(path, Ok(added), context)?;
    } else {
        let files = args.files.iter().map(|path| (path.clone(), None)).collect();
        add_all(&Arc::new(args), (files, None), &mut tally, context)?;
    }
    tally.show(None, context)
}

/// A file, and the name that its image is to have, if that is not the file's own.
type File = (PathBuf, Option<ImageName>);

/// One of several files.
struct Job {
    file: File,
    /// A file before it has the same name: nothing of this one begins before that one has ended.
    is_second: bool,
}

/// Files that are read, sealed and looked at beside each other: enough to keep the processors busy while one is being published.
fn at_once() -> usize {
    thread::available_parallelism().map_or(2, usize::from).saturating_add(1).min(AT_ONCE_MAX)
}

/// Each is a command of its own to peerd, and as much memory as a picture takes.
const AT_ONCE_MAX: usize = 8;

/// Adds several files. They are published one after the other, so that the newest come in their order; all bytes are known where folders are
/// among them.
fn add_all(
    args: &Arc<Args>,
    (files, bytes): (Vec<File>, Option<u64>),
    tally: &mut Tally,
    context: &Context,
) -> Result<(), Error> {
    let mut names = HashSet::new();
    let jobs = files.iter().cloned().map(|file| {
        let name = file.1.clone().or_else(|| name_of(&file.0).ok());
        let name = name.map(|name| name.composed().unwrap_or(name));
        Job { is_second: name.is_some_and(|name| !names.insert(name)), file }
    });
    let work = Work { jobs: jobs.collect(), at_once: at_once(), step: "adding", bytes };
    let args = Arc::clone(args);
    let one = move |job: &Job, context: &Context, (turn, report): (&Turn<'_>, &mut dyn FnMut(Done))| {
        if job.is_second {
            turn.wait();
        }
        add(&args, (&job.file.0, job.file.1.as_ref()), context, (Some(turn), report))
    };
    together::in_order(work, context, one, |number, outcome| {
        let Some((path, _)) = files.get(number) else { return Err(unexpected()) };
        tally.take(path, outcome, context)
    })
}

/// Adds a file, with progress of its own.
fn add_one(args: &Args, file: (&Path, Option<&ImageName>), context: &Context) -> Result<Added, Error> {
    let mut meter = Meter::new(context.reporting);
    add(args, file, context, (None, &mut |(done, total)| meter.show("adding", done, total)))
}

/// Adds what folders have and is not published yet.
fn add_folders(args: &Arc<Args>, context: &Context) -> Result<(), Error> {
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) =
        args.files.iter().cloned().partition(|path| path.is_dir());
    let published = own::images(context)?;
    let Plan { new, unchanged, skipped, bytes } = folder::plan(&folders, &published)?;
    let new = new.into_iter().map(|new| (new.path, Some(new.name)));
    let all: Vec<File> = new.chain(files.into_iter().map(|path| (path, None))).collect();
    let mut tally = Tally::default();
    add_all(args, (all, Some(bytes)), &mut tally, context)?;
    tally.failed.extend(settle(args, (&published, &unchanged), context)?);
    let unchanged = u64::try_from(unchanged.len()).unwrap_or(u64::MAX);
    tally.show(Some((unchanged, skipped)), context)
}

/// Has what is published already be seen as is wanted, and in the album; what that fails for.
fn settle(
    args: &Args,
    (published, unchanged): (&[ImageInfo], &[ImageName]),
    context: &Context,
) -> Result<Vec<Failure>, Error> {
    let visibility = set::visibility(args.private, args.listed);
    let differs = |image: &ImageInfo| {
        visibility.is_some_and(|wanted| wanted != image.visibility)
            || args.album.as_ref().is_some_and(|wanted| Some(wanted) != image.album())
    };
    let other: HashSet<&ImageName> =
        published.iter().filter(|image| differs(image)).map(|image| &image.name).collect();
    let changes = unchanged.iter().filter(|name| other.contains(name)).map(|name| {
        let album = args.album.clone().map(AlbumChange::In);
        (name.to_string(), Command::Set { name: name.clone(), visibility, album, description: None })
    });
    let came = many::perform(changes.collect(), context)?;
    match came.shown() {
        Ok(()) => Ok(Vec::new()),
        Err(Error::Several(failed)) => Ok(failed),
        Err(error) => Err(error),
    }
}

/// What came of several files.
#[derive(Default)]
struct Tally {
    added: Vec<ImageInfo>,
    warnings: Vec<json::Warning>,
    failed: Vec<Failure>,
}

impl Tally {
    /// Takes what came of one; whether it makes sense to go on.
    fn take(&mut self, path: &Path, outcome: Result<Added, Error>, context: &Context) -> Result<bool, Error> {
        match outcome {
            Ok(Added { image, warning, asides, client }) => {
                asides.iter().for_each(|aside| context.screen.warn(Some(aside)));
                if let Some(warning) = &warning {
                    context.screen.warn(Some(&format!("{}: {warning}", image.name)));
                }
                // The one document comes at the end.
                if !context.screen.is_json() {
                    context.screen.show(&(), |text| human::image(text, "added", &image))?;
                }
                // Also before that document is shown: one connection for each file would be too many.
                client.shown();
                let warning = warning.map(|message| json::Warning { image: image.name.clone(), message });
                self.warnings.extend(warning);
                self.added.push(image);
                Ok(true)
            }
            Err(Error::Told(error)) => {
                let gone = error.code == Code::NoDaemon;
                // peerd does not know the file's name.
                let file = if gone { String::new() } else { format!("\"{}\"", path.display()) };
                self.failed.push(Failure::new(file, error));
                Ok(!gone)
            }
            Err(other) => Err(other),
        }
    }

    /// Shows it; of folders with how many were unchanged, and how many files were no images.
    fn show(self, of_folders: Option<(u64, u64)>, context: &Context) -> Result<(), Error> {
        let Self { added, warnings, failed } = self;
        if context.screen.is_json() && (!added.is_empty() || of_folders.is_some()) {
            let images = added.iter().map(json::Image::from).collect();
            let unchanged = of_folders.map(|(unchanged, _)| unchanged);
            let skipped = of_folders.map(|(_, skipped)| skipped);
            context.screen.show(&json::Images { images, warnings, unchanged, skipped }, |_| {})?;
        } else if let Some((unchanged, skipped)) = of_folders {
            let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
            let mut line = format!("added {}, {unchanged} unchanged", count(number(added.len()), "image"));
            if skipped > 0 {
                line += &format!(", {} skipped: no images", count(skipped, "file"));
            }
            if !failed.is_empty() {
                line += &format!(", {} failed", failed.len());
            }
            context.screen.note(&format!("{line}\n"));
        }
        if failed.is_empty() { Ok(()) } else { Err(Error::Several(failed)) }
    }
}

/// Of an image that was added with `--keep-date`, and whose record does not say when it was taken.
const NO_DATE: &str = "no date was kept: the file does not say when the picture was taken, or peerd or the directory is of an earlier \
                       release";

/// An image that was added, and the connection on which that was told.
struct Added {
    image: ImageInfo,
    warning: Option<Box<str>>,
    /// What else a person may want to know of it.
    asides: Vec<String>,
    client: Client,
}

/// Adds a file.
fn add(
    args: &Args,
    (path, name): (&Path, Option<&ImageName>),
    context: &Context,
    (turn, report): (Option<&Turn<'_>>, &mut dyn FnMut(Done)),
) -> Result<Added, Error> {
    let name = match name {
        Some(name) => name.clone(),
        None => name_of(path)?,
    };
    let mut source = Source::open(path, args.any)?;
    let total = source.bytes();
    let mut client = context.start(args.command(name, turn.is_some()))?;
    report((0, total));
    // Whether peerd took everything or not: why is in its answer.
    client.send_file(&mut source, &mut |sent| report((sent, total)))?;
    let outcome = context.answer(&mut client, &mut Waiting(turn));
    let outcome = outcome.map_err(|error| with_file(error, path))?;
    let (image, warning) = match outcome {
        Outcome::Image(image) => (*image, None),
        Outcome::Added { image, warning } => (*image, Some(warning)),
        _ => return Err(unexpected()),
    };
    let lost = set::lost(args.description.as_ref(), &image).map(str::to_owned);
    let dateless =
        (args.keep_date && image.taken_at().is_none()).then(|| format!("{}: {NO_DATE}", image.name));
    Ok(Added { asides: lost.into_iter().chain(dateless).collect(), image, warning, client })
}

/// Has peerd wait until it is the image's turn to be published.
struct Waiting<'a>(Option<&'a Turn<'a>>);

impl Taker for Waiting<'_> {
    fn prepare(&mut self, _: u64, _: Option<Spends>) -> Result<(), Error> {
        self.0.ok_or_else(unexpected)?.wait();
        Ok(())
    }

    fn take(&mut self, _: &[u8]) -> Result<(), Error> {
        Err(unexpected())
    }
}

/// Puts the file's name into a hint of peerd, which does not know it.
fn with_file(error: Error, path: &Path) -> Error {
    match error {
        Error::Told(error) => {
            let hint = error.hint.as_ref().map(|hint| {
                let file = path.to_str().map_or_else(|| "FILE".into(), quoted);
                hint.replacen(" FILE ", &format!(" {file} "), 1).into()
            });
            Error::Told(WireError { hint, ..error })
        }
        other => other,
    }
}

fn name_of(path: &Path) -> Result<ImageName, WireError> {
    let stem = path.file_stem().unwrap_or_default();
    if path.as_os_str() == "-" {
        let text = "standard input has no name";
        return Err(WireError::new(Code::Usage, text).hint("dosctl add - --name NAME"));
    }
    ImageName::from_file_stem(&text_of(stem)).map_err(|error| {
        WireError::new(Code::Invalid, format!("\"{}\" does not suggest a name", path.display()))
            .caused_by(error.to_string())
            .hint("dosctl add FILE --name NAME")
    })
}

/// A file's name as text. Bytes that are not UTF-8 are written as `%FF`, so that different names stay different.
fn text_of(name: &OsStr) -> String {
    let mut text = String::new();
    for chunk in name.as_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_that_are_not_utf8_suggest_different_names() {
        let name = |bytes: &[u8]| name_of(Path::new(OsStr::from_bytes(bytes))).unwrap().to_string();
        assert_eq!(name(b"sea\xff.jpg"), "sea%FF");
        assert_eq!(name(b"sea\xfe.jpg"), "sea%FE");
        assert_eq!(name("sée.jpg".as_bytes()), "sée");
        assert_eq!(name(b"\xe9t\xe9"), "%E9t%E9");
    }
}
