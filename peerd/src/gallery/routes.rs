//! Which address leads where.

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::StatusCode,
    middleware::from_fn_with_state,
    routing::{get, post},
};

use super::{Gallery, answer::Refusal, assets, changes, guard::guard, live, original, pages};

/// All of them, behind the guard.
pub(super) fn router(gallery: Arc<Gallery>) -> Router {
    Router::new()
        .route("/", get(pages::pictures::page))
        .route("/enter", get(pages::enter::page).post(pages::enter::enter))
        .route("/leave", post(pages::enter::leave))
        .route("/assets/{name}", get(assets::get))
        .route("/preview/{owner}/{name}", get(pages::preview::get))
        .route("/picture/{owner}/{name}", get(pages::picture::page))
        .route("/view/{owner}/{name}", get(pages::view::ask))
        .route("/view", post(pages::view::view))
        .route("/show/{ticket}", get(pages::view::show))
        .route("/original/{ticket}", get(original::show))
        .route("/download", post(original::download))
        .route("/people", get(pages::people::page))
        .route("/requests", get(pages::requests::page))
        .route("/messages", get(pages::messages::page))
        .route("/news", get(pages::news::page))
        .route("/settings", get(pages::settings::page))
        .route("/events", get(live::events))
        .merge(changes::routes())
        .fallback(async || Refusal::plain(StatusCode::NOT_FOUND, "there is no such page"))
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(Arc::clone(&gallery), guard))
        .with_state(gallery)
}
