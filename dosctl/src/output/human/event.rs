//! The lines of `watch`.

use dos_protocol::{
    ImageName,
    control::{Event, EventKind, ImageChange, ImageChanged},
    directory::{Request, RequestState, ViewedKind},
    model::SessionEnd,
};

use super::{access, invites, messages, owned};
use crate::output::{
    Text,
    words::{count, end, moment, peer, views_left},
};

/// A line of `watch`.
pub(crate) fn event(text: &mut Text, event: &Event) {
    text.line(&format!("{}  {}", moment(event.at), what(event)));
}

/// What has happened, behind a word of ten columns on what it is about.
pub(super) fn what(event: &Event) -> String {
    match &event.what {
        EventKind::Session(state) => format!("notice    the session is {}", state.as_str()),
        EventKind::Notice(notice) => format!("notice    {}", notice.text),
        EventKind::Grant(grant) => {
            let image = owned(grant.owner_name.as_ref(), &grant.path);
            let offer = if grant.offer { ": an offer of a stranger" } else { "" };
            format!("grant     {}{offer}", access::may_view(grant, &image, event.at))
        }
        EventKind::Viewed { views, kind, grant } => {
            let viewer = peer(grant.viewer_name.as_ref(), grant.viewer);
            let did = viewing(*views, *kind, &grant.path.name);
            let returned = match grant.returned {
                0 => String::new(),
                returned => format!(", {returned} returned in all"),
            };
            format!("viewed    {viewer} {did}; {}{returned}", views_left(grant.views_left))
        }
        EventKind::Removed(path) => format!("image     {path} was removed"),
        EventKind::Renamed { path, was, owner_name } => {
            let owner = peer(owner_name.as_ref(), path.owner);
            format!("image     {owner}/{was} is {owner}/{} now", path.name)
        }
        EventKind::Image(image) => of_image(image),
        EventKind::Named { id, name, was } => format!("peer      {} is {name} now", peer(was.as_ref(), *id)),
        EventKind::Left { id, name } => {
            format!("peer      {} has left the directory for good", peer(name.as_ref(), *id))
        }
        EventKind::Fetched(path) => format!("image     {path} was fetched"),
        EventKind::Request(request) | EventKind::Decision(request) => of_request(request),
        EventKind::Presence(now) => {
            let who = peer(now.name.as_ref(), now.id);
            let place = now.address.map(|address| format!(" at {address}")).unwrap_or_default();
            match (now.online, now.end) {
                (true, Some(SessionEnd::TakenOver)) => {
                    format!("presence  {who} is online with another daemon{place}")
                }
                (true, _) => format!("presence  {who} is online{place}"),
                (false, Some(why)) => format!("presence  {who} is offline ({})", end(why)),
                (false, None) => format!("presence  {who} is offline"),
            }
        }
        EventKind::Message(message) => {
            let from = peer(message.from_name.as_ref(), message.from);
            let to = if message.to.is_none() { " to all" } else { "" };
            format!("message   {from}{to}: {}", messages::in_one_line(&message.text))
        }
        EventKind::Contact(contact) => {
            let from = peer(contact.from_name.as_ref(), contact.from);
            format!("request   c{}: {from} wants to send direct messages", contact.number)
        }
        EventKind::KeyChange(contact) => {
            let who = peer(contact.name.as_ref(), contact.id);
            format!("key       {who} appears with another key; decide with `dosctl trust {who}`")
        }
        EventKind::Invite(invite) => invites::event(invite),
    }
}

fn of_image(image: &ImageChange) -> String {
    let path = owned(image.owner_name.as_ref(), &image.path);
    match (image.change, &image.was) {
        (ImageChanged::Added, _) => format!("image     {path} is new"),
        (ImageChanged::Replaced, _) => format!("image     {path} is another picture now"),
        (ImageChanged::Renamed, Some(was)) => {
            let owner = peer(image.owner_name.as_ref(), image.path.owner);
            format!("image     {owner}/{was} is {path} now")
        }
        (ImageChanged::Renamed, None) => format!("image     {path} has another name"),
        (ImageChanged::Removed, _) => format!("image     {path} was removed"),
    }
}

fn viewing(views: u32, kind: ViewedKind, image: &ImageName) -> String {
    match kind {
        ViewedKind::View => format!("viewed {image}"),
        ViewedKind::Checkout => format!("checked out {} of {image}", count(views.into(), "view")),
        ViewedKind::Checkin => format!("returned {} of {image}", count(views.into(), "view")),
        ViewedKind::GivenUp => format!(
            "gave up {} of {image}: its state was put back from a copy",
            count(views.into(), "held view")
        ),
    }
}

fn of_request(request: &Request) -> String {
    let image = owned(request.owner_name.as_ref(), &request.path);
    let from = peer(request.from_name.as_ref(), request.from);
    let (number, views) = (request.request, count(request.views.into(), "view"));
    let (note, label) = match request.state {
        RequestState::Pending => {
            let offline = if request.offline { ", to check out" } else { "" };
            let label = format!("request   {number}: {from} requests {views} of {image}{offline}");
            (request.note.as_deref(), label)
        }
        RequestState::Cancelled => {
            (None, format!("request   {number}: {from} cancelled the request for {image}"))
        }
        RequestState::Approved => (None, format!("decision  {number}: {from} gets {views} of {image}")),
        RequestState::Denied => {
            (request.reason.as_deref(), format!("decision  {number}: {from} gets no views of {image}"))
        }
    };
    match note {
        Some(note) => format!("{label}: \"{note}\""),
        None => label,
    }
}
