//! With whom this daemon speaks: not with blocked peers, and with strangers only if that is allowed.
//!
//! What always holds: whoever is not spoken with gets no answer, whatever it asks: its connection ends as that of a peer that
//! cannot be identified. TLS has shown it by then that this peer's key is at the address; that cannot be hidden from anybody who
//! knows both.

use dos_protocol::PeerId;

use super::{
    Peers,
    callers::{From, identify},
};
use crate::rules::strangers::Standing;

/// Whether this caller gets answers. Asked anew for each of its requests, since it may be blocked meanwhile.
pub(super) async fn answers(peers: &Peers, from: From) -> bool {
    let caller = match identify(peers, from).await {
        Ok(caller) => Some(caller.id),
        Err(error) => {
            tracing::debug!(error = %error.message, "a caller is not identified");
            None
        }
    };
    let standing = match caller {
        Some(caller) => Some(standing(peers, caller).await),
        None => None,
    };
    peers.cache.strangers().answers(standing)
}

/// Whether a caller that is not identified is told why it gets nothing.
pub(super) fn answers_unknown(peers: &Peers) -> bool {
    peers.cache.strangers().answers(None)
}

/// Returns when this caller is blocked while it is connected: then whatever it is given ends.
pub(super) async fn shut_out(peers: &Peers, from: From) {
    let mut changes = peers.store.blocks_changed();
    while changes.changed().await.is_ok() {
        if !answers(peers, from).await {
            return;
        }
    }
    std::future::pending().await
}

/// Whether a call of this peer through the relay is taken. The directory says who it is; its key is asked once it is connected.
pub(super) async fn takes_call(peers: &Peers, from: PeerId) -> bool {
    let standing = standing(peers, from).await;
    peers.cache.strangers().answers(Some(standing))
}

/// How this peer stands to another one. If that cannot be read, the other one is as good as blocked.
async fn standing(peers: &Peers, peer: PeerId) -> Standing {
    let standing = peers.store.standing(peer).await;
    standing.unwrap_or_else(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "cannot look up a caller");
        Standing { is_contact: false, is_blocked: true }
    })
}
