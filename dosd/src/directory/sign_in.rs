//! Coming online and going offline.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use dos_daemon::{network::network_of, rate::Rate};
use dos_protocol::{
    Code, InviteCode, PublicKey, Reason, SealingKey, Seq, Timestamp, WireError,
    directory::{DataState, NoticeKind, Reclaim, Register, SignIn, SignedIn},
    limits::ADDRESSES_MAX,
    model::{Address, SessionEnd},
};
use tokio::task::JoinHandle;

use super::{Directory, outward, password::outdated};
use crate::{
    config::Registration,
    live::{Arrival, ArrivalError, Claim, Handle, OLDER, Permit, Push, Receiver},
    rules::{
        Reach,
        refusal::{conflict, reached, unknown_key},
    },
    store::{self, Admission, NewPeer, PeerRecord},
};

/// A peer that finds the directory full comes back after this time.
const CROWDED_PAUSE: Duration = Duration::from_secs(60);

/// Beyond this the numbers of an inbox could not go on for ever.
const STORED_MAX: Seq = Seq(1 << 62);

/// The address of a peer that cannot be reached.
const NOWHERE: Address = Address(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0));

/// How long arrivals are collected before they are written down.
const ARRIVALS_PAUSE: Duration = Duration::from_secs(1);

/// A peer that has come online.
#[derive(Debug)]
pub struct Arrived {
    /// Its session.
    pub session: Handle,
    /// What the session is to do for others.
    pub pushes: Receiver<Push>,
    /// The last inbox row that the peer has, or that is gone.
    pub stored: Seq,
    /// The last row that was ever added to the inbox.
    pub latest: Seq,
}

impl Directory {
    /// Signs in the holder of `key`.
    ///
    /// # Errors
    /// `not_found` if the key is not registered, `conflict` if another daemon is signed in with it.
    pub async fn sign_in(
        self: &Arc<Self>,
        key: PublicKey,
        seen: SocketAddr,
        sign_in: SignIn,
    ) -> Result<(Arrived, SignedIn), WireError> {
        let known = self.store.peer_by_key(key).await.map_err(outward)?;
        let claim = if sign_in.force { Claim::Forced } else { Claim::Polite };
        self.arrive(known, seen, sign_in, claim).await
    }

    /// Registers the holder of `key` and signs it in.
    ///
    /// # Errors
    /// `denied` if it may not register, or tries too often; `conflict` if the name is taken; `unsupported` with a password.
    pub async fn register(
        self: &Arc<Self>,
        key: PublicKey,
        seen: SocketAddr,
        register: Register,
    ) -> Result<(Arrived, SignedIn), WireError> {
        let rate = Rate::per_minute(self.settings().registrations_per_minute.into());
        if let Err(wait) = self.registrations.take(network_of(seen.ip()), rate, Instant::now()) {
            let error = WireError::new(Code::Denied, "too many registrations from this address");
            return Err(error.because(Reason::Limit).retry_after(wait));
        }
        // Before anything is done: the peer shall not believe that it has a password.
        if register.password.is_some() {
            return Err(outdated());
        }
        let admission = self.admission(register.invite.as_deref());
        let new = NewPeer { name: register.name, admission };
        let known = self.store.register(key, new, Timestamp::now()).await.map_err(outward)?;
        tracing::info!(peer = %known.id, address = %seen.ip(), "registered");
        let claim = if register.sign_in.force { Claim::Forced } else { Claim::Polite };
        self.arrive(known, seen, register.sign_in, claim).await
    }

    /// Gives the holder of `key` back the ID that it had, and signs it in.
    ///
    /// # Errors
    /// `not_found` without a proof, or if the data was not restored; `conflict` if the ID is another's.
    pub async fn reclaim(
        self: &Arc<Self>,
        key: PublicKey,
        seen: SocketAddr,
        reclaim: Reclaim,
    ) -> Result<(Arrived, SignedIn), WireError> {
        let rate = Rate::per_minute(self.settings().registrations_per_minute.into());
        if let Err(wait) = self.registrations.take(network_of(seen.ip()), rate, Instant::now()) {
            let error = WireError::new(Code::Denied, "too many registrations from this address");
            return Err(error.because(Reason::Limit).retry_after(wait));
        }
        if !self.proofs.is_of(&reclaim.proof, reclaim.id, &key) {
            return Err(unknown_key());
        }
        let known = self.store.reclaim((reclaim.id, key), reclaim.name, Timestamp::now()).await;
        let known = known.map_err(outward)?;
        tracing::info!(peer = %known.id, address = %seen.ip(), "has its ID back");
        let claim = if reclaim.sign_in.force { Claim::Forced } else { Claim::Polite };
        self.arrive(known, seen, reclaim.sign_in, claim).await
    }

