//! Where other peers reach this daemon: what it announces to the directory, which adds the address that it sees.
//!
//! What always holds: addresses that only this host or this link understands are kept back, unless directory and peer are
//! on one host; nothing is announced that the port is not open at, except what the user says.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

use dos_protocol::{
    JoinLink,
    limits::ADDRESSES_MAX,
    model::Address,
    scope::{Scope, is_peer_port, scope_of},
};
use if_addrs::{IfAddr, Interface};

use crate::config::Config;

/// Addresses of documents (RFC 5737, RFC 3849): the routes to them are those to anywhere, and nothing is sent.
const ANYWHERE: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9),
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), 9),
];

/// Where the kernel tells the routes of IPv4: by way of this process, since a service manager may hide everything else of `/proc`.
pub(crate) const ROUTES: &str = "/proc/self/net/route";

/// The same for IPv6.
pub(crate) const ROUTES_V6: &str = "/proc/self/net/ipv6_route";

/// What a route leads over (`RTF_GATEWAY` in `linux/route.h`).
pub(crate) const GATEWAY: u32 = 2;

/// The port to announce, and the addresses: none and port 0, if nobody can connect. `mapped` is where a router forwards the port.
pub(crate) fn announced(
    config: &Config,
    (listen, mapped): (SocketAddr, Option<Address>),
    server: &JoinLink,
) -> (u16, Vec<Address>) {
    if !config.reachable {
        return (0, Vec::new());
    }
    if !is_peer_port(listen.port()) || config.advertise.iter().any(|address| !is_peer_port(address.0.port()))
    {
        tracing::warn!("other peers connect to no port below 1024 but 443");
    }
    let ranked = Ranked { outward: outward(), routed: routed() };
    let own = open_at((&interfaces(), &ranked), listen, is_loopback(&server.host));
    let mut addresses = config.advertise.clone();
    let own = own.into_iter().map(|ip| Address((ip, listen.port()).into()));
    for address in mapped.into_iter().chain(own) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses.truncate(ADDRESSES_MAX);
    (listen.port(), addresses)
}

/// The addresses of this host.
pub(crate) fn interfaces() -> Vec<IpAddr> {
    match if_addrs::get_if_addrs() {
        Ok(interfaces) => interfaces.into_iter().map(|interface| interface.ip()).collect(),
        Err(error) => {
            tracing::warn!(%error, "cannot list the addresses of this host");
            Vec::new()
        }
    }
}

/// A network in which this host has an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    own: IpAddr,
    /// The leading bits that all of it have in common.
    prefix: u8,
}

impl Link {
    /// Whether another host may be at this address, one step away.
    pub(crate) fn has(&self, ip: IpAddr) -> bool {
        let prefix = u32::from(self.prefix);
        match (self.own, ip.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => {
                own != ip && (own.to_bits() ^ ip.to_bits()).leading_zeros() >= prefix
            }
            (IpAddr::V6(own), IpAddr::V6(ip)) => {
                own != ip && (own.to_bits() ^ ip.to_bits()).leading_zeros() >= prefix
            }
            _ => false,
        }
    }
}

/// The networks in which this host has an address, but for that of its own loopback.
pub(crate) fn links() -> Vec<Link> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default().into_iter();
    let links =
        interfaces.filter(|interface| !interface.is_loopback()).map(|interface| match interface.addr {
            IfAddr::V4(v4) => Link { own: v4.ip.into(), prefix: v4.prefixlen },
            IfAddr::V6(v6) => Link { own: v6.ip.into(), prefix: v6.prefixlen },
        });
    links.collect()
}

/// The addresses of this host from which packets go out into the world.
pub(crate) fn outward() -> Vec<IpAddr> {
    ANYWHERE.into_iter().filter_map(source_towards).collect()
}

/// What leads further than others.
#[derive(Debug, Default)]
struct Ranked {
    /// The addresses from which packets go out into the world.
    outward: Vec<IpAddr>,
    /// Those of the interfaces behind which a router is: a VPN that everything goes through leaves those of the network that it goes
    /// through, and bridges for containers have none.
    routed: Vec<IpAddr>,
}

impl Ranked {
    /// The smaller, the further an address leads.
    fn of(&self, ip: IpAddr) -> u8 {
        match ip {
            _ if ip.is_loopback() => 4,
            _ if self.outward.contains(&ip) => 0,
            _ if self.routed.contains(&ip) => 1,
            _ if scope_of(ip) == Some(Scope::Global) => 2,
            _ => 3,
        }
    }
}

