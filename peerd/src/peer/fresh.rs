//! Another port than the session's to call to a rendezvous from, and what a router maps it to: the directory tells where it sees a connection come from
//! that does nothing else.
//!
//! What always holds: of the answer only the port is used, and only if the address is the one at which the session is seen; an earlier directory
//! hangs up, and the session's port is used as before.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use dos_protocol::{
    directory::SEEN_MAGIC,
    frame::{self, Reader},
    limits::FIRST_BYTE_TIME_MAX,
    model::Address,
    scope::canonical,
};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use super::Peers;
use crate::upstream::socket_from;

/// The largest answer: an address as text.
const ANSWER_BYTES_MAX: usize = 128;

/// A port that others can share. Dropped, the router may forget it.
#[derive(Debug)]
pub(super) struct Fresh {
    /// The end here.
    pub(super) local: SocketAddr,
    /// The port outside.
    pub(super) port: u16,
    _socket: TcpStream,
}

/// A port of its own; nothing if the directory does not tell where it is seen, or sees it elsewhere than the session.
pub(super) async fn port(peers: &Peers) -> Option<Fresh> {
    let (directory, session) = (peers.upstream.directory()?, peers.upstream.status().borrow().mapped?);
    let asked = timeout(FIRST_BYTE_TIME_MAX, ask(directory)).await;
    let asked = asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    match asked {
        Ok((socket, seen)) if seen.0.ip() == session.0.ip() => {
            let local = socket.local_addr().ok()?;
            Some(Fresh { local, port: seen.0.port(), _socket: socket })
        }
        Ok((_, seen)) => {
            tracing::debug!(%seen, %session, "another connection to the directory comes from another address");
            None
        }
        Err(error) => {
            tracing::debug!(%error, "the directory does not tell where a connection comes from");
            None
        }
    }
}

async fn ask(directory: SocketAddr) -> io::Result<(TcpStream, Address)> {
    let any: IpAddr = if directory.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { IpAddr::V6(0.into()) };
    let mut socket = socket_from((any, 0).into())?.connect(directory).await?;
    socket.set_nodelay(true)?;
    socket.write_all(SEEN_MAGIC).await?;
    let body = Reader::bounded(&mut socket, ANSWER_BYTES_MAX).next().await.map_err(io::Error::other)?;
    let body = body.ok_or(io::ErrorKind::UnexpectedEof)?;
    let seen: Address = frame::decode(&body).map_err(io::Error::other)?;
    Ok((socket, canonical(seen)))
}
