//! `view` of several images: where each goes is known, and that the views are wanted, before the first one is spent.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use dos_host::shell::quoted;
use dos_protocol::{
    Code, WireError,
    model::{Allowance, Format},
};

use super::{Args, One, Viewed, view};
use crate::{
    confirm::confirm,
    context::Context,
    error::{Error, Failure},
    others::{self, Chosen},
    output::{json, words::count},
    picture::{Graphics, detect::Wanted},
    terminal,
};

/// Views them, one after the other; what fails stops nothing else.
///
/// # Errors
/// What is wrong with the place, before anything is spent; then the failures.
pub(super) fn run(args: &Args, context: &Context) -> Result<(), Error> {
    let folder = folder(args, context)?;
    let chosen = others::chosen(&args.images, args.album.as_ref(), context)?;
    let files = folder.map(|folder| files(&chosen, folder, args.force)).transpose()?;
    let coarse = files.is_none() && is_coarse(args);
    let agreed = agree(args, (&chosen, coarse), context)?;
    let (mut done, mut failed): (Vec<(Viewed, PathBuf)>, Vec<Failure>) = (Vec::new(), Vec::new());
    for (place, one) in chosen.iter().enumerate() {
        let file = files.as_ref().and_then(|files| files.get(place)).cloned().unwrap_or_default();
        let output = files.as_ref().map(|_| file.as_os_str());
        let viewing = One { args, image: &one.image, output, agreed };
        let show = |viewed: &Viewed, line: &str| {
            // A script gets one document.
            if context.screen.is_json() {
                Ok(())
            } else {
                context.screen.show(&viewed.document(), |text| text.line(line))
            }
        };
        match view(viewing, context, &show) {
            Ok(viewed) => done.push((viewed, file)),
            Err(Error::Told(error)) if error.code != Code::NoDaemon => {
                failed.push(Failure::new(one.image.to_string(), error));
            }
            Err(error) => return Err(error),
        }
    }
    let images = done
        .iter()
        .map(|(viewed, file)| json::ViewedTo { viewed: viewed.document(), file: file.to_string_lossy() });
    let document = json::ViewedAll { images: images.collect(), failed: failed.len() };
    context.screen.show(&document, |text| {
        let viewed = u64::try_from(done.len()).unwrap_or(u64::MAX);
        text.note(&format!("viewed {}", count(viewed, "image")));
    })?;
    if failed.is_empty() { Ok(()) } else { Err(Error::Several(failed)) }
}

/// The folder that `-o` names; nothing where the images are drawn.
fn folder<'a>(args: &'a Args, context: &Context) -> Result<Option<&'a Path>, Error> {
    let usage = |text: String, hint: &str| Err(WireError::new(Code::Usage, text).hint(hint).into());
    if args.open {
        return usage("--open opens one image".into(), "dosctl view IMAGE... -o FOLDER");
    }
    let Some(output) = args.output.as_deref() else {
        if context.screen.is_json() {
            return usage(
                "there is nowhere to put the images: add -o FOLDER".into(),
                "dosctl view IMAGE... -o FOLDER",
            );
        }
        return Ok(None);
    };
    if output == "-" {
        return usage("-o - takes one image".into(), "dosctl view IMAGE... -o FOLDER");
    }
    let folder = Path::new(output);
    if fs::metadata(folder).is_ok_and(|known| known.is_dir()) {
        return Ok(Some(folder));
    }
    let text = format!("several images go to a folder, and there is none at \"{}\"", folder.display());
    let hint = format!("mkdir {}", quoted(&output.to_string_lossy()));
    Err(WireError::new(Code::NotFound, text).hint(hint).into())
}

/// The file of each image: its name, with that of the owner before it where several images have it.
fn files(chosen: &[Chosen], folder: &Path, force: bool) -> Result<Vec<PathBuf>, Error> {
    let mut alike: HashMap<&str, usize> = HashMap::new();
    for one in chosen {
        *alike.entry(one.image.name.as_str()).or_default() += 1;
    }
    let (mut files, mut failed) = (Vec::new(), Vec::new());
    for one in chosen {
        let is_alone = alike.get(one.image.name.as_str()) == Some(&1);
        let file = folder.join(file_name(one, is_alone));
        if !force && fs::symlink_metadata(&file).is_ok() {
            let text = "a file of its name is there already; no view was spent";
            let error =
                WireError::new(Code::Conflict, text).hint("the same command with --force replaces it");
            failed.push(Failure::new(file.display().to_string(), error));
        }
        files.push(file);
    }
    if failed.is_empty() { Ok(files) } else { Err(Error::Several(failed)) }
}

