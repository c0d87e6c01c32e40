//! Relayed connections: both sides meet at the directory's port with a ticket, and speak their own TLS from then on.
//!
//! What always holds: nothing is read from or written to the directory here but the ticket and the one byte that answers
//! it; the other end is known by its key alone. The caller's handshake does not wait for that byte, and its connection not for the ticket: two round
//! trips to the directory less.

use std::{io, net::SocketAddr, pin::pin, time::Duration};

use dos_protocol::{
    Code, PeerId, WireError,
    directory::{Answer, Op, RELAY_MAGIC, RELAY_OPEN, Ticket},
    limits::{CONNECT_TIME_MAX, RELAY_TICKET_TIME},
    tls::{ClientTls, TlsError},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, error::Elapsed, timeout},
};

use super::Peers;
use super::{
    dial::{Connection, secure},
    socket::Socket,
};
use crate::directory::unexpected;

/// A connection on which nothing was said for so long may be closed by the directory ([`dos_protocol::limits::FIRST_BYTE_TIME_MAX`]).
const UNUSED_TIME_MAX: Duration = Duration::from_secs(1);

/// Calls that wait to be answered; the callers of more hear nothing and give up.
pub(crate) const CALLS_WAITING_MAX: usize = 16;

/// Calls a peer through the directory. The connection is made while the ticket is on its way.
///
/// # Errors
/// What the directory says; `offline` if the other side does not come.
pub(super) async fn call(peers: &Peers, tls: &ClientTls, peer: PeerId) -> Result<Connection, WireError> {
    let lost = |cause: String| {
        WireError::new(Code::Offline, format!("peer {peer} does not answer through the relay"))
            .caused_by(cause)
    };
    let directory = peers.upstream.directory().ok_or_else(|| lost("the session has ended".into()))?;
    let asked = async {
        match peers.upstream.request(Op::Relay(peer)).await? {
            Answer::Ticket(ticket) => Ok(ticket),
            _ => Err(unexpected()),
        }
    };
    let begun = Instant::now();
    let (mut asked, mut connecting) = (pin!(asked), pin!(connect(directory)));
    let mut connected = None;
    let ticket = loop {
        tokio::select! {
            biased;
            ticket = &mut asked => break ticket?,
            made = &mut connecting, if connected.is_none() => connected = Some(made),
        }
    };
    let brought = async {
        let mut socket = match connected {
            // The directory closes one on which nothing comes.
            Some(made) if begun.elapsed() < UNUSED_TIME_MAX => made?,
            Some(_) => connect(directory).await?,
            None => connecting.await?,
        };
        bring(&mut socket, &ticket).await?;
        Ok::<_, io::Error>(socket)
    };
    let socket = brought.await.map_err(|error| lost(error.to_string()))?;
    let secured = secure(tls, Socket::relayed(socket)).await;
    secured.map_err(|error| match error {
        TlsError::Handshake(error) => lost(error.to_string()),
        error => lost(error.to_string()),
    })
}

/// Brings the ticket to the directory and waits for the other side.
///
/// # Errors
/// If the directory is out of reach, or the other side does not come in time.
pub(super) async fn join(directory: SocketAddr, ticket: &Ticket) -> io::Result<TcpStream> {
    let mut socket = connect(directory).await?;
    bring(&mut socket, ticket).await?;
    let opened = timeout(RELAY_TICKET_TIME, socket.read_u8()).await;
    match opened.map_err(late("the other side did not come"))? {
        Ok(RELAY_OPEN) => Ok(socket),
        Ok(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "the directory does not relay so")),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(io::Error::new(error.kind(), "the other side did not come"))
        }
        Err(error) => Err(error),
    }
}

/// Connects to the directory.
async fn connect(directory: SocketAddr) -> io::Result<TcpStream> {
    let connected = async {
        let socket = TcpStream::connect(directory).await?;
        socket.set_nodelay(true)?;
        Ok(socket)
    };
    timeout(CONNECT_TIME_MAX, connected).await.map_err(late("the directory does not answer"))?
}

/// Brings the ticket to the directory. It takes one packet, for which there is always room.
async fn bring(socket: &mut TcpStream, ticket: &Ticket) -> io::Result<()> {
    socket.write_all(&[RELAY_MAGIC.as_slice(), ticket.as_bytes()].concat()).await
}

fn late(what: &'static str) -> impl FnOnce(Elapsed) -> io::Error {
    move |_| io::Error::new(io::ErrorKind::TimedOut, what)
}
