//! Answers as people read them: one line for what was done, tables for what there is.
//!
//! Everything that others wrote passes through [`Text`] or [`Table`], which disarm it.

mod messages;

pub use messages::{blocked, blocks, contact, message, messages, sent};

use dos_protocol::{
    Allowance, ImageName, Timestamp,
    control::{ContactRequest, Event, EventKind, SessionState, Status},
    directory::{Request, RequestState, ViewedKind},
    model::{Access, AccessState, Grant, GrantState, ImageInfo, PeerInfo, SessionEnd},
};

use super::{
    Text, json,
    table::Table,
    words::{count, end, moment, peer, relative, size, views_left},
};
use crate::cursor::Token;

const NOTHING: &str = "-";

fn or_nothing<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| NOTHING.into(), |value| value.to_string())
}

/// Of `status`.
pub fn status(text: &mut Text, status: &Status) {
    let since = format!("since {} ({})", moment(status.since), relative(status.since, text.now));
    let mut lines = vec![
        ("profile", status.profile.to_string()),
        ("state", format!("{}, {since}", status.state.as_str())),
    ];
    if let Some(trouble) = &status.trouble {
        lines.push(("trouble", trouble.to_string()));
    }
    let name = status.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    lines.push(("id", or_nothing(status.id.map(|id| format!("{id}{name}")))));
    lines.push(("server", or_nothing(status.server.as_ref().map(json::link))));
    lines.push(("listen", status.listen.to_string()));
    lines.push(("address", or_nothing(status.address)));
    let pending = [(status.updates, "update"), (status.requests, "request"), (status.messages, "message")];
    lines.push(("pending", pending.map(|(number, one)| count(number, one)).join(", ")));
    lines.push(("version", status.version.to_string()));
    lines.push(("files", status.state_dir.display().to_string()));
    for (label, value) in lines {
        text.line(&format!("{label:<9}{value}"));
    }
    if status.state == SessionState::Unregistered {
        text.note("sign up with `dosctl register --server LINK`");
    }
}

/// Of `list`.
pub fn page(text: &mut Text, peers: &[PeerInfo], next: Option<&Token>) {
    if peers.is_empty() {
        text.note("no peers to list");
    } else {
        let mut table = Table::new(&["PEER", "ID", "SEEN", "IMAGE", ">PIXELS", ">SIZE", "ACCESS"]);
        for who in peers {
            let head = [or_nothing(who.name.as_ref()), who.id.to_string(), seen(who, text.now)];
            if who.images.is_empty() {
                table.row([&head[..], &[NOTHING.into(), String::new(), String::new()]].concat());
            }
            for image in &who.images {
                table.row([&head[..], &image_cells(image, text.now)].concat());
            }
        }
        table.show(text);
    }
    more(text, next);
}

fn more(text: &mut Text, next: Option<&Token>) {
    if let Some(next) = next {
        text.note(&format!("there is more: add --cursor '{next}'"));
    }
}

/// Of `list --previews`: the line below a picture.
pub fn listed(text: &mut Text, who: &PeerInfo, image: &ImageInfo) {
    let [name, pixels, bytes, access] = image_cells(image, text.now);
    let owner = peer(who.name.as_ref(), who.id);
    text.line(&format!("{owner}/{name}  {pixels}  {bytes}  {access}"));
    text.line("");
}

/// Of `list --previews`: what is to be said after all pictures.
pub fn end_of_page(text: &mut Text, peers: &[PeerInfo], next: Option<&Token>) {
    if peers.iter().all(|who| who.images.is_empty()) {
        text.note("no images to list");
    }
    more(text, next);
}

fn seen(peer: &PeerInfo, now: Timestamp) -> String {
    match peer.last_seen {
        _ if peer.online => "online".into(),
        Some(at) => match peer.last_end {
            Some(why) => format!("{} ({})", relative(at, now), end(why)),
            None => relative(at, now),
        },
        None => "never".into(),
    }
}

fn image_cells(image: &ImageInfo, now: Timestamp) -> [String; 4] {
    let original = &image.original;
    [
        image.name.to_string(),
        format!("{}x{}", original.width, original.height),
        size(original.bytes),
        image.access.map_or_else(|| "own".into(), |access| access_words(access, now)),
    ]
}

