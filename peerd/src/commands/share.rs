//! `share`: gives, changes or revokes a viewer's grant to an image of one's own.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use dos_protocol::{
    Code, ImageName, PeerId, PeerRef, PublicKey, WireError,
    control::{Command, Outcome},
    directory::{Answer, ExpiryChange, Op, Share, ViewsChange},
    limits::REQUESTS_IN_FLIGHT_MAX,
    model::Grant,
};
use futures_util::{StreamExt, future::BoxFuture, stream};

use super::{Services, operation::Operation};
use crate::{
    directory::{unexpected, unregistered},
    keys::ImageKeys,
    library::own_image,
    rules::repeats::About,
};

/// A viewer and its pinned key, or why there is none to grant to.
type Found = Result<(PeerId, PublicKey), WireError>;

/// What was found out about viewers once, for many grants.
#[derive(Debug, Default)]
pub(super) struct Viewers(HashMap<PeerRef, Found>);

impl Viewers {
    /// The viewers of these commands, as far as their keys are needed.
    pub(super) async fn of(services: &Arc<Services>, commands: &[Command]) -> Self {
        let wanted: HashSet<&PeerRef> = commands
            .iter()
            .filter_map(|command| match command {
                Command::Share { viewer, views, .. } if *views != ViewsChange::Revoke => Some(viewer),
                _ => None,
            })
            .collect();
        let found: Vec<_> = wanted.into_iter().map(|viewer| found(services, viewer.clone())).collect();
        Self(stream::iter(found).buffer_unordered(REQUESTS_IN_FLIGHT_MAX).collect().await)
    }
}

fn found(services: &Arc<Services>, viewer: PeerRef) -> BoxFuture<'static, (PeerRef, Found)> {
    let services = Arc::clone(services);
    Box::pin(async move {
        let contact = contact(&services, &viewer).await;
        (viewer, contact)
    })
}

async fn who(services: &Services, named: &PeerRef) -> Result<PeerId, WireError> {
    match services.trust.who(named).await {
        Ok(viewer) => Ok(viewer),
        Err(error) => Err(services.trust.missing(named, error).await),
    }
}

/// The viewer and its pinned key.
async fn contact(services: &Services, named: &PeerRef) -> Found {
    let viewer = who(services, named).await?;
    match services.trust.contact(viewer).await {
        Ok(contact) => Ok((viewer, contact.key)),
        Err(error) => Err(services.trust.missing(named, error).await),
    }
}

/// Changes the grant at the directory, then in the ledger here.
///
/// # Errors
/// `not_found` for an unknown image or peer; `invalid`; `offline`.
pub(super) async fn run(
    change: &Operation,
    name: ImageName,
    (viewer, viewers): (PeerRef, &Viewers),
    (views, expires, allow_offline): (ViewsChange, Option<Duration>, Option<bool>),
) -> Result<Outcome, WireError> {
    let services = &change.services;
    let (_, identity) = services.identity.registered().ok_or_else(unregistered)?;
    services.upstream.ready().await?;
    let image = own_image(&services.library, &name).await?;
    // The owner's share depends on the viewer's ID and key. To revoke a grant no key is needed, whichever the viewer has.
    let (viewer, key) = if views == ViewsChange::Revoke {
        (who(services, &viewer).await?, None)
    } else {
        let (viewer, held) = match viewers.0.get(&viewer) {
            Some(known) => known.clone()?,
            None => contact(services, &viewer).await?,
        };
        let key = ImageKeys::open(&identity.vault, &image)?.key_share(image.info.no, (viewer, &held))?;
        (viewer, Some(key))
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
