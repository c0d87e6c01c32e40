//! The small picture of an image.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use dos_protocol::control::{Command, Outcome};

use crate::gallery::{
    Gallery, address,
    answer::{Refusal, inert},
    perform::{ask, unexpected},
    words,
};

/// The preview, if it is what its owner has signed.
pub(in crate::gallery) async fn get(
    State(gallery): State<Arc<Gallery>>,
    Path((owner, name)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let path = address::image((&owner, &name))?;
    let Outcome::Preview { preview, .. } = ask(&gallery, Command::Preview(address::arg(&path))).await? else {
        return Err(unexpected().into());
    };
    let Some(kind) = words::shown_as(preview.format) else {
        return Err(Refusal::plain(StatusCode::NOT_FOUND, "this preview cannot be shown"));
    };
    Ok((inert(kind), preview.data).into_response())
}
