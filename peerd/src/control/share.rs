//! `share`: gives, changes or takes back a viewer's right to an image of one's own.

use std::{sync::Arc, time::Duration};

use dos_protocol::{
    ImageName, PeerRef, Timestamp, WireError,
    control::Outcome,
    directory::{Answer, ExpiryChange, Op, Share, ViewsChange},
};

use super::resolve::resolve;
use crate::{
    Core,
    keys::ImageKeys,
    library::own_image,
    upstream::{unexpected, unregistered},
};

/// Changes the right at the directory, then in the ledger here.
///
/// # Errors
/// `not_found` for an unknown image or peer; `invalid`; `offline`.
pub(super) async fn run(
    core: &Arc<Core>,
    name: ImageName,
    viewer: PeerRef,
    (views, expires): (ViewsChange, Option<Duration>),
) -> Result<Outcome, WireError> {
    let (_, identity) = core.identity.registered().ok_or_else(unregistered)?;
    core.upstream.ready().await?;
    let image = own_image(core, &name).await?;
    // The owner's share depends on the viewer's ID.
    let viewer = match viewer {
        PeerRef::Id(id) => id,
        other => resolve(core, other).await?.id,
    };
    let key = match views {
        ViewsChange::Revoke => None,
        _ => Some(ImageKeys::open(&identity.vault, &image)?.key_share(image.info.no, viewer)?),
    };
    let expiry = expires.map_or(ExpiryChange::Keep, |time| ExpiryChange::At(Timestamp::now().after(time)));
    let share = Share { image: image.info.no, viewer: PeerRef::Id(viewer), views, expiry, key };
    match core.upstream.request(Op::Share(share)).await {
        Ok(Answer::Grant(grant)) => {
            core.take_grant((*grant).clone()).await?;
            Ok(Outcome::Grant(grant))
        }
        Ok(_) => Err(unexpected()),
        Err(error) if error.hint.is_none() && error.code == dos_protocol::Code::NotFound => {
            Err(error.hint("dosctl list"))
        }
        Err(error) => Err(error),
    }
}
