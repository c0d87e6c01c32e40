//! The operations: what a signed-in peer may ask, each in the file of its verb. Nothing here holds a socket.

mod assert;
mod block;
mod broadcast;
mod contact;
mod deliver;
mod follow;
mod invite;
mod list;
mod name;
mod password;
mod proof;
mod publish;
mod relay;
mod rendezvous;
mod request;
mod send;
mod share;
mod sign_in;
mod unregister;
mod view;

use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use dos_daemon::{
    network::network_of,
    rate::{KeyedRateLimiter, Rate},
};
use dos_protocol::{
    Code, OperationId, PeerId, PublicKey, Seq, Timestamp, WireError,
    directory::{Answer, Op},
    key::{SecretError, SecretKey},
    limits::ATTEMPTS_REMEMBERED_MAX,
    link::HostPort,
    model::{Address, PeerRef, PreviewSize},
    opaque::Setup,
};
use dos_sql::StoreError;

pub(crate) use password::{LoginPending, outdated};
pub use sign_in::Arrived;

use self::{password::Passwords, proof::Proofs};
use crate::{
    config::Settings,
    live::{Caller, Live},
    metrics::Metrics,
    rules::blocks::across,
    store::{Change, NodeRow, PeerRecord, Refusal, Store},
};

/// The directory: what is stored, and who is online.
#[derive(Debug)]
pub struct Directory {
    /// What is stored.
    pub store: Store,
    /// The sessions of this server.
    pub live: Arc<Live>,
    /// The key by which peers know this directory.
    pub key: PublicKey,
    /// What is measured.
    pub metrics: Metrics,
    settings: RwLock<Arc<Settings>>,
    /// Of one peer, whatever the session: connecting anew gives no allowance back.
    pub(crate) requests: KeyedRateLimiter<PeerId>,
    registrations: KeyedRateLimiter<IpAddr>,
    broadcasts: KeyedRateLimiter<PeerId>,
    messages: KeyedRateLimiter<PeerId>,
    views: KeyedRateLimiter<PeerId>,
    rendezvous: KeyedRateLimiter<PeerId>,
    handshakes: KeyedRateLimiter<IpAddr>,
    passwords: Passwords,
    proofs: Proofs,
    /// Sessions for which there are file descriptors.
    sessions_room: u64,
    /// Up to which size previews are kept.
    preview_size: PreviewSize,
    /// Who has come online and is not yet written down.
    arrivals: Mutex<Vec<(PeerId, Timestamp)>>,
    /// All nodes of the directory, as they were read last; nobody where there is one server.
    nodes: RwLock<Arc<[NodeRow]>>,
}

/// When to ask again what the store could not tell.
const UNAVAILABLE_PAUSE: Duration = Duration::from_secs(5);

/// For the other side: what a caller can do something about as it is, faults of ours without their inside.
pub(crate) fn outward(refusal: Refusal) -> WireError {
    match refusal {
        Refusal::Refused(error) => error,
        Refusal::Store(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "an operation failed in the store");
            if error.is_gone() {
                return WireError::new(Code::Internal, "the directory has lost its files; nothing was done");
            }
            if error.is_full() {
                return WireError::new(Code::Internal, "the directory's disk is full");
            }
            match error {
                StoreError::Unavailable(_) => WireError::new(
                    Code::Timeout,
                    "the directory's store is out of reach; it is not known whether that was done",
                )
                .retry_after(UNAVAILABLE_PAUSE),
                _ => WireError::new(Code::Internal, "the directory could not store that"),
            }
        }
    }
}

impl Directory {
    /// A directory on this store, with this key; `setup` is its part of what passwords need.
    ///
    /// # Errors
    /// If the key makes no public one.
    pub fn new(
        store: Store,
        live: Arc<Live>,
        (secret, setup): (&SecretKey, Setup),
        settings: Settings,
    ) -> Result<Self, SecretError> {
        store.set_quotas(settings.limits.quotas());
        Ok(Self {
            metrics: Metrics::new(live.queue_drops().clone()),
            store,
            live,
            key: secret.public()?,
            proofs: Proofs::new(secret),
            settings: RwLock::new(Arc::new(settings)),
            requests: KeyedRateLimiter::new(ATTEMPTS_REMEMBERED_MAX),
            registrations: KeyedRateLimiter::new(ATTEMPTS_REMEMBERED_MAX),
            broadcasts: KeyedRateLimiter::new(ATTEMPTS_REMEMBERED_MAX),
            messages: KeyedRateLimiter::new(ATTEMPTS_REMEMBERED_MAX),
            views: KeyedRateLimiter::new(ATTEMPTS_REMEMBERED_MAX),
            rendezvous: KeyedRateLimiter::new(ATTEMPTS_REMEMBERED_MAX),
            handshakes: KeyedRateLimiter::new(ATTEMPTS_REMEMBERED_MAX),
            passwords: Passwords::new(setup),
            sessions_room: u64::MAX,
            preview_size: PreviewSize::default(),
            arrivals: Mutex::default(),
            nodes: RwLock::new(Arc::new([])),
        })
    }

