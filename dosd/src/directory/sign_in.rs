//! Coming online and going offline.

use std::{net::IpAddr, sync::Arc};

use dos_protocol::{
    Code, PublicKey, Seq, Timestamp, WireError,
    directory::{Register, SignIn, SignedIn},
    limits::{ADDRESSES_MAX, SESSIONS_MAX},
    model::Address,
};
use tokio::sync::mpsc;

use super::{Directory, outward};
use crate::{
    hub::{Arrival, Push, Session, reachable_at},
    store::{Known, Refusal},
};

/// A peer that has come online.
#[derive(Debug)]
pub struct Arrived {
    /// Its session.
    pub session: Arc<Session>,
    /// What the session is told from outside.
    pub pushes: mpsc::Receiver<Push>,
    /// The last inbox row that the peer has, or that is gone.
    pub stored: Seq,
}

impl Directory {
    /// Signs in the holder of `key`.
    ///
    /// # Errors
    /// `not_found` if the key is not registered, `conflict` if another daemon is signed in with it.
    pub async fn sign_in(
        &self,
        key: PublicKey,
        seen: IpAddr,
        sign_in: SignIn,
    ) -> Result<(Arrived, SignedIn), WireError> {
        let known = self.store.peer_by_key(key).await.map_err(outward)?;
        self.arrive(known, seen, sign_in).await
    }

    /// Registers the holder of `key` and signs it in.
    ///
    /// # Errors
    /// `conflict` if the name is taken.
    pub async fn register(
        &self,
        key: PublicKey,
        seen: IpAddr,
        register: Register,
    ) -> Result<(Arrived, SignedIn), WireError> {
        let known = self.store.register(key, register.name, Timestamp::now()).await.map_err(outward)?;
        tracing::info!(peer = %known.id, address = %seen, "registered");
        self.arrive(known, seen, register.sign_in).await
    }

    async fn arrive(
        &self,
        known: Known,
        seen: IpAddr,
        sign_in: SignIn,
    ) -> Result<(Arrived, SignedIn), WireError> {
        if sign_in.addresses.len() > ADDRESSES_MAX {
            return Err(WireError::new(
                Code::Invalid,
                format!("at most {ADDRESSES_MAX} addresses are announced"),
            ));
        }
        if self.hub.count() >= SESSIONS_MAX {
            let error = WireError::new(Code::Denied, "the directory has no room for another session");
            return Err(error.because(dos_protocol::Reason::Limit));
        }
        let addresses = reachable_at(seen, sign_in.port, sign_in.addresses);
        let arrival = Arrival { peer: known.id, instance: sign_in.instance, addresses, force: sign_in.force };
        let (session, pushes) = self.hub.arrive(arrival)?;
        match self.welcome(&session, known, sign_in.stored).await {
            Ok((stored, answer)) => Ok((Arrived { session, pushes, stored }, answer)),
            Err(refusal) => {
                self.hub.leave(&session);
                Err(outward(refusal))
            }
        }
    }

    /// From here on live rows reach the session; what is older is read from the inbox.
    async fn welcome(
        &self,
        session: &Arc<Session>,
        known: Known,
        stored: Seq,
    ) -> Result<(Seq, SignedIn), Refusal> {
        let (since, mut latest) = self.store.inbox_span(known.id, stored).await?;
        if stored > latest {
            self.store.advance_inbox(known.id, stored).await?;
            latest = stored;
        }
        session.note_latest(latest);
        self.note_seen(known.id);
        let none = Address(([0, 0, 0, 0], 0).into());
        let address = session.address().unwrap_or(none);
        Ok((since, SignedIn { id: known.id, name: known.name, address, since, latest }))
    }

    /// Makes a peer offline, unless it has a newer session, and writes down when that was.
    pub async fn left(&self, session: &Arc<Session>) {
        if self.hub.leave(session)
            && let Err(error) = self.store.touch(session.peer, Timestamp::now()).await
        {
            tracing::warn!(peer = %session.peer, %error, "cannot write down when the peer was last seen");
        }
    }

    /// Writes down in passing that a peer is here; nobody waits for it.
    fn note_seen(&self, peer: dos_protocol::PeerId) {
        let store = self.store.clone();
        tokio::spawn(async move {
            if let Err(error) = store.touch(peer, Timestamp::now()).await {
                tracing::warn!(%peer, %error, "cannot write down that the peer is here");
            }
        });
    }

    /// Deletes inbox rows that a peer has stored, in passing: what is not deleted is skipped by the peer.
    pub fn forget(&self, peer: dos_protocol::PeerId, stored: Seq) {
        let store = self.store.clone();
        tokio::spawn(async move {
            if let Err(error) = store.acknowledge(peer, stored).await {
                tracing::warn!(%peer, %error, "cannot delete acknowledged updates");
            }
        });
    }
}
