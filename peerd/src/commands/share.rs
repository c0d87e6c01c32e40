//! `share`: gives, changes or revokes a viewer's grant to an image of one's own.

use std::time::Duration;

use dos_protocol::{
    Code, ImageName, PeerRef, WireError,
    control::Outcome,
    directory::{Answer, ExpiryChange, Op, Share, ViewsChange},
};

use super::{operation::Operation, resolve::resolve};
use crate::{
    directory::{unexpected, unregistered},
    keys::ImageKeys,
    library::own_image,
};

/// Changes the grant at the directory, then in the ledger here.
///
/// # Errors
/// `not_found` for an unknown image or peer; `invalid`; `offline`.
pub(super) async fn run(
    change: &Operation,
    name: ImageName,
    viewer: PeerRef,
    (views, expires, allow_offline): (ViewsChange, Option<Duration>, Option<bool>),
) -> Result<Outcome, WireError> {
    let services = &change.services;
    let (_, identity) = services.identity.registered().ok_or_else(unregistered)?;
    services.upstream.ready().await?;
    let image = own_image(&services.library, &name).await?;
    // The owner's share depends on the viewer's ID.
    let viewer = match viewer {
        PeerRef::Id(id) => id,
        other => resolve(services, other).await?.id,
    };
    let key = match views {
        ViewsChange::Revoke => None,
        _ => Some(ImageKeys::open(&identity.vault, &image)?.key_share(image.info.no, viewer)?),
    };
    let expiry = match expires {
        // For a directory of the first release, which does not know how long a grant is to last.
        Some(time) => ExpiryChange::At(change.begun_at().await?.after(time)),
        None => ExpiryChange::Keep,
    };
    let lasts_ms = expires.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    let viewer = PeerRef::Id(viewer);
    let share = Share { image: image.info.no, viewer, views, expiry, key, lasts_ms, allow_offline };
    match change.request(Op::Share(share)).await {
        Ok(Answer::Grant(grant)) => {
            services.cache.take_grant((*grant).clone()).await?;
            Ok(Outcome::Grant(grant))
        }
        Ok(_) => Err(unexpected()),
        Err(error) if error.hint.is_none() && error.code == Code::NotFound => Err(error.hint("dosctl list")),
        Err(error) => Err(error),
    }
}
