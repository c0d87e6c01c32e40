//! The directory's port: accepts connections, has them prove their keys, and hands them to a session each, or to the relay
//! if their first byte is that of a ticket. One that asks where it comes from is told.
//!
//! What always holds: every connection is accepted at once, so that the kernel's queue, which is first come, first served, never
//! fills. Until it has signed in it counts among those of its address ([`Admission`]): the address of a stranger, or of a thousand
//! peers that come back together, never keeps another one waiting. Until its first request is there, nothing is done for it
//! that could not be given up.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use dos_daemon::{
    admission::{Admission, Bounds, Pending, Share},
    listen,
    log::Throttle,
    network::network_of,
};
use dos_protocol::{
    PublicKey,
    directory::Ticket,
    frame,
    limits::{
        FIRST_BYTE_TIME_MAX, HANDSHAKE_GRACE, HANDSHAKE_TIME_MAX, HANDSHAKES_MAX, HANDSHAKES_PER_ADDRESS,
        LISTEN_BACKLOG,
    },
    model::Address,
    tls::ServerTls,
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    directory::Directory,
    live::relay::{is_relayed, read_ticket},
    metrics::Unproved,
    rules::room::Room,
    session::{self, First},
};

/// After a failure to accept (no file descriptor left): time for others to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Such failures are logged this far apart.
const ACCEPT_LOG_PAUSE: Duration = Duration::from_secs(60);

/// Opens the port. An IPv6 wildcard takes IPv4 too, and where there is no IPv6 it is that of IPv4.
///
/// # Errors
/// If the address cannot be bound.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::from_std(listen::bind(address, i32::try_from(LISTEN_BACKLOG).unwrap_or(i32::MAX))?)
}

/// What connections pass through.
#[derive(Debug)]
pub(crate) struct Entrance {
    tls: ServerTls,
    directory: Arc<Directory>,
    /// Those that have not signed in, by their address.
    admission: Arc<Admission<IpAddr>>,
}

impl Entrance {
    pub(crate) fn new(tls: ServerTls, directory: Arc<Directory>, room: Room) -> Self {
        let admission = Admission::new(Bounds {
            open: Share { all: room.unsigned, each: room.unsigned_per_address },
            admitted: Share { all: HANDSHAKES_MAX, each: HANDSHAKES_PER_ADDRESS },
            grace: HANDSHAKE_GRACE,
        });
        Self { tls, directory, admission }
    }
}

