//! Which of a peer's addresses this daemon connects to, and how often to one host.
//!
//! What always holds: the directory and the peer are not trusted with this. Loopback addresses are connected to only if the
//! directory itself was reached at one, and it sees the peer there; private ones only in a range that this host or the directory is
//! in. Attempts that do not lead to a peer are few, whichever peers and addresses name the host.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use dos_protocol::{
    limits::{ADDRESSES_MAX, HOST_ATTEMPTS, HOST_ATTEMPTS_TIME},
    model::Address,
    scope::{Scope, canonical, is_peer_port, scope_of},
};

/// What this daemon knows by itself about where it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Around {
    /// Where it has reached the directory, if there is a session.
    pub(crate) directory: Option<IpAddr>,
    /// The addresses of this host.
    pub(crate) own: Vec<IpAddr>,
}

impl Around {
    /// Of the addresses that the directory tells of a peer, beginning with the one that it sees, those to connect to.
    pub(crate) fn dialled(&self, told: &[Address]) -> Vec<Address> {
        let told: Vec<Address> = told.iter().copied().map(canonical).collect();
        let seen = told.first().and_then(|first| scope_of(first.0.ip()));
        let mut dialled = Vec::new();
        // Besides those announced, there is the one that the directory sees.
        for address in told.into_iter().take(ADDRESSES_MAX + 1) {
            if is_peer_port(address.0.port())
                && !dialled.contains(&address)
                && self.may_lead(address.0.ip(), seen)
            {
                dialled.push(address);
            }
        }
        dialled
    }

    fn may_lead(&self, ip: IpAddr, seen: Option<Scope>) -> bool {
        let directory = self.directory.and_then(scope_of);
        match scope_of(ip) {
            None => false,
            Some(Scope::Global) => true,
            scope @ Some(Scope::Loopback | Scope::LinkLocal) => directory == scope && seen == scope,
            // A directory on this host may know networks that this host has a route to and no address in.
            scope @ Some(Scope::Private(_)) => {
                directory == Some(Scope::Loopback)
                    || directory == scope
                    || self.own.iter().any(|own| scope_of(*own) == scope)
            }
        }
    }
}

/// What stands for the host at an address: all of loopback is one.
pub(crate) fn host_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        ip if ip.is_loopback() => Ipv4Addr::LOCALHOST.into(),
        ip => ip,
    }
}

/// The latest attempts to connect to one host that have not led to a peer there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Attempts([Option<Instant>; HOST_ATTEMPTS]);

impl Attempts {
    /// Counts an attempt.
    ///
    /// # Errors
    /// How long to wait before there may be another one; nothing is counted.
    pub(crate) fn begin(&mut self, now: Instant) -> Result<(), Duration> {
        // Never, where there was none, is the oldest.
        let oldest = self.0.iter_mut().min();
        match oldest {
            Some(Some(begun)) if now < *begun + HOST_ATTEMPTS_TIME => Err(*begun + HOST_ATTEMPTS_TIME - now),
            Some(oldest) => {
                *oldest = Some(now);
                Ok(())
            }
            None => Err(HOST_ATTEMPTS_TIME),
        }
    }

    /// The attempt that began at `begun` has led to a peer, which the host serves then.
    pub(crate) fn succeeded(&mut self, begun: Instant) {
        if let Some(attempt) = self.0.iter_mut().find(|attempt| **attempt == Some(begun)) {
            *attempt = None;
        }
    }

    /// A peer there has connected to this daemon at the moment at which both were to: the latest attempt was in vain and led to a peer all the same.
    pub(crate) fn met(&mut self) {
        if let Some(latest) = self.0.iter_mut().max() {
            *latest = None;
        }
    }

