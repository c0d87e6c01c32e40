//! News: what has happened of late, the newest first, and what of it was not seen yet.

use std::sync::Arc;

use axum::{Extension, extract::State, http::HeaderMap, response::Response};
use maud::{Markup, html};

use crate::gallery::{
    Gallery,
    answer::Refusal,
    guard::LIVE_HEADER,
    limits::ROWS_MAX,
    page::{Page, Section, whole},
    perform::news,
    sessions::Visitor,
    telling, words,
};

/// The page. What it shows counts as seen, unless it asked by itself.
pub(in crate::gallery) async fn page(
    State(gallery): State<Arc<Gallery>>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let is_registered = gallery.services.identity.registered();
    let is_person = !headers.contains_key(LIVE_HEADER);
    let events = match &is_registered {
        Some(_) => news(&gallery, is_person).await?,
        None => Vec::new(),
    };
    let (me, now) = (is_registered.map(|(me, _)| me), gallery.services.store.clock().now());
    let item = |event: &dos_protocol::control::Event| -> Markup {
        html! {
            li.card.fresh[event.seen == Some(false)] {
                p.says {
                    @if event.seen == Some(false) { span.label.asked { "new" } " " }
                    (telling::told(event, me))
                }
                p.hint { time datetime=(event.at) title=(words::moment(event.at)) { (words::relative(event.at, now)) } }
            }
        }
    };
    let body = html! {
        h1 { "News" }
        div #news data-live="grant viewed removed renamed request decision message contact key_change invite notice" {
            @if events.is_empty() { p.empty { "Nothing has happened yet." } }
            ol.news { @for event in events.iter().rev().take(ROWS_MAX) { (item(event)) } }
        }
    };
    let page = Page { title: "News".into(), section: Section::News, body };
    Ok(whole(&gallery, (&visitor, &headers), page).await?)
}
