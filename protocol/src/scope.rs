//! How far an address leads, for deciding which of the addresses that a peer announces another one connects to.
//!
//! What always holds: an IPv4 address is judged alike in every form in which it can be written, and what is not known to be
//! an address of a host is none. Of the translated forms only those of fixed prefixes can be told: RFC 6052, section 3.1, has
//! translators drop what leads to addresses that are not global, whichever prefix they have.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::model::Address;

/// How far an address of a host leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everywhere.
    Global,
    /// To a network that has this range for itself, like many others.
    Private(PrivateRange),
    /// To the hosts on the same link.
    LinkLocal,
    /// To the host that connects.
    Loopback,
}

/// A range of addresses that networks use as they like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrivateRange {
    /// 10.0.0.0/8 (RFC 1918).
    Ten,
    /// 172.16.0.0/12 (RFC 1918).
    OneSeventyTwo,
    /// 192.168.0.0/16 (RFC 1918).
    OneNinetyTwo,
    /// 100.64.0.0/10, between a provider and its customers (RFC 6598), also of overlay networks.
    Carrier,
    /// 198.18.0.0/15, for benchmarks (RFC 2544), also of overlay networks.
    Benchmark,
    /// fc00::/7 (RFC 4193).
    UniqueLocal,
}

/// The scope of an address of a host; nothing for an address that no host has: unspecified, multicast, broadcast, reserved,
/// translated or tunnelled.
#[must_use]
pub fn scope_of(ip: IpAddr) -> Option<Scope> {
    match ip.to_canonical() {
        IpAddr::V4(v4) => scope_of_v4(v4),
        IpAddr::V6(v6) => scope_of_v6(v6),
    }
}

/// From the IANA IPv4 special-purpose address registry (RFC 6890). Ranges for documentation are as good as any: nobody has
/// them, unless in a laboratory.
fn scope_of_v4(ip: Ipv4Addr) -> Option<Scope> {
    let scope = match ip.octets() {
        // This network, protocol assignments, the relays of 6to4, multicast, reserved and broadcast.
        [0 | 224..=255, ..] | [192, 0, 0, _] | [192, 88, 99, _] => return None,
        [127, ..] => Scope::Loopback,
        [169, 254, ..] => Scope::LinkLocal,
        [10, ..] => Scope::Private(PrivateRange::Ten),
        [172, 16..=31, ..] => Scope::Private(PrivateRange::OneSeventyTwo),
        [192, 168, ..] => Scope::Private(PrivateRange::OneNinetyTwo),
        [100, 64..=127, ..] => Scope::Private(PrivateRange::Carrier),
        [198, 18..=19, ..] => Scope::Private(PrivateRange::Benchmark),
        _ => Scope::Global,
    };
    Some(scope)
}

/// From the IANA IPv6 address space and special-purpose address registries: global unicast is 2000::/3 alone (RFC 4291,
/// section 2.4).
fn scope_of_v6(ip: Ipv6Addr) -> Option<Scope> {
    if ip.is_loopback() {
        return Some(Scope::Loopback);
    }
    match ip.segments() {
        // Protocol assignments, Teredo among them (RFC 4380), and 6to4 (RFC 3056): tunnels to any IPv4 address.
        [0x2001, 0..=0x1ff, ..] | [0x2002, ..] => None,
        [0x2000..=0x3fff, ..] => Some(Scope::Global),
        [0xfc00..=0xfdff, ..] => Some(Scope::Private(PrivateRange::UniqueLocal)),
        [0xfe80..=0xfebf, ..] => Some(Scope::LinkLocal),
        // Among these: ::/96, NAT64 (64:ff9b::/96 and 64:ff9b:1::/48, RFC 6052 and 8215), site-local, multicast.
        _ => None,
    }
}

