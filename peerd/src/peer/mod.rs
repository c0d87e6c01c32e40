//! Peer to peer: serving sealed copies to viewers, fetching them from owners, and direct messages.
//!
//! [`listener`] takes connections, [`serve`] answers on one, [`callers`] tells who it is. [`dial`] calls another peer, at its
//! addresses ([`race`]) or through the directory ([`relay`]); [`message`] brings a message there, [`fetch`] brings a copy here:
//! [`receive`] reads its bytes, [`intake`] keeps and verifies them, [`window`] says how far the owner may send.

pub(crate) mod callers;
pub(crate) mod dial;
pub(crate) mod fetch;
mod intake;
pub(crate) mod listener;
pub(crate) mod message;
pub(crate) mod ping;
mod race;
mod receive;
pub(crate) mod relay;
pub(crate) mod serve;
mod window;

use std::sync::Arc;

use dos_protocol::{
    PeerId, WireError,
    directory::{Answer, Contact, Op},
};

use crate::{
    cache::Cache, config::Settings, directory::unexpected, feed::Feed, identity::Identities, store::Store,
    traffic::Traffic, upstream::Upstream,
};
use callers::KnownKeys;
use dial::Ways;
use fetch::Fetches;

/// What connections of other peers, and to them, work with.
#[derive(Debug)]
pub(crate) struct Peers {
    pub(crate) identity: Arc<Identities>,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) store: Store,
    pub(crate) cache: Cache,
    pub(crate) feed: Arc<Feed>,
    pub(crate) uploads: Traffic,
    pub(crate) downloads: Traffic,
    pub(crate) known_keys: KnownKeys,
    fetches: Fetches,
    ways: Ways,
}

impl Peers {
    pub(crate) fn new(
        identity: Arc<Identities>,
        upstream: Arc<Upstream>,
        cache: Cache,
        feed: Arc<Feed>,
        settings: Settings,
    ) -> Self {
        Self {
            identity,
            upstream,
            store: cache.store.clone(),
            cache,
            feed,
            uploads: Traffic::new(settings.uploads),
            downloads: Traffic::new(settings.downloads),
            known_keys: KnownKeys::default(),
            fetches: Fetches::default(),
            ways: Ways::default(),
        }
    }
}

/// What it takes to connect to a peer, as the directory knows it now.
///
/// # Errors
/// `not_found`; `offline` without a session.
pub(crate) async fn contact(peers: &Peers, peer: PeerId) -> Result<Contact, WireError> {
    match peers.upstream.request(Op::Contact(peer)).await? {
        Answer::Contact(contact) => Ok(contact),
        _ => Err(unexpected()),
    }
}

#[cfg(test)]
mod tests;
