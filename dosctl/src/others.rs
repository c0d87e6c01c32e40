//! Images to fetch or to view, as a person names them: `OWNER/NAME`, `OWNER/PATTERN` for several, or an album of a peer.
//!
//! What always holds: a pattern and an album stand for images that may be viewed now, of the one peer that is named, whose offers are
//! accepted by that; whoever names one image gets that one.

use std::{collections::HashSet, str::FromStr};

use dos_protocol::{
    AlbumName, Code, ImageArg, PeerId, PeerRef, WireError,
    control::{Command, ListQuery, Outcome},
    limits::PAGE_MAX,
    model::{AccessState, Allowance, ImageInfo, PeerInfo},
    name::NameError,
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    glob,
    own::Named,
    pieces::ENTRIES_MAX,
};

/// `OWNER/ALBUM`, or an album of one's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AlbumArg {
    owner: Option<PeerRef>,
    name: AlbumName,
}

impl FromStr for AlbumArg {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (owner, name) = match text.rsplit_once('/') {
            Some((owner, name)) => (owner.parse().ok(), name),
            None => (None, text),
        };
        // An owner that is none is as wrong as a name that is none.
        let name = if owner.is_none() { text } else { name };
        Ok(Self { owner, name: name.parse()? })
    }
}

impl std::fmt::Display for AlbumArg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.owner {
            Some(owner) => write!(f, "{owner}/{}", self.name),
            None => write!(f, "{}", self.name),
        }
    }
}

/// An image that was named.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chosen {
    /// As it is asked for.
    pub(crate) image: ImageArg,
    /// What the directory lists of it; nothing where it lists none.
    pub(crate) info: Option<ImageInfo>,
}

impl Chosen {
    /// Views left before this one, where a view is spent.
    pub(crate) fn spends(&self) -> Option<Allowance> {
        match &self.info {
            Some(info) => info.access.as_ref().map(|access| access.views_left),
            None => self.image.owner.as_ref().map(|_| Allowance::Unlimited),
        }
    }
}

/// What the peers list whose images were named.
#[derive(Debug, Default)]
struct Listings(Vec<(Option<PeerRef>, Vec<PeerInfo>)>);

impl Listings {
    /// All images of a peer, or of oneself.
    fn of(&mut self, owner: Option<&PeerRef>, context: &Context) -> Result<&[PeerInfo], Error> {
        let known = self.0.iter().position(|(known, _)| known.as_ref() == owner);
        let place = match known {
            Some(place) => place,
            None => {
                self.0.push((owner.cloned(), every_page(owner, context)?));
                self.0.len() - 1
            }
        };
        Ok(self.0.get(place).map_or(&[], |(_, listed)| listed))
    }
}

fn every_page(owner: Option<&PeerRef>, context: &Context) -> Result<Vec<PeerInfo>, Error> {
    let (peer, mine, limit) = (owner.cloned(), owner.is_none(), Some(PAGE_MAX));
    let mut query = ListQuery { peer, mine, limit, ..ListQuery::default() };
    let (mut all, mut entries) = (Vec::new(), 0);
    loop {
        let Outcome::Page { peers, next, .. } = context.ask(Command::List(query.clone()))? else {
            return Err(unexpected());
        };
        entries += peers.iter().map(|peer: &PeerInfo| peer.images.len()).sum::<usize>();
        all.extend(peers);
        match next {
            Some(place) if entries <= ENTRIES_MAX => query.after = Some(place),
            _ => return Ok(all),
        }
    }
}

