//! `share`: gives, changes or revokes a viewer's grant to an image of one's own.

use std::time::Duration;

use dos_protocol::{
    Code, ImageName, PeerRef, WireError,
    control::Outcome,
    directory::{Answer, ExpiryChange, Op, Share, ViewsChange},
    model::Grant,
};

use super::operation::Operation;
use crate::{
    directory::{unexpected, unregistered},
    keys::ImageKeys,
    library::own_image,
    rules::repeats::About,
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
    let named = viewer;
    let viewer = match services.trust.who(&named).await {
        Ok(viewer) => viewer,
        Err(error) => return Err(services.trust.missing(&named, error).await),
    };
    // The owner's share depends on the viewer's ID and key. To revoke a grant no key is needed, whichever the viewer has.
    let key = match views {
        ViewsChange::Revoke => None,
        _ => {
            let held = match services.trust.contact(viewer).await {
                Ok(contact) => contact.key,
                Err(error) => return Err(services.trust.missing(&named, error).await),
            };
            Some(ImageKeys::open(&identity.vault, &image)?.key_share(image.info.no, (viewer, &held))?)
        }
    };
    // The time of an earlier attempt counts only if this is the same change.
    change.is_about(About::grant(image.info.no, viewer, views));
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
            let grant = Grant { offer: false, ..*grant };
            services.cache.take_grant(grant.clone()).await?;
            Ok(Outcome::Grant(Box::new(grant)))
        }
        Ok(_) => Err(unexpected()),
        Err(error) if error.hint.is_none() && error.code == Code::NotFound => Err(error.hint("dosctl list")),
        Err(error) => Err(error),
    }
}
