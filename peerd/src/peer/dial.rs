//! Calling an owner at the addresses that the directory knows.
//!
//! What always holds: whoever answers holds the key that the directory told.

use std::time::Duration;

use dos_protocol::{
    Code, WireError,
    directory::Contact,
    limits::ADDRESSES_MAX,
    tls::{Alpn, ClientTls, Stream},
};
use tokio::{io::BufReader, net::TcpStream, time::timeout};

use crate::identity::Identity;

/// How long one address may take: there may be another, better one.
const ADDRESS_TIME_MAX: Duration = Duration::from_secs(3);

/// What is read from the network at a time. rustls alone reads 4 KiB at a time, which costs five calls of the system for
/// each record (measured in docs/performance.md).
const READ_BYTES: usize = 64 << 10;

/// Connects to the peer of `contact` as `identity`.
///
/// # Errors
/// `offline` if no address leads to it.
pub(crate) async fn dial(
    identity: &Identity,
    contact: &Contact,
) -> Result<Stream<BufReader<TcpStream>>, WireError> {
    let tls = ClientTls::new(&identity.secret, contact.key, Alpn::Peer)
        .map_err(|error| WireError::new(Code::Internal, error.to_string()))?;
    let mut cause = None;
    // Besides those announced, the directory may know the one it observed.
    for address in contact.addresses.iter().take(ADDRESSES_MAX + 1) {
        let socket = match timeout(ADDRESS_TIME_MAX, TcpStream::connect(address.0)).await {
            Ok(Ok(socket)) => socket,
            Ok(Err(error)) => {
                cause = Some(format!("{address}: {error}"));
                continue;
            }
            Err(_) => {
                cause = Some(format!("{address}: no answer in time"));
                continue;
            }
        };
        drop(socket.set_nodelay(true));
        match tls.connect(BufReader::with_capacity(READ_BYTES, socket)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => cause = Some(format!("{address}: {error}")),
        }
    }
    let error = WireError::new(Code::Offline, format!("peer {} is out of reach", contact.id));
    Err(match cause {
        Some(cause) => error.caused_by(cause),
        None => WireError::new(Code::Offline, format!("peer {} is offline", contact.id)),
    })
}
