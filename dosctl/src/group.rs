//! Peers as arguments: one, or all of a group.

use std::{collections::HashSet, str::FromStr};

use dos_protocol::{
    Code, PeerName, PeerRef, WireError,
    control::{Command, Group, Outcome},
    model::PeerRefError,
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    output::words,
};

/// Whom an argument names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whom {
    /// One peer.
    Peer(PeerRef),
    /// The peers of a group.
    Group(PeerName),
}

impl FromStr for Whom {
    type Err = PeerRefError;

    fn from_str(text: &str) -> Result<Self, PeerRefError> {
        match text.strip_prefix('@') {
            Some(group) => Ok(Self::Group(group.parse()?)),
            None => text.parse().map(Self::Peer),
        }
    }
}

/// A peer, with the name by which a person knows it.
pub(crate) type Known = (String, PeerRef);

/// The peers that are named, each once, under however many names: what is added to a grant twice would count twice.
///
/// # Errors
/// `not_found` for a group that is not there.
pub(crate) fn peers_of(whom: Vec<Whom>, context: &Context) -> Result<Vec<Known>, Error> {
    let mut groups = None;
    let mut peers: Vec<Known> = Vec::new();
    for one in whom {
        let wanted = match one {
            Whom::Peer(peer) => {
                peers.push((peer.to_string(), peer));
                continue;
            }
            Whom::Group(wanted) => wanted,
        };
        let groups = match &mut groups {
            Some(groups) => groups,
            none => none.insert(all(context)?),
        };
        let Some(group) = groups.iter().find(|group| group.name == wanted) else {
            let error = WireError::new(Code::NotFound, format!("there is no group \"{wanted}\""));
            return Err(error.hint("dosctl groups").into());
        };
        peers.extend(
            group
                .members
                .iter()
                .map(|member| (words::peer(member.name.as_ref(), member.id), PeerRef::Id(member.id))),
        );
    }
    if peers.len() > 1 {
        for (_, peer) in &mut peers {
            identify(peer, context)?;
        }
    }
    let mut seen = HashSet::new();
    peers.retain(|(_, peer)| seen.insert(peer.clone()));
    Ok(peers)
}

/// Puts the ID in place of a name, as peerd understands that name; one that it does not know stays.
fn identify(peer: &mut PeerRef, context: &Context) -> Result<(), Error> {
    if let PeerRef::Id(_) = peer {
        return Ok(());
    }
    match context.ask(Command::Inspect(peer.clone())) {
        Ok(Outcome::Trust { contact, .. }) => *peer = PeerRef::Id(contact.id),
        Ok(_) => return Err(unexpected()),
        // The change itself says why it does not work, of each image.
        Err(Error::Told(error)) if error.code != Code::NoDaemon => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Every group.
///
/// # Errors
/// What peerd reports.
pub(crate) fn all(context: &Context) -> Result<Vec<Group>, Error> {
    match context.ask(Command::Groups)? {
        Outcome::Groups(groups) => Ok(groups),
        _ => Err(unexpected()),
    }
}
