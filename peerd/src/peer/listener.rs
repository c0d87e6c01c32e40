//! The connections of other peers, at the port or through the relay: a bounded number, authenticated.
//!
//! What always holds: a caller that does not finish a TLS handshake in time, holds no key, or connects while this daemon has no
//! identity is hung up on, and disturbs nobody else. Until it is known whose a connection is, it counts among those of its
//! address, or of the peer that calls through the relay ([`Admission`]): whatever comes from one, those that come from elsewhere
//! are served at once.

use std::{io, net::IpAddr, net::SocketAddr, sync::Arc, time::Duration};

use dos_daemon::{
    admission::{Admission, Bounds, Pending, Share},
    files, listen,
    log::Throttle,
    network::network_of,
};
use dos_protocol::{
    JoinLink, PeerId,
    directory::{Call, RENDEZVOUS_MAGIC},
    limits::{
        FIRST_BYTE_TIME_MAX, HANDSHAKE_GRACE, HANDSHAKE_TIME_MAX, PEER_CALLS_PER_PEER, PEER_HANDSHAKES_MAX,
        PEER_HANDSHAKES_PER_ADDRESS, PEER_UNKNOWN_MAX,
    },
    link::HostPort,
    tls::{Alpn, ServerTls, Stream},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Peers, admission,
    callers::From,
    relay::join,
    rendezvous::{self, arrived, meet},
    serve::{Known, identified, serve},
};
use crate::{
    identity::Identity,
    upstream::{Summons, resolve, share},
};

/// Connections that wait to be taken: they are taken at once.
const BACKLOG: i32 = 1024;

/// After a failure to accept (no file descriptor left): time for others to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Such failures are logged this far apart.
const ACCEPT_LOG_PAUSE: Duration = Duration::from_secs(60);

/// Binds the port, which connections of this daemon may share. On the unspecified IPv6 address it serves IPv4 too, and where there is no IPv6 that alone.
///
/// # Errors
/// What the system says.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::from_std(listen::bind(address, BACKLOG)?)?;
    share(&listener);
    Ok(listener)
}

/// Connections of which it is not known whose they are.
struct Unknown {
    /// At the port, by their address.
    accepted: Arc<Admission<IpAddr>>,
    /// Through the relay, by the peer that calls.
    called: Arc<Admission<PeerId>>,
}

impl Unknown {
    fn new() -> Self {
        let files = usize::try_from(files::raise_limit()).unwrap_or(usize::MAX);
        let all = (files / 4).clamp(4, PEER_UNKNOWN_MAX);
        let accepted = Bounds {
            open: Share { all, each: all / 4 },
            admitted: Share { all: PEER_HANDSHAKES_MAX, each: PEER_HANDSHAKES_PER_ADDRESS },
            grace: HANDSHAKE_GRACE,
        };
        let calls = Share { all: PEER_HANDSHAKES_MAX, each: PEER_CALLS_PER_PEER };
        let called = Bounds { open: calls, admitted: calls, grace: HANDSHAKE_GRACE };
        Self { accepted: Admission::new(accepted), called: Admission::new(called) }
    }
}

