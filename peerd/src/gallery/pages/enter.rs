//! The way in: a page whose script sends the token of the address's fragment, which browsers send nowhere by themselves. Without a
//! script, a person pastes it.

use std::sync::Arc;

use axum::{
    Extension, Form,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use maud::html;
use serde::Deserialize;

use crate::gallery::{
    Gallery,
    answer::{Refusal, html_response, see},
    page::bare,
    sessions::Visitor,
};

/// What the way in is given.
#[derive(Deserialize)]
pub(in crate::gallery) struct Entering {
    token: String,
}

/// The page.
pub(in crate::gallery) async fn page() -> Response {
    let body = html! {
        main.narrow {
            h1 { "Gallery" }
            form #enter method="post" action="/enter" {
                label for="token" { "The part of the address after the " code { "#" } ", from " code { "dosctl gallery --no-open" } }
                input #token name="token" autocomplete="off" spellcheck="false" required;
                button { "Open the gallery" }
            }
        }
    };
    html_response(StatusCode::OK, &bare("Gallery", &body))
}

/// Lets a browser in that has a token.
pub(in crate::gallery) async fn enter(
    State(gallery): State<Arc<Gallery>>,
    Form(Entering { token }): Form<Entering>,
) -> Result<Response, Refusal> {
    let Some(cookie) = gallery.sessions.enter(token.trim())? else {
        let why = "this address was used already, or is old: run `dosctl gallery` again";
        return Err(Refusal::plain(StatusCode::UNAUTHORIZED, why));
    };
    let cookie = HeaderValue::try_from(gallery.sessions.set_cookie(&cookie))
        .map_err(|_| Refusal::plain(StatusCode::INTERNAL_SERVER_ERROR, "no cookie could be made"))?;
    Ok(([(header::SET_COOKIE, cookie)], see("/")).into_response())
}

/// Ends the session.
pub(in crate::gallery) async fn leave(
    State(gallery): State<Arc<Gallery>>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    gallery.sessions.leave(&visitor);
    let body = html! {
        main.narrow {
            h1 { "Signed out" }
            p { "Close this window. To come back, run " code { "dosctl gallery" } "." }
        }
    };
    html_response(StatusCode::OK, &bare("Signed out", &body))
}
