//! Calling another peer: at its addresses, all of them in one race, by a rendezvous beside them ([`super::rendezvous`]), and through the directory's
//! relay, which begins later and wins where none of them leads there in time.
//!
//! What always holds: the side that answers holds the key that the directory gave, whichever way it was reached; an address at
//! which somebody else answers is as good as none. Whoever else that is learns that a peer of dos has called: not which one,
//! since the caller shows its own key only to the right one.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use dos_protocol::{
    Code, PeerId, WireError,
    control::{How, Way},
    directory::Contact,
    limits::{
        DIRECT_PREFERRED_TIME, DIRECT_TIME_MAX, RELAY_HANDICAP, RENDEZVOUS_HANDICAP,
        RENDEZVOUS_PREFERRED_TIME,
    },
    model::Address,
    tls::{Alpn, ClientTls, Stream, TlsError},
};
use futures_util::{FutureExt as _, future::FusedFuture as _};
use tokio::{io::BufReader, net::TcpStream};

use super::Peers;
use super::{
    bad::{Avoided, Path, Why},
    lines::{Open, To, keep_swept},
    race::{Handicap, Won, beside, near_first, order, race},
    relay, rendezvous,
    socket::Socket,
};
use crate::{
    addresses::{interfaces, links},
    blocks,
    identity::Identity,
    rules::reach::Around,
};

/// Peers whose ways are remembered.
const WAYS_MAX: usize = 4096;

/// A rendezvous that came to nothing is not tried again for so long: routers seldom change, and each costs both sides some packets.
const UNMET_TIME: Duration = Duration::from_secs(60);

/// A handshake that was given up after so long has hung: on the longest path it takes less.
const HUNG_AFTER: Duration = Duration::from_secs(1);

/// Handshakes that have hung and of which it is not known yet whether another way leads there.
const HUNG_MAX: usize = 64;

/// For so long a handshake that has hung is held against another way that leads there.
const HUNG_TIME: Duration = Duration::from_secs(5);

/// Which way led to a peer the last time, since this daemon runs, and which did not. Bounded; when full, it starts anew.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    routes: Mutex<HashMap<PeerId, Route>>,
    unmet: Mutex<HashMap<PeerId, Instant>>,
    hung: Mutex<VecDeque<(PeerId, Path, Instant)>>,
}

impl Ways {
    fn routes(&self) -> MutexGuard<'_, HashMap<PeerId, Route>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unmet(&self) -> MutexGuard<'_, HashMap<PeerId, Instant>> {
        self.unmet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, peer: PeerId) -> Option<Route> {
        self.routes().get(&peer).copied()
    }

    fn put(&self, peer: PeerId, route: Route) {
        put(&mut self.routes(), peer, route);
    }

    fn forget(&self, peer: PeerId) {
        self.routes().remove(&peer);
    }

    /// A rendezvous with this peer has come to nothing.
    fn put_unmet(&self, peer: PeerId) {
        put(&mut self.unmet(), peer, Instant::now());
    }

    fn is_unmet(&self, peer: PeerId) -> bool {
        self.unmet().get(&peer).is_some_and(|at| at.elapsed() < UNMET_TIME)
    }

    fn hung(&self) -> MutexGuard<'_, VecDeque<(PeerId, Path, Instant)>> {
        self.hung.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The paths on which handshakes with this peer have hung a moment ago; they are forgotten by this.
    pub(super) fn take_hung(&self, peer: PeerId) -> Vec<Path> {
        let mut hung = self.hung();
        let of_peer = hung.iter().filter(|(of, _, at)| *of == peer && at.elapsed() < HUNG_TIME);
        let paths = of_peer.map(|(_, path, _)| *path).collect();
        hung.retain(|(of, ..)| *of != peer);
        paths
    }
}

/// A handshake under way. Dropped after a while, it has hung.
struct Handshake<'a> {
    ways: &'a Ways,
    of: (PeerId, Path),
    begun: Instant,
    is_over: bool,
}

impl Drop for Handshake<'_> {
    fn drop(&mut self) {
        if self.is_over || self.begun.elapsed() < HUNG_AFTER {
            return;
        }
        let mut hung = self.ways.hung();
        if hung.len() >= HUNG_MAX {
            hung.pop_front();
        }
        hung.push_back((self.of.0, self.of.1, Instant::now()));
    }
}

fn put<T>(known: &mut HashMap<PeerId, T>, peer: PeerId, what: T) {
    if known.len() >= WAYS_MAX && !known.contains_key(&peer) {
        known.clear();
    }
    known.insert(peer, what);
}

/// A connection to the peer that was called, whichever way.
pub(super) type Connection = Stream<BufReader<Socket>>;

/// An open connection to the peer that was called.
#[derive(Debug)]
pub(crate) struct Dialed {
    /// The connection.
    pub(crate) stream: Connection,
    /// Which way it goes.
    pub(crate) route: Route,
}

