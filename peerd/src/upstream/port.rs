//! Sockets that send from a port that others share: that of the listener, for the session, and that of the session, for a rendezvous. A router that
//! keeps to one mapping for a port shows the directory the one at which others reach this daemon.
//!
//! What always holds: a port that cannot be shared (a connection to the same end was closed there a moment ago, or the address leads nowhere)
//! costs the session nothing: it takes one of its own, which a rendezvous can share as well. Another program that listens at the port of this
//! one is refused as before: only what has been listening already lets others share.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::addresses::source_towards;

/// Lets sockets that connect share the port of a listener. After it listens: before, two daemons could listen at one port.
pub(crate) fn share(listener: &TcpListener) {
    if let Err(error) = SockRef::from(listener).set_reuse_port(true) {
        tracing::debug!(%error, "connections cannot share the port at which peers are served");
    }
}

/// A socket at this address, which it shares with others.
pub(crate) fn socket_from(local: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if local.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Of a port at which somebody listens every socket needs the second, of another one the first (socket(7)).
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(local)?;
    Ok(socket)
}

/// Connects from the port of a listener where that is possible, else from one that a rendezvous can share.
pub(super) async fn connect(listen: SocketAddr, there: SocketAddr) -> io::Result<TcpStream> {
    // From an address of this host that routes would not choose nothing may come back.
    let leads = |local: &SocketAddr| local.ip().is_unspecified() || source_towards(there) == Some(local.ip());
    if let Some(local) = local_for(listen, there).filter(leads) {
        match socket_from(local) {
            Ok(socket) => match socket.connect(there).await {
                Err(error) if is_of_the_port(&error) => {
                    tracing::debug!(%error, "the session has a port of its own");
                }
                connected => return connected,
            },
            Err(error) => tracing::debug!(%error, "the session has a port of its own"),
        }
    }
    let any: IpAddr = if there.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { IpAddr::V6(0.into()) };
    socket_from((any, 0).into())?.connect(there).await
}

/// The address to connect from, to share the port of a listener; nothing if that is of the other family.
fn local_for(listen: SocketAddr, there: SocketAddr) -> Option<SocketAddr> {
    let ip: IpAddr = match listen.ip().to_canonical() {
        ip if ip.is_unspecified() && there.is_ipv4() => Ipv4Addr::UNSPECIFIED.into(),
        ip => ip,
    };
    (ip.is_ipv4() == there.is_ipv4()).then_some(SocketAddr::new(ip, listen.port()))
}

/// Whether another port may do better: the other end has said nothing so far.
fn is_of_the_port(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_shared_where_the_listener_has_an_address_of_that_family() {
        for (listen, there, local) in [
            ("[::]:7001", "192.0.2.1:5001", Some("0.0.0.0:7001")),
            ("[::]:7001", "[2001:db8::1]:5001", Some("[::]:7001")),
            ("0.0.0.0:7001", "192.0.2.1:5001", Some("0.0.0.0:7001")),
            ("0.0.0.0:7001", "[2001:db8::1]:5001", None),
            ("192.0.2.9:7001", "192.0.2.1:5001", Some("192.0.2.9:7001")),
            ("192.0.2.9:7001", "[2001:db8::1]:5001", None),
            ("[2001:db8::9]:7001", "192.0.2.1:5001", None),
        ] {
            let local: Option<SocketAddr> = local.map(|text| text.parse().unwrap());
            assert_eq!(local_for(listen.parse().unwrap(), there.parse().unwrap()), local, "{listen} {there}");
        }
    }

    async fn bound(address: &str) -> TcpListener {
        TcpListener::bind(address).await.unwrap()
    }

    #[tokio::test]
    async fn a_session_comes_from_the_port_that_listens_and_a_rendezvous_from_that_of_the_session() {
        let (directory, other) = (bound("127.0.0.1:0").await, bound("127.0.0.1:0").await);
        let (first, second) = (directory.local_addr().unwrap(), other.local_addr().unwrap());
        let listener = bound("127.0.0.1:0").await;
        let listen = listener.local_addr().unwrap();
        share(&listener);
        let session = connect(listen, first).await.unwrap();
        assert_eq!(session.local_addr().unwrap(), listen);
        let punched = socket_from(session.local_addr().unwrap()).unwrap().connect(second).await.unwrap();
        assert_eq!(punched.local_addr().unwrap(), listen);
        // The same two ends once more: the port is taken for that.
        let again = connect(listen, first).await.unwrap();
        assert_ne!(again.local_addr().unwrap(), listen);
        let punched = socket_from(again.local_addr().unwrap()).unwrap().connect(second).await.unwrap();
        assert_eq!(punched.local_addr().unwrap(), again.local_addr().unwrap());
    }

    #[tokio::test]
    async fn a_session_comes_from_no_address_that_routes_would_not_choose() {
        let (directory, listener) = (bound("127.0.0.1:0").await, bound("127.0.0.3:0").await);
        share(&listener);
        let session = connect(listener.local_addr().unwrap(), directory.local_addr().unwrap()).await.unwrap();
        assert_eq!(session.local_addr().unwrap().ip(), Ipv4Addr::LOCALHOST);
    }

    #[tokio::test]
    async fn who_connects_shares_a_port_and_who_listens_does_not() {
        let listener = bound("127.0.0.1:0").await;
        share(&listener);
        let listen = listener.local_addr().unwrap();
        assert_eq!(TcpListener::bind(listen).await.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let refused = bound("127.0.0.1:0").await.local_addr().unwrap();
        let error = connect(listen, refused).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