    /// What lets a peer in that brings this invite.
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
    /// `conflict` if another daemon is signed in; `denied`, `invalid`.
    async fn arrive(
        self: &Arc<Self>,
        known: PeerRecord,
        seen: SocketAddr,
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
            return Err(WireError::new(Code::Invalid, "no directory has sent that many updates"));
        }
        self.note_sealing(&known, sign_in.sealing.as_deref()).await?;
        let permit = self.permit(seen.ip())?;
        let arrival = Arrival {
            peer: known.id,
            name: known.name.clone(),
            instance: sign_in.instance,
            reach: Reach::of(seen.ip(), sign_in.port, sign_in.addresses)
                .with_rendezvous(sign_in.rendezvous.then_some(Address(seen))),
            claim,
            permit: Some(permit),
        };
        let now = Timestamp::now();
        let (address, mapped) = (arrival.reach.address().unwrap_or(NOWHERE), arrival.reach.mapped());
        // Before the inbox is read: from here on live rows reach the session, so a row that is committed meanwhile is either
        // among those that are read, or pushed.
        let (session, pushes) = self.live.arrive(arrival).map_err(|error| match error {
            ArrivalError::Taken => conflict(error.to_string()),
        })?;
        let arrived = store::Arrival {
            peer: known.id,
            key: known.key,
            stored: sign_in.stored,
            state: sign_in.state,
            instance: sign_in.instance,
            claim,
        };
        let entered = match self.store.sign_in(arrived, now).await {
            Ok(entered) => entered,
            Err(refusal) => {
                self.live.leave(&session, SessionEnd::Dropped);
                return Err(outward(refusal));
            }
        };
        self.live.settle(&session, entered.taken.session, entered.epoch);
        if let Some((node, displaced)) = entered.taken.displaced {
            self.live.displace(node, (known.id, entered.taken.session), displaced);
        }
        self.note_seen(known.id, now);
        if entered.is_new {
            tracing::warn!(peer = %known.id, "the data is older than what this peer has acknowledged: it is another incarnation from now on");
            self.live.close_others(known.id, NoticeKind::Shutdown, OLDER).await;
        }
        let store::Entered { since, latest, incarnation, renewed, restored, attempts, .. } = entered;
        let proof = self.proofs.of(known.id, &known.key);
        let data = Some(DataState { incarnation, renewed, restored, attempts, proof });
        let answer = SignedIn {
            id: known.id,
            name: known.name,
            address,
            since,
            latest,
            operations: true,
            data,
            now: Some(now),
            password_again: known.password_again,
            trust: true,
            nodes: self.addresses(),
            mapped,
            previews: self.preview_size,
        };
        Ok((Arrived { session, pushes, stored: since, latest }, answer))
    }

    /// A permit for another session of an address.
    ///
    /// # Errors
    /// `denied` where there is no room.
    fn permit(&self, seen: IpAddr) -> Result<Permit, WireError> {
        let limits = self.settings().limits;
        let sessions_max = self.sessions_room.min(limits.sessions_max.into());
        if self.live.count() >= usize::try_from(sessions_max).unwrap_or(usize::MAX) {
            let error = reached("sessions_max", "the directory has no room for another session");
            return Err(error.retry_after(CROWDED_PAUSE));
        }
        self.live.permit(network_of(seen), limits.sessions_per_address).ok_or_else(|| {
            let error = reached("sessions_per_address", "too many sessions from this address");
            error.retry_after(CROWDED_PAUSE)
        })
    }

    /// Notes the key to which messages to a peer are sealed, where it is news.
    async fn note_sealing(&self, known: &PeerRecord, told: Option<&SealingKey>) -> Result<(), WireError> {
        match told {
            Some(sealing) if known.sealing.as_ref() != Some(sealing) => {
                sealing.verify(&known.key).map_err(|_| {
                    WireError::new(Code::Invalid, "the sealing key is not signed by the peer's own key")
                })?;
                self.store.set_sealing(known.id, *sealing).await.map_err(outward)
            }
            _ => Ok(()),
        }
    }

    /// Makes a peer offline, unless it has a newer session, and writes down when and why.
    pub async fn left(&self, session: &Handle, end: SessionEnd) {
        let is_offline = self.live.leave(session, end);
        // The end of a session that a newer one has replaced is worth a row only if that is another daemon's.
        if !is_offline && end != SessionEnd::TakenOver {
            return;
        }
        let peer = session.peer();
        if let Err(error) = self.store.left((peer, session.seat()), Timestamp::now(), end).await {
            tracing::warn!(%peer, %error, "cannot write down when the peer was last seen");
        }
    }

    /// Writes down in passing that a peer is here, together with those that come within a second: when thousands come
    /// back at once, that is one operation and not thousands. No one waits for it, and what a crash loses of it is known
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

    /// Deletes inbox rows that a peer has stored, in passing: what is not deleted is skipped by the peer. The end of a session waits
    /// for it: the next one begins where this one has ended.
    pub fn forget(&self, peer: dos_protocol::PeerId, stored: Seq) -> JoinHandle<()> {
        let store = self.store.clone();
        tokio::spawn(async move {
            if let Err(error) = store.acknowledge(peer, stored, Timestamp::now()).await {
                tracing::warn!(%peer, %error, "cannot delete acknowledged updates");
            }
        })
    }
}
