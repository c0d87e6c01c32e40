//! `dosctl set`: who may see images of one's own, which album they are in, and what is to be seen on them.

use clap::ArgGroup;
use dos_protocol::{
    AlbumName, Description, ImageName, Visibility,
    control::{AlbumChange, Command, DescriptionChange, Outcome},
    model::ImageInfo,
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    many,
    output::{Text, json, words::count},
    own::{self, Named},
};

/// Say who may see images of yours, put them into an album, or describe them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl set sea --private
  dosctl set 'holiday*' --album holiday
  dosctl set sea --listed --no-album
  dosctl set sea --description 'A fishing boat between two cliffs, at dawn'")]
#[command(group(
    ArgGroup::new("change")
        .args(["private", "listed", "album", "no_album", "description", "no_description"])
        .required(true)
        .multiple(true)
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
    /// What is to be seen on the image, for those who do not see it; up to 500 bytes, seen by all who see its name
    #[arg(long, value_name = "TEXT", conflicts_with = "no_description")]
    description: Option<Description>,
    /// Take the description away
    #[arg(long)]
    no_description: bool,
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
    let wanted = args.description.clone();
    let description = match wanted.clone() {
        _ if args.no_description => Some(DescriptionChange::Out),
        text => text.map(DescriptionChange::To),
    };
    let set = |name: ImageName| {
        let (album, description) = (album.clone(), description.clone());
        Command::Set { name, visibility, album, description }
    };
    if let [Named::One(image)] = &*args.images {
        let name = own::name_of(image.clone(), context)?;
        return context.run(set(name), |outcome| match outcome {
            Outcome::Image(image) => {
                if let Some(warning) = lost(wanted.as_ref(), &image) {
                    context.screen.warn(Some(warning));
                }
                context.screen.show(&json::Image::from(&*image), |text| line(text, &image))
            }
            _ => Err(unexpected()),
        });
    }
    let names = own::names_of(args.images, context)?;
    let changes = names.into_iter().map(|name| (name.to_string(), set(name)));
    let came = many::perform(changes.collect(), context)?;
    let images: Vec<&ImageInfo> = came.done.iter().filter_map(changed).collect();
    if let Some(warning) = images.iter().find_map(|image| lost(wanted.as_ref(), image)) {
        context.screen.warn(Some(warning));
    }
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

/// Says that a description was not taken: by a peerd or a dosd of an earlier release, which does everything else.
pub(crate) fn lost(wanted: Option<&Description>, image: &ImageInfo) -> Option<&'static str> {
    let is_lost = wanted.is_some() && image.description() != wanted;
    is_lost.then_some("the description was not taken: peerd or the directory is of an earlier release")
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