fn access_words(access: Access, now: Timestamp) -> String {
    match access.state {
        AccessState::None => NOTHING.into(),
        AccessState::Requested => "requested".into(),
        AccessState::Granted => match access.expires_at {
            Some(end) => format!("{}, ends {}", views_left(access.views_left), relative(end, now)),
            None => views_left(access.views_left),
        },
        AccessState::Denied => "denied".into(),
        AccessState::Revoked => "revoked".into(),
        AccessState::Expired => "expired".into(),
        AccessState::UsedUp => "used up".into(),
    }
}

/// Of `resolve`.
pub fn resolved(text: &mut Text, who: &PeerInfo) {
    let mut table = Table::new(&["PEER", "ID", "SEEN", "ADDRESS"]);
    let address = or_nothing(who.address);
    table.row(vec![or_nothing(who.name.as_ref()), who.id.to_string(), seen(who, text.now), address]);
    table.show(text);
}

/// An image that was added or renamed.
pub fn image(text: &mut Text, done: &str, image: &ImageInfo) {
    let original = &image.original;
    text.line(&format!(
        "{done} {}: {} {}x{}, {}",
        image.name,
        original.format.as_str(),
        original.width,
        original.height,
        size(original.bytes)
    ));
}

/// Of `share`: what the viewer may do now.
pub fn shared(text: &mut Text, grant: &Grant) {
    let line = right(grant, &grant.path.name.to_string(), text.now);
    text.line(&line);
}

fn right(grant: &Grant, image: &str, now: Timestamp) -> String {
    let viewer = peer(grant.viewer_name.as_ref(), grant.viewer);
    let line = match (grant.state_at(now), grant.views_left) {
        (GrantState::Active, Allowance::Unlimited) => format!("{viewer} may view {image} without limit"),
        (GrantState::Active, Allowance::Views(views)) => {
            format!("{viewer} may view {image} {}", count(views.into(), "more time"))
        }
        (GrantState::UsedUp, _) => return format!("{viewer} has no views of {image} left"),
        (GrantState::Expired, _) => return format!("the right of {viewer} to {image} has expired"),
        (GrantState::Revoked, _) => return format!("{viewer} may no longer view {image}"),
    };
    match grant.expires_at {
        Some(at) => format!("{line}, until {} ({})", moment(at), relative(at, now)),
        None => line,
    }
}

/// Of `shares`: what was asked for, of the two.
pub fn shares(text: &mut Text, given: Option<&[Grant]>, received: Option<&[Grant]>) {
    let both = given.is_some() && received.is_some();
    let mut shown = false;
    for (heading, grants) in [("given", given), ("received", received)] {
        let Some(grants) = grants.filter(|grants| !grants.is_empty()) else { continue };
        begin(text, heading, both, &mut shown);
        let mut table = Table::new(&["IMAGE", "VIEWER", ">LEFT", ">USED", "EXPIRES", "STATE"]);
        for grant in grants {
            table.row(vec![
                owned(grant.owner_name.as_ref(), &grant.path),
                peer(grant.viewer_name.as_ref(), grant.viewer),
                grant.views_left.to_string(),
                grant.views_used.to_string(),
                grant.expires_at.map_or_else(|| "never".into(), |end| relative(end, text.now)),
                grant.state_at(text.now).as_str().replace('_', " "),
            ]);
        }
        table.show(text);
    }
    if !shown {
        text.note("no access rights to show");
    }
}

fn owned(name: Option<&dos_protocol::PeerName>, path: &dos_protocol::ImagePath) -> String {
    format!("{}/{}", peer(name, path.owner), path.name)
}

/// A heading above each of two tables, and an empty line between them.
fn begin(text: &mut Text, heading: &str, both: bool, shown: &mut bool) {
    if *shown {
        text.line("");
    }
    if both {
        text.line(&format!("{heading}:"));
    }
    *shown = true;
}

