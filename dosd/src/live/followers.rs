//! Which session follows which peers: what these show, and what they are called.
//!
//! What always holds: a peer follows nobody once it has no session; one whose session is replaced begins anew.

use std::collections::{BTreeSet, HashMap};

use dos_protocol::PeerId;
use parking_lot::RwLock;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Followers(RwLock<Both>);

#[derive(Debug, Default)]
struct Both {
    by_followed: HashMap<PeerId, BTreeSet<PeerId>>,
    by_follower: HashMap<PeerId, Box<[PeerId]>>,
}

impl Followers {
    /// `me` follows these from now on, and nobody else.
    pub(super) fn set(&self, me: PeerId, mut peers: Vec<PeerId>) {
        peers.retain(|peer| *peer != me);
        peers.sort_unstable();
        peers.dedup();
        let mut both = self.0.write();
        both.forget(me);
        if peers.is_empty() {
            return;
        }
        for peer in &peers {
            both.by_followed.entry(*peer).or_default().insert(me);
        }
        both.by_follower.insert(me, peers.into());
    }

    /// `me` follows nobody any more.
    pub(super) fn forget(&self, me: PeerId) {
        // Most follow somebody; a look costs less than the lock to write.
        if self.0.read().by_follower.contains_key(&me) {
            self.0.write().forget(me);
        }
    }

    /// Who follows a peer.
    pub(super) fn of(&self, peer: PeerId) -> Vec<PeerId> {
        self.0.read().by_followed.get(&peer).into_iter().flatten().copied().collect()
    }
}

impl Both {
    fn forget(&mut self, me: PeerId) {
        for peer in self.by_follower.remove(&me).unwrap_or_default() {
            if let Some(followers) = self.by_followed.get_mut(&peer) {
                followers.remove(&me);
                if followers.is_empty() {
                    self.by_followed.remove(&peer);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u64) -> PeerId {
        PeerId::from_number(PeerId::COUNT / 2 + number).unwrap()
    }

    #[test]
    fn who_follows_others_takes_the_place_of_what_it_followed_and_leaves_nothing_behind() {
        let followers = Followers::default();
        followers.set(peer(1), vec![peer(2), peer(3), peer(2), peer(1)]);
        followers.set(peer(4), vec![peer(3)]);
        assert_eq!(followers.of(peer(2)), [peer(1)]);
        assert_eq!(followers.of(peer(3)), [peer(1), peer(4)]);
        assert_eq!(followers.of(peer(1)), [], "nobody follows itself");
        followers.set(peer(1), vec![peer(3)]);
        assert_eq!((followers.of(peer(2)), followers.of(peer(3))), (vec![], vec![peer(1), peer(4)]));
        followers.set(peer(1), vec![]);
        followers.forget(peer(4));
        followers.forget(peer(5));
        let both = followers.0.read();
        assert!(both.by_followed.is_empty() && both.by_follower.is_empty());
    }
}
