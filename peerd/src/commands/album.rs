//! `album` and `albums`: one's own images by the albums that they are in, and who gets what comes into one.

use std::sync::Arc;

use dos_protocol::{AlbumName, Code, ImageName, WireError, control::Outcome};

use super::Services;
use crate::directory::unregistered;

/// A page of an album, and its rules.
///
/// # Errors
/// `not_found` if it has neither images nor rules.
pub(super) async fn run(
    services: &Arc<Services>,
    name: AlbumName,
    after: Option<ImageName>,
) -> Result<Outcome, WireError> {
    services.identity.registered().ok_or_else(unregistered)?;
    let is_first = after.is_none();
    let (images, more) = services.store.album(name.clone(), after).await?;
    let rules = services.store.album_rules(name.clone()).await?;
    if is_first && images.is_empty() && rules.is_empty() {
        return Err(missing(&name));
    }
    Ok(Outcome::Album { images, more, rules })
}

/// All albums.
///
/// # Errors
/// If the store fails.
pub(super) async fn all(services: &Arc<Services>) -> Result<Outcome, WireError> {
    services.identity.registered().ok_or_else(unregistered)?;
    Ok(Outcome::Albums(services.store.albums().await?))
}

/// There is no such album of one's own.
pub(super) fn missing(name: &AlbumName) -> WireError {
    WireError::new(Code::NotFound, format!("you have no album \"{name}\"")).hint("dosctl albums")
}