/// The one form of an address: a mapped IPv4 address is plain, and nothing else is said that means something on one host
/// alone (a zone, a flow).
#[must_use]
pub fn canonical(Address(address): Address) -> Address {
    Address(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

/// Whether a peer may be connected to at this port. The system ports (RFC 6335, section 6) belong to the services of a host,
/// which should not hear from strangers because somebody announced them; 443 is what gets through firewalls.
#[must_use]
pub fn is_peer_port(port: u16) -> bool {
    port >= 1024 || port == 443
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(texts: &[&str], expected: Option<Scope>) {
        for text in texts {
            assert_eq!(scope_of(text.parse().unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn every_address_has_its_scope_up_to_the_ends_of_the_ranges() {
        scopes(&["127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1"], Some(Scope::Loopback));
        scopes(&["169.254.0.0", "169.254.169.254", "fe80::1", "febf::1"], Some(Scope::LinkLocal));
        for (range, texts) in [
            (PrivateRange::Ten, ["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"]),
            (PrivateRange::OneSeventyTwo, ["172.16.0.0", "172.31.255.255", "::ffff:172.20.0.1"]),
            (PrivateRange::OneNinetyTwo, ["192.168.0.0", "192.168.255.255", "::ffff:192.168.1.1"]),
            (PrivateRange::Carrier, ["100.64.0.0", "100.127.255.255", "::ffff:100.100.100.100"]),
            (PrivateRange::Benchmark, ["198.18.0.0", "198.19.255.255", "::ffff:198.18.0.1"]),
            (PrivateRange::UniqueLocal, ["fc00::", "fdff:ffff::1", "fd00:ec2::254"]),
        ] {
            scopes(&texts, Some(Scope::Private(range)));
        }
        scopes(
            &[
                "1.0.0.0",
                "9.255.255.255",
                "11.0.0.0",
                "100.63.255.255",
                "100.128.0.0",
                "126.255.255.255",
                "128.0.0.0",
                "169.253.255.255",
                "169.255.0.0",
                "172.15.255.255",
                "172.32.0.0",
                "192.0.1.0",
                "192.0.2.7",
                "192.88.98.255",
                "192.88.100.0",
                "192.167.255.255",
                "192.169.0.0",
                "198.17.255.255",
                "198.20.0.0",
                "198.51.100.7",
                "203.0.113.7",
                "223.255.255.255",
                "::ffff:192.0.2.7",
                "2000::1",
                "2001:200::1",
                "2001:db8::7",
                "2003::1",
                "3fff:ffff::1",
            ],
            Some(Scope::Global),
        );
    }

    #[test]
    fn what_no_host_has_leads_nowhere_in_whatever_form() {
        scopes(
            &[
                "0.0.0.0",
                "0.255.255.255",
                "192.0.0.1",
                "192.88.99.1",
                "224.0.0.1",
                "239.255.255.255",
                "240.0.0.1",
                "255.255.255.255",
                "::",
                "::ffff:0.0.0.0",
                "::ffff:224.0.0.1",
                "::ffff:255.255.255.255",
                // An IPv4 address in forms that a host may translate.
                "::127.0.0.1",
                "::10.0.0.1",
                "::ffff:0:127.0.0.1",
                "64:ff9b::127.0.0.1",
                "64:ff9b::192.0.2.7",
                "64:ff9b:1::10.0.0.1",
                "2001::1",
                "2001:1ff::1",
                "2002:7f00:1::1",
                "100::1",
                "1fff:ffff::1",
                "4000::1",
                "5f00::1",
                "fbff::1",
                "fe00::1",
                "fe7f::1",
                "fec0::1",
                "feff::1",
                "ff02::1",
                "ffff::1",
            ],
            None,
        );
    }

    #[test]
    fn an_address_has_one_form() {
        for (text, expected) in [
            ("192.0.2.7:5001", "192.0.2.7:5001"),
            ("[::ffff:192.0.2.7]:5001", "192.0.2.7:5001"),
            ("[2001:db8::7]:5001", "[2001:db8::7]:5001"),
            ("[fe80::7%3]:5001", "[fe80::7]:5001"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(canonical(address).to_string(), expected);
        }
    }

    #[test]
    fn system_ports_are_left_to_the_services_that_have_them() {
        let peer_ports: Vec<u16> = [0, 1, 22, 80, 442, 443, 444, 1023, 1024, 65535]
            .into_iter()
            .filter(|port| is_peer_port(*port))
            .collect();
        assert_eq!(peer_ports, [443, 1024, 65535]);
    }
}
