//! Directories that announce themselves on the local network.
//!
//! What always holds: what is heard is anybody's. It is bounded in number, in size and in time, nothing of it but join links without
//! invites is kept, and none of these is used before a person has compared a fingerprint.

use std::time::{Duration, Instant};

use dos_protocol::{
    JoinLink,
    lan::{LINK_KEY, SERVICE, heard},
};
use mdns_sd::{ServiceDaemon, ServiceEvent};

/// A directory that is there answers within this time.
const LISTEN_FOR: Duration = Duration::from_millis(2_500);

/// Directories that are listed. More than these are hardly there, and not looked at.
const FOUND_MAX: usize = 16;

/// How long the thread that listens may take to end.
const END_TIME_MAX: Duration = Duration::from_millis(300);

/// Those that answer, in the order of their addresses; nobody where the network cannot be used.
pub(crate) fn directories() -> Vec<JoinLink> {
    let Ok(network) = ServiceDaemon::new() else { return Vec::new() };
    let found = network.browse(SERVICE).map(|events| {
        let deadline = Instant::now() + LISTEN_FOR;
        let events = std::iter::from_fn(|| events.recv_deadline(deadline).ok());
        listed(events.filter_map(|event| match event {
            ServiceEvent::ServiceResolved(service) => heard(service.get_property_val(LINK_KEY)??),
            _ => None,
        }))
    });
    if let Ok(ended) = network.shutdown() {
        drop(ended.recv_timeout(END_TIME_MAX));
    }
    found.unwrap_or_default()
}

/// Each once, as many as are listed.
fn listed(links: impl Iterator<Item = JoinLink>) -> Vec<JoinLink> {
    let mut found: Vec<JoinLink> = Vec::new();
    for link in links {
        if found.len() < FOUND_MAX && !found.contains(&link) {
            found.push(link);
        }
    }
    found.sort_by_cached_key(|link| (link.host.clone(), link.port));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_directory_is_listed_once_and_not_without_end() {
        let key = dos_protocol::PublicKey::from([9; 32]);
        let link = |number: usize| format!("dos://{key}@192.168.1.{number}:5001").parse().unwrap();
        let found = listed([7, 3, 7, 3].into_iter().map(link));
        assert_eq!(found, [link(3), link(7)]);
        assert_eq!(listed((1..200).map(link)).len(), FOUND_MAX);
    }
}
