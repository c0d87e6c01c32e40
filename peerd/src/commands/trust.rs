//! `trust`: shows what is known of a peer's key, and pins the one that a person has verified.

use std::sync::Arc;

use dos_protocol::{
    Code, PeerId, PeerName, PeerRef, PublicKey, WireError,
    control::{Contact, Outcome},
    directory::{Answer, ExpiryChange, Op, Share, ViewsChange},
    model::Grant,
};

use super::{Services, card::own};
use crate::{directory::unexpected, keys::ImageKeys, store::Told};

/// What is known of a peer's key; where none is pinned, the one that the directory tells. Pins nothing.
///
/// # Errors
/// `not_found`; `offline` if nothing is known here and the directory cannot be asked.
pub(super) async fn inspect(services: &Arc<Services>, peer: PeerRef) -> Result<Outcome, WireError> {
    let own = own(services)?;
    let id = services.trust.who(&peer).await?;
    if id == own.id {
        return Err(WireError::new(Code::Invalid, "that is this peer itself").hint("dosctl card"));
    }
    if services.store.pin(id).await?.is_some() {
        // It may be that another key is there meanwhile; without the directory what is known is shown.
        if let Err(error) = services.trust.contact(id).await {
            drop(services.trust.missing(&peer, error).await);
        }
    }
    let contact = match services.store.pin(id).await? {
        Some(pin) => pin.contact,
        None => {
            let told = services.trust.look(id).await?;
            let since = dos_protocol::Timestamp::now();
            let stranger = !services.store.standing(id).await?.is_contact;
            Contact { id, name: told.name, key: told.key, trust: None, since, other: None, stranger }
        }
    };
    Ok(Outcome::Trust { own, contact: Box::new(contact) })
}

/// Pins the key as verified. Where another one was pinned, the grants of this peer are bound to the new one.
///
/// # Errors
/// `invalid` for one's own ID; what the directory says of the grants, which can be tried again.
pub(super) async fn run(
    services: &Arc<Services>,
    (peer, key, name): (PeerId, PublicKey, Option<PeerName>),
) -> Result<Outcome, WireError> {
    let own = own(services)?;
    if peer == own.id {
        return Err(WireError::new(Code::Invalid, "that is this peer itself").hint("dosctl card"));
    }
    let (contact, replaced) = services.store.trust(Told { peer, key, sealing: None, name }).await?;
    services.trust.count().await?;
    tracing::info!(%peer, replaced, "a person has verified a key");
    if replaced {
        rebind(services, peer, key).await?;
    }
    Ok(Outcome::Trust { own, contact: Box::new(contact) })
}

/// Keeps the pinned key, and forgets the other one.
///
/// # Errors
/// `not_found` if there is no such contact.
pub(super) async fn keep(services: &Arc<Services>, peer: PeerId) -> Result<Outcome, WireError> {
    let own = own(services)?;
    let contact = services.store.keep_key(peer).await?;
    services.trust.count().await?;
    let contact = contact.ok_or_else(|| {
        WireError::new(Code::NotFound, format!("{peer} is not a contact")).hint("dosctl contacts")
    })?;
    Ok(Outcome::Trust { own, contact: Box::new(contact) })
}

/// Splits the key of every image anew that the peer has a live grant to: the shares are bound to the key that it holds.
async fn rebind(services: &Services, peer: PeerId, key: PublicKey) -> Result<(), WireError> {
    let grants: Vec<Grant> = services.store.grants_given_to(peer).await?;
    let Some((_, identity)) = services.identity.registered() else { return Ok(()) };
    for grant in grants.into_iter().filter(|grant| !grant.revoked) {
        let Some(image) = services.store.own_image_no(grant.image).await? else { continue };
        let share = Share {
            image: grant.image,
            viewer: PeerRef::Id(peer),
            views: ViewsChange::Rekey,
            expiry: ExpiryChange::Keep,
            key: Some(ImageKeys::open(&identity.vault, &image)?.key_share(grant.image, (peer, &key))?),
            allow_offline: None,
            lasts_ms: None,
        };
        match services.upstream.request(Op::Share(share)).await? {
            Answer::Grant(grant) => services.cache.take_grant(*grant).await?,
            _ => return Err(unexpected()),
        }
    }
    Ok(())
}
