//! `dosctl remove`: withdraws images.

use dos_protocol::control::{Command, Outcome};

use crate::{
    context::{Context, unexpected},
    error::Error,
    many,
    output::{json, words::count},
    own::{self, Named},
};

/// Remove images of yours from the directory, with every grant to them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dosctl remove sea
  dosctl remove dunes 'holiday*'")]
pub(crate) struct Args {
    /// Names of images, or patterns with * and ?
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<Named>,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    if let [Named::One(image)] = &*args.images {
        let name = own::name_of(image.clone(), context)?;
        return context.run(Command::Remove(name), |outcome| match outcome {
            Outcome::Removed(path) => context.screen.show(&json::Removed { image: &path }, |text| {
                text.line(&format!("removed {} and every grant to it", path.name));
            }),
            _ => Err(unexpected()),
        });
    }
    let names = own::names_of(args.images, context)?;
    let changes = names.into_iter().map(|name| (name.to_string(), Command::Remove(name)));
    let came = many::perform(changes.collect(), context)?;
    let removed = came.done.iter().filter_map(|outcome| match outcome {
        Outcome::Removed(path) => Some(path),
        _ => None,
    });
    let document = json::RemovedAll { images: removed.collect(), failed: came.failed.len() };
    let number = u64::try_from(document.images.len()).unwrap_or(u64::MAX);
    context.screen.show(&document, |text| {
        text.line(&format!("removed {} and every grant to them", count(number, "image")));
    })?;
    came.shown()
}
