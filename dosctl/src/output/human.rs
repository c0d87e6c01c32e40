//! Answers as people read them: one line for what was done, tables for what there is.
//!
//! Everything that others wrote passes through [`Text`] or [`Table`], which disarm it.

mod access;
mod album;
mod contacts;
mod event;
mod invites;
mod listing;
mod messages;
mod news;
mod reach;

pub(crate) use access::{request, requests, shared, shares};
pub(crate) use album::{album, albums, rule};
pub(crate) use contacts::{card, comparison, groups, known};
pub(crate) use event::event;
pub(crate) use invites::{invitation, invites, joined, revoked};
pub(crate) use listing::{end_of_page, image, listed, page, resolved, total};
pub(crate) use messages::{blocked, blocks, contact, message, messages, sent};
pub(crate) use news::news;
pub(crate) use reach::{explained, netcheck};

use dos_protocol::{
    ImagePath, PeerName,
    control::{SessionState, Status},
};

use super::{
    Text, json,
    table::Table,
    words::{count, moment, peer, relative},
};

const NOTHING: &str = "-";

fn or_nothing<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| NOTHING.into(), |value| value.to_string())
}

/// Of `status`.
pub(crate) fn status(text: &mut Text, status: &Status) {
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
    if status.news > 0 {
        lines.push(("news", format!("{}: see `dosctl news`", count(status.news, "event"))));
    }
    if status.unknown_updates > 0 {
        let were = if status.unknown_updates == 1 { "was" } else { "were" };
        let unknown = count(status.unknown_updates, "update");
        lines.push(("unknown", format!("{unknown} {were} made by a newer directory: update peerd")));
    }
    if status.key_changes > 0 {
        let contacts = count(status.key_changes, "contact");
        lines.push(("keys", format!("{contacts} appeared with another key: see `dosctl contacts`")));
    }
    if status.refused_messages > 0 {
        let messages = count(status.refused_messages, "message");
        lines.push(("refused", format!("{messages} not signed by the sender")));
    }
    if status.offers > 0 {
        let images = count(status.offers, "image");
        lines.push(("offers", format!("{images} of strangers: see `dosctl shares --received`")));
    }
    if status.password_again {
        lines.push(("password", "set your password once more: dosctl password".into()));
    }
    for note in &status.notes {
        lines.push(("note", format!("{} {}", moment(note.at), note.text)));
    }
    lines.push(("version", status.version.to_string()));
    lines.push(("files", status.state_dir.display().to_string()));
    for (label, value) in lines {
        text.line(&format!("{label:<9}{value}"));
    }
    if status.state == SessionState::Unregistered {
        text.note("sign up with `dosctl register --server LINK`");
    }
}

/// An image by its owner's name.
fn owned(name: Option<&PeerName>, path: &ImagePath) -> String {
    format!("{}/{}", peer(name, path.owner), path.name)
}

/// Of `instances`.
pub(crate) fn instances(text: &mut Text, instances: &[json::Instance]) {
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
