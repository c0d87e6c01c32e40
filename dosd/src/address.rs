//! The address in the join link.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

/// The host and port for the join link, when the operator has not said: the address that the server listens on, or, where
/// it listens on all of them, the one from which this machine would speak to the outside.
pub(crate) fn guess(listening: SocketAddr) -> (String, u16) {
    let ip = if listening.ip().is_unspecified() { outward() } else { listening.ip() };
    (ip.to_canonical().to_string(), listening.port())
}

/// Asks the kernel for its route to an address of the documentation range (RFC 5737, RFC 3849); nothing is sent.
fn outward() -> IpAddr {
    let routes = [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")];
    let found = routes.into_iter().find_map(|(from, to)| {
        let socket = UdpSocket::bind(from).ok()?;
        socket.connect(to).ok()?;
        socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_unspecified())
    });
    found.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definite_address_is_kept_and_a_wildcard_becomes_one() {
        assert_eq!(guess("127.0.0.1:7".parse().unwrap()), ("127.0.0.1".into(), 7));
        let (host, port) = guess("[::]:7".parse().unwrap());
        assert!(!host.parse::<IpAddr>().unwrap().is_unspecified());
        assert_eq!(port, 7);
    }
}
