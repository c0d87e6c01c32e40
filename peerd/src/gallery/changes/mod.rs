//! What forms change: each is translated into one command, and its outcome into a sentence at the top of the next page.

mod add;
mod share;

use std::sync::Arc;

use axum::{
    Extension, Form, Router,
    extract::State,
    response::Response,
    routing::{get, post},
};
use dos_protocol::{
    AlbumName, Code, Description, ImageName, PeerRef, WireError,
    control::{AlbumChange, Command, DescriptionChange, Outcome, RequestArg},
    directory::Delivery,
    model::{ImagePath, Visibility},
};
use serde::Deserialize;

use super::{
    Gallery, address,
    answer::{Refusal, see},
    guard::UPLOAD_PATH,
    perform::{change, unexpected},
    sessions::{Said, Visitor},
    words,
};
use crate::directory::unregistered;

/// The forms, and the page for adding.
pub(super) fn routes() -> Router<Arc<Gallery>> {
    Router::new()
        .route(UPLOAD_PATH, get(add::page).post(add::add))
        .route("/share", post(share::share))
        .route("/set", post(set))
        .route("/remove", post(remove))
        .route("/request", post(request))
        .route("/cancel", post(cancel))
        .route("/answer", post(answer))
        .route("/send", post(send))
        .route("/block", post(block))
        .route("/unblock", post(unblock))
}

/// Goes on at `place`, saying there what has come of it.
fn go_on(
    gallery: &Gallery,
    visitor: &Visitor,
    (place, outcome): (&str, Result<String, WireError>),
) -> Response {
    let said = match outcome {
        Ok(text) => Said { text, is_error: false },
        Err(error) => {
            let cause = error.cause.map(|cause| format!(": {cause}")).unwrap_or_default();
            Said { text: format!("{}{cause}", error.message), is_error: true }
        }
    };
    gallery.sessions.say(visitor, said);
    see(place)
}

/// The value of a field, or why it has none.
fn field<T: std::str::FromStr<Err: std::fmt::Display>>(what: &str, text: &str) -> Result<T, WireError> {
    let failed = |error: T::Err| {
        WireError::new(Code::Invalid, format!("\"{text}\" is not {what}")).caused_by(error.to_string())
    };
    text.trim().parse().map_err(failed)
}

/// A text that may be left out.
fn text(given: &str) -> Option<Box<str>> {
    Some(given.trim()).filter(|given| !given.is_empty()).map(Into::into)
}

/// The page of an image of one's own.
fn own_page(gallery: &Gallery, name: &ImageName) -> Result<String, WireError> {
    let (me, _) = gallery.services.identity.registered().ok_or_else(unregistered)?;
    Ok(address::of_image("picture", &ImagePath { owner: me, name: name.clone() }))
}

#[derive(Debug, Deserialize)]
struct Setting {
    name: String,
    visibility: String,
    #[serde(default)]
    album: String,
    #[serde(default)]
    description: String,
}

async fn set(
    State(gallery): State<Arc<Gallery>>,
    Extension(visitor): Extension<Visitor>,
    Form(form): Form<Setting>,
) -> Result<Response, Refusal> {
    let name: ImageName = field("a picture's name", &form.name)?;
    let place = own_page(&gallery, &name)?;
    let work = async {
        let visibility: Visibility = field("a choice", &form.visibility)?;
        let album = match form.album.trim() {
            "" => AlbumChange::Out,
            album => AlbumChange::In(field::<AlbumName>("an album's name", album)?),
        };
        let description = match form.description.trim() {
            "" => DescriptionChange::Out,
            // A browser ends lines with two characters, and a description has one line.
            text => {
                let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
                DescriptionChange::To(field::<Description>("a description", &line)?)
            }
        };
        let (album, description) = (Some(album), Some(description));
        let command = Command::Set { name, visibility: Some(visibility), album, description };
        change(&gallery, command).await.map(|_| "saved".to_owned())
    };
    Ok(go_on(&gallery, &visitor, (&place, work.await)))
}

#[derive(Debug, Deserialize)]
struct Removing {
    name: String,
    /// The box that a person has ticked.
    sure: Option<String>,
}

async fn remove(
    State(gallery): State<Arc<Gallery>>,
    Extension(visitor): Extension<Visitor>,
    Form(form): Form<Removing>,
) -> Result<Response, Refusal> {
    let name: ImageName = field("a picture's name", &form.name)?;
    if form.sure.is_none() {
        let error = WireError::new(Code::Usage, "tick the box to remove the picture");
        return Ok(go_on(&gallery, &visitor, (&own_page(&gallery, &name)?, Err(error))));
    }
    let done = change(&gallery, Command::Remove(name.clone())).await;
    Ok(match done {
        Ok(_) => {
            go_on(&gallery, &visitor, ("/?of=mine", Ok(format!("{name} is removed, with every grant to it"))))
        }
        Err(error) => go_on(&gallery, &visitor, (&own_page(&gallery, &name)?, Err(error))),
    })
}

