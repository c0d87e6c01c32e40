//! Addresses: the one in the join link, and what counts as one host.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

/// The host and port for the join link, when the operator has not said: the address that the server listens on, or, where
/// it listens on all of them, the one from which this machine would speak to the outside.
pub(crate) fn guess(listening: SocketAddr) -> (String, u16) {
    let ip = if listening.ip().is_unspecified() { outward() } else { listening.ip() };
    (ip.to_canonical().to_string(), listening.port())
}

/// What stands for one host: an IPv4 address, or the /64 that every IPv6 network gives to a host (RFC 4291, 2.5.4).
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
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

    #[test]
    fn an_ipv4_address_is_a_host_and_so_is_a_64_of_ipv6() {
        let network = |text: &str| network_of(text.parse().unwrap());
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("::ffff:192.0.2.2"), network("192.0.2.2"));
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
    }
}
