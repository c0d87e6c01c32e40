//! Coming online and going offline.

use std::{
    net::IpAddr,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use dos_daemon::rate::Rate;
use dos_protocol::{
    Code, InviteCode, PublicKey, Reason, Seq, Timestamp, WireError,
    directory::{Register, SignIn, SignedIn},
    limits::ADDRESSES_MAX,
    model::{Address, SessionEnd},
};
use tokio::sync::mpsc;

use super::{Directory, outward};
use crate::{
    address::network_of,
    config::Registration,
    hub::{Arrival, Claim, Push, Session, reachable_at},
    limits::reached,
    store::{Admission, Known, NAMELESS, Newcomer, Refusal, Store},
};

/// Whoever finds the directory full comes back after so long.
const CROWDED_PAUSE: Duration = Duration::from_secs(60);

/// Beyond this the numbers of an inbox could not go on for ever.
const STORED_MAX: Seq = Seq(1 << 62);

/// How long arrivals are collected before they are written down.
const ARRIVALS_PAUSE: Duration = Duration::from_secs(1);

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
        self: &Arc<Self>,
        key: PublicKey,
        seen: IpAddr,
        sign_in: SignIn,
    ) -> Result<(Arrived, SignedIn), WireError> {
        let known = self.store.peer_by_key(key).await.map_err(outward)?;
        let claim = if sign_in.force { Claim::Forced } else { Claim::Polite };
        self.arrive(known, seen, sign_in, claim).await
    }

    /// Registers the holder of `key` and signs it in.
    ///
    /// # Errors
    /// `denied` if it may not register, or tries too often; `conflict` if the name is taken.
    pub async fn register(
        self: &Arc<Self>,
        key: PublicKey,
        seen: IpAddr,
        register: Register,
    ) -> Result<(Arrived, SignedIn), WireError> {
        let rate = Rate::per_minute(self.settings().registrations_per_minute.into());
        if let Err(wait) = self.registrations.take(network_of(seen), rate, Instant::now()) {
            let error = WireError::new(Code::Denied, "too many registrations from this address");
            return Err(error.because(Reason::Limit).retry_after(wait));
        }
        if register.password.is_some() && register.name.is_none() {
            return Err(WireError::new(Code::Invalid, NAMELESS));
        }
        let admission = self.admission(register.invite.as_deref());
        let password = match register.password {
            Some(password) => Some(self.passwords.hash_in_turn(password).await?),
            None => None,
        };
        let newcomer = Newcomer { name: register.name, admission, password };
        let known = self.store.register(key, newcomer, Timestamp::now()).await.map_err(outward)?;
        tracing::info!(peer = %known.id, address = %seen, "registered");
        let claim = if register.sign_in.force { Claim::Forced } else { Claim::Polite };
        self.arrive(known, seen, register.sign_in, claim).await
    }

    /// By which right somebody registers who brings this invite.
    fn admission(&self, invite: Option<&str>) -> Admission {
        match (self.settings().registration, invite.map(str::parse::<InviteCode>)) {
            (Registration::Open, _) => Admission::Open,
            (Registration::Closed, _) => Admission::Closed,
            (Registration::Invite, Some(Ok(code))) => Admission::Invited(code.hash()),
            (Registration::Invite, other) => Admission::Uninvited { brought: other.is_some() },
        }
    }

    /// Makes a peer online.
    ///
    /// # Errors
    /// `conflict` if another daemon is signed in; `not_found` if the key was replaced meanwhile; `denied`, `invalid`.
    pub(super) async fn arrive(
        self: &Arc<Self>,
        known: Known,
        seen: IpAddr,
        sign_in: SignIn,
        claim: Claim,
    ) -> Result<(Arrived, SignedIn), WireError> {
        if sign_in.addresses.len() > ADDRESSES_MAX {
            return Err(WireError::new(
                Code::Invalid,
                format!("at most {ADDRESSES_MAX} addresses are announced"),
            ));
        }
        if sign_in.stored > STORED_MAX {
            return Err(WireError::new(Code::Invalid, "no directory has sent so many updates"));
        }
        let limits = self.settings().limits;
        if self.hub.count() >= usize::try_from(limits.sessions_max).unwrap_or(usize::MAX) {
            let error = reached("sessions_max", "the directory has no room for another session");
            return Err(error.retry_after(CROWDED_PAUSE));
        }
        let Some(place) = self.crowd.enter(network_of(seen), limits.sessions_per_address) else {
            let error = reached("sessions_per_address", "too many sessions from this address");
            return Err(error.retry_after(CROWDED_PAUSE));
        };
        let addresses = reachable_at(seen, sign_in.port, sign_in.addresses);
        let arrival = Arrival {
            peer: known.id,
            name: known.name.clone(),
            instance: sign_in.instance,
            addresses,
            key: known.key,
            claim,
            place: Some(place),
        };
        let now = Timestamp::now();
        let (session, pushes) = self.hub.arrive(arrival)?;
        match self.welcome(&session, known, sign_in.stored, now).await {
            Ok((stored, answer)) => Ok((Arrived { session, pushes, stored }, answer)),
            Err(refusal) => {
                self.hub.leave(&session, SessionEnd::Dropped);
                Err(outward(refusal))
            }
        }
    }

    /// From here on live rows reach the session; what is older is read from the inbox.
    async fn welcome(
        self: &Arc<Self>,
        session: &Arc<Session>,
        known: Known,
        stored: Seq,
        now: Timestamp,
    ) -> Result<(Seq, SignedIn), Refusal> {
        let (since, mut latest) = self.store.inbox_span(known.id, known.key, stored).await?;
        if stored > latest {
            self.store.advance_inbox(known.id, stored).await?;
            latest = stored;
        }
        session.note_latest(latest);
        session.note_stored(since);
        self.note_seen(known.id, now);
        let none = Address(([0, 0, 0, 0], 0).into());
        let address = session.address().unwrap_or(none);
        Ok((since, SignedIn { id: known.id, name: known.name, address, since, latest }))
    }

    /// Makes a peer offline, unless it has a newer session, and writes down when and why.
    pub async fn left(&self, session: &Arc<Session>, end: SessionEnd) {
        let is_offline = self.hub.leave(session, end);
        // What became of an older session is worth knowing only if another daemon has ended it.
        if !is_offline && end != SessionEnd::TakenOver {
            return;
        }
        if let Err(error) = self.store.left(session.peer, Timestamp::now(), end).await {
            tracing::warn!(peer = %session.peer, %error, "cannot write down when the peer was last seen");
        }
    }

    /// Writes down in passing that a peer is here, together with whoever else comes within a second: when thousands come
    /// back at once, that is one operation and not thousands. Nobody waits for it, and what a crash loses of it is known
    /// again when the peer has left.
    fn note_seen(self: &Arc<Self>, peer: dos_protocol::PeerId, since: Timestamp) {
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        arrivals.push((peer, since));
        if arrivals.len() > 1 {
            return;
        }
        // Weak, so that a pause does not hold up a shutdown: there every session writes down its own end.
        let directory = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(ARRIVALS_PAUSE).await;
            let Some(directory) = directory.upgrade() else { return };
            let arrivals = {
                let mut arrivals = directory.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
                std::mem::take(&mut *arrivals)
            };
            if let Err(error) = directory.store.arrived(arrivals).await {
                tracing::warn!(%error, "cannot write down who is here");
            }
        });
    }

    /// Deletes inbox rows that a peer has stored, in passing: what is not deleted is skipped by the peer.
    pub fn forget(&self, peer: dos_protocol::PeerId, stored: Seq) {
        let store = self.store.clone();
        tokio::spawn(async move { acknowledge(&store, peer, stored).await });
    }

    /// The same at the end of a session, which waits for it: the next one begins where this one has ended.
    pub async fn forget_last(&self, peer: dos_protocol::PeerId, stored: Seq) {
        acknowledge(&self.store, peer, stored).await;
    }
}

async fn acknowledge(store: &Store, peer: dos_protocol::PeerId, stored: Seq) {
    if let Err(error) = store.acknowledge(peer, stored).await {
        tracing::warn!(%peer, %error, "cannot delete acknowledged updates");
    }
}