/// How a peer was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// At an address that it has announced, or at which the directory sees it.
    Announced(Address),
    /// From the port of one session to that of the other.
    Punched(Address),
    /// By a connection that it has made.
    CalledBack(Address),
    /// Through the directory.
    Relayed,
}

impl Route {
    /// As people are told.
    pub(crate) fn way(self) -> Way {
        match self {
            Self::Announced(address) | Self::Punched(address) | Self::CalledBack(address) => {
                Way::Direct(address)
            }
            Self::Relayed => Way::Relayed,
        }
    }

    /// Where its packets go.
    pub(super) fn path(self) -> Path {
        match self {
            Self::Announced(address) | Self::Punched(address) | Self::CalledBack(address) => {
                Path::Host(address.0.ip().to_canonical())
            }
            Self::Relayed => Path::Relay,
        }
    }

    /// By what, if it is direct.
    pub(crate) fn how(self) -> Option<How> {
        match self {
            Self::Announced(_) => Some(How::Announced),
            Self::Punched(_) => Some(How::Punched),
            Self::CalledBack(_) => Some(How::CalledBack),
            Self::Relayed => None,
        }
    }
}

/// What is read from the network at a time. rustls alone reads 4 KiB at a time, which costs five calls of the system for
/// each record.
const READ_BYTES: usize = 64 << 10;

/// Connects to the peer of `contact` as `identity`; so much time has `passed` since somebody waits for that. Ways that were found to be bad are
/// tried where no other leads there.
///
/// # Errors
/// `offline` if no way leads to it.
pub(crate) async fn dial(
    peers: &Arc<Peers>,
    identity: &Identity,
    (contact, passed): (&Contact, Duration),
) -> Result<Dialed, WireError> {
    dial_but(peers, identity, (contact, passed), None).await
}

/// As [`dial()`], by this path only where no other leads there.
///
/// # Errors
/// As [`dial()`].
pub(super) async fn dial_but(
    peers: &Arc<Peers>,
    identity: &Identity,
    (contact, passed): (&Contact, Duration),
    not_by: Option<Path>,
) -> Result<Dialed, WireError> {
    let offline = |what: &str| WireError::new(Code::Offline, format!("peer {} is {what}", contact.id));
    if contact.addresses.is_empty() && !contact.online {
        return Err(offline("offline"));
    }
    let tls = ClientTls::new(&identity.secret, contact.key, Alpn::Peer)
        .map_err(|error| WireError::new(Code::Internal, error.to_string()))?;
    let avoided = peers.bad.of(contact.id, interfaces).and(not_by);
    let mut dialed = Box::pin(dial_avoiding(peers, &tls, (contact, passed), &avoided)).await;
    if dialed.is_err() && !avoided.is_empty() {
        dialed = Box::pin(dial_avoiding(peers, &tls, (contact, passed), &Avoided::default())).await;
    }
    let Dialed { stream, route } = dialed.map_err(|causes| offline("out of reach").caused_by(causes))?;
    tracing::debug!(peer = %contact.id, ?route, "connected");
    peers.ways.put(contact.id, route);
    hold_against(peers, contact.id, route);
    Ok(Dialed { stream, route })
}

/// Another way leads there: those on which the handshake has hung are bad.
fn hold_against(peers: &Peers, peer: PeerId, route: Route) {
    for path in peers.ways.take_hung(peer) {
        if path != route.path() {
            tracing::debug!(%peer, ?path, "its handshake hung: the way is left out for some minutes");
            peers.bad.put(peer, (path, Why::NoHandshake), interfaces);
        }
    }
}

async fn dial_avoiding(
    peers: &Arc<Peers>,
    tls: &ClientTls,
    (contact, passed): (&Contact, Duration),
    avoided: &Avoided,
) -> Result<Dialed, String> {
    let last = peers.ways.get(contact.id).filter(|last| !avoided.has(last.path()));
    let course = Course { last, avoided: avoided.clone(), is_again: false };
    let better = unrelayed(Arc::clone(peers), tls.clone(), contact.clone(), course);
    let mut better = Box::pin(better).fuse();
    let relayed = relayed(peers, tls, contact, avoided);
    match beside(&mut better, relayed, handicap((contact, passed), last)).await {
        Ok(Won::Better((stream, route))) => Ok(Dialed { stream, route }),
        Ok(Won::Other(stream)) => {
            if !better.is_terminated() {
                tokio::spawn(found_later(Arc::clone(peers), contact.clone(), better));
            }
            Ok(Dialed { stream, route: Route::Relayed })
        }
        Err((Some(cause), relayed)) => Err(format!("{cause}; {relayed}")),
        Err((None, relayed)) => Err(relayed),
    }
}

