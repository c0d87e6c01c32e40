//! The style sheet, the script and the icon: part of the program. Their addresses carry a hash of what they hold, so that browsers keep
//! them until another version has others.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

/// The style sheet.
pub(super) const STYLE: &str = include_str!("assets/gallery.css");

/// The script of all pages.
pub(super) const SCRIPT: &str = include_str!("assets/gallery.js");

/// The picture in the browser's tab.
const ICON_TEXT: &str = include_str!("assets/icon.svg");

/// Where the icon is.
pub(super) const ICON: &str = "/assets/icon.svg";

fn hashed(text: &str, ending: &str) -> String {
    format!("/assets/{}.{ending}", &blake3::hash(text.as_bytes()).to_hex()[..16])
}

/// Where the style sheet is.
pub(super) fn style() -> &'static str {
    static AT: LazyLock<String> = LazyLock::new(|| hashed(STYLE, "css"));
    &AT
}

/// Where the script is.
pub(super) fn script() -> &'static str {
    static AT: LazyLock<String> = LazyLock::new(|| hashed(SCRIPT, "js"));
    &AT
}

/// One of them.
pub(super) async fn get(Path(name): Path<String>) -> Response {
    let path = format!("/assets/{name}");
    let (kind, text) = match &*path {
        path if path == style() => ("text/css; charset=utf-8", STYLE),
        path if path == script() => ("text/javascript; charset=utf-8", SCRIPT),
        ICON => ("image/svg+xml", ICON_TEXT),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let forever = HeaderValue::from_static("private, max-age=31536000, immutable");
    ([(header::CONTENT_TYPE, HeaderValue::from_static(kind)), (header::CACHE_CONTROL, forever)], text)
        .into_response()
}
