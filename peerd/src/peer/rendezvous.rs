//! Two peers that connect to each other at one moment, arranged by the directory: through routers that let in only what was sent to before
//! (TCP simultaneous open), and from the owner to a caller that can be reached where the owner cannot.
//!
//! The caller draws a ticket. Either side sends it first on every connection of the rendezvous, and takes none that does not bring it; then
//! the caller is the client of the TLS, whichever side has connected, and pins the other's key. One side's packet may find the other's listener: that knows the
//! ticket, too.
//!
//! Two ports have one connection between them, and a router may remember one that is over for a while. So the next rendezvous with a peer soon after one that
//! has led there is called for from a port of its own ([`super::fresh`]).
//!
//! What always holds: the directory is not trusted with where this daemon connects to. The addresses are judged like those of a contact,
//! attempts count among those at their host, and those of a peer that calls are few in a minute, whoever is said to call.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dos_daemon::rate::{Rate, RateLimiter};
use dos_protocol::{
    PeerId,
    directory::{
        Answer, Contact, Op, PREFACE_BYTES, Rendezvous, RendezvousAt, RendezvousCall, Ticket, preface,
        ticket_of,
    },
    limits::{
        CALL_BACK_ADDRESSES, DIRECT_TIME_MAX, FIRST_BYTE_TIME_MAX, PUNCH_TRIES, PUNCHED_AGAIN_TIME,
        RENDEZVOUS_BEGIN_MAX, RENDEZVOUS_CALLED_MAX, RENDEZVOUS_CALLED_PER_MINUTE,
        RENDEZVOUS_CALLED_PER_PEER, RENDEZVOUS_CONNECTIONS,
    },
    model::Address,
    tls::ClientTls,
};
use futures_util::{StreamExt as _, future::Either, stream::FuturesUnordered};
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

use super::{
    Peers, admission,
    bad::Avoided,
    dial::{Connection, Route, around, secure},
    fresh,
};
use crate::{
    random::{self, jitter},
    upstream::socket_from,
};

/// Rendezvous that this daemon calls for together: as many as transfers, and room for messages.
const CALLING_MAX: usize = 64;

/// Between two attempts, at least; and as much again by chance, so that two sides that came too early do not do so together for ever.
const PAUSE: Duration = Duration::from_millis(20);

/// Peers with which this daemon is, or was, connected from one session's port to the other's.
const PUNCHED_MAX: usize = 1024;

/// How long a rendezvous can take, with its beginning.
const LASTS: Duration = DIRECT_TIME_MAX.saturating_add(RENDEZVOUS_BEGIN_MAX);

/// The rendezvous in which this daemon takes part.
#[derive(Debug, Default)]
pub(crate) struct Meetings(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Called for: what comes to the port with the ticket goes there.
    calling: HashMap<Ticket, mpsc::Sender<TcpStream>>,
    called: HashMap<Ticket, Called>,
    begun: RateLimiter,
    /// When a connection between the two sessions' ports was last known to be there. When full, it starts anew.
    punched: HashMap<PeerId, Instant>,
}

#[derive(Debug)]
struct Called {
    from: PeerId,
    until: Instant,
    /// A connection has come about: it counts no more among those that are under way.
    has_met: bool,
}

/// Whose a connection is that came to the port with a ticket.
enum Side {
    Calling(mpsc::Sender<TcpStream>),
    Called,
}

impl Meetings {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Expects the connections of a rendezvous that is called for; nothing if there are too many.
    fn expect(&self, ticket: Ticket) -> Option<(Expected<'_>, mpsc::Receiver<TcpStream>)> {
        let (sender, incoming) = mpsc::channel(RENDEZVOUS_CONNECTIONS);
        let mut state = self.state();
        if state.calling.len() >= CALLING_MAX {
            return None;
        }
        state.calling.insert(ticket, sender);
        Some((Expected { meetings: self, ticket }, incoming))
    }

