//! `dosd peers`: everybody who is registered, or online.

use dos_protocol::{
    admin::{FromDosd, Registered, ToDosd},
    model::SessionEnd,
};
use serde_json::{Value, json};

use super::{
    Failure, PATIENCE, Screen, ask_list, data_dir,
    output::{List, or_dash, or_null},
    unexpected,
};
use crate::cli::Peers;

const COLUMNS: &[&str] = &["ID", "NAME", "ONLINE", "ADDRESS", "SINCE", "QUEUE", "LAST END", "REGISTERED"];

pub(super) fn run(options: Peers, screen: &mut Screen) -> Result<(), Failure> {
    let data_dir = data_dir(options.ask.place)?;
    let mut list = List::new(screen, "peers", COLUMNS);
    ask_list(&data_dir, &ToDosd::Peers { online: options.online }, PATIENCE, |page| match page {
        FromDosd::Peers(peers) => list.page(peers.iter().map(row).collect()),
        _ => Err(unexpected()),
    })?;
    list.end()
}

fn row(peer: &Registered) -> (Value, Vec<String>) {
    let (seen, since) = (peer.last_seen.to_string(), peer.registered_at.to_string());
    let end = peer.last_end.map(SessionEnd::as_str);
    let object = json!({
        "id": peer.id.to_string(),
        "name": or_null(peer.name.as_ref()),
        "online": peer.online,
        "address": or_null(peer.address),
        "last_seen": seen,
        "last_seen_reason": end.filter(|_| !peer.online),
        "last_end": end,
        "registered_at": since,
        "online_since": or_null(peer.online_since),
        "inbox_rows": peer.inbox_rows,
    });
    let cells = vec![
        peer.id.to_string(),
        or_dash(peer.name.as_ref()),
        if peer.online { "yes" } else { "no" }.into(),
        or_dash(peer.address),
        peer.online_since.map_or(seen, |since| since.to_string()),
        peer.inbox_rows.to_string(),
        or_dash(end),
        since,
    ];
    (object, cells)
}
