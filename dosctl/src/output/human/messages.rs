//! Messages and blocks as people read them.
//!
//! What always holds: whatever a text says, a line that begins a message is one of ours: the lines that follow in a text
//! are marked, and what would move the cursor is replaced.

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
pub fn sent(text: &mut Text, sent: &json::Sent<'_>) {
    let to = peer(sent.to_name, sent.to);
    text.line(&match (sent.way(), sent.state) {
        (Some(Way::Direct(address)), _) => format!("{to} has it, directly at {address}"),
        (Some(Way::Relayed), _) => format!("{to} has it, through the relay, which could not read it"),
        (None, Delivery::Delivered) => format!("{to} has it"),
        (None, Delivery::Queued) => format!("{to} gets it when it comes online"),
    });
}

/// Of `messages`.
pub fn messages(text: &mut Text, messages: &[&Message], unread: bool) {
    if messages.is_empty() {
        text.note(if unread { "no unread messages" } else { "no messages" });
    }
    for one in messages {
        message(text, one);
    }
}

/// A message: who to whom and its first line, then further lines with a mark before them.
pub fn message(text: &mut Text, message: &Message) {
    let mark = if message.read { ' ' } else { '*' };
    let from = peer(message.from_name.as_ref(), message.from);
    let to = message.to.map_or_else(|| "all".into(), |to| peer(message.to_name.as_ref(), to));
    let note = match (message.direct, message.delivery) {
        (true, _) => " (direct)",
        (false, Some(Delivery::Queued)) => " (queued)",
        (false, _) => "",
    };
    let mut lines = lines(&message.text);
    let first = lines.next().unwrap_or_default();
    text.line(&format!("{mark} {}  {from} to {to}{note}: {first}", moment(message.sent_at)));
    for line in lines {
        text.line(&format!("  | {line}"));
    }
}

/// The lines of what somebody wrote, with tabs as spaces.
fn lines(text: &str) -> impl Iterator<Item = String> {
    text.trim_end_matches(['\n', '\r'])
        .split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line).replace('\t', "    "))
}

/// What somebody wrote, in one line.
pub(super) fn in_one_line(text: &str) -> String {
    lines(text).collect::<Vec<_>>().join(" | ")
}

/// Of `block`.
pub fn blocked(text: &mut Text, blocked: &Blocked) {
    let who = peer(blocked.name.as_ref(), blocked.peer);
    text.line(&format!("{who} is blocked: its messages, requests and broadcasts no longer arrive"));
    if blocked.messages_purged > 0 {
        text.line(&format!("gone: {} of it that had not arrived", count(blocked.messages_purged, "message")));
    }
    if blocked.requests_purged > 0 {
        text.line(&format!("refused: {} of it", count(blocked.requests_purged, "pending request")));
    }
    if blocked.rights > 0 {
        let rights = count(blocked.rights, "right");
        text.line(&format!("it keeps {rights} to your images until you take them back:"));
        text.note(&format!("see `dosctl shares --given`, then `dosctl share NAME {who} --revoke`"));
    }
}

/// Of `blocks`.
pub fn blocks(text: &mut Text, blocks: &[Block]) {
    if blocks.is_empty() {
        text.note("nobody is blocked");
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
pub fn contact(text: &mut Text, contact: &ContactRequest) {
    let (number, from) = (contact.number, peer(contact.from_name.as_ref(), contact.from));
    text.line(&match contact.state {
        RequestState::Approved => format!("request c{number}: {from} may send direct messages"),
        RequestState::Pending => format!("request c{number}: {from} wants to send direct messages"),
        _ => format!("request c{number}: {from} may not send direct messages"),
    });
}

/// The peers that want to send direct messages.
pub(super) fn contacts(text: &mut Text, contacts: &[ContactRequest]) {
    let mut table = Table::new(&[">REQUEST", "FROM", "STATE", "ASKED"]);
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
