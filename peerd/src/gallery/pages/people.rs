//! Everybody of the directory: who is online, whose key is known and how, who is blocked.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use axum::{Extension, extract::State, http::HeaderMap, response::Response};
use dos_protocol::{
    PeerId, Timestamp, WireError,
    control::{Command, Contact, ListQuery, Outcome, Trust},
    directory::Cursor,
    limits::PAGE_MAX,
    model::PeerInfo,
};
use maud::{Markup, html};

use crate::gallery::{
    Gallery,
    answer::Refusal,
    limits::{PEOPLE_MAX, ROWS_MAX},
    page::{Page, Section, csrf, whole},
    perform::{Listing, ask, list, unexpected},
    sessions::Visitor,
    words,
};

/// What is known here of others.
struct Known {
    contacts: HashMap<PeerId, Contact>,
    blocked: HashSet<PeerId>,
    me: Option<PeerId>,
    now: Timestamp,
}

/// The page.
pub(in crate::gallery) async fn page(
    State(gallery): State<Arc<Gallery>>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (people, is_whole) = people(&gallery).await?;
    let known = known(&gallery).await?;
    let others: Vec<&PeerInfo> = people.iter().filter(|peer| known.me != Some(peer.id)).collect();
    let body = html! {
        h1 { "People" }
        div #people data-live="presence named left key_change contact" {
            @if others.is_empty() { p.empty { "No one else is in this directory yet. " code { "dosctl invite NAME" } " invites a person." } }
            @if !is_whole { p.hint { "These are the first " (PEOPLE_MAX) "." } }
            ul.people { @for peer in &others { (person(&visitor, peer, &known)) } }
        }
    };
    let page = Page { title: "People".into(), section: Section::People, body };
    Ok(whole(&gallery, (&visitor, &headers), page).await?)
}

/// Everybody, those who are online first; and whether that is all.
async fn people(gallery: &Arc<Gallery>) -> Result<(Vec<PeerInfo>, bool), WireError> {
    let (mut people, mut after, mut seen): (Vec<PeerInfo>, Option<Cursor>, HashSet<PeerId>) =
        Default::default();
    let is_whole = loop {
        let query = ListQuery { after, limit: Some(PAGE_MAX), ..ListQuery::default() };
        let Listing { peers, next, .. } = list(gallery, query).await?;
        let last = peers.last().map(|peer| peer.id);
        for peer in peers {
            if seen.insert(peer.id) {
                people.push(PeerInfo { images: Vec::new(), ..peer });
            }
        }
        // The rest of the last one's images is skipped.
        after = last.map(|peer| Cursor { peer, image: None });
        if next.is_none() || after.is_none() {
            break true;
        }
        if people.len() >= PEOPLE_MAX {
            break false;
        }
    };
    people.truncate(PEOPLE_MAX);
    people
        .sort_by(|one, other| (!one.online, &one.name, one.id).cmp(&(!other.online, &other.name, other.id)));
    Ok((people, is_whole))
}

async fn known(gallery: &Arc<Gallery>) -> Result<Known, WireError> {
    let contacts = match ask(gallery, Command::Contacts).await? {
        Outcome::Contacts(contacts) => contacts,
        _ => return Err(unexpected()),
    };
    let blocked = match ask(gallery, Command::Blocks).await? {
        Outcome::Blocks(blocks) => blocks,
        _ => return Err(unexpected()),
    };
    Ok(Known {
        contacts: contacts.into_iter().take(ROWS_MAX).map(|contact| (contact.id, contact)).collect(),
        blocked: blocked.into_iter().map(|block| block.peer).collect(),
        me: gallery.services.identity.registered().map(|(me, _)| me),
        now: gallery.services.store.clock().now(),
    })
}

fn person(visitor: &Visitor, peer: &PeerInfo, known: &Known) -> Markup {
    let (contact, is_blocked) = (known.contacts.get(&peer.id), known.blocked.contains(&peer.id));
    let who = words::peer(peer.name.as_ref(), peer.id);
    html! {
        li.card {
            div.who {
                span.dot.on[peer.online] aria-hidden="true" {}
                b { (who) } " " code { (peer.id) }
                @if is_blocked { " " span.label.refused { "blocked" } }
            }
            p.facts {
                @if peer.online {
                    "online"
                    @if let Some(since) = peer.online_since { " since " (moment(since, known.now)) }
                }
                @else if let Some(seen) = peer.last_seen { "offline, last seen " (moment(seen, known.now)) }
                @else { "offline" }
                " · " (standing(contact))
            }
            @if let Some(contact) = contact {
                @if let Some(other) = &contact.other {
                    p.error { "Another key was seen for this name. Nothing is given to it. Its fingerprint: " code { (other.fingerprint()) } ". Compare, then " code { "dosctl trust " (who) } "." }
                }
                p.fingerprint { "Fingerprint " code { (contact.fingerprint()) } }
            }
            div.row {
                a.button.plain href={ "/?of=" (peer.id) } { "Pictures" }
                a.button.plain href={ "/messages?with=" (peer.id) } { "Messages" }
                form.inline method="post" action=(if is_blocked { "/unblock" } else { "/block" }) {
                    (csrf(visitor))
                    input type="hidden" name="peer" value=(peer.id);
                    button.plain.danger[!is_blocked] aria-label={ (if is_blocked { "Unblock " } else { "Block " }) (who) } { @if is_blocked { "Unblock" } @else { "Block" } }
                }
            }
        }
    }
}

/// How long ago, with the moment itself for whoever points at it.
fn moment(at: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(at) title=(words::moment(at)) { (words::relative(at, now)) } }
}

/// How a key came to be known.
fn standing(contact: Option<&Contact>) -> &'static str {
    match contact {
        None => "not a contact",
        Some(contact) if contact.stranger => "a stranger, who has sent something",
        Some(Contact { trust: Some(Trust::Verified), .. }) => "contact, key verified",
        Some(_) => "contact, key not compared yet",
    }
}
