//! What stands before every page: which requests are answered at all, and the headers that every answer has.
//!
//! What always holds, for every address but the way in and the style sheet: the request names this gallery as its host (a name that
//! leads here is not enough, so no foreign page reaches it by DNS), comes from no other site's page, and has the cookie of a session.
//! A change comes by POST, from a page of the gallery (`Origin`), with the session's secret in it.

use std::{sync::Arc, time::Instant};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};
use tokio::time::timeout;

use super::{
    Gallery,
    answer::Refusal,
    limits::{FORM_BYTES_MAX, FORM_TIME_MAX},
    sessions::Visitor,
};

/// Nothing runs, shows or is asked for but what the gallery itself serves; nothing of it stands in a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Headers of every answer that does not say otherwise.
const HEADERS: [(HeaderName, &str); 8] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // Not `no-referrer`: with that, forms of the gallery itself would come without an origin.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
];

/// The header in which a script sends the session's secret.
pub(super) const CSRF_HEADER: &str = "x-csrf";

/// The header by which a page says that it asks by itself.
pub(super) const LIVE_HEADER: &str = "x-live";

/// What a form of type `multipart/form-data` is checked for by its own handler: it may be as large as a picture.
pub(super) const UPLOAD_PATH: &str = "/add";

/// Answers a request, or refuses it.
pub(super) async fn guard(State(gallery): State<Arc<Gallery>>, request: Request, next: Next) -> Response {
    let mut response = match admit(&gallery, request).await {
        Ok(request) => next.run(request).await,
        Err(refusal) => refusal.respond(),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

fn refuse(status: StatusCode, why: &'static str) -> Refusal {
    tracing::debug!(status = status.as_u16(), why, "refused a request of a browser");
    Refusal::plain(status, why)
}

async fn admit(gallery: &Gallery, mut request: Request) -> Result<Request, Refusal> {
    let headers = request.headers();
    if only(headers, &header::HOST) != Some(&*gallery.host) {
        return Err(refuse(StatusCode::MISDIRECTED_REQUEST, "this is not the address of the gallery"));
    }
    let is_post = match *request.method() {
        Method::GET | Method::HEAD => false,
        Method::POST => true,
        _ => return Err(refuse(StatusCode::METHOD_NOT_ALLOWED, "only GET and POST")),
    };
    let path = request.uri().path().to_owned();
    check_site(headers, is_post, &path)?;
    if is_post && only(headers, &header::ORIGIN) != Some(&*gallery.origin) {
        return Err(refuse(StatusCode::FORBIDDEN, "this form is not one of the gallery"));
    }
    if path == "/enter" || path.starts_with("/assets/") {
        return if is_post { with_form(request).await.map(|(request, _)| request) } else { Ok(request) };
    }
    let is_person = !headers.contains_key(LIVE_HEADER) && path != "/events";
    let cookie = cookie(headers, gallery.sessions.cookie());
    let visitor = cookie.and_then(|value| gallery.sessions.visit(value, is_person, Instant::now()));
    let Some(visitor) = visitor else {
        let why = "you are not signed in to the gallery, or were away for long: run `dosctl gallery` again";
        return Err(refuse(StatusCode::UNAUTHORIZED, why));
    };
    if is_post && path != UPLOAD_PATH {
        let (whole, form) = with_form(request).await?;
        request = whole;
        if !is_csrf(&visitor, field(&form, "csrf").as_deref()) {
            return Err(refuse(StatusCode::FORBIDDEN, "this form is of an earlier session: reload the page"));
        }
    }
    request.extensions_mut().insert(visitor);
    Ok(request)
}

/// The value of a header that is there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Refuses what a page of another site, or of another port of this address, has the browser ask, but for a link to the way in.
fn check_site(headers: &HeaderMap, is_post: bool, path: &str) -> Result<(), Refusal> {
    let told = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match told("sec-fetch-site") {
        None | Some("same-origin" | "none") => Ok(()),
        Some(_) if !is_post && path == "/enter" && told("sec-fetch-mode") == Some("navigate") => Ok(()),
        Some(_) => Err(refuse(StatusCode::FORBIDDEN, "another page has asked for this")),
    }
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// Whether this is the secret of the session.
pub(super) fn is_csrf(visitor: &Visitor, given: Option<&str>) -> bool {
    // Hashes are compared in constant time.
    given.is_some_and(|given| blake3::hash(given.as_bytes()) == blake3::hash(visitor.csrf.as_bytes()))
}

/// The request with its body, which is a form and bounded.
async fn with_form(request: Request) -> Result<(Request, Bytes), Refusal> {
    let (parts, body) = request.into_parts();
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")) {
        return Err(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "only a form"));
    }
    let bytes = match timeout(FORM_TIME_MAX, to_bytes(body, FORM_BYTES_MAX)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            return Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, "the form is too large, or not whole"));
        }
        Err(_) => return Err(refuse(StatusCode::REQUEST_TIMEOUT, "the form did not come in time")),
    };
    Ok((Request::from_parts(parts, Body::from(bytes.clone())), bytes))
}

/// The value of a field that is there once.
fn field(form: &[u8], name: &str) -> Option<String> {
    let mut values = form_urlencoded::parse(form).filter(|(known, _)| known == name);
    let (_, value) = values.next()?;
    values.next().is_none().then(|| value.into_owned())
}
