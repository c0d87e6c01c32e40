//! `messages`: a page of those that are kept here, at once or as soon as there are some.

use std::sync::Arc;

use dos_protocol::{
    PeerId, PeerRef, WireError,
    control::{MessagesQuery, Outcome},
};

use super::{
    connection::{Finished, WhenShown},
    resolve::resolve,
};
use crate::{
    Core,
    store::{Me, Wanted},
    upstream::unregistered,
};

/// Reads the store. What is in the page counts as read once dosctl says that it was shown.
///
/// # Errors
/// `offline` if not registered; `not_found` if nobody has the name.
pub(super) async fn run(core: &Arc<Core>, query: MessagesQuery) -> Result<Finished, WireError> {
    let (id, identity) = core.identity.registered().ok_or_else(unregistered)?;
    let me = Me { id, name: identity.name.clone() };
    let with = match query.with {
        Some(peer) => Some(whom(core, peer).await?),
        None => None,
    };
    let MessagesQuery { unread, after, limit, most, .. } = query;
    let wanted = Wanted { unread, with, after, limit, most };
    let mut mail = core.mail.subscribe();
    loop {
        // From here on a change wakes this up, also one that comes while the store is read.
        mail.mark_unchanged();
        let (messages, more) = core.store.messages(me.clone(), wanted).await?;
        if messages.is_empty() && query.wait && mail.changed().await.is_ok() {
            continue;
        }
        let unread = messages.iter().filter(|message| !message.read).map(|message| message.place).collect();
        let outcome = Outcome::Messages { messages, more };
        return Ok(Finished { outcome, then: Some(WhenShown::Read(unread)) });
    }
}

/// The peer that a person named, from what is here if possible.
async fn whom(core: &Core, peer: PeerRef) -> Result<PeerId, WireError> {
    match peer {
        PeerRef::Id(id) => Ok(id),
        PeerRef::Name(name) => match core.store.correspondent(name.clone()).await? {
            Some(id) => Ok(id),
            None => Ok(resolve(core, PeerRef::Name(name)).await?.id),
        },
        address @ PeerRef::Address(_) => Ok(resolve(core, address).await?.id),
    }
}
