//! `messages`: a page of those that are kept here, at once or as soon as there are some.

use std::sync::Arc;

use dos_protocol::{
    PeerId, PeerRef, WireError,
    control::{MessagesQuery, Outcome},
};

use super::{Finished, Services, WhenShown, resolve::resolve};
use crate::{
    directory::unregistered,
    store::{Me, Wanted},
};

/// Reads the store. What is in the page counts as read once dosctl says that it was shown.
///
/// # Errors
/// `offline` if not registered; `not_found` if nobody has the name.
pub(super) async fn run(services: &Arc<Services>, query: MessagesQuery) -> Result<Finished, WireError> {
    let (id, identity) = services.identity.registered().ok_or_else(unregistered)?;
    let me = Me { id, name: identity.name.clone() };
    let with = match query.with {
        Some(peer) => Some(whom(services, peer).await?),
        None => None,
    };
    let MessagesQuery { unread, after, limit, most, .. } = query;
    let wanted = Wanted { unread, with, after, limit, most };
    let mut mail = services.feed.mail();
    loop {
        // From here on a change wakes this up, also one that comes while the store is read.
        mail.mark_unchanged();
        let (messages, more) = services.store.messages(me.clone(), wanted).await?;
        if messages.is_empty() && query.wait && mail.changed().await.is_ok() {
            continue;
        }
        let unread = messages.iter().filter(|message| !message.read).map(|message| message.place).collect();
        let outcome = Outcome::Messages { messages, more };
        return Ok(Finished { outcome, then: Some(WhenShown::Read(unread)) });
    }
}

/// The peer that a person named, from what is here if possible.
async fn whom(services: &Services, peer: PeerRef) -> Result<PeerId, WireError> {
    match peer {
        PeerRef::Id(id) => Ok(id),
        PeerRef::Name(name) => match services.store.correspondent(name.clone()).await? {
            Some(id) => Ok(id),
            None => Ok(resolve(services, PeerRef::Name(name)).await?.id),
        },
        address @ PeerRef::Address(_) => Ok(resolve(services, address).await?.id),
    }
}