/// Serves those who connect and those who call, until `stop`.
pub(crate) async fn run(
    peers: Arc<Peers>,
    listener: TcpListener,
    mut calls: mpsc::Receiver<Summons>,
    stop: CancellationToken,
) {
    let (unknown, failures) = (Unknown::new(), Throttle::new(ACCEPT_LOG_PAUSE));
    let mut connections = JoinSet::new();
    let mut tls: Option<(Arc<Identity>, ServerTls)> = None;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            Some(_) = connections.join_next() => {}
            Some(summons) = calls.recv() => {
                if let Some(tls) = current(&peers, &mut tls) {
                    summoned(&peers, &tls, (&unknown.called, summons), &mut connections);
                }
            }
            incoming = listener.accept() => match incoming {
                Ok((socket, from)) => {
                    let network = network_of(from.ip());
                    let (Some(pending), Some(tls)) =
                        (unknown.accepted.arrive(network), current(&peers, &mut tls))
                    else {
                        continue;
                    };
                    let from = (Some(network), pending);
                    let socket = accepted(Arc::clone(&peers), socket);
                    connections.spawn(attend(Arc::clone(&peers), tls, socket, from));
                }
                Err(error) => {
                    if let Some(left_out) = failures.take(std::time::Instant::now()) {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, left_out, "cannot accept a peer's connection");
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Serves a peer that calls, on each connection that comes of that.
fn summoned(
    peers: &Arc<Peers>,
    tls: &ServerTls,
    (unknown, summons): (&Arc<Admission<PeerId>>, Summons),
    connections: &mut JoinSet<()>,
) {
    let callee = Arc::clone(peers);
    match summons {
        Summons::Relayed(call) => {
            let Some(pending) = unknown.arrive(call.from) else { return };
            let socket = async move { called(&callee, call).await.map(Some) };
            connections.spawn(attend(Arc::clone(peers), tls.clone(), socket, (None, pending)));
        }
        Summons::Rendezvous(call) => {
            for towards in rendezvous::ways(peers, &call) {
                let Some(pending) = unknown.arrive(call.from) else { return };
                let (callee, call, network) = (Arc::clone(peers), call.clone(), network_of(towards.ip()));
                let socket = async move { meet(&callee, &call, towards).await.map(Some) };
                connections.spawn(attend(Arc::clone(peers), tls.clone(), socket, (Some(network), pending)));
            }
        }
    }
}

/// The connection of a call, which is still to be made.
async fn called(peers: &Peers, Call { ticket, from, at }: Call) -> io::Result<TcpStream> {
    if !admission::takes_call(peers, from).await {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let directory = match at {
        Some(at) => node(peers, &at).await?,
        None => peers.upstream.directory().ok_or(io::ErrorKind::NotConnected)?,
    };
    join(directory, &ticket).await
}

/// Where another node of the directory is, at which the caller's call is.
async fn node(peers: &Peers, at: &HostPort) -> io::Result<SocketAddr> {
    let server = peers.identity.any().map(|identity| identity.server.clone());
    let known = server.and_then(|server| known_node(&server, at)).ok_or_else(|| {
        io::Error::new(io::ErrorKind::PermissionDenied, format!("{at} is no node of the directory"))
    })?;
    resolve(&known).await?.into_iter().next().ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// The address of a call, if it is that of a node: no word of the directory leads anywhere else.
fn known_node(server: &JoinLink, at: &HostPort) -> Option<HostPort> {
    server.addresses().find(|node| node == at)
}

/// A connection that came to the port, once something has come on it; nothing if it belongs to a call of this daemon.
async fn accepted(peers: Arc<Peers>, socket: TcpStream) -> io::Result<Option<TcpStream>> {
    let mut first = [0];
    match timeout(FIRST_BYTE_TIME_MAX, socket.peek(&mut first)).await?? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ if RENDEZVOUS_MAGIC.starts_with(&first) => arrived(&peers, socket).await,
        _ => Ok(Some(socket)),
    }
}

/// Serves a connection; who is at the other end, its key says, however it came.
async fn attend<K: Ord + Copy>(
    peers: Arc<Peers>,
    tls: ServerTls,
    socket: impl Future<Output = io::Result<Option<TcpStream>>>,
    (network, pending): (Option<IpAddr>, Pending<K>),
) {
    let known = async {
        let Some(socket) = socket.await? else { return Ok(None) };
        // The other side waits no longer for its handshake.
        timeout(HANDSHAKE_TIME_MAX, pending.admitted()).await?;
        // Boxed, so that one that waits for its turn is small.
        Box::pin(known(&peers, &tls, socket, network)).await
    };
    let known = tokio::select! {
        biased;
        () = pending.displaced() => Err(io::Error::other("it made room for others")),
        known = known => known,
    };
    drop(pending);
    let served = match known {
        Ok(Some(known)) => Box::pin(serve(&peers, known)).await,
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = served {
        let error = &error as &dyn std::error::Error;
        tracing::debug!(error, network = network.map(tracing::field::display), "a peer's connection failed");
    }
}

/// The handshake, and whose the key is.
async fn known(
    peers: &Arc<Peers>,
    tls: &ServerTls,
    socket: TcpStream,
    network: Option<IpAddr>,
) -> io::Result<Option<Known<Stream<TcpStream>>>> {
    socket.set_nodelay(true)?;
    let (key, stream) = tls.accept(socket).await.map_err(io::Error::other)?;
    identified(peers, From { key, network }, stream).await
}

/// TLS under the identity of the moment.
fn current(peers: &Peers, cached: &mut Option<(Arc<Identity>, ServerTls)>) -> Option<ServerTls> {
    let (_, identity) = peers.identity.registered()?;
    if let Some((known, tls)) = cached
        && Arc::ptr_eq(known, &identity)
    {
        return Some(tls.clone());
    }
    match ServerTls::new(&identity.secret, Alpn::Peer) {
        Ok(tls) => {
            *cached = Some((identity, tls.clone()));
            Some(tls)
        }
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "cannot serve peers");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_followed_to_the_nodes_of_the_directory_and_nowhere_else() {
        let key = dos_protocol::PublicKey::from([9; 32]);
        let server: JoinLink = format!("dos://{key}@a.example:5001,192.0.2.7:5001").parse().unwrap();
        for (at, is_node) in [
            ("a.example:5001", true),
            ("192.0.2.7:5001", true),
            ("a.example:22", false),
            ("127.0.0.1:5001", false),
            ("b.example:5001", false),
        ] {
            let at: HostPort = at.parse().unwrap();
            assert_eq!(known_node(&server, &at), Some(at).filter(|_| is_node));
        }
    }
}
