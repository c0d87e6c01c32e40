//! The documents of keys and contacts.

use dos_protocol::{
    PeerId, PeerName,
    control::{self, Trust},
};
use serde::Serialize;

use super::Moment;

/// Of `card`.
#[derive(Debug, Serialize)]
pub(crate) struct Card<'a> {
    id: PeerId,
    name: Option<&'a PeerName>,
    key: String,
    fingerprint: String,
    link: String,
}

impl<'a> From<&'a dos_protocol::Card> for Card<'a> {
    fn from(card: &'a dos_protocol::Card) -> Self {
        Self {
            id: card.id,
            name: card.name.as_ref(),
            key: card.key.to_string(),
            fingerprint: card.fingerprint().to_string(),
            link: card.to_string(),
        }
    }
}

/// CONTACT.
#[derive(Debug, Serialize)]
pub(crate) struct KnownContact<'a> {
    id: PeerId,
    name: Option<&'a PeerName>,
    key: String,
    fingerprint: String,
    trust: Option<&'static str>,
    since: Moment,
    key_changed: Option<Other>,
    stranger: bool,
}

#[derive(Debug, Serialize)]
struct Other {
    id: PeerId,
    key: String,
    fingerprint: String,
    seen_at: Moment,
}

impl<'a> From<&'a control::Contact> for KnownContact<'a> {
    fn from(contact: &'a control::Contact) -> Self {
        Self {
            id: contact.id,
            name: contact.name.as_ref(),
            key: contact.key.to_string(),
            fingerprint: contact.fingerprint().to_string(),
            trust: contact.trust.map(Trust::as_str),
            since: Moment(contact.since),
            key_changed: contact.other.map(|other| Other {
                id: other.peer,
                key: other.key.to_string(),
                fingerprint: other.fingerprint().to_string(),
                seen_at: Moment(other.at),
            }),
            stranger: contact.stranger,
        }
    }
}

/// Of `contacts`.
#[derive(Debug, Serialize)]
pub(crate) struct Contacts<'a> {
    contacts: Vec<KnownContact<'a>>,
}

impl<'a> Contacts<'a> {
    /// All of them.
    pub(crate) fn new(contacts: &'a [control::Contact]) -> Self {
        Self { contacts: contacts.iter().map(Into::into).collect() }
    }
}

/// Of `group` and `groups`.
#[derive(Debug, Serialize)]
pub(crate) struct Groups<'a> {
    groups: Vec<Group<'a>>,
}

#[derive(Debug, Serialize)]
struct Group<'a> {
    name: &'a PeerName,
    members: Vec<Member<'a>>,
}

#[derive(Debug, Serialize)]
struct Member<'a> {
    id: PeerId,
    name: Option<&'a PeerName>,
}

impl<'a> From<&'a [control::Group]> for Groups<'a> {
    fn from(groups: &'a [control::Group]) -> Self {
        let members = |group: &'a control::Group| {
            group.members.iter().map(|member| Member { id: member.id, name: member.name.as_ref() }).collect()
        };
        Self {
            groups: groups.iter().map(|group| Group { name: &group.name, members: members(group) }).collect(),
        }
    }
}
