//! `dosctl set`: who may see images of one's own, and which album they are in.

use clap::ArgGroup;
use dos_protocol::{
    AlbumName, ImageName, Visibility,
    control::{AlbumChange, Command, Outcome},
    model::ImageInfo,
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    many,
    output::{Text, json, words::count},
    own::{self, Named},
};

/// Say who may see images of yours, or put them into an album
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl set sea --private
  dosctl set 'holiday*' --album holiday
  dosctl set sea --listed --no-album")]
#[command(group(
    ArgGroup::new("change").args(["private", "listed", "album", "no_album"]).required(true).multiple(true)
))]
pub(crate) struct Args {
    /// Names of images, or patterns with * and ?
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<Named>,
    /// Only peers that have a grant see that the image is there, its name and its preview
    #[arg(long, conflicts_with = "listed")]
    private: bool,
    /// Every peer of the directory sees the image's name and preview
    #[arg(long)]
    listed: bool,
    /// Put the image into this album, out of any other
    #[arg(long, value_name = "ALBUM", conflicts_with = "no_album")]
    album: Option<AlbumName>,
    /// Take the image out of its album
    #[arg(long)]
    no_album: bool,
}

/// What two options say of who may see an image; nothing if neither is given.
pub(crate) fn visibility(private: bool, listed: bool) -> Option<Visibility> {
    match (private, listed) {
        (true, _) => Some(Visibility::Private),
        (false, true) => Some(Visibility::Listed),
        (false, false) => None,
    }
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let visibility = visibility(args.private, args.listed);
    let album = if args.no_album { Some(AlbumChange::Out) } else { args.album.map(AlbumChange::In) };
    let set = |name: ImageName| Command::Set { name, visibility, album: album.clone() };
    if let [Named::One(image)] = &*args.images {
        let name = own::name_of(image.clone(), context)?;
        return context.run(set(name), |outcome| match outcome {
            Outcome::Image(image) => {
                context.screen.show(&json::Image::from(&*image), |text| line(text, &image))
            }
            _ => Err(unexpected()),
        });
    }
    let names = own::names_of(args.images, context)?;
    let changes = names.into_iter().map(|name| (name.to_string(), set(name)));
    let came = many::perform(changes.collect(), context)?;
    let images: Vec<&ImageInfo> = came.done.iter().filter_map(changed).collect();
    let document = json::Set {
        images: images.iter().copied().map(json::Image::from).collect(),
        failed: came.failed.len(),
    };
    context.screen.show(&document, |text| {
        let number = u64::try_from(images.len()).unwrap_or(u64::MAX);
        text.line(&format!("set {}", count(number, "image")));
    })?;
    came.shown()
}

fn changed(outcome: &Outcome) -> Option<&ImageInfo> {
    if let Outcome::Image(image) = outcome { Some(image) } else { None }
}

fn line(text: &mut Text, image: &ImageInfo) {
    let seen = match image.visibility {
        Visibility::Listed => "listed",
        Visibility::Private => "private: only peers with a grant see it",
    };
    let album = image.album().map(|album| format!(" (in album {album})")).unwrap_or_default();
    text.line(&format!("{}{album} is {seen}", image.name));
}