/// The way through the directory.
pub(super) async fn relayed(
    peers: &Peers,
    tls: &ClientTls,
    contact: &Contact,
    avoided: &Avoided,
) -> Result<Connection, String> {
    if !contact.relay {
        return Err("the directory does not relay".into());
    }
    if avoided.has(Path::Relay) {
        return Err("the relay brought nothing a while ago".into());
    }
    relay::call(peers, tls, contact.id).await.map_err(|error| match error {
        WireError { message, cause: Some(cause), .. } => format!("{message}: {cause}"),
        error => error.message.into(),
    })
}

type Found = Result<(Connection, Route), Option<String>>;

/// What a call knows of earlier ones.
#[derive(Debug, Clone, Default)]
pub(super) struct Course {
    /// What led there the last time.
    pub(super) last: Option<Route>,
    pub(super) avoided: Avoided,
    /// A transfer is under way on another way, and this is not the first look: a rendezvous is asked for whatever came of the last one.
    pub(super) is_again: bool,
}

/// The ways that cost the directory nothing but a word: the addresses, and a rendezvous a little later.
pub(super) async fn unrelayed(peers: Arc<Peers>, tls: ClientTls, contact: Contact, course: Course) -> Found {
    let Course { last, avoided, is_again } = course;
    let meets = contact.rendezvous && (is_again || !peers.ways.is_unmet(contact.id));
    let meeting = async {
        if !meets {
            return Err("no rendezvous can be had".to_owned());
        }
        let met = rendezvous::call(&peers, &tls, &contact, &avoided).await;
        if let Err(error) = &met {
            tracing::debug!(peer = %contact.id, error, "a rendezvous has come to nothing");
        }
        // One that led there the last time fails where its two ends are in use, or were a moment ago.
        let led_there = matches!(last, Some(Route::Punched(_) | Route::CalledBack(_)));
        if met.is_err() && !led_there {
            peers.ways.put_unmet(contact.id);
        }
        met
    };
    let begins = match last {
        _ if !meets => DIRECT_TIME_MAX,
        Some(Route::Announced(_)) | None => RENDEZVOUS_HANDICAP,
        Some(_) => Duration::ZERO,
    };
    let handicap = Handicap { begins, waits: Duration::ZERO };
    match beside(direct(&peers, &tls, &contact, (last, &avoided)), meeting, handicap).await {
        Ok(Won::Better((stream, address))) => Ok((stream, Route::Announced(address))),
        Ok(Won::Other(won)) => Ok(won),
        Err((None, meeting)) => Err(Some(meeting).filter(|_| meets)),
        Err((Some(cause), meeting)) if meets => Err(Some(format!("{cause}; {meeting}"))),
        Err((cause, _)) => Err(cause),
    }
}

/// The relay was faster. What is found beside it is for the transfer that goes through the relay, if much of that is to come, or for the next one:
/// on a long path a rendezvous takes longer than the relay, and is better all the same.
async fn found_later(peers: Arc<Peers>, contact: Contact, better: impl Future<Output = Found>) {
    let Ok((stream, route)) = better.await else {
        return hold_against(&peers, contact.id, Route::Relayed);
    };
    // It may have been blocked meanwhile.
    if blocks::check(&peers.store, contact.id, None).await.is_err() {
        return;
    }
    tracing::debug!(peer = %contact.id, ?route, "found beside the relay");
    peers.ways.put(contact.id, route);
    let to = To { peer: contact.id, key: contact.key };
    peers.lines.keep(to, Open { stream, route });
    keep_swept(&peers);
}

/// What this daemon knows of where it is.
pub(super) fn around(peers: &Peers) -> Around {
    Around { directory: peers.upstream.directory().map(|address| address.ip()), own: interfaces() }
}

async fn direct(
    peers: &Peers,
    tls: &ClientTls,
    contact: &Contact,
    (last, avoided): (Option<Route>, &Avoided),
) -> Result<(Connection, Address), Option<String>> {
    let worked = if let Some(Route::Announced(address)) = last { Some(address) } else { None };
    let mut dialled = around(peers).dialled(&contact.addresses);
    if dialled.is_empty() && !contact.addresses.is_empty() {
        return Err(Some("none of its addresses can lead there from here".into()));
    }
    dialled.retain(|address| !avoided.has(Route::Announced(*address).path()));
    if dialled.is_empty() && !avoided.is_empty() {
        return Err(Some("its addresses brought nothing a while ago".into()));
    }
    let connect = |address| connect_to(peers, tls, contact.id, address);
    let links = links();
    let is_near = |ip| links.iter().any(|link| link.has(ip));
    let addresses = near_first(order(&dialled, worked), worked, is_near);
    let attempt = |address: Address| async move {
        if worked == Some(address) {
            // It has proved its key there. If it does so no more, others may be there now.
            let connected = connect(address).await;
            if connected.is_err() {
                peers.ways.forget(contact.id);
            }
            return connected;
        }
        let attempt = peers.attempts.begin(address.0.ip()).await;
        let stream = connect(address).await?;
        attempt.succeeded();
        Ok(stream)
    };
    race(&addresses, DIRECT_TIME_MAX, attempt).await
}

