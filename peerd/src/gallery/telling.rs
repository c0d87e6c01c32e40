//! What has happened, in a sentence, with links to what it is about.

use dos_protocol::{
    PeerId,
    control::{Event, EventKind, ImageChange, ImageChanged, Invite, InviteState},
    directory::{Request, RequestState, ViewedKind},
    model::{Grant, GrantState, ImagePath},
};
use maud::{Markup, html};

use super::{address, words};

/// An event, as it is told to `me`.
pub(super) fn told(event: &Event, me: Option<PeerId>) -> Markup {
    match &event.what {
        EventKind::Grant(grant) => granted(grant, event, me),
        EventKind::Viewed { views, kind, grant } => viewed((*views).into(), *kind, grant),
        EventKind::Removed(path) => html! { b { (path.name) } " was removed by its owner." },
        EventKind::Renamed { path, was, owner_name } => html! {
            b { (words::peer(owner_name.as_ref(), path.owner)) } " calls " (was) " " (picture(path)) " now."
        },
        EventKind::Fetched(path) => html! { "The sealed copy of " (picture(path)) " is here." },
        EventKind::Request(request) => asked(request, me),
        EventKind::Decision(request) => decided(request, me),
        EventKind::Message(message) => html! {
            b { (words::peer(message.from_name.as_ref(), message.from)) } " writes"
            @if message.to.is_none() { " to everybody online" } ": "
            a href={ "/messages?with=" (message.from) } { (start(&message.text)) }
        },
        EventKind::Contact(contact) => html! {
            b { (words::peer(contact.from_name.as_ref(), contact.from)) } " wants to send you direct messages. "
            a href="/requests" { "Answer" }
        },
        EventKind::KeyChange(contact) => html! {
            b { (words::peer(contact.name.as_ref(), contact.id)) } " appears with another key. Nothing is given to it. "
            a href="/people" { "Compare the fingerprints" }
        },
        EventKind::Notice(notice) => html! { (notice.text) },
        EventKind::Invite(invite) => invited(invite),
        EventKind::Presence(presence) => html! {
            b { (words::peer(presence.name.as_ref(), presence.id)) }
            @if presence.online { " is online." } @else { " is offline." }
        },
        EventKind::Image(image) => changed(image),
        EventKind::Named { id, name, was } => html! {
            b { (words::peer(was.as_ref(), *id)) } " is called " b { (words::peer(Some(name), *id)) } " now."
        },
        EventKind::Left { id, name } => {
            html! { b { (words::peer(name.as_ref(), *id)) } " has left the directory." }
        }
        EventKind::Session(state) => html! { "You are " (words::session(*state)) "." },
    }
}

fn picture(path: &ImagePath) -> Markup {
    html! { a href=(address::of_image("picture", path)) { (path.name) } }
}

