//! One's own images, as a person names them: `NAME`, `OWNER/NAME` with oneself for the owner, or a pattern for several.

use std::{collections::HashSet, str::FromStr};

use dos_protocol::{
    Code, ImageArg, ImageName, PeerRef, WireError,
    control::{Command, ListQuery, Outcome, Status},
    limits::PAGE_MAX,
    model::{ImageArgError, ImageInfo},
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    glob,
    pieces::ENTRIES_MAX,
};

/// Images that an argument names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named {
    /// One.
    One(ImageArg),
    /// All whose names match.
    Matching(Box<str>),
}

impl FromStr for Named {
    type Err = ImageArgError;

    fn from_str(text: &str) -> Result<Self, ImageArgError> {
        if glob::is_glob(text) { Ok(Self::Matching(text.into())) } else { text.parse().map(Self::One) }
    }
}

/// The name of an image of one's own.
///
/// # Errors
/// `invalid` if it is another peer's.
pub(crate) fn name_of(image: ImageArg, context: &Context) -> Result<ImageName, Error> {
    let Some(owner) = &image.owner else { return Ok(image.name) };
    let Outcome::Status(status) = context.ask(Command::Status)? else { return Err(unexpected()) };
    if is_self(owner, &status) {
        return Ok(image.name);
    }
    let error = WireError::new(Code::Invalid, format!("{image} is not yours"));
    Err(error.hint("dosctl list --mine").into())
}

fn is_self(peer: &PeerRef, status: &Status) -> bool {
    match peer {
        PeerRef::Id(id) => status.id == Some(*id),
        PeerRef::Name(name) => status.name.as_ref() == Some(name),
        PeerRef::Address(address) => status.address == Some(*address),
    }
}

/// The names of the images of one's own that are named, each once.
///
/// # Errors
/// `not_found` if nothing matches a pattern; `invalid` for another peer's.
pub(crate) fn names_of(named: Vec<Named>, context: &Context) -> Result<Vec<ImageName>, Error> {
    let mut all = None;
    let mut names = Vec::new();
    for one in named {
        let pattern = match one {
            Named::One(image) => {
                names.push(name_of(image, context)?);
                continue;
            }
            Named::Matching(pattern) => pattern,
        };
        let all = match &mut all {
            Some(all) => all,
            none => none.insert(images(context)?),
        };
        let matching = all.iter().filter(|image| glob::matches(&pattern, image.name.as_str()));
        let before = names.len();
        names.extend(matching.map(|image| image.name.clone()));
        if names.len() == before {
            let text = format!("no image of yours matches \"{pattern}\"");
            return Err(WireError::new(Code::NotFound, text).hint("dosctl list --mine --all").into());
        }
    }
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    Ok(names)
}

/// Every image of one's own.
///
/// # Errors
/// If the directory cannot be asked.
pub(crate) fn images(context: &Context) -> Result<Vec<ImageInfo>, Error> {
    let mut query = ListQuery { mine: true, limit: Some(PAGE_MAX), ..ListQuery::default() };
    let mut all = Vec::new();
    loop {
        let Outcome::Page { peers, next, .. } = context.ask(Command::List(query.clone()))? else {
            return Err(unexpected());
        };
        all.extend(peers.into_iter().flat_map(|peer| peer.images));
        match next {
            Some(place) if all.len() <= ENTRIES_MAX => query.after = Some(place),
            _ => return Ok(all),
        }
    }
}
