//! `dosctl add`: publishes images. Each file is read here and streamed to peerd, whatever its size.
//!
//! With several files it goes on after a failure; the first failure decides the exit code.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use dos_protocol::{
    Code, ImageName, WireError,
    control::{AddOptions, Command, Outcome},
    model::ImageInfo,
};

use crate::{
    client::Client,
    context::{Context, no_data, unexpected},
    error::{Error, Failure},
    output::{Stream, human, json},
    progress::{self, Meter},
    source::Source,
};

/// Publish images; the originals stay here, the directory gets previews
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl add sea.jpg dunes.png
  dosctl add DSC_0042.JPG --name sea
  dosctl add sea-retouched.jpg --name sea --replace
  convert sea.tif jpeg:- | dosctl add - --name sea")]
pub(crate) struct Args {
    /// Image files: JPEG, PNG, WebP or GIF; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Name of the image, with one FILE [default: the file name without its extension]
    #[arg(long)]
    name: Option<ImageName>,
    /// Replace the image of the same name; the grants to it stay
    #[arg(long)]
    replace: bool,
    /// Refuse images that are damaged, even if they can be shown in part
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    progress: progress::ProgressArgs,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let context = &context.reporting_to(Stream::Out, args.progress.progress);
    if args.name.is_some() && args.files.len() > 1 {
        let error = WireError::new(Code::Usage, "--name goes with one file only");
        return Err(error.hint("dosctl add --help").into());
    }
    let (mut added, mut warnings, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for path in &args.files {
        match add(path, &args, context) {
            Ok(Added { image, warning, client }) => {
                if let Some(warning) = &warning {
                    context.screen.warn(Some(&format!("{}: {warning}", image.name)));
                }
                // The one document comes at the end.
                if !context.screen.is_json() {
                    context.screen.show(&(), |text| human::image(text, "added", &image))?;
                }
                // Also before that document is shown: one connection for each file would be too many.
                client.shown();
                warnings.extend(warning.map(|message| json::Warning { image: image.name.clone(), message }));
                added.push(image);
            }
            // There is nothing to say of one file that is not said of the command.
            Err(error) if args.files.len() == 1 => return Err(error),
            Err(Error::Told(error)) => {
                let gone = error.code == Code::NoDaemon;
                // peerd does not know the file's name.
                let file = if gone { String::new() } else { format!("\"{}\"", path.display()) };
                failed.push(Failure::new(file, error));
                if gone {
                    break;
                }
            }
            Err(other) => return Err(other),
        }
    }
    if context.screen.is_json() && !added.is_empty() {
        let images = added.iter().map(json::Image::from).collect();
        context.screen.show(&json::Images { images, warnings }, |_| {})?;
    }
    if failed.is_empty() { Ok(()) } else { Err(Error::Several(failed)) }
}

/// An image that was added, and the connection on which that was told.
struct Added {
    image: ImageInfo,
    warning: Option<Box<str>>,
    client: Client,
}

fn add(path: &Path, args: &Args, context: &Context) -> Result<Added, Error> {
    let name = match &args.name {
        Some(name) => name.clone(),
        None => name_of(path)?,
    };
    let mut source = Source::open(path)?;
    let total = source.bytes();
    let options = Some(AddOptions { strict: args.strict });
    let mut client = context.start(Command::Add { name, replace: args.replace, options })?;
    let mut meter = Meter::new(context.reporting);
    meter.show("adding", 0, total);
    let sent = client.send_file(&mut source, &mut |sent| meter.show("adding", sent, total));
    drop(meter);
    // Whether peerd took everything or not: why is in its answer.
    sent?;
    match context.answer(&mut client, &mut no_data)? {
        Outcome::Image(image) => Ok(Added { image: *image, warning: None, client }),
        Outcome::Added { image, warning } => Ok(Added { image: *image, warning: Some(warning), client }),
        _ => Err(unexpected()),
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
