//! Who calls: the contact whose pinned key it is, or the peer that the directory says holds it.
//!
//! What always holds: a peer whose pinned key is another one is nobody, whatever the directory says. What was told is
//! remembered, but asked again after a while where the directory is within reach; the memory is bounded.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use dos_protocol::{
    Code, PeerId, PeerName, PublicKey, WireError,
    directory::{Answer, Op},
};

use tokio::time::Instant;

use super::Peers;
use crate::directory::unexpected;

/// Keys remembered.
const KNOWN_KEYS_MAX: usize = 4096;

/// The directory is not asked again within this time: a replaced key belongs to no peer any more.
const KNOWN_FOR: Duration = Duration::from_secs(60);

/// A peer that calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Its ID.
    pub(crate) id: PeerId,
    /// Its name.
    pub(crate) name: Option<PeerName>,
}

/// Whose keys are known. When full, it starts anew.
#[derive(Debug, Default)]
pub(crate) struct KnownKeys(Mutex<HashMap<PublicKey, (Caller, Instant)>>);

impl KnownKeys {
    fn get(&self, key: &PublicKey) -> Option<(Caller, Instant)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Remembers whose a key is.
    pub(crate) fn put(&self, key: PublicKey, caller: Caller) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= KNOWN_KEYS_MAX {
            keys.clear();
        }
        keys.insert(key, (caller, Instant::now()));
    }

    fn forget(&self, key: &PublicKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// Who holds the key: a contact, or the peer that the directory says it is, if no other key of that one is pinned.
///
/// # Errors
/// What the directory says; `offline`; `denied` if another key is pinned.
pub(super) async fn identify(peers: &Peers, key: PublicKey) -> Result<Caller, WireError> {
    if let Some(pin) = peers.store.pin_by_key(key).await? {
        return Ok(Caller { id: pin.contact.id, name: pin.contact.name });
    }
    let caller = told(peers, key).await?;
    peers.trust.check(caller.id, key).await?;
    Ok(caller)
}

/// Who holds the key: from memory, or from the directory.
async fn told(peers: &Peers, key: PublicKey) -> Result<Caller, WireError> {
    let known = peers.known_keys.get(&key);
    if let Some((caller, at)) = &known
        && at.elapsed() < KNOWN_FOR
    {
        return Ok(caller.clone());
    }
    match (peers.upstream.request(Op::Identify(key)).await, known) {
        (Ok(Answer::Peer(peer)), _) => {
            let caller = Caller { id: peer.id, name: peer.name };
            peers.known_keys.put(key, caller.clone());
            Ok(caller)
        }
        (Ok(_), _) => Err(unexpected()),
        (Err(error), Some((caller, _))) if matches!(error.code, Code::Offline | Code::Timeout) => Ok(caller),
        (Err(error), _) => {
            peers.known_keys.forget(&key);
            Err(error)
        }
    }
}
