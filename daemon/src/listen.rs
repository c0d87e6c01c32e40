//! Opening a TCP port, also on a machine without IPv6.
//!
//! What always holds: an address that is not the wildcard is bound as it is or not at all.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};

/// Opens a port that does not block. On the wildcard of IPv6 it serves IPv4 too; where the kernel has no IPv6, IPv4 alone, which is
/// logged.
///
/// # Errors
/// If the address cannot be bound.
pub fn bind(address: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    match try_bind(address, backlog) {
        Err(error) => match without_ipv6(address, &error) {
            Some(instead) => {
                let listener = try_bind(instead, backlog)?;
                tracing::warn!(%address, %instead, %error, "this system has no IPv6: listening on IPv4 alone");
                Ok(listener)
            }
            None => Err(error),
        },
        bound => bound,
    }
}

fn try_bind(address: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // A restart must not wait for the connections of the last run to be forgotten by the kernel.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

/// What is bound instead of `address`, which failed so: the wildcard of IPv4 where there is no IPv6, whether it was left out of the kernel
/// (EAFNOSUPPORT) or turned off (EADDRNOTAVAIL).
fn without_ipv6(address: SocketAddr, error: &io::Error) -> Option<SocketAddr> {
    let is_wildcard = address.is_ipv6() && address.ip().is_unspecified();
    // EAFNOSUPPORT has a kind of its own only by its number, which POSIX leaves to the system.
    let is_missing = error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error());
    (is_wildcard && is_missing).then(|| (Ipv4Addr::UNSPECIFIED, address.port()).into())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, thread};

    use rustix::io::Errno;
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule, apply_filter,
    };

    use super::*;

    /// The number of socket(2) and of its family AF_INET6 on the machines that the programs are built for.
    const SOCKET: i64 = if cfg!(target_arch = "x86_64") { 41 } else { 198 };
    const INET6: u64 = 10;

    /// Takes IPv6 from this thread, as a kernel without it answers.
    fn forbid_ipv6() {
        let is_inet6 = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, INET6).unwrap();
        let rules = BTreeMap::from([(SOCKET, vec![SeccompRule::new(vec![is_inet6]).unwrap()])]);
        let errno = u32::try_from(Errno::AFNOSUPPORT.raw_os_error()).unwrap();
        let machine = std::env::consts::ARCH.try_into().unwrap();
        let filter =
            SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno), machine).unwrap();
        apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
    }

    #[test]
    fn without_ipv6_the_wildcard_is_that_of_ipv4() {
        let bound = thread::spawn(|| {
            forbid_ipv6();
            let wildcard = bind("[::]:0".parse().unwrap(), 16).unwrap().local_addr().unwrap();
            (wildcard, bind("[::1]:0".parse().unwrap(), 16).map(drop).map_err(|error| error.raw_os_error()))
        });
        let (wildcard, loopback) = bound.join().unwrap();
        assert_eq!(wildcard.ip(), Ipv4Addr::UNSPECIFIED);
        assert_eq!(loopback, Err(Some(Errno::AFNOSUPPORT.raw_os_error())), "one address is not another");
    }

    #[test]
    fn only_a_missing_ipv6_has_a_substitute_and_only_for_the_wildcard() {
        let wildcard: SocketAddr = "[::]:5001".parse().unwrap();
        for (address, errno, expected) in [
            ("[::]:5001", Errno::AFNOSUPPORT, Some("0.0.0.0:5001")),
            ("[::]:5001", Errno::ADDRNOTAVAIL, Some("0.0.0.0:5001")),
            ("[::]:5001", Errno::ADDRINUSE, None),
            ("[::]:5001", Errno::ACCESS, None),
            ("[2001:db8::1]:5001", Errno::ADDRNOTAVAIL, None),
            ("192.0.2.1:5001", Errno::ADDRNOTAVAIL, None),
            ("0.0.0.0:5001", Errno::AFNOSUPPORT, None),
        ] {
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(without_ipv6(address.parse().unwrap(), &errno.into()), expected, "{address} {errno}");
        }
        assert_eq!(without_ipv6(wildcard, &io::Error::other("no number")), None);
    }
}
