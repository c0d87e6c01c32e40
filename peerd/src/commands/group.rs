//! `group` and `groups`: peers under one name, for one's own use; no one else learns of them.

use std::sync::Arc;

use dos_protocol::{
    Code, PeerName, PeerRef, WireError,
    control::{Group, Member, Outcome},
    limits::{GROUP_MEMBERS_MAX, GROUPS_MAX},
};

use super::Services;
use crate::{directory::unregistered, store::GroupChanged};

/// Changes a group and shows it.
///
/// # Errors
/// `not_found` for a peer that is not known, or a group that is to be shown and is not there; `denied` if there are too many.
pub(super) async fn run(
    services: &Arc<Services>,
    name: PeerName,
    (add, remove): (Vec<PeerRef>, Vec<PeerRef>),
) -> Result<Outcome, WireError> {
    services.identity.registered().ok_or_else(unregistered)?;
    if add.is_empty() && remove.is_empty() {
        let groups = services.store.groups().await?;
        let group = groups.into_iter().find(|group| group.name == name).ok_or_else(|| missing(&name))?;
        return Ok(Outcome::Groups(vec![group]));
    }
    // By what is known here where it can be: a group is changed without the directory, too.
    let known: Vec<Group> = services.store.groups().await?;
    let members = known.iter().filter(|group| group.name == name).flat_map(|group| &group.members);
    let members: Vec<&Member> = members.collect();
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    for peer in add {
        let id = services.trust.who(&peer).await?;
        let known_as = if let PeerRef::Name(name) = peer { Some(name) } else { None };
        added.push(Member { id, name: known_as });
    }
    for peer in remove {
        let member = members.iter().find(|member| match &peer {
            PeerRef::Id(id) => member.id == *id,
            PeerRef::Name(name) => member.name.as_ref() == Some(name),
            PeerRef::Address(_) => false,
        });
        removed.push(match member {
            Some(member) => member.id,
            None => services.trust.who(&peer).await?,
        });
    }
    match services.store.change_group(name, added, removed).await? {
        GroupChanged::Group(group) => Ok(Outcome::Groups(vec![group])),
        GroupChanged::TooMany => {
            let text = format!("there are at most {GROUPS_MAX} groups of {GROUP_MEMBERS_MAX} peers");
            Err(WireError::new(Code::Denied, text).hint("dosctl groups"))
        }
    }
}

/// All groups.
///
/// # Errors
/// If the store fails.
pub(super) async fn all(services: &Arc<Services>) -> Result<Outcome, WireError> {
    Ok(Outcome::Groups(services.store.groups().await?))
}

fn missing(name: &PeerName) -> WireError {
    WireError::new(Code::NotFound, format!("there is no group \"{name}\"")).hint("dosctl groups")
}