/// Accepts until `stop`, then waits for the sessions to end.
pub(crate) async fn listen(listener: TcpListener, entrance: Entrance, stop: CancellationToken) {
    let entrance = Arc::new(entrance);
    let failures = Throttle::new(ACCEPT_LOG_PAUSE);
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        match accepted {
            Ok((stream, from)) => {
                let from = SocketAddr::new(from.ip().to_canonical(), from.port());
                match entrance.admission.arrive(network_of(from.ip())) {
                    Some(pending) => {
                        let visit = visit(Arc::clone(&entrance), stream, (from, pending), stop.clone());
                        connections.spawn(visit);
                    }
                    None => entrance.directory.metrics.unproved(Unproved::Crowded),
                }
            }
            Err(error) => {
                if let Some(left_out) = failures.take(Instant::now()) {
                    tracing::warn!(%error, left_out, "cannot accept a connection");
                }
                // Out of file descriptors, most likely: connections must end before there are any.
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// A connection from its first byte to its end.
async fn visit(
    entrance: Arc<Entrance>,
    stream: TcpStream,
    (seen, pending): (SocketAddr, Pending<IpAddr>),
    stop: CancellationToken,
) {
    let from = seen.ip();
    let begun = tokio::select! {
        biased;
        () = stop.cancelled() => return,
        () = pending.displaced() => Err(Unproved::Displaced),
        // Boxed, like what follows: a task is as large as its largest part for as long as it lasts.
        begun = Box::pin(begin(&entrance, stream, (seen, &pending))) => begun,
    };
    let directory = &entrance.directory;
    match begun {
        Ok(Begun::Session(key, first)) => {
            // Boxed, so that what only the sign-in needs is freed before the session begins.
            let signed_in = Box::pin(session::sign_in(directory, key, seen, first)).await;
            drop(pending);
            match signed_in {
                Ok(signed_in) => Box::pin(serve(directory, from, signed_in)).await,
                // Whoever has not signed in can fill no log.
                Err(why) => {
                    tracing::debug!(address = %from, why = &why as &dyn std::error::Error, "not signed in");
                }
            }
        }
        Ok(Begun::Told) => {}
        Ok(Begun::Relayed(ticket, stream)) => {
            drop(pending);
            Box::pin(directory.live.relay.serve(ticket, stream, from, stop)).await;
        }
        Err(why) => directory.metrics.unproved(why),
    }
}

/// A connection that has said what it wants.
enum Begun {
    /// To sign in, as the holder of this key.
    Session(PublicKey, Box<First>),
    /// To be joined with another one.
    Relayed(Ticket, TcpStream),
    /// It wanted to know where it comes from, and was told.
    Told,
}

/// Brings a connection to where it has said what it wants. Given up at any moment, it has changed nothing.
async fn begin(
    entrance: &Entrance,
    stream: TcpStream,
    (seen, pending): (SocketAddr, &Pending<IpAddr>),
) -> Result<Begun, Unproved> {
    let from = seen.ip();
    let Some(first) = first_byte(&stream).await else { return Err(Unproved::Silent) };
    // The other side waits no longer for its handshake.
    if timeout(HANDSHAKE_TIME_MAX, pending.admitted()).await.is_err() {
        return Err(Unproved::Crowded);
    }
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(address = %from, %error, "the connection is gone already");
        return Err(Unproved::Failed);
    }
    if is_relayed(first) {
        let read = Box::pin(read_ticket(stream)).await;
        let failed = |error: io::Error| {
            tracing::debug!(address = %from, %error, "no ticket came");
            Unproved::Failed
        };
        let (ticket, stream) = read.map_err(failed)?;
        let Some(ticket) = ticket else {
            return tell(stream, seen).await.map(|()| Begun::Told).map_err(failed);
        };
        return Ok(Begun::Relayed(ticket, stream));
    }
    // Boxed, so that one that waits for its turn is small.
    Box::pin(prove(entrance, stream, from)).await
}

/// Answers where a connection comes from. It takes one packet, for which there is always room.
async fn tell(mut stream: TcpStream, seen: SocketAddr) -> io::Result<()> {
    let told = frame::to_frame(&Address(seen)).map_err(io::Error::other)?;
    stream.write_all(&told).await?;
    stream.shutdown().await
}

/// The handshake, and the first request.
async fn prove(entrance: &Entrance, stream: TcpStream, from: IpAddr) -> Result<Begun, Unproved> {
    // Without a reason: none can be sent before there is TLS.
    if !entrance.directory.may_shake_hands(from) {
        tracing::debug!(address = %from, limit = "handshakes_per_minute", "refused a connection");
        return Err(Unproved::Limit);
    }
    let (key, stream) = entrance.tls.accept(stream).await.map_err(|error| {
        tracing::debug!(address = %from, error = &error as &dyn std::error::Error, "refused a connection");
        Unproved::Failed
    })?;
    match session::first_request(stream).await {
        Ok(first) => Ok(Begun::Session(key, Box::new(first))),
        Err(why) => {
            tracing::debug!(address = %from, why = &why as &dyn std::error::Error, "not signed in");
            Err(Unproved::Unsigned)
        }
    }
}

/// The first byte that comes, left in place; nothing if none comes in time.
async fn first_byte(stream: &TcpStream) -> Option<u8> {
    let mut first = [0; 1];
    match timeout(FIRST_BYTE_TIME_MAX, stream.peek(&mut first)).await {
        Ok(Ok(1..)) => first.first().copied(),
        _ => None,
    }
}

async fn serve(directory: &Arc<Directory>, from: IpAddr, signed_in: Box<session::SignedIn>) {
    let peer = signed_in.peer();
    let end = session::serve(directory, signed_in).await;
    if end.is_ordinary() {
        tracing::info!(%peer, address = %from, why = %end, "session ended");
    } else {
        tracing::info!(%peer, address = %from, why = &end as &dyn std::error::Error, "session ended");
    }
}
