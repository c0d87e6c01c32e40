//! What a directory says of itself on the local network (DNS-SD, RFC 6763, over mDNS, RFC 6762), and how that is read.
//!
//! Pure. What is heard there is anybody's: it is bounded, and a link proves nothing but itself. Nothing secret is announced.

use std::net::IpAddr;

use crate::link::JoinLink;

/// The kind of service.
pub const SERVICE: &str = "_dos._tcp.local.";

/// The key of the TXT record with the join link.
pub const LINK_KEY: &str = "link";

/// A string of a TXT record has at most 255 bytes, with the key and the `=`.
const LINK_BYTES_MAX: usize = 250;

/// The link as it is announced: without an invite, and with as many addresses as there is room for; `None` if not even one fits.
#[must_use]
pub fn announced(link: &JoinLink) -> Option<String> {
    let mut bare = link.clone().bare();
    loop {
        let text = bare.to_string();
        if text.len() <= LINK_BYTES_MAX {
            return Some(text);
        }
        bare.others.pop()?;
    }
}

/// The link that was heard; `None` for anything else, and for one with more in it than keys and addresses.
#[must_use]
pub fn heard(bytes: &[u8]) -> Option<JoinLink> {
    if bytes.len() > LINK_BYTES_MAX {
        return None;
    }
    let link: JoinLink = std::str::from_utf8(bytes).ok()?.parse().ok()?;
    (link.invite.is_none() && link.invitation.is_none()).then_some(link)
}

/// From where an address of a link can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// From this machine alone.
    Machine,
    /// From the local network.
    LocalNetwork,
    /// Perhaps from everywhere; of a name that is not known.
    Anywhere,
}

/// See [`Reach`].
#[must_use]
pub fn reach(host: &str) -> Reach {
    let ip = match host.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical(),
        Err(_) if host == "localhost" => return Reach::Machine,
        Err(_) => return Reach::Anywhere,
    };
    let is_local = match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    };
    match (ip.is_loopback(), is_local) {
        (true, _) => Reach::Machine,
        (false, true) => Reach::LocalNetwork,
        (false, false) => Reach::Anywhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::PublicKey;

    fn link(rest: &str) -> String {
        format!("dos://{}@{rest}", PublicKey::from([9; 32]))
    }

    #[test]
    fn what_is_announced_is_heard_and_has_no_invite() {
        let with_invite: JoinLink = link("192.168.1.7:5001?invite=Once").parse().unwrap();
        let text = announced(&with_invite).unwrap();
        assert_eq!(text, link("192.168.1.7:5001"));
        assert_eq!(heard(text.as_bytes()), Some(with_invite.bare()));
    }

    #[test]
    fn of_many_addresses_as_many_are_announced_as_fit() {
        let hosts: Vec<_> = (0..8).map(|number| format!("{}{number}.example:5001", "x".repeat(50))).collect();
        let many: JoinLink = link(&hosts.join(",")).parse().unwrap();
        let text = announced(&many).unwrap();
        assert!(text.len() <= LINK_BYTES_MAX && text.len() > 150, "{text}");
        assert!(heard(text.as_bytes()).is_some());
    }

    #[test]
    fn anything_else_is_not_heard() {
        let secret = link("192.168.1.7:5001?invite=Once");
        let long = link(&format!("{}.example:5001", "x".repeat(250)));
        for bad in [&b""[..], b"http://192.168.1.7", b"\xff\xfe", secret.as_bytes(), long.as_bytes()] {
            assert_eq!(heard(bad), None);
        }
    }

    #[test]
    fn an_address_is_of_this_machine_of_the_network_or_of_the_world() {
        for (host, expected) in [
            ("127.0.0.1", Reach::Machine),
            ("::1", Reach::Machine),
            ("localhost", Reach::Machine),
            ("10.1.2.3", Reach::LocalNetwork),
            ("192.168.7.7", Reach::LocalNetwork),
            ("169.254.1.1", Reach::LocalNetwork),
            ("fd00::7", Reach::LocalNetwork),
            ("fe80::7", Reach::LocalNetwork),
            ("192.0.2.7", Reach::Anywhere),
            ("2001:db8::7", Reach::Anywhere),
            ("dos.example.org", Reach::Anywhere),
        ] {
            assert_eq!(reach(host), expected, "{host}");
        }
    }
}
