//! Messages: the latest, of everybody or of one peer, and a form to send one.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Query, State},
    http::HeaderMap,
    response::Response,
};
use dos_protocol::{
    Code, PeerId, Timestamp, WireError,
    control::{Command, Message, MessagesQuery, Outcome},
    directory::Delivery,
    limits::MESSAGE_BYTES_MAX,
    model::PeerRef,
};
use maud::{Markup, html};
use serde::Deserialize;

use crate::gallery::{
    Gallery,
    answer::Refusal,
    guard::LIVE_HEADER,
    limits::MESSAGES_MAX,
    page::{Page, Section, csrf, whole},
    perform::{ask, change, unexpected},
    sessions::Visitor,
    words,
};

/// Whose messages.
#[derive(Debug, Deserialize)]
pub(in crate::gallery) struct With {
    #[serde(default)]
    with: String,
}

/// The page. What it shows counts as read, unless it asked by itself: then nobody may be there.
pub(in crate::gallery) async fn page(
    State(gallery): State<Arc<Gallery>>,
    Extension(visitor): Extension<Visitor>,
    Query(With { with }): Query<With>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let peer = match with.trim() {
        "" => None,
        text => Some(text.parse::<PeerRef>().map_err(|error| {
            WireError::new(Code::Invalid, format!("\"{text}\" names no peer")).caused_by(error.to_string())
        })?),
    };
    let query = MessagesQuery { with: peer, limit: Some(MESSAGES_MAX), ..MessagesQuery::default() };
    let command = Command::Messages(query);
    let outcome = if headers.contains_key(LIVE_HEADER) {
        ask(&gallery, command).await?
    } else {
        change(&gallery, command).await?
    };
    let Outcome::Messages { messages, .. } = outcome else { return Err(unexpected().into()) };
    let me = gallery.services.identity.registered().map(|(me, _)| me);
    let now = gallery.services.store.clock().now();
    let body = html! {
        h1 { "Messages" }
        @if !with.is_empty() { p { "With " b { (with) } " · " a href="/messages" { "all messages" } } }
        form.fields #send method="post" action="/send" {
            (csrf(&visitor))
            label { "To" input name="to" value=(with) required maxlength="60" autocomplete="off" placeholder="a peer's name"; }
            label.wide { "Message" textarea name="text" rows="2" required maxlength=(MESSAGE_BYTES_MAX) {} }
            button { "Send" }
        }
        div #messages data-live="message" {
            @if messages.is_empty() { p.empty { "No messages." } }
            ol.messages { @for message in messages.iter().rev() { (shown(message, me, now)) } }
        }
    };
    let page = Page { title: "Messages".into(), section: Section::Messages, body };
    Ok(whole(&gallery, (&visitor, &headers), page).await?)
}

fn shown(message: &Message, me: Option<PeerId>, now: Timestamp) -> Markup {
    let is_mine = me == Some(message.from);
    let other = || match message.to {
        Some(to) => words::peer(message.to_name.as_ref(), to),
        None => "everybody online".into(),
    };
    html! {
        li.message.mine[is_mine] {
            p.hint {
                @if is_mine { "to " b { (other()) } }
                @else {
                    b { a href={ "/messages?with=" (message.from) } { (words::peer(message.from_name.as_ref(), message.from)) } }
                    @if message.to.is_none() { " to everybody online" }
                }
                " · " time datetime=(message.sent_at) title=(words::moment(message.sent_at)) { (words::relative(message.sent_at, now)) }
                @if message.direct { " · direct" }
                @if is_mine && message.delivery == Some(Delivery::Queued) { " · waits at the directory" }
                @if !is_mine && !message.signed { " · not signed" }
                @if !is_mine && !message.read { " " span.label.asked { "new" } }
            }
            p.says { (message.text) }
        }
    }
}
