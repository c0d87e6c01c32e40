//! The connections of other peers, at the port or through the relay: a bounded number, authenticated.
//!
//! What always holds: a caller that does not finish a TLS handshake in time, holds no key, or connects while this daemon has no
//! identity is hung up on, and disturbs nobody else.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use dos_daemon::listen;
use dos_protocol::{
    directory::Call,
    limits::PEER_CONNECTIONS_MAX,
    tls::{Alpn, ServerTls},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinSet,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::Peers;
use super::{admission, relay::join, serve::serve};
use crate::identity::Identity;

/// Connections that wait to be taken.
const BACKLOG: i32 = 128;

/// After a failure to accept (no file descriptor left): time for others to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Binds the port. On the unspecified IPv6 address it serves IPv4 too, and where there is no IPv6 that alone.
///
/// # Errors
/// What the system says.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::from_std(listen::bind(address, BACKLOG)?)
}

/// Where a connection comes from.
enum Incoming {
    /// It came to the port.
    Accepted(TcpStream, SocketAddr),
    /// Somebody calls; it is still to be made, through the relay.
    Called(Call),
}

/// Serves those who connect and those who call, until `stop`.
pub(crate) async fn run(
    peers: Arc<Peers>,
    listener: TcpListener,
    mut calls: mpsc::Receiver<Call>,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(PEER_CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    let mut tls: Option<(Arc<Identity>, ServerTls)> = None;
    loop {
        let incoming = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            Some(_) = connections.join_next() => continue,
            incoming = next(&listener, &mut calls, &places) => incoming,
        };
        let (incoming, place) = match incoming {
            Ok(incoming) => incoming,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot accept a peer's connection");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(tls) = current(&peers, &mut tls) else { continue };
        let peers = Arc::clone(&peers);
        connections.spawn(async move {
            let _place = place;
            let (from, served) = match incoming {
                Incoming::Accepted(socket, address) => {
                    (address.to_string(), answer(&peers, &tls, async { Ok(socket) }).await)
                }
                Incoming::Called(Call { ticket, from }) => {
                    if !admission::takes_call(&peers, from).await {
                        return;
                    }
                    let joined = async {
                        let directory = peers.upstream.directory().ok_or(io::ErrorKind::NotConnected)?;
                        join(directory, &ticket).await
                    };
                    (from.to_string(), answer(&peers, &tls, joined).await)
                }
            };
            if let Err(error) = served {
                tracing::debug!(error = &error as &dyn std::error::Error, from, "a peer's connection failed");
            }
        });
    }
}

/// Makes a connection ready and answers on it; who is at the other end, its key says, however it came.
async fn answer(
    peers: &Arc<Peers>,
    tls: &ServerTls,
    socket: impl Future<Output = io::Result<TcpStream>>,
) -> io::Result<()> {
    let socket = socket.await?;
    socket.set_nodelay(true)?;
    let (key, stream) = tls.accept(socket).await.map_err(io::Error::other)?;
    Box::pin(serve(peers, key, stream)).await
}

/// The next connection and its place: what cannot be served now waits.
async fn next(
    listener: &TcpListener,
    calls: &mut mpsc::Receiver<Call>,
    places: &Arc<Semaphore>,
) -> io::Result<(Incoming, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    tokio::select! {
        Some(call) = calls.recv() => Ok((Incoming::Called(call), place)),
        accepted = listener.accept() => {
            let (socket, address) = accepted?;
            Ok((Incoming::Accepted(socket, address), place))
        }
    }
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
