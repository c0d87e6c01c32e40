//! Relayed connections: both sides meet at the directory's port with a ticket, and speak their own TLS from then on.
//!
//! What always holds: nothing is read from or written to the directory here but the ticket and the one byte that answers
//! it; the other end is known by its key alone.

use std::{io, net::SocketAddr};

use dos_protocol::{
    Code, PeerId, WireError,
    directory::{Answer, Op, RELAY_MAGIC, RELAY_OPEN, Ticket},
    limits::{CONNECT_TIME_MAX, RELAY_TICKET_TIME},
    tls::ClientTls,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::Peers;
use super::dial::{Connection, secure};
use crate::directory::unexpected;

/// Calls that wait to be answered; the callers of more hear nothing and give up.
pub(crate) const CALLS_WAITING_MAX: usize = 16;

/// Calls a peer through the directory.
///
/// # Errors
/// What the directory says; `offline` if the other side does not come.
pub(super) async fn call(peers: &Peers, tls: &ClientTls, peer: PeerId) -> Result<Connection, WireError> {
    let ticket = match peers.upstream.request(Op::Relay(peer)).await? {
        Answer::Ticket(ticket) => ticket,
        _ => return Err(unexpected()),
    };
    let lost = |cause: String| {
        WireError::new(Code::Offline, format!("peer {peer} does not answer through the relay"))
            .caused_by(cause)
    };
    let directory = peers.upstream.directory().ok_or_else(|| lost("the session has ended".into()))?;
    let socket = join(directory, &ticket).await.map_err(|error| lost(error.to_string()))?;
    secure(tls, socket).await.map_err(|error| lost(error.to_string()))
}

/// Brings the ticket to the directory and waits for the other side.
///
/// # Errors
/// If the directory is out of reach, or the other side does not come in time.
pub(super) async fn join(directory: SocketAddr, ticket: &Ticket) -> io::Result<TcpStream> {
    let late = |what: &'static str| move |_| io::Error::new(io::ErrorKind::TimedOut, what);
    let mut socket = timeout(CONNECT_TIME_MAX, TcpStream::connect(directory))
        .await
        .map_err(late("the directory does not answer"))??;
    socket.set_nodelay(true)?;
    let opened = async {
        socket.write_all(&[RELAY_MAGIC.as_slice(), ticket.as_bytes()].concat()).await?;
        socket.read_u8().await
    };
    match timeout(RELAY_TICKET_TIME, opened).await.map_err(late("the other side did not come"))? {
        Ok(RELAY_OPEN) => Ok(socket),
        Ok(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "the directory does not relay so")),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(io::Error::new(error.kind(), "the other side did not come"))
        }
        Err(error) => Err(error),
    }
}
