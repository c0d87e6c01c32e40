//! What a request comes to when there is no page: a refusal, or the way to another page.

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use dos_protocol::{Code, WireError};
use maud::{Markup, html};

use super::page;

/// Why there is no page.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    error: WireError,
}

impl Refusal {
    /// For a request that is not answered at all.
    pub(super) fn plain(status: StatusCode, why: &str) -> Self {
        Self { status, error: WireError::new(Code::Denied, why) }
    }

    /// The response; for handlers [`IntoResponse`] is the same.
    pub(super) fn respond(self) -> Response {
        let body = html! {
            main.narrow {
                h1 { (heading(self.status)) }
                (explained(&self.error))
                p { a.button href="/" { "To the pictures" } }
            }
        };
        html_response(self.status, &page::bare("Not possible", &body))
    }
}

fn heading(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "Not there",
        StatusCode::UNAUTHORIZED => "Not signed in",
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => "Out of reach",
        _ => "Not possible",
    }
}

/// An error as people read it.
pub(super) fn explained(error: &WireError) -> Markup {
    html! {
        p.error role="alert" { (sentence(&error.message)) }
        @if let Some(cause) = &error.cause { p { (sentence(cause)) } }
    }
}

/// A text of the command line as a sentence.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

impl From<WireError> for Refusal {
    fn from(error: WireError) -> Self {
        let status = match error.code {
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::Denied => StatusCode::FORBIDDEN,
            Code::Offline => StatusCode::SERVICE_UNAVAILABLE,
            Code::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Code::Conflict => StatusCode::CONFLICT,
            Code::Usage | Code::Invalid => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, error }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.respond()
    }
}

/// A page.
pub(super) fn html_response(status: StatusCode, page: &Markup) -> Response {
    (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], page.0.clone()).into_response()
}

/// The way to another page, after a change.
pub(super) fn see(place: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
}

/// Bytes of this type that the browser shows and does nothing else with, whatever is in them.
pub(super) fn inert(kind: &'static str) -> [(HeaderName, HeaderValue); 2] {
    const NOTHING: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";
    [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(NOTHING)),
    ]
}
