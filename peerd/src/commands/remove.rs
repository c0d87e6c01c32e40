//! `remove`: withdraws an image of one's own, and with it every grant to it.

use dos_protocol::{
    Code, ImageName, ImagePath, WireError,
    control::Outcome,
    directory::{Answer, Op},
};

use super::operation::Operation;
use crate::{
    directory::{unexpected, unregistered},
    library::own_info,
};

/// Has the directory forget the image, then forgets it here.
///
/// # Errors
/// `not_found`; `offline`.
pub(super) async fn run(change: &Operation, name: ImageName) -> Result<Outcome, WireError> {
    let services = &change.services;
    let image = match own_info(&services.library, &name).await {
        Err(error) if error.code == Code::NotFound && change.is_repeated().await? => {
            let (owner, _) = services.identity.registered().ok_or_else(unregistered)?;
            return Ok(Outcome::Removed(ImagePath { owner, name }));
        }
        other => other?,
    };
    match change.request(Op::Remove(image.no)).await {
        Ok(Answer::Done) => {}
        Ok(_) => return Err(unexpected()),
        // An earlier answer was lost: it is gone already.
        Err(error) if error.code == Code::NotFound => {}
        Err(error) => return Err(error),
    }
    let free = services.store.remove_image(image.no).await?;
    services.cache.copies.remove(free).await;
    services.requests.recount().await?;
    Ok(Outcome::Removed(ImagePath { owner: image.owner, name: image.name }))
}
