//! `dosd show`: everything that the directory knows of one peer.

use dos_protocol::{
    Fingerprint,
    admin::{FromDosd, Shown, ToDosd},
    model::{Address, SessionEnd},
    size::format_size,
};
use serde_json::{Value, json};

use super::{
    Failure, PATIENCE, Screen, ask, count_of,
    output::{or_dash, or_null},
    unexpected,
};
use crate::cli::Show;

pub(super) fn run(options: Show, screen: &mut Screen) -> Result<(), Failure> {
    match ask(options.ask.place, &ToDosd::Show(options.peer), Some(PATIENCE))? {
        FromDosd::Shown(shown) => screen.show(object(&shown), &text(&shown)),
        _ => Err(unexpected()),
    }
}

fn addresses(shown: &Shown) -> Vec<String> {
    shown.addresses.iter().map(Address::to_string).collect()
}

fn object(shown: &Shown) -> Value {
    let peer = &shown.peer;
    json!({
        "id": peer.id.to_string(),
        "name": or_null(peer.name.as_ref()),
        "key": shown.key.to_string(),
        "fingerprint": Fingerprint::new(peer.id, &shown.key).to_string(),
        "online": peer.online,
        "online_since": or_null(peer.online_since),
        "address": or_null(peer.address),
        "addresses": addresses(shown),
        "last_seen": peer.last_seen.to_string(),
        "last_end": peer.last_end.map(SessionEnd::as_str),
        "registered_at": peer.registered_at.to_string(),
        "password": shown.password,
        "images": shown.images,
        "preview_bytes": shown.preview_bytes,
        "row_bytes": shown.row_bytes,
        "grants_given": shown.grants_given,
        "grants_received": shown.grants_received,
        "requests": shown.requests,
        "inbox_rows": peer.inbox_rows,
        "inbox_bytes": shown.inbox_bytes,
        "sent_bytes": shown.sent_bytes,
    })
}

fn text(shown: &Shown) -> String {
    let peer = &shown.peer;
    let state = match peer.online_since {
        Some(since) => format!("online since {since}"),
        None => format!(
            "offline, last seen {} ({})",
            peer.last_seen,
            or_dash(peer.last_end.map(SessionEnd::as_str))
        ),
    };
    let rows = [
        ("id", peer.id.to_string()),
        ("name", or_dash(peer.name.as_ref())),
        ("fingerprint", Fingerprint::new(peer.id, &shown.key).to_string()),
        ("state", state),
        ("address", or_dash(peer.address)),
        ("reached at", if shown.addresses.is_empty() { "-".into() } else { addresses(shown).join(" ") }),
        ("registered", peer.registered_at.to_string()),
        ("password", if shown.password { "set" } else { "none" }.into()),
        ("images", format!("{}, previews of {}", shown.images, format_size(shown.preview_bytes))),
        ("grants", format!("{} given, {} received", shown.grants_given, shown.grants_received)),
        ("requests", format!("{} wait for an answer", shown.requests)),
        ("queue", format!("{}, {}", count_of(peer.inbox_rows, "update"), format_size(shown.inbox_bytes))),
        ("sent", format!("{} wait for others", format_size(shown.sent_bytes))),
        ("rows", format_size(shown.row_bytes)),
    ];
    let lines: Vec<_> = rows.iter().map(|(name, value)| format!("{name:<13}{value}")).collect();
    lines.join("\n")
}