fn file_name(one: &Chosen, is_alone: bool) -> String {
    let name = one.image.name.as_str();
    // A name of an earlier release may be hidden, or lead elsewhere.
    let name = if name.starts_with('.') { format!("_{name}") } else { name.to_owned() };
    let name = match (&one.image.owner, is_alone) {
        (Some(owner), false) => format!("{}-{name}", owner.to_string().replace(['/', ':'], "_")),
        _ => name,
    };
    match one.info.as_ref().map(|info| info.original.format) {
        None | Some(Format::Other | Format::Unknown | Format::Raw) => name,
        Some(format) => format!("{name}.{}", extension(format)),
    }
}

/// As people write it.
fn extension(format: Format) -> &'static str {
    match format {
        Format::Jpeg => "jpg",
        other => other.as_str(),
    }
}

/// Whether they would be drawn with half blocks, which no one has asked for.
fn is_coarse(args: &Args) -> bool {
    let surface = || terminal::surface(args.graphics);
    args.graphics == Wanted::Auto
        && surface().is_some_and(|surface| matches!(surface.graphics, Graphics::Blocks(_)))
}

/// Whether the views are to be spent, asked once of a person. Returns whether that was agreed to.
fn agree(args: &Args, (chosen, coarse): (&[Chosen], bool), context: &Context) -> Result<bool, Error> {
    let spends: Vec<Allowance> = chosen.iter().filter_map(Chosen::spends).collect();
    if args.yes || spends.is_empty() || !context.can_ask() {
        return Ok(args.yes);
    }
    let before = if coarse {
        "This terminal draws with coloured half blocks, which show less than previews, and those are free.\n"
    } else {
        ""
    };
    match confirm(&format!("{before}{}", question(chosen.len(), &spends)))? {
        true => Ok(true),
        false => Err(Error::new(Code::Usage, "not viewed; no view was spent")),
    }
}

fn question(images: usize, spends: &[Allowance]) -> String {
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let last = spends.iter().filter(|left| **left == Allowance::Views(1)).count();
    let last = match last {
        0 => String::new(),
        1 => ", the last one of 1 image".into(),
        more => format!(", the last ones of {more} images"),
    };
    let (images, views) = (count(number(images), "image"), count(number(spends.len()), "view"));
    format!("View {images}? That spends {views}{last}. [y/N] ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(image: &str) -> Chosen {
        Chosen { image: image.parse().unwrap(), info: None }
    }

    #[test]
    fn a_person_is_told_how_many_views_that_spends() {
        let [last, more] = [1, 3].map(Allowance::Views);
        for (images, spends, expected) in [
            (2, vec![more, more], "View 2 images? That spends 2 views. [y/N] "),
            (3, vec![more, last], "View 3 images? That spends 2 views, the last one of 1 image. [y/N] "),
            (2, vec![last, last], "View 2 images? That spends 2 views, the last ones of 2 images. [y/N] "),
        ] {
            assert_eq!(question(images, &spends), expected);
        }
        assert_eq!(chosen("sea").spends(), None, "one's own are free");
        assert_eq!(chosen("bob/sea").spends(), Some(Allowance::Unlimited));
    }

    #[test]
    fn no_two_images_get_the_same_file_and_a_file_that_is_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let all = ["alice/sea", "bob/sea", "hill"].map(chosen);
        let named = files(&all, folder.path(), false).unwrap();
        let names: Vec<_> = named.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["alice-sea", "bob-sea", "hill"]);
        fs::write(folder.path().join("hill"), "mine").unwrap();
        let error = files(&all, folder.path(), false).unwrap_err();
        assert_eq!(error.exit_code(), Code::Conflict.exit_code());
        assert_eq!(files(&all, folder.path(), true).unwrap(), named);
    }
}
