//! Peer to peer: serving sealed copies to viewers, fetching them from owners, and direct messages.
//!
//! [`listener`] takes connections, [`serve`] answers on one, [`callers`] tells who it is. [`dial`] calls another peer, at its
//! addresses ([`race`], not too often at one host: [`attempts`]) at one moment with it ([`rendezvous`], from another port for another connection: [`fresh`]), or through the directory ([`relay`]); where it was the last time while that is asked ([`known`]); [`message`] brings a message there, [`fetch`] brings a copy here:
//! [`lines`] carry several transfers, [`carry`] leaves a way for another ([`bad`]: those that bring nothing), [`receive`] reads the bytes, [`intake`]
//! keeps and verifies them.

mod admission;
mod attempts;
mod bad;
pub(crate) mod callers;
mod carry;
pub(crate) mod dial;
pub(crate) mod explain;
pub(crate) mod fetch;
mod fresh;
mod intake;
mod known;
mod lines;
pub(crate) mod listener;
pub(crate) mod message;
pub(crate) mod ping;
mod race;
mod receive;
pub(crate) mod relay;
mod rendezvous;
pub(crate) mod serve;
mod socket;

use std::sync::Arc;

use crate::{
    cache::Cache, config::Config, feed::Feed, identity::Identities, store::Store, traffic::Traffic,
    trust::Trust, upstream::Upstream,
};
use attempts::Attempts;
use bad::BadWays;
use callers::{Inquiries, KnownKeys, Places};
use dial::Ways;
use fetch::Fetches;
use lines::Lines;
use rendezvous::Meetings;

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
    inquiries: Inquiries,
    places: Places,
    pub(crate) trust: Arc<Trust>,
    fetches: Fetches,
    lines: Lines,
    ways: Ways,
    bad: BadWays,
    attempts: Attempts,
    meetings: Meetings,
    /// Whether others may connect.
    is_reachable: bool,
}

impl Peers {
    pub(crate) fn new(
        identity: Arc<Identities>,
        upstream: Arc<Upstream>,
        cache: Cache,
        trust: Arc<Trust>,
        config: &Config,
    ) -> Self {
        let settings = config.settings;
        Self {
            identity,
            upstream,
            store: cache.store.clone(),
            cache,
            feed: Arc::clone(&trust.feed),
            uploads: Traffic::new(settings.uploads),
            downloads: Traffic::new(settings.downloads),
            known_keys: KnownKeys::default(),
            inquiries: Inquiries::default(),
            places: Places::default(),
            trust,
            fetches: Fetches::default(),
            lines: Lines::default(),
            ways: Ways::default(),
            bad: BadWays::default(),
            attempts: Attempts::default(),
            meetings: Meetings::default(),
            is_reachable: config.reachable,
        }
    }
}

#[cfg(test)]
mod tests;