pub(super) async fn connect_to(
    peers: &Peers,
    tls: &ClientTls,
    peer: PeerId,
    address: Address,
) -> Result<Connection, String> {
    let socket = TcpStream::connect(address.0).await.map_err(|error| error.to_string())?;
    socket.set_nodelay(true).map_err(|error| error.to_string())?;
    let of = (peer, Route::Announced(address).path());
    let mut handshake = Handshake { ways: &peers.ways, of, begun: Instant::now(), is_over: false };
    let secured = secure(tls, socket).await;
    handshake.is_over = true;
    secured.map_err(|error| error.to_string())
}

/// Makes sure who is at the other end.
///
/// # Errors
/// As in [`TlsError`].
pub(super) async fn secure(tls: &ClientTls, socket: impl Into<Socket>) -> Result<Connection, TlsError> {
    tls.connect(BufReader::with_capacity(READ_BYTES, socket.into())).await
}

/// When the relay is tried beside the other ways: at once where it was needed the last time, and where it cannot be tried whenever it is. A
/// rendezvous that led there takes its time on a long path, and is waited for. What has passed already counts: to find out where the peer is took
/// a round trip to the directory, which others near here do not take.
fn handicap((contact, passed): (&Contact, Duration), last: Option<Route>) -> Handicap {
    let begins = RELAY_HANDICAP.saturating_sub(passed).max(RENDEZVOUS_HANDICAP);
    let waits = DIRECT_PREFERRED_TIME.saturating_sub(passed).max(RELAY_HANDICAP);
    let (begins, waits) = match last {
        _ if !contact.relay => (DIRECT_TIME_MAX, DIRECT_PREFERRED_TIME),
        // What is found later beside it is for a transfer that lasts, and for the next one.
        Some(Route::Relayed) => (Duration::ZERO, RELAY_HANDICAP),
        Some(Route::Announced(_)) | None => (begins, waits),
        Some(Route::Punched(_) | Route::CalledBack(_)) => (DIRECT_PREFERRED_TIME, RENDEZVOUS_PREFERRED_TIME),
    };
    Handicap { begins, waits }
}

#[cfg(test)]
mod tests {
    use dos_protocol::PublicKey;

    use super::*;

    fn peer(number: u64) -> PeerId {
        PeerId::from_number(PeerId::COUNT / 3 + number).unwrap()
    }

    #[test]
    fn the_relay_is_tried_at_once_where_it_was_needed_before() {
        let address: Address = "192.0.2.7:1".parse().unwrap();
        let key = PublicKey::from([9; 32]);
        let contact = Contact {
            id: peer(1),
            key,
            addresses: vec![address],
            online: true,
            relay: true,
            rendezvous: false,
            name: None,
            sealing: None,
        };
        let begins = |contact: &Contact, last| handicap((contact, Duration::ZERO), last).begins;
        assert_eq!(begins(&contact, None), RELAY_HANDICAP);
        assert_eq!(begins(&contact, Some(Route::Announced(address))), RELAY_HANDICAP);
        assert_eq!(
            handicap((&contact, Duration::ZERO), Some(Route::Relayed)),
            Handicap { begins: Duration::ZERO, waits: RELAY_HANDICAP }
        );
        let met = handicap((&contact, Duration::ZERO), Some(Route::Punched(address)));
        assert!(
            met.begins > RELAY_HANDICAP && met.waits > DIRECT_PREFERRED_TIME,
            "it takes longer, and led there"
        );
        let after = |passed| handicap((&contact, Duration::from_millis(passed)), None);
        let times = |begins, waits| Handicap {
            begins: Duration::from_millis(begins),
            waits: Duration::from_millis(waits),
        };
        assert_eq!([after(0), after(60), after(900)], [times(150, 300), times(90, 240), times(50, 150)]);
        let without = Contact { relay: false, ..contact.clone() };
        assert_eq!(begins(&without, Some(Route::Relayed)), DIRECT_TIME_MAX);
    }

    #[test]
    fn the_ways_of_so_many_peers_are_remembered_and_no_more() {
        let ways = Ways::default();
        for number in 0..=u64::try_from(WAYS_MAX).unwrap() {
            ways.put(peer(number), Route::Relayed);
        }
        assert!(ways.routes().len() <= WAYS_MAX);
        assert_eq!(ways.get(peer(u64::try_from(WAYS_MAX).unwrap())), Some(Route::Relayed));
    }
}
