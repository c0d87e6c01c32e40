//! The directory's port: accepts connections, has them prove their keys, and hands them to a session each, or to the relay
//! if their first byte is that of a ticket.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use dos_protocol::{
    limits::{HANDSHAKE_TIME_MAX, HANDSHAKES_MAX, LISTEN_BACKLOG},
    tls::ServerTls,
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{directory::Directory, live::relay::is_relayed, session};

/// Opens the port. An IPv6 wildcard takes IPv4 too.
///
/// # Errors
/// If the address cannot be bound.
pub(crate) fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    // A restart must not wait for the connections of the last run to be forgotten by the kernel.
    socket.set_reuseaddr(true)?;
    if address.is_ipv6() {
        socket2::SockRef::from(&socket).set_only_v6(false)?;
    }
    socket.bind(address)?;
    socket.listen(LISTEN_BACKLOG)
}

/// Accepts until `stop`, then waits for the sessions to end.
pub(crate) async fn listen(
    listener: TcpListener,
    tls: ServerTls,
    directory: Arc<Directory>,
    stop: CancellationToken,
) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let mut sessions = JoinSet::new();
    loop {
        // A place first: what cannot be served now waits in the backlog.
        let place = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Ok(place) = Arc::clone(&handshakes).acquire_owned() => place,
        };
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
            Some(_) = sessions.join_next(), if !sessions.is_empty() => continue,
        };
        match accepted {
            Ok((stream, from)) => {
                let (tls, directory, stop) = (tls.clone(), Arc::clone(&directory), stop.clone());
                sessions.spawn(async move {
                    match first_byte(&stream).await {
                        // Boxed, so that a session's task does not have a relayed call's size.
                        Some(first) if is_relayed(first) => {
                            Box::pin(relay(stream, from.ip(), &directory, place, stop)).await;
                        }
                        Some(_) => serve(stream, from.ip(), tls, directory, place).await,
                        None => tracing::debug!(address = %from.ip(), "nothing came on a connection"),
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                // Out of file descriptors, most likely: sessions must end before there are any.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    while sessions.join_next().await.is_some() {}
}

/// The first byte that comes, left in place; nothing if none comes in time.
async fn first_byte(stream: &TcpStream) -> Option<u8> {
    let mut first = [0; 1];
    match timeout(HANDSHAKE_TIME_MAX, stream.peek(&mut first)).await {
        Ok(Ok(1..)) => first.first().copied(),
        _ => None,
    }
}

async fn relay(
    stream: TcpStream,
    from: IpAddr,
    directory: &Directory,
    place: OwnedSemaphorePermit,
    stop: CancellationToken,
) {
    let from = from.to_canonical();
    if let Err(error) = stream.set_nodelay(true) {
        return tracing::debug!(address = %from, %error, "the connection is gone already");
    }
    directory.live.relay.serve(stream, from, place, stop).await;
}

async fn serve(
    stream: TcpStream,
    from: IpAddr,
    tls: ServerTls,
    directory: Arc<Directory>,
    place: OwnedSemaphorePermit,
) {
    let from = from.to_canonical();
    if let Err(error) = stream.set_nodelay(true) {
        return tracing::debug!(address = %from, %error, "the connection is gone already");
    }
    // Without a reason: none can be sent before there is TLS.
    if !directory.may_shake_hands(from) {
        directory.metrics.handshake_refused();
        return tracing::info!(address = %from, limit = "handshakes_per_minute", "refused a connection");
    }
    // Boxed, so that what only the handshake needs is freed before the session begins.
    let (key, stream) = match Box::pin(tls.accept(stream)).await {
        Ok(accepted) => accepted,
        Err(error) => {
            directory.metrics.handshake_failed();
            return tracing::info!(address = %from, error = &error as &dyn std::error::Error, "refused a connection");
        }
    };
    drop(place);
    let (peer, end) = session::serve(&directory, key, from, stream).await;
    let peer = peer.map(|peer| peer.to_string()).unwrap_or_default();
    if end.is_ordinary() {
        tracing::info!(peer, address = %from, why = %end, "session ended");
    } else {
        tracing::info!(peer, address = %from, why = &end as &dyn std::error::Error, "session ended");
    }
}