#[derive(Debug, Deserialize)]
struct Asking {
    owner: String,
    name: String,
    views: u32,
    #[serde(default)]
    note: String,
}

async fn request(
    State(gallery): State<Arc<Gallery>>,
    Extension(visitor): Extension<Visitor>,
    Form(form): Form<Asking>,
) -> Result<Response, Refusal> {
    let path = address::image((&form.owner, &form.name))?;
    let command = Command::Request {
        image: address::arg(&path),
        views: form.views,
        note: text(&form.note),
        offline: false,
    };
    let done = match change(&gallery, command).await {
        Ok(Outcome::Request { request, updated }) => {
            let how = if updated { "your request was changed" } else { "asked" };
            Ok(format!("{how}: {}", words::count(request.views.into(), "view")))
        }
        Ok(_) => Err(unexpected()),
        Err(error) => Err(error),
    };
    Ok(go_on(&gallery, &visitor, (&address::of_image("picture", &path), done)))
}

#[derive(Debug, Deserialize)]
struct Cancelling {
    request: u64,
}

async fn cancel(
    State(gallery): State<Arc<Gallery>>,
    Extension(visitor): Extension<Visitor>,
    Form(form): Form<Cancelling>,
) -> Response {
    let done =
        change(&gallery, Command::Cancel(form.request)).await.map(|_| "the request is withdrawn".into());
    go_on(&gallery, &visitor, ("/requests", done))
}

#[derive(Debug, Deserialize)]
struct Answering {
    request: String,
    answer: String,
    views: Option<u32>,
    #[serde(default)]
    reason: String,
}

async fn answer(
    State(gallery): State<Arc<Gallery>>,
    Extension(visitor): Extension<Visitor>,
    Form(form): Form<Answering>,
) -> Response {
    let work = async {
        let request: RequestArg = field("a request", &form.request)?;
        let command = match &*form.answer {
            "approve" => Command::Approve { request, views: form.views, allow_offline: None },
            "deny" => Command::Deny { request, reason: text(&form.reason) },
            _ => return Err(WireError::new(Code::Usage, "neither approved nor denied")),
        };
        match change(&gallery, command).await? {
            Outcome::Request { request, .. } => {
                let who = words::peer(request.from_name.as_ref(), request.from);
                Ok(match &*form.answer {
                    "approve" => format!(
                        "{who} may view {}: {}",
                        request.path.name,
                        words::count(request.views.into(), "view")
                    ),
                    _ => format!("the request of {who} is denied"),
                })
            }
            Outcome::Contact(contact) => {
                let who = words::peer(contact.from_name.as_ref(), contact.from);
                let may = if form.answer == "approve" { "may" } else { "may not" };
                Ok(format!("{who} {may} send you direct messages"))
            }
            _ => Err(unexpected()),
        }
    };
    let done = work.await;
    go_on(&gallery, &visitor, ("/requests", done))
}

#[derive(Debug, Deserialize)]
struct Sending {
    to: String,
    text: String,
}

async fn send(
    State(gallery): State<Arc<Gallery>>,
    Extension(visitor): Extension<Visitor>,
    Form(form): Form<Sending>,
) -> Response {
    let mut place = "/messages".to_owned();
    let work = async {
        let to: PeerRef = field("a peer", &form.to)?;
        place = format!("/messages?with={}", address::encoded(&to.to_string()));
        // A browser ends lines with two characters.
        let command = Command::Send { to, text: form.text.replace("\r\n", "\n").into(), direct: false };
        match change(&gallery, command).await? {
            Outcome::Sent { delivery: Delivery::Delivered, .. } => Ok("delivered".to_owned()),
            Outcome::Sent { .. } => Ok("sent: it waits at the directory".to_owned()),
            _ => Err(unexpected()),
        }
    };
    let done = work.await;
    go_on(&gallery, &visitor, (&place, done))
}

#[derive(Debug, Deserialize)]
struct Blocking {
    peer: String,
}

async fn block(
    State(gallery): State<Arc<Gallery>>,
    Extension(visitor): Extension<Visitor>,
    Form(form): Form<Blocking>,
) -> Response {
    let work = async {
        let outcome = change(&gallery, Command::Block(field("a peer", &form.peer)?)).await?;
        let Outcome::Blocked(blocked) = outcome else { return Err(unexpected()) };
        let who = words::peer(blocked.name.as_ref(), blocked.peer);
        Ok(match blocked.rights {
            0 => format!("{who} is blocked"),
            rights => format!(
                "{who} is blocked; {} to your pictures go on until you revoke them",
                words::count(rights, "grant")
            ),
        })
    };
    let done = work.await;
    go_on(&gallery, &visitor, ("/people", done))
}

async fn unblock(
    State(gallery): State<Arc<Gallery>>,
    Extension(visitor): Extension<Visitor>,
    Form(form): Form<Blocking>,
) -> Response {
    let work = async {
        change(&gallery, Command::Unblock(field("a peer", &form.peer)?)).await?;
        Ok("unblocked".to_owned())
    };
    let done = work.await;
    go_on(&gallery, &visitor, ("/people", done))
}
