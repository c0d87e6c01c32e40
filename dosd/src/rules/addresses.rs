//! Where a peer is reached: what is kept of the addresses that it announces, and which of them another peer is told.
//!
//! What always holds: an announced address is a claim. It is told only where it can lead to its peer as seen from the other one,
//! judged by where the directory sees both: a loopback or link-local address only if it sees both at such addresses, a private one
//! only if it sees both at one place, or both are local to it. So nobody makes another peer connect to services of that
//! peer's own host or network.

use std::net::IpAddr;

use dos_protocol::{
    limits::{ADDRESSES_MAX, CALL_BACK_ADDRESSES},
    model::Address,
    scope::{Scope, canonical, is_peer_port, scope_of},
};

/// Where the directory sees a peer, and where others reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// The address that its session comes from.
    seen: IpAddr,
    /// What people know it by: the address that is seen, with its port; nothing if it cannot be reached directly.
    address: Option<Address>,
    /// What can lead to it, the likeliest first.
    addresses: Vec<Address>,
    /// Where its session comes from, with the port, if it takes part in a rendezvous.
    mapped: Option<Address>,
}

impl Reach {
    /// Of a peer that is seen at an address, listens on `port` (0 if nobody can connect to it) and announces further addresses.
    #[must_use]
    pub fn of(seen: IpAddr, port: u16, announced: Vec<Address>) -> Self {
        let seen = seen.to_canonical();
        if port == 0 {
            return Self { seen, address: None, addresses: Vec::new(), mapped: None };
        }
        let own = Address((seen, port).into());
        let mut addresses = Vec::new();
        for address in [own].into_iter().chain(announced).map(canonical) {
            let leads = scope_of(address.0.ip()).is_some() && is_peer_port(address.0.port());
            if leads && addresses.len() <= ADDRESSES_MAX && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Self { seen, address: Some(own), addresses, mapped: None }
    }

    /// It takes part in a rendezvous, with a session that comes from there; not if it cannot be reached at all.
    #[must_use]
    pub fn with_rendezvous(self, mapped: Option<Address>) -> Self {
        let mapped = mapped.map(canonical).filter(|_| self.address.is_some());
        Self { mapped, ..self }
    }

    /// It calls to a rendezvous from this port, if that is not its session's. Of its address it is not believed another one.
    #[must_use]
    pub fn calling_from(self, port: Option<u16>) -> Self {
        let from = |Address(mapped)| Address((mapped.ip(), port.unwrap_or(mapped.port())).into());
        Self { mapped: self.mapped.map(from), ..self }
    }

    /// Where its session comes from, with the port, if it takes part in a rendezvous.
    #[must_use]
    pub fn mapped(&self) -> Option<Address> {
        self.mapped
    }

    /// The same for the peer at `other`, if it can lead from there.
    #[must_use]
    pub fn mapped_told_to(&self, other: &Self) -> Option<Address> {
        let told =
            |mapped: &Address| is_peer_port(mapped.0.port()) && leads(mapped.0.ip(), self.seen, other.seen);
        self.mapped.filter(told)
    }

    /// Of the addresses at which the peer at `other` may reach this one those at which it may call back by itself, because this one wants so:
    /// where this one is seen, and where both are in one network. What else it claims could be anybody's.
    #[must_use]
    pub fn called_back_by(&self, other: &Self) -> Vec<Address> {
        let is_own = |address: &Address| {
            let ip = address.0.ip();
            network(ip) == network(self.seen) || scope_of(ip) != Some(Scope::Global)
        };
        self.told_to(other).into_iter().filter(is_own).take(CALL_BACK_ADDRESSES).collect()
    }

    /// Where its session comes from.
    #[must_use]
    pub fn seen(&self) -> IpAddr {
        self.seen
    }

    /// The address that people know the peer by, if it has one.
    #[must_use]
    pub fn address(&self) -> Option<Address> {
        self.address
    }

    /// All addresses that can lead to the peer.
    #[must_use]
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// The addresses at which the peer at `other` may reach this one, the likeliest first.
    #[must_use]
    pub fn told_to(&self, other: &Self) -> Vec<Address> {
        let told = self.addresses.iter().filter(|address| leads(address.0.ip(), self.seen, other.seen));
        told.copied().collect()
    }
}

/// Whether an announced address can lead from a peer seen at `from` to one seen at `to`.
fn leads(announced: IpAddr, to: IpAddr, from: IpAddr) -> bool {
    match scope_of(announced) {
        None => false,
        Some(Scope::Global) => true,
        Some(scope @ (Scope::Loopback | Scope::LinkLocal)) => {
            scope_of(to) == Some(scope) && scope_of(from) == Some(scope)
        }
        Some(Scope::Private(_)) => network(to) == network(from) || is_local(to) && is_local(from),
    }
}

/// Whether an address is of the directory's own surroundings.
fn is_local(seen: IpAddr) -> bool {
    matches!(scope_of(seen), Some(Scope::Private(_) | Scope::LinkLocal | Scope::Loopback))
}

/// What two peers of one place have in common: the IPv4 address behind which they are, or the /64 of their link.
fn network(seen: IpAddr) -> IpAddr {
    match seen {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<Address> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn reach(seen: &str, announced: &[&str]) -> Reach {
        Reach::of(seen.parse().unwrap(), 5000, addresses(announced))
    }

    /// What a peer that is seen at `of` and announces this is told of to one that is seen at `to`.
    fn told(of: &str, announced: &str, to: &str) -> bool {
        let told = reach(of, &[announced]).told_to(&reach(to, &[]));
        told.contains(&canonical(announced.parse().unwrap()))
    }

    #[test]
    fn the_seen_address_comes_first_and_mapped_ipv4_is_plain() {
        let kept = reach("::ffff:192.0.2.7", &["10.0.0.1:5000", "[::ffff:10.0.0.1]:5000", "192.0.2.7:5000"]);
        assert_eq!(kept.addresses, addresses(&["192.0.2.7:5000", "10.0.0.1:5000"]));
        assert_eq!(kept.address(), Some("192.0.2.7:5000".parse().unwrap()));
    }

    #[test]
    fn a_peer_that_cannot_be_reached_has_no_address() {
        let kept = Reach::of("192.0.2.7".parse().unwrap(), 0, addresses(&["198.51.100.1:5000"]));
        assert_eq!((kept.address(), kept.told_to(&reach("192.0.2.7", &[]))), (None, vec![]));
    }

    #[test]
    fn what_leads_nowhere_is_not_kept_and_nobody_is_known_by_it() {
        let nowhere = [
            "0.0.0.0:5000",
            "[::]:5000",
            "224.0.0.1:5000",
            "255.255.255.255:5000",
            "[ff02::1]:5000",
            "[64:ff9b::127.0.0.1]:5000",
            "[::ffff:224.0.0.1]:5000",
            "198.51.100.1:0",
            "198.51.100.1:22",
            "198.51.100.1:80",
        ];
        assert_eq!(reach("192.0.2.7", &nowhere).addresses, addresses(&["192.0.2.7:5000"]));
        let low = Reach::of("192.0.2.7".parse().unwrap(), 80, addresses(&["203.0.113.1:443"]));
        assert_eq!(low.address(), Some("192.0.2.7:80".parse().unwrap()), "others know it by what is seen");
        assert_eq!(low.addresses, addresses(&["203.0.113.1:443"]));
    }

    #[test]
    fn no_more_is_kept_than_may_be_announced_besides_what_is_seen() {
        let many: Vec<Address> = (0..40).map(|last| Address(([198, 51, 100, last], 5000).into())).collect();
        let kept = Reach::of("192.0.2.7".parse().unwrap(), 5000, many.clone());
        assert_eq!(kept.addresses.len(), ADDRESSES_MAX + 1);
        assert_eq!(kept.addresses[1..], many[..ADDRESSES_MAX]);
    }

    /// Announced, whether it is told: both on the directory's host, both behind one address, in different places, both in the
    /// directory's network, one on its host and one in its network, one on its host and one elsewhere and the other way round.
    #[test]
    fn an_address_is_told_where_it_can_lead_to_its_peer() {
        let places = [
            ("127.0.0.1", "127.0.0.1"),
            ("198.51.100.1", "198.51.100.1"),
            ("198.51.100.1", "203.0.113.1"),
            ("192.168.1.5", "10.0.0.5"),
            ("127.0.0.1", "192.168.1.5"),
            ("127.0.0.1", "203.0.113.1"),
            ("203.0.113.1", "127.0.0.1"),
        ];
        for (announced, expected) in [
            ("203.0.113.77:6000", [true; 7]),
            ("[2001:db8::7]:6000", [true; 7]),
            ("127.0.0.1:6000", [true, false, false, false, false, false, false]),
            ("127.0.0.2:6000", [true, false, false, false, false, false, false]),
            ("[::1]:6000", [true, false, false, false, false, false, false]),
            ("[::ffff:127.0.0.1]:6000", [true, false, false, false, false, false, false]),
            ("169.254.169.254:6000", [false; 7]),
            ("[fe80::1]:6000", [false; 7]),
            ("192.168.1.7:6000", [true, true, false, true, true, false, false]),
            ("100.64.0.7:6000", [true, true, false, true, true, false, false]),
            ("[fd00::7]:6000", [true, true, false, true, true, false, false]),
            ("[::ffff:10.0.0.7]:6000", [true, true, false, true, true, false, false]),
            ("[64:ff9b::10.0.0.7]:6000", [false; 7]),
            ("224.0.0.1:6000", [false; 7]),
        ] {
            let told = places.map(|(of, to)| told(of, announced, to));
            assert_eq!(told, expected, "{announced}");
        }
    }

    #[test]
    fn a_link_local_address_is_told_where_both_are_seen_at_such_addresses() {
        assert!(told("169.254.0.7", "169.254.0.7:6000", "169.254.0.8"));
        assert!(told("fe80::7", "169.254.0.7:6000", "169.254.0.8"));
        assert!(!told("169.254.0.7", "169.254.0.7:6000", "127.0.0.1"));
        assert!(!told("127.0.0.1", "169.254.0.7:6000", "169.254.0.7"));
        assert!(!told("169.254.0.7", "127.0.0.1:6000", "169.254.0.8"));
        assert!(told("169.254.0.7", "10.0.0.7:6000", "169.254.0.8"), "both are local to the directory");
    }

    #[test]
    fn one_place_is_an_ipv4_address_or_a_64_of_ipv6() {
        let private = "192.168.1.7:6000";
        assert!(told("2001:db8::1", private, "2001:db8::ffff:2"));
        assert!(!told("2001:db8::1", private, "2001:db8:0:1::1"));
        assert!(!told("198.51.100.1", private, "198.51.100.2"));
        assert!(told("::ffff:198.51.100.1", private, "198.51.100.1"));
    }

    #[test]
    fn what_is_seen_is_told_like_what_is_announced() {
        let seen = |of: &str, to: &str| !reach(of, &[]).told_to(&reach(to, &[])).is_empty();
        assert!(seen("203.0.113.1", "127.0.0.1") && seen("127.0.0.1", "127.0.0.1"));
        assert!(!seen("127.0.0.1", "203.0.113.1") && !seen("10.0.0.7", "203.0.113.1"));
    }

    #[test]
    fn a_peer_is_called_back_where_it_is_seen_and_in_its_own_network_and_nowhere_else() {
        let announced = ["198.51.100.9:443", "192.168.1.7:5000", "203.0.113.9:6000", "[2001:db8::7]:5000"];
        let caller = reach("203.0.113.9", &announced);
        let back = |other: &str| caller.called_back_by(&reach(other, &[]));
        assert_eq!(back("198.51.100.1"), addresses(&["203.0.113.9:5000", "203.0.113.9:6000"]));
        let near = ["203.0.113.9:5000", "192.168.1.7:5000", "203.0.113.9:6000"];
        assert_eq!(back("203.0.113.9"), addresses(&near), "both behind one router");
        let six = reach("2001:db8::1", &["[2001:db8::7]:5000", "[2001:db8:0:1::7]:5000"]);
        let near = ["[2001:db8::1]:5000", "[2001:db8::7]:5000"];
        assert_eq!(six.called_back_by(&reach("192.0.2.7", &[])), addresses(&near));
        let many: Vec<String> = (6000..6040).map(|port| format!("203.0.113.9:{port}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let back = reach("203.0.113.9", &many).called_back_by(&reach("198.51.100.1", &[]));
        assert_eq!(back.len(), CALL_BACK_ADDRESSES);
    }

    #[test]
    fn where_a_session_comes_from_is_told_like_an_address_and_only_of_who_takes_part() {
        let at = |mapped: &str| Some(mapped.parse().unwrap());
        let told = |of: &str, mapped: &str, to: &str| {
            reach(of, &[]).with_rendezvous(at(mapped)).mapped_told_to(&reach(to, &[]))
        };
        let mapped = "203.0.113.9:40000";
        assert_eq!(told("203.0.113.9", mapped, "198.51.100.1"), at(mapped));
        assert_eq!(told("203.0.113.9", "203.0.113.9:80", "198.51.100.1"), None);
        assert_eq!(told("127.0.0.1", "127.0.0.1:40000", "198.51.100.1"), None);
        assert_eq!(told("127.0.0.1", "127.0.0.1:40000", "127.0.0.1"), at("127.0.0.1:40000"));
        assert_eq!(reach("203.0.113.9", &[]).mapped_told_to(&reach("198.51.100.1", &[])), None);
        let hidden = Reach::of("203.0.113.9".parse().unwrap(), 0, Vec::new()).with_rendezvous(at(mapped));
        assert_eq!(hidden.mapped(), None, "it takes no connections");
        assert_eq!(hidden.calling_from(Some(40001)).mapped(), None);
    }

    #[test]
    fn a_caller_may_name_another_port_of_its_own_and_no_other_host() {
        let caller = |port| {
            let caller = reach("203.0.113.9", &[]).with_rendezvous("203.0.113.9:40000".parse().ok());
            caller.calling_from(port).mapped_told_to(&reach("198.51.100.1", &[]))
        };
        assert_eq!(caller(None), "203.0.113.9:40000".parse().ok());
        assert_eq!(caller(Some(40001)), "203.0.113.9:40001".parse().ok());
        assert_eq!((caller(Some(80)), caller(Some(0))), (None, None), "services listen there");
    }
}