    /// Whether this daemon takes part in a rendezvous to which it is called.
    fn called(&self, ticket: Ticket, from: PeerId) -> bool {
        let now = Instant::now();
        let mut state = self.state();
        state.called.retain(|_, called| called.until > now);
        let under_way = || state.called.values().filter(|called| !called.has_met);
        let of_peer = under_way().filter(|called| called.from == from).count();
        let rate = Rate::per_minute(RENDEZVOUS_CALLED_PER_MINUTE);
        let has_room = under_way().count() < RENDEZVOUS_CALLED_MAX && of_peer < RENDEZVOUS_CALLED_PER_PEER;
        // A ticket is good for one.
        let is_new = !state.called.contains_key(&ticket) && !state.calling.contains_key(&ticket);
        let takes = has_room && is_new && state.begun.take(1, rate, now.into_std()).is_ok();
        if takes {
            state.called.insert(ticket, Called { from, until: now + LASTS, has_met: false });
        }
        takes
    }

    /// A connection of a rendezvous to which this daemon is called has come about.
    fn met(&self, ticket: &Ticket) {
        let met = self.state().called.get_mut(ticket).map(|called| {
            called.has_met = true;
            called.from
        });
        // If it is between other ports, this costs the next rendezvous with that peer a question.
        if let Some(from) = met {
            self.punched(from);
        }
    }

    /// A connection between the two sessions' ports is there, or was there just now.
    pub(super) fn punched(&self, peer: PeerId) {
        let mut state = self.state();
        if state.punched.len() >= PUNCHED_MAX && !state.punched.contains_key(&peer) {
            state.punched.clear();
        }
        state.punched.insert(peer, Instant::now());
    }

    /// Whether there may be such a connection still, or routers may remember one.
    fn is_punched(&self, peer: PeerId) -> bool {
        self.state().punched.get(&peer).is_some_and(|at| at.elapsed() < PUNCHED_AGAIN_TIME)
    }

    fn side(&self, ticket: &Ticket) -> Option<Side> {
        let state = self.state();
        if let Some(sender) = state.calling.get(ticket) {
            return Some(Side::Calling(sender.clone()));
        }
        let is_called = state.called.get(ticket).is_some_and(|called| called.until > Instant::now());
        is_called.then_some(Side::Called)
    }
}

/// Dropped, it expects nothing more.
#[derive(Debug)]
struct Expected<'a> {
    meetings: &'a Meetings,
    ticket: Ticket,
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        self.meetings.state().calling.remove(&self.ticket);
    }
}

async fn send_preface(socket: &mut TcpStream, ticket: &Ticket) -> io::Result<()> {
    socket.set_nodelay(true)?;
    socket.write_all(&preface(ticket)).await
}

