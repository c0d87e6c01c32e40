//! What all pages have around them. Text goes into pages through `maud` alone, which writes it as text whatever is in it.

use std::sync::Arc;

use axum::{
    http::{HeaderMap, StatusCode},
    response::Response,
};
use dos_protocol::{
    WireError,
    control::{Command, Outcome, SessionState, Status},
};
use maud::{DOCTYPE, Markup, html};

use super::{
    Gallery,
    answer::{html_response, sentence},
    assets,
    guard::LIVE_HEADER,
    perform::{ask, unexpected},
    sessions::{Said, Visitor},
    words,
};

/// The parts of the gallery that stand in its navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Pictures,
    People,
    Requests,
    Messages,
    News,
    Settings,
}

/// A page without what is around it.
pub(super) struct Page {
    pub(super) title: String,
    pub(super) section: Section,
    pub(super) body: Markup,
}

/// A document with nothing but this in it.
pub(super) fn bare(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title))
            body { (body) }
        }
    }
}

fn head(title: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (title) " · dos" }
            link rel="stylesheet" href=(assets::style());
            link rel="icon" href=(assets::ICON) type="image/svg+xml";
            script src=(assets::script()) defer {}
        }
    }
}

/// How things stand.
///
/// # Errors
/// None but faults of ours.
pub(super) async fn status(gallery: &Arc<Gallery>) -> Result<Status, WireError> {
    match ask(gallery, Command::Status).await? {
        Outcome::Status(status) => Ok(*status),
        _ => Err(unexpected()),
    }
}

/// The whole page, with what there is to say at its top, which a page that asks by itself leaves for a person.
///
/// # Errors
/// None but faults of ours.
pub(super) async fn whole(
    gallery: &Arc<Gallery>,
    (visitor, headers): (&Visitor, &HeaderMap),
    page: Page,
) -> Result<Response, WireError> {
    let status = status(gallery).await?;
    let is_live = headers.contains_key(LIVE_HEADER);
    let said = if is_live { None } else { gallery.sessions.said(visitor) };
    let Page { title, section, body } = page;
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            (head(&title))
            body data-csrf=(visitor.csrf) {
                a.skip href="#content" { "To the content" }
                (top(&status, section))
                main #content {
                    (notices(&status, said.as_ref()))
                    (body)
                }
                p #live.visually-hidden role="status" {}
            }
        }
    };
    Ok(html_response(StatusCode::OK, &document))
}

fn top(status: &Status, section: Section) -> Markup {
    let link = |to: Section, href: &str, text: &str, number: u64| {
        html! {
            a href=(href) aria-current=[(to == section).then_some("page")] {
                (text)
                @if number > 0 { " " span.badge { (number) span.visually-hidden { " waiting" } } }
            }
        }
    };
    let is_online = status.state == SessionState::Online;
    html! {
        header.top {
            nav #nav data-live="session request decision message contact grant viewed removed renamed key_change invite notice" aria-label="Gallery" {
                (link(Section::Pictures, "/", "Pictures", 0))
                (link(Section::People, "/people", "People", status.key_changes))
                (link(Section::Requests, "/requests", "Requests", status.requests))
                (link(Section::Messages, "/messages", "Messages", status.messages))
                (link(Section::News, "/news", "News", status.news))
                (link(Section::Settings, "/settings", "Settings", 0))
            }
            p #me data-live="session" .me {
                span.dot.on[is_online] aria-hidden="true" {}
                @if let Some(id) = status.id { b { (words::peer(status.name.as_ref(), id)) } " · " }
                (words::session(status.state))
            }
        }
    }
}

fn notices(status: &Status, said: Option<&Said>) -> Markup {
    html! {
        div #notices data-live="session" {
            @if let Some(said) = said {
                p.said.error[said.is_error] role="status" { (sentence(&said.text)) }
            }
            @if status.state == SessionState::Unregistered {
                p.said { "This peer is not registered at a directory yet. Run " code { "dosctl up LINK --name NAME" } "." }
            } @else if status.state != SessionState::Online {
                p.said {
                    "The directory is out of reach. What you see may be old, and nothing of others can be viewed now."
                    @if let Some(trouble) = &status.trouble { " " (sentence(trouble)) }
                }
            }
        }
    }
}

/// The hidden field of every form.
pub(super) fn csrf(visitor: &Visitor) -> Markup {
    html! { input type="hidden" name="csrf" value=(visitor.csrf); }
}
