//! Messages and blocks as people read them.
//!
//! What always holds: no text can pass for another message: its further lines are marked, and what would move the cursor is
//! replaced.

use dos_protocol::{
    control::{ContactRequest, Message, Way},
    directory::{Block, Blocked, Delivery, RequestState},
};

use crate::output::{
    Text, json,
    table::Table,
    words::{count, moment, peer, relative},
};

/// Of `send`.
pub(crate) fn sent(text: &mut Text, sent: &json::Sent<'_>) {
    let to = peer(sent.to_name, sent.to);
    text.line(&match (sent.way(), sent.state) {
        (Some(Way::Direct(address)), _) => format!("delivered to {to}, directly at {address}"),
        (Some(Way::Relayed), _) => format!("delivered to {to} through the relay, which cannot read it"),
        (None, Delivery::Delivered) => format!("delivered to {to}"),
        (None, Delivery::Queued) => format!("queued for {to} until it is online"),
    });
}

/// Of `messages`.
pub(crate) fn messages(text: &mut Text, messages: &[&Message], unread: bool) {
    if messages.is_empty() {
        text.note(if unread { "no unread messages" } else { "no messages" });
    }
    for one in messages {
        message(text, one);
    }
}

/// A message: who to whom and its first line, then further lines with a mark before them.
pub(crate) fn message(text: &mut Text, message: &Message) {
    let mark = if message.read { ' ' } else { '*' };
    let from = peer(message.from_name.as_ref(), message.from);
    let to = message.to.map_or_else(|| "all".into(), |to| peer(message.to_name.as_ref(), to));
    let note = match (message.direct, message.delivery) {
        (true, _) => " (direct)",
        (false, Some(Delivery::Queued)) => " (queued)",
        (false, None) if !message.signed => " (not signed)",
        (false, _) => "",
    };
    let mut lines = lines(&message.text);
    let first = lines.next().unwrap_or_default();
    text.line(&format!("{mark} {}  {from} to {to}{note}: {first}", moment(message.sent_at)));
    for line in lines {
        text.line(&format!("  | {line}"));
    }
}

/// The lines of a text, with tabs as spaces.
fn lines(text: &str) -> impl Iterator<Item = String> {
    text.trim_end_matches(['\n', '\r'])
        .split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line).replace('\t', "    "))
}

/// A text in one line.
pub(super) fn in_one_line(text: &str) -> String {
    lines(text).collect::<Vec<_>>().join(" | ")
}

/// Of `block`.
pub(crate) fn blocked(text: &mut Text, blocked: &Blocked) {
    let who = peer(blocked.name.as_ref(), blocked.peer);
    text.line(&format!("blocked {who}: messages, requests, shares and broadcasts are refused, both ways"));
    if blocked.messages_purged > 0 {
        text.line(&format!(
            "deleted {} from it that had not arrived",
            count(blocked.messages_purged, "message")
        ));
    }
    if blocked.requests_purged > 0 {
        text.line(&format!("denied {} from it", count(blocked.requests_purged, "pending request")));
    }
    if blocked.rights > 0 {
        let grants = count(blocked.rights, "grant");
        text.line(&format!("it keeps {grants} to your images until you revoke them"));
        text.note(&format!(
            "list them with `dosctl shares --given`, revoke one with `dosctl share NAME {who} --revoke`"
        ));
    }
}

/// Of `blocks`.
pub(crate) fn blocks(text: &mut Text, blocks: &[Block]) {
    if blocks.is_empty() {
        text.note("no blocked peers");
        return;
    }
    let mut table = Table::new(&["PEER", "ID", "BLOCKED"]);
    for block in blocks {
        let name = block.name.as_ref().map_or_else(|| "-".into(), ToString::to_string);
        table.row(vec![name, block.peer.to_string(), relative(block.since, text.now)]);
    }
    table.show(text);
}

/// Of `approve` and `deny`, of a request for contact.
pub(crate) fn contact(text: &mut Text, contact: &ContactRequest) {
    let (number, from) = (contact.number, peer(contact.from_name.as_ref(), contact.from));
    text.line(&match contact.state {
        RequestState::Approved => format!("approved request c{number}: {from} may send direct messages"),
        RequestState::Pending => format!("request c{number}: {from} wants to send direct messages"),
        _ => format!("denied request c{number}: {from} may not send direct messages"),
    });
}

/// The peers that want to send direct messages.
pub(super) fn contacts(text: &mut Text, contacts: &[ContactRequest]) {
    let mut table = Table::new(&[">REQUEST", "FROM", "STATE", "CREATED"]);
    for one in contacts {
        table.row(vec![
            format!("c{}", one.number),
            peer(one.from_name.as_ref(), one.from),
            one.state.as_str().into(),
            relative(one.created_at, text.now),
        ]);
    }
    table.show(text);
}
