//! Grants and requests.

use dos_protocol::{
    Allowance, Timestamp,
    control::ContactRequest,
    directory::{Request, RequestState},
    model::{Grant, GrantState},
};

use super::{messages, owned};
use crate::output::{
    Text,
    table::Table,
    words::{count, moment, peer, relative},
};

/// Of `share`: what the viewer may do now.
pub(crate) fn shared(text: &mut Text, grant: &Grant) {
    let line = may_view(grant, &grant.path.name.to_string(), text.now);
    text.line(&line);
}

pub(super) fn may_view(grant: &Grant, image: &str, now: Timestamp) -> String {
    may_view_as(&peer(grant.viewer_name.as_ref(), grant.viewer), grant, image, now)
}

/// The same, of a viewer that is called so.
pub(super) fn may_view_as(viewer: &str, grant: &Grant, image: &str, now: Timestamp) -> String {
    let line = match (grant.state_at(now), grant.views_left) {
        (GrantState::Active, Allowance::Unlimited) => format!("{viewer} may view {image} without limit"),
        (GrantState::Active, Allowance::Views(views)) => {
            format!("{viewer} may view {image} {}", count(views.into(), "more time"))
        }
        (GrantState::UsedUp, _) if viewer == "you" => return format!("you have no views of {image} left"),
        (GrantState::UsedUp, _) => return format!("{viewer} has no views of {image} left"),
        (GrantState::Expired, _) => return format!("the grant of {image} to {viewer} has expired"),
        (GrantState::Revoked, _) => return format!("{viewer} may no longer view {image}"),
    };
    let line = if grant.allow_offline { format!("{line}, and check views out") } else { line };
    match grant.expires_at {
        Some(at) => format!("{line}, until {} ({})", moment(at), relative(at, now)),
        None => line,
    }
}

/// Of `shares`: the sides that are given.
pub(crate) fn shares(text: &mut Text, given: Option<&[Grant]>, received: Option<&[Grant]>) {
    let both = given.is_some() && received.is_some();
    let mut shown = false;
    for (heading, grants) in [("given", given), ("received", received)] {
        let Some(grants) = grants.filter(|grants| !grants.is_empty()) else { continue };
        begin(text, heading, both, &mut shown);
        // What came back is for the owner to know.
        let returned = heading == "given";
        let mut columns =
            vec!["IMAGE", "VIEWER", ">LEFT", ">USED", ">RETURNED", "OFFLINE", "EXPIRES", "STATE"];
        columns.retain(|column| returned || *column != ">RETURNED");
        let mut table = Table::new(&columns);
        for grant in grants {
            let mut row = vec![
                owned(grant.owner_name.as_ref(), &grant.path),
                peer(grant.viewer_name.as_ref(), grant.viewer),
                grant.views_left.to_string(),
                grant.views_used.to_string(),
            ];
            row.extend(returned.then(|| grant.returned.to_string()));
            row.extend([
                if grant.allow_offline { "allowed" } else { "no" }.into(),
                grant.expires_at.map_or_else(|| "never".into(), |end| relative(end, text.now)),
                state(grant, text.now),
            ]);
            table.row(row);
        }
        table.show(text);
    }
    if !shown {
        text.note("no grants");
    }
    if received.is_some_and(|received| received.iter().any(|grant| grant.offer)) {
        text.note("an offer is a stranger's: nothing is fetched before you `view` or `fetch` it, or `trust` the peer");
    }
}

fn state(grant: &Grant, now: Timestamp) -> String {
    match grant.state_at(now) {
        GrantState::Active if grant.offer => "offer".into(),
        state => state.as_str().replace('_', " "),
    }
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

/// Of `requests`: the sides that are given, and the peers that want to send direct messages.
pub(crate) fn requests(
    text: &mut Text,
    (incoming, outgoing): (Option<&[Request]>, Option<&[Request]>),
    contacts: &[ContactRequest],
    all: bool,
) {
    let both = (incoming.is_some() && outgoing.is_some()) || !contacts.is_empty();
    let mut shown = false;
    for (heading, requests) in [("incoming", incoming), ("outgoing", outgoing)] {
        let Some(requests) = requests.filter(|requests| !requests.is_empty()) else { continue };
        begin(text, heading, both, &mut shown);
        let mut table =
            Table::new(&[">REQUEST", "IMAGE", "FROM", ">VIEWS", "OFFLINE", "STATE", "CREATED", "NOTE"]);
        for one in requests {
            table.row(vec![
                one.request.to_string(),
                owned(one.owner_name.as_ref(), &one.path),
                peer(one.from_name.as_ref(), one.from),
                one.views.to_string(),
                if one.offline { "wanted" } else { "no" }.into(),
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
pub(crate) fn request(text: &mut Text, request: &Request, updated: bool) {
    let number = request.request;
    let mut views = count(request.views.into(), "view");
    if request.offline && request.state == RequestState::Pending {
        views += ", to check out";
    }
    let image = owned(request.owner_name.as_ref(), &request.path);
    let from = peer(request.from_name.as_ref(), request.from);
    text.line(&match request.state {
        RequestState::Pending if updated => format!("changed request {number}: {views} of {image}"),
        RequestState::Pending => format!("made request {number}: {views} of {image}"),
        RequestState::Approved => {
            format!("approved request {number}: {from} gets {views} of {}", request.path.name)
        }
        RequestState::Denied => {
            format!("denied request {number}: {from} gets no views of {}", request.path.name)
        }
        RequestState::Cancelled => format!("cancelled request {number}: {image}"),
    });
}