/// Of `requests`: what was asked for, of the two, and who wants to send direct messages.
pub fn requests(
    text: &mut Text,
    (incoming, outgoing): (Option<&[Request]>, Option<&[Request]>),
    contacts: &[ContactRequest],
    all: bool,
) {
    let both = (incoming.is_some() && outgoing.is_some()) || !contacts.is_empty();
    let mut shown = false;
    for (heading, asked) in [("incoming", incoming), ("outgoing", outgoing)] {
        let Some(asked) = asked.filter(|asked| !asked.is_empty()) else { continue };
        begin(text, heading, both, &mut shown);
        let mut table = Table::new(&[">REQUEST", "IMAGE", "FROM", ">VIEWS", "STATE", "ASKED", "NOTE"]);
        for one in asked {
            table.row(vec![
                one.request.to_string(),
                owned(one.owner_name.as_ref(), &one.path),
                peer(one.from_name.as_ref(), one.from),
                one.views.to_string(),
                one.state.as_str().into(),
                relative(one.created_at, text.now),
                one.reason.as_deref().or(one.note.as_deref()).unwrap_or_default().into(),
            ]);
        }
        table.show(text);
    }
    if !contacts.is_empty() {
        begin(text, "direct messages", both, &mut shown);
        messages::contacts(text, contacts);
    }
    if !shown {
        text.note(if all { "no requests" } else { "no pending requests" });
    }
}

/// Of `request`, `cancel`, `approve` and `deny`.
pub fn request(text: &mut Text, asked: &Request, updated: bool) {
    let (number, views) = (asked.request, count(asked.views.into(), "view"));
    let image = owned(asked.owner_name.as_ref(), &asked.path);
    let from = peer(asked.from_name.as_ref(), asked.from);
    text.line(&match asked.state {
        RequestState::Pending if updated => format!("request {number} now asks for {views} of {image}"),
        RequestState::Pending => format!("request {number} asks for {views} of {image}"),
        RequestState::Approved => format!("request {number}: {from} got {views} of {}", asked.path.name),
        RequestState::Denied => format!("request {number}: {from} got no views of {}", asked.path.name),
        RequestState::Cancelled => format!("request {number} for {image} is withdrawn"),
    });
}

/// Of `instances`.
pub fn instances(text: &mut Text, instances: &[json::Instance]) {
    if instances.is_empty() {
        text.note("no peerd has run here yet; start one with `peerd --profile NAME`");
        return;
    }
    let mut table = Table::new(&["PROFILE", "RUNS", "STATE", "ID", "NAME"]);
    for one in instances {
        table.row(vec![
            one.profile.clone(),
            if one.running { "yes" } else { "no" }.into(),
            or_nothing(one.state.map(SessionState::as_str)),
            or_nothing(one.id),
            or_nothing(one.name.as_ref()),
        ]);
    }
    table.show(text);
}

/// A line of `watch`.
pub fn event(text: &mut Text, event: &Event) {
    let what = match &event.what {
        EventKind::Session(state) => format!("notice    the session is {}", state.as_str()),
        EventKind::Notice(notice) => format!("notice    {}", notice.text),
        EventKind::Grant(grant) => {
            let image = owned(grant.owner_name.as_ref(), &grant.path);
            format!("grant     {}", right(grant, &image, event.at))
        }
        EventKind::Viewed { views, kind, grant } => {
            let viewer = peer(grant.viewer_name.as_ref(), grant.viewer);
            let did = viewing(*views, *kind, &grant.path.name);
            format!("viewed    {viewer} {did}; {}", views_left(grant.views_left))
        }
        EventKind::Removed(path) => format!("image     {path} is gone"),
        EventKind::Fetched(path) => format!("image     {path} has arrived"),
        EventKind::Request(asked) | EventKind::Decision(asked) => asked_event(asked),
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
    };
    text.line(&format!("{}  {what}", moment(event.at)));
}

fn viewing(views: u32, kind: ViewedKind, image: &ImageName) -> String {
    match kind {
        ViewedKind::View => format!("viewed {image}"),
        ViewedKind::Checkout => format!("took {} of {image} along", count(views.into(), "view")),
        ViewedKind::Checkin => format!("gave {} of {image} back", count(views.into(), "view")),
    }
}

fn asked_event(asked: &Request) -> String {
    let image = owned(asked.owner_name.as_ref(), &asked.path);
    let from = peer(asked.from_name.as_ref(), asked.from);
    let (number, views) = (asked.request, count(asked.views.into(), "view"));
    let (said, label) = match asked.state {
        RequestState::Pending => {
            (asked.note.as_deref(), format!("request   {number}: {from} asks for {views} of {image}"))
        }
        RequestState::Cancelled => (None, format!("request   {number}: {from} no longer asks for {image}")),
        RequestState::Approved => (None, format!("decision  {number}: {from} got {views} of {image}")),
        RequestState::Denied => {
            (asked.reason.as_deref(), format!("decision  {number}: {from} got no views of {image}"))
        }
    };
    match said {
        Some(said) => format!("{label}: \"{said}\""),
        None => label,
    }
}