    /// Takes no more sessions than this, whatever is set.
    #[must_use]
    pub(crate) fn with_room_for(self, sessions_room: u64) -> Self {
        Self { sessions_room, ..self }
    }

    /// Keeps previews of up to this size.
    #[must_use]
    pub(crate) fn with_previews_of(self, preview_size: PreviewSize) -> Self {
        Self { preview_size, ..self }
    }

    /// What is set now.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts other settings in force: what is asked from now on obeys them.
    pub fn set(&self, settings: Settings) {
        self.store.set_quotas(settings.limits.quotas());
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    /// All nodes of the directory.
    pub(crate) fn nodes(&self) -> Arc<[NodeRow]> {
        Arc::clone(&self.nodes.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// These are all nodes of the directory.
    pub(crate) fn set_nodes(&self, nodes: Vec<NodeRow>) {
        let addresses =
            |nodes: &[NodeRow]| nodes.iter().map(|node| node.address.clone()).collect::<BTreeSet<_>>();
        let (before, after) = (addresses(&self.nodes()), addresses(&nodes));
        *self.nodes.write().unwrap_or_else(PoisonError::into_inner) = nodes.into();
        let told = self.addresses();
        if before != after && !told.is_empty() {
            self.live.say_nodes(&told);
        }
    }

    /// Where peers find the nodes, this one first; nothing of a directory of one server.
    pub(crate) fn addresses(&self) -> Vec<HostPort> {
        let (nodes, own) = (self.nodes(), self.store.node());
        if !nodes.iter().any(|node| node.cluster.is_some()) {
            return Vec::new();
        }
        let mut sorted: Vec<&NodeRow> = nodes.iter().collect();
        sorted.sort_by_key(|node| Some(node.node) != own);
        sorted.into_iter().filter_map(|node| node.address.parse().ok()).collect()
    }

    /// Where this node is, if `peer` is at another one.
    fn address_for(&self, peer: PeerId) -> Option<HostPort> {
        if self.live.is_here(peer) { None } else { self.addresses().into_iter().next() }
    }

    /// Counts a handshake that begins. False if there were too many from that address.
    pub(crate) fn may_shake_hands(&self, seen: IpAddr) -> bool {
        let per_minute = self.settings().limits.handshakes_per_minute;
        self.handshakes.take(network_of(seen), Rate::per_minute(per_minute.into()), Instant::now()).is_ok()
    }

    /// Performs an operation for a signed-in peer. A change with the same operation ID again is not done again.
    ///
    /// # Errors
    /// What the peer gets.
    pub async fn perform(
        &self,
        caller: &Caller,
        op: Op,
        operation: Option<OperationId>,
    ) -> Result<Answer, WireError> {
        let (name, begun) = (op.name(), Instant::now());
        let change = Change { peer: caller.peer, operation, now: Timestamp::now(), act: across::act(&op) };
        let result = self.dispatch(caller, op, change).await;
        self.metrics.performed(name, begun.elapsed());
        result
    }

    async fn dispatch(&self, caller: &Caller, op: Op, change: Change) -> Result<Answer, WireError> {
        let peer = caller.peer;
        match op {
            Op::Register(_)
            | Op::SignIn(_)
            | Op::Reclaim(_)
            | Op::SignOut
            | Op::LoginStart(_)
            | Op::LoginFinish(_) => {
                return Err(WireError::new(Code::Invalid, "signed in already"));
            }
            Op::Recover(_) | Op::SetPassword(Some(_)) => return Err(outdated()),
            // It belongs to the session, which keeps it.
            Op::Subscribe(_) => {
                return Err(WireError::new(Code::Invalid, "a subscription belongs to a session"));
            }
            Op::List(query) => self.list(peer, query).await,
            Op::Newest(query) => self.newest(peer, query).await,
            Op::Resolve(of) => self.resolve(peer, &of).await,
            Op::Contact(id) => self.contact(peer, id).await,
            Op::Identify(key) => self.identify(peer, key).await,
            Op::Image(image) => self.image(peer, image).await,
            Op::Preview(image) => self.preview(peer, image).await,
            Op::Publish(publish) => self.publish(change, *publish, None).await,
            Op::PublishAs(published) => self.publish(change, published.publish, published.visibility).await,
            Op::Set(set) => self.set_image(change, *set).await,
            Op::Remove(image) => self.remove(change, image).await,
            Op::Rename { image, name, record } => {
                self.rename(change, image, (name, record.map(|record| *record))).await
            }
            Op::Sign(sign) => self.sign_image(change, *sign).await,
            Op::Share(share) => self.share(change, share).await,
            Op::Grant { image, viewer } => self.grant(peer, image, viewer).await,
            Op::Spend(spend) => self.spend(change, spend).await,
            Op::Checkin(checkin) => self.checkin(change, checkin).await,
            Op::Request(access) => self.request(change, access).await,
            Op::Cancel(request) => self.cancel(change, request).await,
            Op::Decide(decide) => self.decide(change, decide).await,
            Op::Send(send) => self.send(caller, change, send).await,
            Op::Broadcast(broadcast) => self.broadcast(peer, broadcast).await,
            Op::Block(other) => self.block(caller, change, other).await,
            Op::Unblock(other) => self.unblock(change, other).await,
            Op::Blocks => self.blocks(peer).await,
            Op::BlocksPage { after } => self.blocks_page(peer, after).await,
            Op::Grants { after } => self.grants(peer, after).await,
            Op::Requests { after } => self.requests(peer, after).await,
            Op::PasswordStart(request) => return self.password_start(peer, &request),
            Op::PasswordFinish(escrow) => return self.set_password(change, Some(*escrow)).await,
            Op::PasswordRemove | Op::SetPassword(None) => return self.set_password(change, None).await,
            Op::Relay(to) => self.relay(peer, to).await,
            Op::Rendezvous(rendezvous) => self.rendezvous(peer, rendezvous).await,
            Op::CloseViews(views) => self.close_views(change, views).await,
            Op::Assert(assertion) => self.assert(change, assertion).await,
            Op::Invite(invite) => self.invite(change, invite).await,
            Op::Name(name) => self.take_name(peer, name).await,
            Op::Follow(follow) => self.follow(peer, follow).await,
            Op::Unregister => self.unregister(peer).await,
            Op::RevokeInvite(hash) => self.revoke_invite(peer, hash).await,
            Op::Greet(greet) => self.greet(change, *greet).await,
        }
        .map_err(outward)
    }

    /// The rows that follow in a peer's inbox.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn replay(&self, peer: PeerId, after: Seq) -> Result<Vec<(Seq, Vec<u8>)>, WireError> {
        self.store.replay(peer, after).await.map_err(outward)
    }

    /// The peer that `caller` names, whichever way.
    pub(crate) async fn find(&self, caller: Option<PeerId>, peer: &PeerRef) -> Result<PeerRecord, Refusal> {
        match peer {
            PeerRef::Id(_) | PeerRef::Name(_) => self.store.peer(peer.clone()).await,
            PeerRef::Address(address) => {
                let only = self.at(caller, *address)?;
                self.store.peer(PeerRef::Id(only)).await
            }
        }
    }

    /// The peer as the store knows it: only here is it known who is online at an address. Does not wait, so that what one session
    /// requests stays in its order on the way to the store.
    ///
    /// Where no one is at an address any more, the address stays and comes with the refusal: a change that was done under its
    /// operation ID when the peer was there is answered all the same, and the store finds no one either if it was not.
    fn resolved(&self, caller: PeerId, peer: PeerRef) -> (PeerRef, Option<Refusal>) {
        match peer {
            PeerRef::Address(address) => match self.at(Some(caller), address) {
                Ok(peer) => (PeerRef::Id(peer), None),
                Err(refusal) => (peer, Some(refusal)),
            },
            PeerRef::Id(_) | PeerRef::Name(_) => (peer, None),
        }
    }

    /// The one peer that is online at this address, as far as `caller` may know; the operator may know everything.
    fn at(&self, caller: Option<PeerId>, address: Address) -> Result<PeerId, Refusal> {
        let hidden = caller.map(|caller| self.live.hidden_from(caller)).unwrap_or_default();
        let (code, text) = match self.live.at(&hidden, address).as_slice() {
            [only] => return Ok(*only),
            [] => (Code::NotFound, format!("no peer is online at {address}")),
            _ => {
                let text = format!("several peers are online at {address}: use the ID or the name");
                (Code::Conflict, text)
            }
        };
        Err(WireError::new(code, text).into())
    }
}
