//! Announcing the directory on the local network, by DNS-SD.
//!
//! What always holds: what is announced is the join link without an invite, on the interface of its address alone where it names one; that
//! it cannot be announced stops nothing.

use std::{net::IpAddr, time::Duration};

use dos_protocol::{
    JoinLink,
    lan::{LINK_KEY, Reach, SERVICE, announced, reach},
};
use mdns_sd::{IfKind, ServiceDaemon, ServiceInfo};

/// How long it may take to tell the network that the directory is gone.
const GOODBYE_TIME_MAX: Duration = Duration::from_millis(300);

/// Characters of the key in names, which tell directories apart.
const KEY_CHARS: usize = 10;

/// Why it is not announced.
#[derive(Debug, thiserror::Error)]
pub enum AnnounceError {
    /// The system's fault.
    #[error("the local network cannot be used")]
    Network(#[from] mdns_sd::Error),
    /// There is no room for it.
    #[error("the join link is too long to be announced")]
    TooLong,
}

/// An announcement; a thread of its own answers who asks.
pub struct Announcement {
    daemon: ServiceDaemon,
    name: String,
}

impl std::fmt::Debug for Announcement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Announcement").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Whether a directory of this link is announced where nothing is set: where its address is one of the local network. On a server that
/// the world reaches, those around it are strangers.
#[must_use]
pub fn by_default(link: &JoinLink) -> bool {
    reach(&link.host) == Reach::LocalNetwork
}

impl Announcement {
    /// Announces the directory of this link.
    ///
    /// # Errors
    /// As in [`AnnounceError`].
    pub fn begin(link: &JoinLink) -> Result<Self, AnnounceError> {
        let text = announced(link).ok_or(AnnounceError::TooLong)?;
        let key: String = link.key.to_string().chars().take(KEY_CHARS).collect();
        let (instance, host) = (format!("dos {key}"), format!("dos-{}.local.", key.to_ascii_lowercase()));
        let daemon = ServiceDaemon::new()?;
        let properties = [(LINK_KEY, text.as_str())];
        let service = match link.host.parse::<IpAddr>() {
            Ok(address) => {
                daemon.disable_interface(IfKind::All)?;
                daemon.enable_interface(IfKind::Addr(address))?;
                ServiceInfo::new(SERVICE, &instance, &host, address, link.port, &properties[..])?
            }
            Err(_) => ServiceInfo::new(SERVICE, &instance, &host, "", link.port, &properties[..])?
                .enable_addr_auto(),
        };
        let name = service.get_fullname().to_owned();
        daemon.register(service)?;
        Ok(Self { daemon, name })
    }

    /// Tells the network that the directory is gone. Blocks for a moment.
    pub fn end(self) {
        if let Ok(gone) = self.daemon.unregister(&self.name) {
            // Without an answer the others learn it when they ask again.
            drop(gone.recv_timeout(GOODBYE_TIME_MAX));
        }
        if let Ok(ended) = self.daemon.shutdown() {
            drop(ended.recv_timeout(GOODBYE_TIME_MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_local_network_reaches_is_announced_unasked() {
        let key = dos_protocol::PublicKey::from([9; 32]);
        for (host, expected) in [
            ("192.168.1.7", true),
            ("[fd00::7]", true),
            ("192.0.2.7", false),
            ("127.0.0.1", false),
            ("dos.example.org", false),
        ] {
            let link: JoinLink = format!("dos://{key}@{host}:5001").parse().unwrap();
            assert_eq!(by_default(&link), expected, "{host}");
        }
    }
}
