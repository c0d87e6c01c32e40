//! What a person may have meant who named an image that is not there: one's own without the ending of its file, or the
//! image of another peer with its owner left out.

use dos_protocol::{Code, ImageArg, ImageName, Near, PeerRef, WireError, control::Command};

use super::Services;
use crate::{rules::names::without_ending, store::Error};

/// The image that a command names without an owner.
pub(super) fn named(command: &Command) -> Option<ImageName> {
    match command {
        Command::Share { name, .. }
        | Command::Rename { name, .. }
        | Command::Set { name, .. }
        | Command::Remove(name) => Some(name.clone()),
        Command::Preview(arg)
        | Command::Request { image: arg, .. }
        | Command::Fetch(arg)
        | Command::View { image: arg, .. }
        | Command::Checkout { image: arg, .. }
        | Command::Checkin(arg) => arg.owner.is_none().then(|| arg.name.clone()),
        _ => None,
    }
}

/// Adds to an error what may have been meant, if the image that was named is not one's own.
pub(super) async fn with_near(services: &Services, name: ImageName, error: WireError) -> WireError {
    if error.code != Code::NotFound || error.near.is_some() {
        return error;
    }
    match find(services, &name).await {
        Ok(Some(meant)) => error.near(Near { given: name.as_str().into(), meant: meant.to_string().into() }),
        Ok(None) | Err(_) => error,
    }
}

async fn find(services: &Services, name: &ImageName) -> Result<Option<ImageArg>, Error> {
    if services.store.own_image(name.clone()).await?.is_some() {
        return Ok(None);
    }
    if let Some(stem) = without_ending(name)
        && let Some(own) = services.store.own_image(stem).await?
    {
        return Ok(Some(ImageArg { owner: None, name: own.info.name }));
    }
    let Some((me, _)) = services.identity.registered() else { return Ok(None) };
    let Some(grant) = services.store.received_by_name(me, name.clone()).await? else { return Ok(None) };
    let owner = grant.owner_name.map_or(PeerRef::Id(grant.path.owner), PeerRef::Name);
    Ok(Some(ImageArg { owner: Some(owner), name: grant.path.name }))
}
