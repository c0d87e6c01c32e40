//! Who one is here: profile, directory, and the card that others scan or copy to know one's key.

use std::sync::Arc;

use axum::{Extension, extract::State, http::HeaderMap, response::Response};
use dos_protocol::control::{Command, Note, Outcome, Status};
use maud::{Markup, html};
use qrcodegen::{QrCode, QrCodeEcc};

use crate::gallery::{
    Gallery,
    answer::{Refusal, sentence},
    page::{Page, Section, csrf, status, whole},
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
    let status = status(&gallery).await?;
    let card = match status.id {
        None => Markup::default(),
        Some(_) => match ask(&gallery, Command::Card).await? {
            Outcome::Card(card) => {
                let link = card.to_string();
                html! {
                    section.card {
                        h2 { "Your card" }
                        p.hint { "Others who scan or copy it know your key before anything is exchanged. It holds nothing secret." }
                        div.qr { (code(&link)) }
                        p.fingerprint { "Fingerprint " code { (card.fingerprint()) } }
                        p { code.link { (link) } }
                    }
                }
            }
            _ => return Err(unexpected().into()),
        },
    };
    let body = html! {
        h1 { "Settings" }
        div.columns {
            section.card {
                h2 { "This peer" }
                (facts(&gallery, &status))
                form method="post" action="/leave" { (csrf(&visitor)) button.plain { "Sign out of the gallery" } }
            }
            (card)
        }
        (notes(&status.notes))
    };
    let page = Page { title: "Settings".into(), section: Section::Settings, body };
    Ok(whole(&gallery, (&visitor, &headers), page).await?)
}

fn facts(gallery: &Gallery, status: &Status) -> Markup {
    html! {
        dl #facts data-live="session" {
            dt { "Profile" } dd { (status.profile) }
            @if let Some(name) = &status.name { dt { "Name" } dd { (name) } }
            @if let Some(id) = status.id { dt { "ID" } dd { code { (id) } } }
            dt { "Session" } dd { (words::session(status.state)) ", since " time datetime=(status.since) { (words::moment(status.since)) } }
            @if let Some(server) = &status.server { dt { "Directory" } dd { (server.address()) } }
            dt { "Listens for peers at" } dd { (status.listen) }
            dt { "State directory" } dd { code { (gallery.services.config.state_dir.display()) } }
            dt { "Version" } dd { (status.version) }
        }
    }
}

fn notes(notes: &[Note]) -> Markup {
    html! {
        @if !notes.is_empty() {
            section {
                h2 { "What you should know" }
                ul { @for note in notes.iter().rev() { li { time datetime=(note.at) { (words::moment(note.at)) } ": " (sentence(&note.text)) } } }
            }
        }
    }
}

/// The text as a QR code (ISO/IEC 18004), with the four modules of margin that scanners need.
fn code(text: &str) -> Markup {
    const MARGIN: i32 = 4;
    let Ok(code) = QrCode::encode_text(text, QrCodeEcc::Medium) else { return Markup::default() };
    let size = code.size() + 2 * MARGIN;
    let mut path = String::new();
    for y in 0..code.size() {
        for x in (0..code.size()).filter(|&x| code.get_module(x, y)) {
            path.push_str(&format!("M{} {}h1v1h-1z", x + MARGIN, y + MARGIN));
        }
    }
    html! {
        svg viewBox={ "0 0 " (size) " " (size) } role="img" aria-label="Your card as a QR code" shape-rendering="crispEdges" {
            rect width=(size) height=(size) fill="#fff" {}
            path d=(path) fill="#000" {}
        }
    }
}