    /// Whether all of this is long ago.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.0.iter().flatten().all(|begun| now >= *begun + HOST_ATTEMPTS_TIME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(directory: &str, own: &[&str]) -> Around {
        let directory = Some(directory).filter(|text| !text.is_empty()).map(|text| text.parse().unwrap());
        Around { directory, own: own.iter().map(|text| text.parse().unwrap()).collect() }
    }

    fn dialled(around: &Around, told: &[&str]) -> Vec<String> {
        let told: Vec<Address> = told.iter().map(|text| text.parse().unwrap()).collect();
        around.dialled(&told).iter().map(ToString::to_string).collect()
    }

    const OWN: [&str; 4] = ["127.0.0.1", "::1", "192.168.1.7", "fe80::7"];

    #[test]
    fn loopback_is_dialled_only_if_the_directory_was_reached_there_and_sees_the_peer_there() {
        let here = ["127.0.0.1:6000", "[::1]:6000", "127.0.0.2:6000"];
        assert_eq!(dialled(&around("127.0.0.1", &OWN), &here), here);
        assert_eq!(dialled(&around("::1", &OWN), &here), here);
        for elsewhere in ["203.0.113.1", "192.168.1.1", "169.254.0.1", "2001:db8::1", ""] {
            assert_eq!(dialled(&around(elsewhere, &OWN), &here), [""; 0], "{elsewhere}");
        }
        let announced = ["203.0.113.7:6000", "127.0.0.1:631", "127.0.0.1:6000", "[::ffff:127.0.0.1]:6000"];
        assert_eq!(dialled(&around("127.0.0.1", &OWN), &announced), ["203.0.113.7:6000"]);
    }

    #[test]
    fn link_local_is_dialled_only_if_directory_and_peer_are_there() {
        let there = ["169.254.0.8:6000", "169.254.169.254:6000"];
        assert_eq!(dialled(&around("169.254.0.1", &OWN), &there), there);
        assert_eq!(dialled(&around("127.0.0.1", &OWN), &there), [""; 0]);
        assert_eq!(dialled(&around("169.254.0.1", &OWN), &["10.0.0.1:6000", "169.254.0.8:6000"]), [""; 0]);
    }

    #[test]
    fn private_addresses_are_dialled_in_the_ranges_of_this_host_and_of_the_directory() {
        let announced = ["203.0.113.7:6000", "192.168.1.8:6000", "10.0.0.8:6000", "[fd00::8]:6000"];
        for (directory, expected) in [
            ("203.0.113.1", &announced[..2]),
            ("", &announced[..2]),
            ("10.9.9.9", &announced[..3]),
            ("127.0.0.1", &announced[..]),
        ] {
            assert_eq!(dialled(&around(directory, &OWN), &announced), expected, "{directory}");
        }
        assert_eq!(dialled(&around("203.0.113.1", &["198.51.100.7"]), &announced), announced[..1]);
    }

    #[test]
    fn every_address_is_dialled_once_in_its_plain_form_and_no_more_than_may_be_announced() {
        let around = around("203.0.113.1", &OWN);
        let twice = ["203.0.113.7:6000", "[::ffff:203.0.113.7]:6000", "203.0.113.7:22", "203.0.113.7:443"];
        assert_eq!(dialled(&around, &twice), ["203.0.113.7:6000", "203.0.113.7:443"]);
        let nowhere = ["0.0.0.0:6000", "224.0.0.1:6000", "[64:ff9b::7f00:1]:6000", "203.0.113.7:0"];
        assert_eq!(dialled(&around, &nowhere), [""; 0]);
        let many: Vec<String> = (0..40).map(|last| format!("203.0.113.{last}:6000")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(dialled(&around, &many), many[..=ADDRESSES_MAX]);
    }

    #[test]
    fn loopback_is_one_host_however_it_is_written() {
        let hosts = ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.3"].map(|text| text.parse().unwrap());
        assert!(hosts.into_iter().all(|ip| host_of(ip) == Ipv4Addr::LOCALHOST));
        let [one, same, other] =
            ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"].map(|text| host_of(text.parse().unwrap()));
        assert!(one == same && one != other);
    }

    #[test]
    fn three_attempts_begin_in_any_second_and_those_that_lead_to_a_peer_count_for_nothing() {
        let ms = Duration::from_millis;
        let (mut attempts, start) = (Attempts::default(), Instant::now());
        for begin in [0, 100, 200] {
            assert_eq!(attempts.begin(start + ms(begin)), Ok(()));
        }
        assert_eq!(attempts.begin(start + ms(300)), Err(ms(700)));
        assert_eq!(attempts.begin(start + ms(999)), Err(ms(1)));
        assert_eq!(attempts.begin(start + ms(1000)), Ok(()));
        assert_eq!(attempts.begin(start + ms(1000)), Err(ms(100)));
        attempts.succeeded(start + ms(1000));
        assert_eq!(attempts.begin(start + ms(1000)), Ok(()));
        attempts.succeeded(start + ms(5000));
        assert_eq!(attempts.begin(start + ms(1000)), Err(ms(100)), "none began then");
        attempts.met();
        assert_eq!(attempts.begin(start + ms(1000)), Ok(()), "the latest one");
        assert_eq!(attempts.begin(start + ms(1000)), Err(ms(100)));
        assert!(!attempts.is_over(start + ms(1999)) && attempts.is_over(start + ms(2000)));
        assert!(Attempts::default().is_over(start));
    }
}