async fn read_preface(socket: &mut TcpStream) -> io::Result<Ticket> {
    let mut preface = [0; PREFACE_BYTES];
    timeout(FIRST_BYTE_TIME_MAX, socket.read_exact(&mut preface)).await??;
    ticket_of(&preface).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// A connection that this side has made: both say the ticket at once.
async fn exchange(socket: &mut TcpStream, ticket: &Ticket) -> io::Result<()> {
    send_preface(socket, ticket).await?;
    if read_preface(socket).await? == *ticket { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// A connection that came to the port and begins like one of a rendezvous: to be served, if the other side calls; nothing, if this
/// one does and has it now.
///
/// # Errors
/// If its ticket is of none.
pub(super) async fn arrived(peers: &Peers, socket: TcpStream) -> io::Result<Option<TcpStream>> {
    let from = socket.peer_addr()?.ip();
    let arrived = expected(&peers.meetings, socket).await?;
    peers.attempts.met(from);
    Ok(arrived)
}

async fn expected(meetings: &Meetings, mut socket: TcpStream) -> io::Result<Option<TcpStream>> {
    let ticket = read_preface(&mut socket).await?;
    let side = meetings.side(&ticket).ok_or(io::ErrorKind::PermissionDenied)?;
    send_preface(&mut socket, &ticket).await?;
    match side {
        Side::Called => {
            meetings.met(&ticket);
            Ok(Some(socket))
        }
        Side::Calling(sender) => match sender.try_send(socket) {
            Ok(()) => Ok(None),
            Err(_) => Err(io::Error::other("its rendezvous is over")),
        },
    }
}

/// Connects from this end, which shares the port of the session, to where the other side's is seen, until both have said the ticket.
///
/// At the host where the peer has proved its key the last time, attempts count for nothing.
async fn punch(
    peers: &Peers,
    (local, mapped): (SocketAddr, Address),
    ticket: Ticket,
    is_known: bool,
) -> io::Result<TcpStream> {
    if local.is_ipv4() != mapped.0.is_ipv4() {
        return Err(io::ErrorKind::AddrNotAvailable.into());
    }
    let mut last = io::ErrorKind::TimedOut.into();
    for _ in 0..PUNCH_TRIES {
        let attempt = if is_known { None } else { Some(peers.attempts.begin(mapped.0.ip()).await) };
        let connected = async {
            let mut socket = socket_from(local)?.connect(mapped.0).await?;
            exchange(&mut socket, &ticket).await?;
            Ok(socket)
        };
        match connected.await {
            Ok(socket) => {
                if let Some(attempt) = attempt {
                    attempt.succeeded();
                }
                return Ok(socket);
            }
            Err(error) if is_taken(&error) => return Err(error),
            Err(error) => last = error,
        }
        sleep(PAUSE + PAUSE.mul_f64(f64::from(jitter()) / f64::from(u32::MAX))).await;
    }
    Err(last)
}

/// Whether this is at the host where the peer has proved its key the last time.
fn is_known(peers: &Peers, peer: PeerId, mapped: Address) -> bool {
    peers.ways.get(peer).is_some_and(|last| last.path() == Route::Punched(mapped).path())
}

/// Whether these two ends have a connection already.
fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable)
}

/// Calls a peer to a rendezvous; a connection on which it has proved its key, whichever side has made it.
///
/// # Errors
/// What the directory says, or what became of the attempts.
pub(super) async fn call(
    peers: &Peers,
    tls: &ClientTls,
    contact: &Contact,
    avoided: &Avoided,
) -> Result<(Connection, Route), String> {
    let session = peers.upstream.session_address().ok_or("there is no session")?;
    let fresh = if peers.meetings.is_punched(contact.id) { fresh::port(peers).await } else { None };
    let (local, port) = fresh.as_ref().map_or((session, None), |fresh| (fresh.local, Some(fresh.port)));
    let ticket = Ticket::from(random::bytes().map_err(|error| error.to_string())?);
    // Before the directory is asked: the other side may be faster than the answer.
    let expected = peers.meetings.expect(ticket);
    let (_expected, mut incoming) = expected.ok_or("too many rendezvous at once")?;
    let asked = Op::Rendezvous(Rendezvous { peer: contact.id, ticket, port });
    let RendezvousAt { mapped, begin_us } = match peers.upstream.request(asked).await {
        Ok(Answer::Rendezvous(at)) => at,
        Ok(_) => return Err("the directory's answer is unexpected".into()),
        Err(error) => return Err(error.message.into()),
    };
    sleep(Duration::from_micros(begin_us).min(RENDEZVOUS_BEGIN_MAX)).await;
    let mapped = mapped.filter(|mapped| !around(peers).dialled(&[*mapped]).is_empty());
    let mapped = mapped.filter(|mapped| !avoided.has(Route::Punched(*mapped).path()));
    let mut tried = FuturesUnordered::new();
    if let Some(mapped) = mapped {
        let is_known = is_known(peers, contact.id, mapped);
        tried.push(Either::Left(punched(peers, tls, (local, mapped, ticket), is_known)));
    }
    let mut why = "the other side did not call back".to_owned();
    let meeting = async {
        loop {
            tokio::select! {
                Some(outcome) = tried.next(), if !tried.is_empty() => match outcome {
                    Ok((_, route)) if avoided.has(route.path()) => {
                        why = "it brought nothing a while ago".into();
                    }
                    Ok(won) => return Some(won),
                    Err(cause) => why = cause,
                },
                Some(socket) = incoming.recv() => {
                    tried.push(Either::Right(called_back(tls, socket, mapped)));
                }
                else => return None,
            }
        }
    };
    let met = timeout(DIRECT_TIME_MAX, meeting).await.ok().flatten();
    if port.is_none() && matches!(met, Some((_, Route::Punched(_)))) {
        peers.meetings.punched(contact.id);
    }
    met.ok_or(why)
}

/// A connection from one session's port to the other's.
async fn punched(
    peers: &Peers,
    tls: &ClientTls,
    (local, mapped, ticket): (SocketAddr, Address, Ticket),
    is_known: bool,
) -> Result<(Connection, Route), String> {
    let failed = |error: String| format!("{mapped}: {error}");
    let punched = punch(peers, (local, mapped), ticket, is_known).await;
    let socket = punched.map_err(|error| failed(error.to_string()))?;
    leave_no_trace(&socket);
    let stream = secure(tls, socket).await.map_err(|error| failed(error.to_string()))?;
    Ok((stream, Route::Punched(mapped)))
}

/// Closes a connection at once when this side hangs up. Whoever calls has nothing to say any more then; kept in TIME_WAIT, the same two ends
/// could not meet again for a minute.
fn leave_no_trace(socket: &TcpStream) {
    if let Err(error) = SockRef::from(socket).set_linger(Some(Duration::ZERO)) {
        tracing::debug!(%error, "the next rendezvous with this peer may fail");
    }
}

/// A connection that the other side has made.
async fn called_back(
    tls: &ClientTls,
    socket: TcpStream,
    mapped: Option<Address>,
) -> Result<(Connection, Route), String> {
    let from = socket.peer_addr().map_err(|error| error.to_string())?;
    let from = Address(SocketAddr::new(from.ip().to_canonical(), from.port()));
    leave_no_trace(&socket);
    let stream = secure(tls, socket).await.map_err(|error| format!("called back: {error}"))?;
    let route = if mapped == Some(from) { Route::Punched(from) } else { Route::CalledBack(from) };
    Ok((stream, route))
}

/// A way on which this side of a rendezvous connects to the one that calls.
pub(super) enum Towards {
    /// Where its session is seen.
    Mapped(Address),
    /// Where it may be listening.
    Listening(Address),
}

impl Towards {
    pub(super) fn ip(&self) -> IpAddr {
        let (Self::Mapped(address) | Self::Listening(address)) = self;
        address.0.ip()
    }
}

/// The ways to go when a peer calls to a rendezvous; none if this daemon does not take part.
pub(super) fn ways(peers: &Peers, call: &RendezvousCall) -> Vec<Towards> {
    if !peers.is_reachable || !peers.meetings.called(call.ticket, call.from) {
        tracing::debug!(from = %call.from, "takes no part in a rendezvous");
        return Vec::new();
    }
    let around = around(peers);
    let mapped = call.mapped.filter(|mapped| !around.dialled(&[*mapped]).is_empty());
    let listening = around.dialled(&call.addresses).into_iter().filter(|address| Some(*address) != mapped);
    let listening = listening.take(CALL_BACK_ADDRESSES).map(Towards::Listening);
    mapped.map(Towards::Mapped).into_iter().chain(listening).collect()
}

/// Goes one way to the peer that calls, and says the ticket.
///
/// # Errors
/// If this daemon does not speak with it, or the way does not lead there in time.
pub(super) async fn meet(
    peers: &Arc<Peers>,
    call: &RendezvousCall,
    towards: Towards,
) -> io::Result<TcpStream> {
    let (begun, begins) = (Instant::now(), Duration::from_micros(call.begin_us).min(RENDEZVOUS_BEGIN_MAX));
    if !admission::takes_call(peers, call.from).await {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    sleep(begins.saturating_sub(begun.elapsed())).await;
    let connected = async {
        match towards {
            Towards::Mapped(mapped) => {
                let local = peers.upstream.session_address().ok_or(io::ErrorKind::NotConnected)?;
                let is_known = is_known(peers, call.from, mapped);
                match punch(peers, (local, mapped), call.ticket, is_known).await {
                    // Where the caller listens, too, it can be reached from another port.
                    Err(error) if is_taken(&error) => call_back(peers, mapped, &call.ticket).await,
                    punched => punched,
                }
            }
            Towards::Listening(address) => call_back(peers, address, &call.ticket).await,
        }
    };
    let socket = timeout(DIRECT_TIME_MAX, connected).await??;
    peers.meetings.met(&call.ticket);
    Ok(socket)
}

/// Connects to where the peer that calls may be listening.
async fn call_back(peers: &Peers, address: Address, ticket: &Ticket) -> io::Result<TcpStream> {
    let attempt = peers.attempts.begin(address.0.ip()).await;
    let mut socket = TcpStream::connect(address.0).await?;
    exchange(&mut socket, ticket).await?;
    attempt.succeeded();
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn peer(number: u64) -> PeerId {
        PeerId::from_number(PeerId::COUNT / 3 + number).unwrap()
    }

    fn ticket(number: u8) -> Ticket {
        Ticket::from([number; 32])
    }

    #[tokio::test(start_paused = true)]
    async fn few_rendezvous_are_taken_part_in_at_once_of_one_peer_and_in_a_minute() {
        let meetings = Meetings::default();
        assert!(meetings.called(ticket(1), peer(1)) && meetings.called(ticket(2), peer(1)));
        assert!(!meetings.called(ticket(3), peer(1)), "one more of the same peer");
        assert!(!meetings.called(ticket(2), peer(2)), "a ticket that is used");
        let all = (3..100).filter(|number| meetings.called(ticket(*number), peer((*number).into()))).count();
        assert_eq!(all, RENDEZVOUS_CALLED_MAX - 2);
        meetings.met(&ticket(1));
        assert!(meetings.called(ticket(200), peer(1)), "one of them has come about");
        assert!(!meetings.called(ticket(1), peer(1)), "and its ticket is used");
        tokio::time::advance(LASTS).await;
        assert!(meetings.called(ticket(3), peer(1)), "the others are over");
        assert!(meetings.side(&ticket(2)).is_none());
    }

    #[tokio::test]
    async fn what_comes_with_a_ticket_goes_where_it_belongs_and_nothing_else_comes_in() {
        let meetings = Meetings::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let come = async |number| {
            let mut far = TcpStream::connect(address).await.unwrap();
            let (near, _) = listener.accept().await.unwrap();
            let ticket = ticket(number);
            let (arrived, exchanged) =
                tokio::join!(super::expected(&meetings, near), exchange(&mut far, &ticket));
            (arrived, exchanged.is_ok())
        };
        let (_expected, mut incoming) = meetings.expect(ticket(1)).unwrap();
        assert!(meetings.called(ticket(2), peer(2)));
        let (called_back, both) = come(1).await;
        assert!(matches!(called_back, Ok(None)) && both && incoming.try_recv().is_ok());
        let (served, both) = come(2).await;
        assert!(matches!(served, Ok(Some(_))) && both);
        let (refused, both) = come(3).await;
        assert!(refused.is_err() && !both);
        drop(_expected);
        assert!(come(1).await.0.is_err(), "it is over");
    }
}