/// The addresses of the interfaces behind which a router is.
fn routed() -> Vec<IpAddr> {
    let [v4, v6] = [ROUTES, ROUTES_V6].map(|routes| fs::read_to_string(routes).unwrap_or_default());
    let (v4, v6) = (with_routers(&v4), with_routers_v6(&v6));
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default().into_iter();
    let has_router = |interface: &Interface| {
        let names = if interface.ip().is_ipv4() { &v4 } else { &v6 };
        names.contains(&&*interface.name)
    };
    interfaces.filter(has_router).map(|interface| interface.ip()).collect()
}

/// The interfaces of the routes that lead over a router, in the form of `/proc/net/route`.
fn with_routers(routes: &str) -> Vec<&str> {
    let routes = routes.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [name, _, _, flags, ..] = fields[..] else { return None };
        leads_over_router(flags).then_some(name)
    });
    routes.collect()
}

/// The same in the form of `/proc/net/ipv6_route`.
fn with_routers_v6(routes: &str) -> Vec<&str> {
    let routes = routes.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, _, _, _, _, _, _, _, flags, name] = fields[..] else { return None };
        leads_over_router(flags).then_some(name)
    });
    routes.collect()
}

fn leads_over_router(flags: &str) -> bool {
    u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & GATEWAY != 0)
}

/// From which address of this host packets go to another one; nothing if there is no route. Nothing is sent.
pub(crate) fn source_towards(there: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr =
        if there.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(there).ok()?;
    socket.local_addr().ok().map(|address| address.ip().to_canonical())
}

/// Of this host's addresses those at which the port is open to others. Loopback ones only if others are on this host, or
/// nowhere.
fn open_at((interfaces, ranked): (&[IpAddr], &Ranked), listen: SocketAddr, others_here: bool) -> Vec<IpAddr> {
    let mut open: Vec<IpAddr> = match listen.ip().to_canonical() {
        IpAddr::V4(v4) if v4.is_unspecified() => interfaces.iter().copied().filter(IpAddr::is_ipv4).collect(),
        ip if ip.is_unspecified() => interfaces.to_vec(),
        ip => vec![ip],
    };
    open.retain(|ip| !ip.is_unspecified() && !ip.is_multicast() && !is_link_local(*ip));
    let elsewhere = open.iter().any(|ip| !ip.is_loopback());
    open.retain(|ip| !ip.is_loopback() || others_here || !elsewhere);
    // What leads further comes first: there is room for few, and a host with containers has many that lead nowhere else.
    open.sort_by_key(|ip| ranked.of(*ip));
    open
}