/// The beginning of a text, in one line.
fn start(text: &str) -> String {
    const CHARS_MAX: usize = 120;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn changed(image: &ImageChange) -> Markup {
    let owner = words::peer(image.owner_name.as_ref(), image.path.owner);
    html! {
        b { (owner) }
        @match (image.change, &image.was) {
            (ImageChanged::Added, _) => { " shows a new picture, " (picture(&image.path)) "." }
            (ImageChanged::Replaced, _) => { " has put another picture in the place of " (picture(&image.path)) "." }
            (ImageChanged::Renamed, Some(was)) => { " calls " (was) " " (picture(&image.path)) " now." }
            (ImageChanged::Renamed, None) => { " has another name for " (picture(&image.path)) "." }
            (ImageChanged::Removed, _) => { " has removed " b { (image.path.name) } "." }
        }
    }
}

fn granted(grant: &Grant, event: &Event, me: Option<PeerId>) -> Markup {
    let owner = words::peer(grant.owner_name.as_ref(), grant.path.owner);
    let viewer = words::peer(grant.viewer_name.as_ref(), grant.viewer);
    let is_mine = me == Some(grant.path.owner);
    match grant.state_at(event.at) {
        GrantState::Revoked if is_mine => {
            html! { "The grant of " b { (viewer) } " to " (picture(&grant.path)) " is revoked." }
        }
        GrantState::Revoked => {
            html! { b { (owner) } " has revoked your grant to " (picture(&grant.path)) "." }
        }
        _ if is_mine => {
            html! { b { (viewer) } " may view " (picture(&grant.path)) ": " (words::views_left(grant.views_left)) "." }
        }
        _ => html! {
            @if grant.offer { "A stranger, " b { (owner) } ", offers you " (picture(&grant.path)) }
            @else { b { (owner) } " lets you view " (picture(&grant.path)) }
            ": " (words::views_left(grant.views_left)) "."
        },
    }
}

fn viewed(views: u64, kind: ViewedKind, grant: &Grant) -> Markup {
    let views = words::count(views, "view");
    html! {
        b { (words::peer(grant.viewer_name.as_ref(), grant.viewer)) }
        @match kind {
            ViewedKind::View => " viewed ",
            ViewedKind::Checkout => { " took " (views) " along of " }
            ViewedKind::Checkin => { " gave back " (views) " of " }
            ViewedKind::GivenUp => { " gave up " (views) " of " }
        }
        (picture(&grant.path)) ": " (words::views_left(grant.views_left)) "."
    }
}

fn asked(request: &Request, me: Option<PeerId>) -> Markup {
    let who = words::peer(request.from_name.as_ref(), request.from);
    let views = words::count(request.views.into(), "view");
    html! {
        @if request.state == RequestState::Cancelled { b { (who) } " has withdrawn the request for " (picture(&request.path)) "." }
        @else if me == Some(request.from) { "You asked for " (views) " of " (picture(&request.path)) "." }
        @else {
            b { (who) } " asks for " (views) " of " (picture(&request.path)) ". " a href="/requests" { "Answer" }
            @if let Some(note) = &request.note { blockquote { (note) } }
        }
    }
}

fn decided(request: &Request, me: Option<PeerId>) -> Markup {
    let owner = words::peer(request.owner_name.as_ref(), request.path.owner);
    let from = words::peer(request.from_name.as_ref(), request.from);
    let views = words::count(request.views.into(), "view");
    let is_mine = me == Some(request.from);
    html! {
        @match (request.state, is_mine) {
            (RequestState::Approved, true) => { b { (owner) } " gives you " (views) " of " (picture(&request.path)) "." }
            (RequestState::Approved, false) => { b { (from) } " gets " (views) " of " (picture(&request.path)) "." }
            (_, true) => { b { (owner) } " has denied your request for " (picture(&request.path)) "." }
            (_, false) => { "The request of " b { (from) } " for " (picture(&request.path)) " is denied." }
        }
        @if let Some(reason) = &request.reason { blockquote { (reason) } }
    }
}

fn invited(invite: &Invite) -> Markup {
    let who = match invite.peer {
        Some(id) => words::peer(invite.peer_name.as_ref(), id),
        None => invite.name.as_ref().map_or_else(|| "somebody".into(), ToString::to_string),
    };
    let failed = invite.grants.iter().filter(|grant| grant.why.is_some()).count();
    html! {
        @match invite.state {
            InviteState::Giving | InviteState::Used => {
                b { (who) } " has joined with your link; the key is verified."
                @if failed > 0 { " " (failed) " of " (invite.grants.len()) " pictures cannot be given." }
            }
            InviteState::Welcome => { b { (who) } " has your key, verified." }
            InviteState::Refused => { b { (who) } " does not take the invitation." }
            InviteState::Open => { "The link of " b { (who) } " is open." }
            InviteState::Expired => { "The link of " b { (who) } " has expired." }
            InviteState::Revoked => { "The link of " b { (who) } " is revoked." }
            InviteState::Waiting => { "The link of " b { (who) } " waits for an answer." }
        }
        @if let Some(trouble) = &invite.trouble { " " (super::answer::sentence(trouble)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_told_by_its_beginning_in_one_line() {
        assert_eq!(start("two\nlines  here"), "two lines here");
        assert_eq!(start(&"é".repeat(200)).chars().count(), 121);
    }
}