/// The images that are named, each once, in the order in which they are named and listed.
///
/// # Errors
/// `not_found` if nothing that may be viewed matches a pattern, or is in the album; what peerd reports.
pub(crate) fn chosen(
    named: &[Named],
    album: Option<&AlbumArg>,
    context: &Context,
) -> Result<Vec<Chosen>, Error> {
    let (mut listings, mut all) = (Listings::default(), Vec::new());
    for one in named {
        match one {
            Named::One(image) => {
                let listed = listings.of(image.owner.as_ref(), context)?;
                let mut images = listed.iter().flat_map(|peer| &peer.images);
                let info = images.find(|info| info.name == image.name).cloned();
                all.push(Chosen { image: image.clone(), info });
            }
            Named::Matching(pattern) => {
                let (owner, rest) = split(pattern)?;
                let listed = listings.of(owner.as_ref(), context)?;
                let found = viewable(listed, owner.as_ref(), |info| glob::matches(rest, info.name.as_str()));
                all.extend(some(found, &format!("matches \"{pattern}\""), owner.as_ref())?);
            }
        }
    }
    if let Some(album) = album {
        let listed = listings.of(album.owner.as_ref(), context)?;
        let found = viewable(listed, album.owner.as_ref(), |info| info.album() == Some(&album.name));
        all.extend(some(found, &format!("is in the album {album}"), album.owner.as_ref())?);
    }
    let mut seen = HashSet::new();
    all.retain(|chosen: &Chosen| {
        let key = chosen.info.as_ref().map_or_else(|| chosen.image.to_string(), |info| key(info.owner, info));
        seen.insert(key)
    });
    Ok(all)
}

fn key(owner: PeerId, info: &ImageInfo) -> String {
    format!("{owner}/{}", info.name)
}

/// The owner, and the pattern of names.
fn split(pattern: &str) -> Result<(Option<PeerRef>, &str), Error> {
    let Some((owner, rest)) = pattern.split_once('/') else { return Ok((None, pattern)) };
    match owner.parse() {
        Ok(owner) => Ok((Some(owner), rest)),
        Err(_) => {
            let text = format!("\"{pattern}\": a pattern stands for names of images of one peer");
            Err(WireError::new(Code::Usage, text).hint("dosctl view 'OWNER/PATTERN' -o FOLDER").into())
        }
    }
}

fn viewable(
    listed: &[PeerInfo],
    owner: Option<&PeerRef>,
    is_wanted: impl Fn(&ImageInfo) -> bool,
) -> Vec<Chosen> {
    let may_view = |info: &ImageInfo| match &info.access {
        None => true,
        Some(access) => access.state == AccessState::Granted,
    };
    let images = listed.iter().flat_map(|peer| &peer.images);
    let images = images.filter(|info| may_view(info) && is_wanted(info));
    let chosen = |info: &ImageInfo| {
        let image = ImageArg { owner: owner.cloned(), name: info.name.clone() };
        Chosen { image, info: Some(info.clone()) }
    };
    images.map(chosen).collect()
}

fn some(found: Vec<Chosen>, which: &str, owner: Option<&PeerRef>) -> Result<Vec<Chosen>, Error> {
    if !found.is_empty() {
        return Ok(found);
    }
    let (text, hint) = match owner {
        Some(owner) => (format!("no image that you may view {which}"), format!("dosctl list {owner} --all")),
        None => (
            format!("no image of yours {which}; those of a peer are OWNER/NAME"),
            "dosctl shares --received".into(),
        ),
    };
    Err(WireError::new(Code::NotFound, text).hint(hint).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_album_is_that_of_a_peer_or_of_oneself() {
        for (text, owner) in [("alice/holiday", Some("alice")), ("holiday", None)] {
            let album: AlbumArg = text.parse().unwrap();
            assert_eq!(album.owner, owner.map(|owner| owner.parse().unwrap()));
            assert_eq!((album.name.as_str(), album.to_string().as_str()), ("holiday", text));
        }
        for text in ["", "alice/", "/holiday", "a b/c/d"] {
            assert!(text.parse::<AlbumArg>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_pattern_is_one_of_a_peer() {
        assert_eq!(split("sea*").unwrap(), (None, "sea*"));
        assert_eq!(split("alice/sea*").unwrap(), (Some("alice".parse().unwrap()), "sea*"));
        let error = split("al*/sea").unwrap_err();
        assert_eq!(error.exit_code(), Code::Usage.exit_code());
    }
}