/// Such an address means nothing without an interface of one's own (RFC 4291, section 2.5.6).
fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// Whether a host is this one, by what it is called.
pub(crate) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn open(interfaces: &[&str], listen: &str, others_here: bool) -> Vec<String> {
        let ranked = Ranked::default();
        let open = open_at((&ips(interfaces), &ranked), listen.parse().unwrap(), others_here);
        open.iter().map(ToString::to_string).collect()
    }

    const HOST: [&str; 6] = ["127.0.0.1", "::1", "192.0.2.7", "2001:db8::7", "fe80::7", "10.0.0.7"];

    #[test]
    fn a_port_that_is_open_everywhere_is_announced_wherever_it_leads_to() {
        assert_eq!(open(&HOST, "[::]:9", false), ["192.0.2.7", "2001:db8::7", "10.0.0.7"]);
        assert_eq!(open(&HOST, "0.0.0.0:9", false), ["192.0.2.7", "10.0.0.7"]);
        assert_eq!(open(&HOST, "0.0.0.0:9", true), ["192.0.2.7", "10.0.0.7", "127.0.0.1"]);
    }

    #[test]
    fn what_leads_out_comes_before_what_containers_have() {
        let interfaces: Vec<String> = (1..21).map(|bridge| format!("10.{bridge}.0.1")).collect();
        let interfaces: Vec<&str> = interfaces.iter().map(String::as_str).chain(HOST).collect();
        let outward = ips(&["10.0.0.7", "2001:db8::7"]);
        let open = |ranked: Ranked| open_at((&ips(&interfaces), &ranked), "[::]:9".parse().unwrap(), false);
        let first = open(Ranked { outward, routed: vec![] });
        assert_eq!(first.get(..4).unwrap(), ips(&["2001:db8::7", "10.0.0.7", "192.0.2.7", "10.1.0.1"]));
        // Everything goes through a VPN, which has no router of its own: the house's address stays in front of the bridges.
        let vpn = Ranked { outward: ips(&["10.9.0.1"]), routed: ips(&["10.0.0.7"]) };
        assert_eq!(open(vpn).get(..2).unwrap(), ips(&["10.9.0.1", "10.0.0.7"]));
    }

    #[test]
    fn an_interface_with_a_router_is_known_by_its_routes() {
        let routes = "Iface\tDestination\tGateway\tFlags\n\
            tun0\t00000000\t00000000\t0001\t0\t0\t50\n\
            eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\n\
            docker0\t000011AC\t00000000\t0001\n\
            wlan0\t0000000A\t0101A8C0\t0003\n";
        assert_eq!(with_routers(routes), ["eth0", "wlan0"]);
        let [zero, router] = ["0".repeat(32), format!("fe80{}1", "0".repeat(27))];
        let routes = format!(
            "{zero} 00 {zero} 00 {router} 00000400 00000001 00000000 00000003     eth0\n\
             {zero} 00 {zero} 00 {zero} 00000032 00000001 00000000 00000001     tun0\n"
        );
        assert_eq!(with_routers_v6(&routes), ["eth0"]);
        for broken in ["", "Iface", "a\nb c d zz", "a\nb c"] {
            assert_eq!(with_routers(broken), [""; 0], "{broken:?}");
            assert_eq!(with_routers_v6(broken), [""; 0], "{broken:?}");
        }
    }

    #[test]
    fn a_link_has_the_other_hosts_of_its_network() {
        let link = |own: &str, prefix| Link { own: own.parse().unwrap(), prefix };
        for (own, prefix, ip, has) in [
            ("192.168.1.2", 24, "192.168.1.3", true),
            ("192.168.1.2", 24, "::ffff:192.168.1.3", true),
            ("192.168.1.2", 24, "192.168.1.2", false),
            ("192.168.1.2", 24, "192.168.2.3", false),
            ("192.168.1.2", 24, "2001:db8::3", false),
            ("172.17.0.1", 16, "172.17.0.1", false),
            ("10.9.0.2", 32, "10.9.0.3", false),
            ("10.9.0.2", 0, "192.168.1.2", true),
            ("2001:db8::2", 64, "2001:db8::3", true),
            ("2001:db8::2", 64, "2001:db8::2", false),
            ("2001:db8::2", 64, "2001:db8:0:1::3", false),
        ] {
            assert_eq!(link(own, prefix).has(ip.parse().unwrap()), has, "{own}/{prefix} {ip}");
        }
    }

    #[test]
    fn the_source_is_the_address_that_routes_choose() {
        assert_eq!(source_towards("127.0.0.1:9".parse().unwrap()), "127.0.0.1".parse().ok());
    }

    #[test]
    fn a_host_that_has_nothing_else_announces_its_loopback() {
        assert_eq!(open(&["127.0.0.1", "::1"], "[::]:9", false), ["127.0.0.1", "::1"]);
        assert_eq!(open(&[], "[::]:9", false), [""; 0]);
    }

    #[test]
    fn a_port_that_is_open_at_one_address_is_announced_there_alone() {
        assert_eq!(open(&HOST, "10.0.0.7:9", true), ["10.0.0.7"]);
        assert_eq!(open(&HOST, "127.0.0.1:9", false), ["127.0.0.1"]);
        assert_eq!(open(&HOST, "[fe80::7]:9", false), [""; 0]);
    }

    #[test]
    fn what_the_user_says_comes_first_and_nothing_is_said_twice() {
        let server: JoinLink =
            format!("dos://{}@localhost:1", dos_protocol::PublicKey::from([9; 32])).parse().unwrap();
        let said: Vec<Address> = vec!["203.0.113.1:77".parse().unwrap(), "127.0.0.1:9".parse().unwrap()];
        let config = Config { advertise: said.clone(), ..Config::new("/x".into(), "/y".into()) };
        let listen = "127.0.0.1:9".parse().unwrap();
        assert_eq!(announced(&config, (listen, None), &server), (9, said.clone()));
        let mapped: Address = "198.51.100.1:4000".parse().unwrap();
        let with = announced(&config, (listen, Some(mapped)), &server).1;
        assert_eq!(with, [said.as_slice(), &[mapped]].concat(), "what the router forwards comes next");
        let config = Config { reachable: false, ..config };
        assert_eq!(announced(&config, (listen, Some(mapped)), &server), (0, vec![]));
    }
}
