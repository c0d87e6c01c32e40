//! Requests that came in, to be answered, and those that went out.

use std::sync::Arc;

use axum::{Extension, extract::State, http::HeaderMap, response::Response};
use dos_protocol::{
    Timestamp,
    control::{Command, ContactRequest, Outcome, RequestArg},
    directory::{Request, RequestState},
};
use maud::{Markup, html};

use crate::gallery::{
    Gallery, address,
    answer::Refusal,
    limits::ROWS_MAX,
    page::{Page, Section, csrf, whole},
    perform::{ask, unexpected},
    sessions::Visitor,
    words,
};

/// The page.
pub(in crate::gallery) async fn page(
    State(gallery): State<Arc<Gallery>>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let command = Command::Requests { incoming: true, outgoing: true, all: true };
    let Outcome::Requests { incoming, outgoing, contacts } = ask(&gallery, command).await? else {
        return Err(unexpected().into());
    };
    let now = gallery.services.store.clock().now();
    let is_open = |request: &&Request| request.state == RequestState::Pending;
    let waiting: Vec<&Request> = incoming.iter().rev().filter(is_open).take(ROWS_MAX).collect();
    let callers: Vec<&ContactRequest> = contacts
        .iter()
        .rev()
        .filter(|contact| contact.state == RequestState::Pending)
        .take(ROWS_MAX)
        .collect();
    let body = html! {
        h1 { "Requests" }
        section #incoming data-live="request contact" {
            h2 { "To you" }
            @if waiting.is_empty() && callers.is_empty() { p.hint { "Nothing waits for your answer." } }
            ul.requests {
                @for request in &waiting { (open(&visitor, request, now)) }
                @for contact in &callers { (caller(&visitor, contact, now)) }
            }
        }
        section #outgoing data-live="decision request" {
            h2 { "From you" }
            @if outgoing.is_empty() { p.hint { "You have asked for nothing." } }
            ul.requests { @for request in outgoing.iter().rev().take(ROWS_MAX) { (sent(&visitor, request, now)) } }
        }
        (answered(&incoming, now))
    };
    let page = Page { title: "Requests".into(), section: Section::Requests, body };
    Ok(whole(&gallery, (&visitor, &headers), page).await?)
}

fn picture(request: &Request, text: &Markup, now: Timestamp) -> Markup {
    html! {
        a.thumb href=(address::of_image("picture", &request.path)) {
            img src=(address::of_image("preview", &request.path)) alt={ "Preview of " (request.path.name) } loading="lazy";
        }
        div.text {
            p { (text) }
            @if let Some(note) = &request.note { blockquote { (note) } }
            p.hint { time datetime=(request.created_at) { (words::relative(request.created_at, now)) } }
        }
    }
}

fn answer(visitor: &Visitor, request: RequestArg, fields: &Markup) -> Markup {
    html! {
        form.inline method="post" action="/answer" {
            (csrf(visitor))
            input type="hidden" name="request" value=(request);
            (fields)
        }
    }
}

fn open(visitor: &Visitor, request: &Request, now: Timestamp) -> Markup {
    let arg = RequestArg::Access(request.request);
    let who = words::peer(request.from_name.as_ref(), request.from);
    let text = html! {
        b { (who) } " asks for " b { (words::count(request.views.into(), "view")) } " of " b { (request.path.name) }
        @if request.offline { ", to be taken along" }
    };
    html! {
        li.card {
            (picture(request, &text, now))
            div.answers {
                (answer(visitor, arg, &html! {
                    label { "Views " input.small type="number" name="views" value=(request.views) min="1" max="1000000000" required; }
                    button name="answer" value="approve" { "Approve" }
                }))
                (answer(visitor, arg, &html! {
                    label { "Reason " input name="reason" maxlength="500" autocomplete="off" placeholder="not required"; }
                    button.plain.danger name="answer" value="deny" { "Deny" }
                }))
            }
        }
    }
}

fn caller(visitor: &Visitor, contact: &ContactRequest, now: Timestamp) -> Markup {
    let arg = RequestArg::Contact(contact.number);
    html! {
        li.card {
            div.text {
                p { b { (words::peer(contact.from_name.as_ref(), contact.from)) } " wants to send you direct messages" }
                p.hint { time datetime=(contact.created_at) { (words::relative(contact.created_at, now)) } }
            }
            div.answers.row {
                (answer(visitor, arg, &html! { button name="answer" value="approve" { "Allow" } }))
                (answer(visitor, arg, &html! { button.plain.danger name="answer" value="deny" { "Refuse" } }))
            }
        }
    }
}

fn state(request: &Request) -> Markup {
    let views = words::count(request.views.into(), "view");
    html! {
        @match request.state {
            RequestState::Pending => span.label.asked { "not answered yet" },
            RequestState::Approved => span.label.granted { "approved, " (views) },
            RequestState::Denied => span.label.refused { "denied" },
            RequestState::Cancelled => span.label.none { "withdrawn" },
        }
        @if let Some(reason) = &request.reason { blockquote { (reason) } }
    }
}

fn sent(visitor: &Visitor, request: &Request, now: Timestamp) -> Markup {
    let text = html! {
        "You asked " b { (words::peer(request.owner_name.as_ref(), request.path.owner)) } " for "
        (words::count(request.views.into(), "view")) " of " b { (request.path.name) } " " (state(request))
    };
    html! {
        li.card {
            (picture(request, &text, now))
            @if request.state == RequestState::Pending {
                div.answers {
                    form.inline method="post" action="/cancel" {
                        (csrf(visitor))
                        input type="hidden" name="request" value=(request.request);
                        button.plain { "Withdraw" }
                    }
                }
            }
        }
    }
}

fn answered(incoming: &[Request], now: Timestamp) -> Markup {
    let answered: Vec<&Request> = incoming
        .iter()
        .rev()
        .filter(|request| request.state != RequestState::Pending)
        .take(ROWS_MAX)
        .collect();
    html! {
        @if !answered.is_empty() {
            details {
                summary { "Answered (" (answered.len()) ")" }
                ul.requests {
                    @for request in &answered {
                        li.card {
                            (picture(request, &html! {
                                b { (words::peer(request.from_name.as_ref(), request.from)) } " asked for "
                                b { (request.path.name) } " " (state(request))
                            }, now))
                        }
                    }
                }
            }
        }
    }
}
