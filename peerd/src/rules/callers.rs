//! Which other peers are served together: what each may take of the connections that there are.
//!
//! What always holds: a peer that is no contact leaves room for contacts, whatever it and others like it do; connections to the
//! port leave room for calls through the relay, by which alone some viewers come.

use std::net::IpAddr;

use dos_protocol::{
    PeerId,
    limits::{
        PEER_CONNECTIONS_DIRECT_MAX, PEER_CONNECTIONS_MAX, PEER_CONNECTIONS_PER_PEER,
        PEER_STRANGERS_CONNECTIONS_MAX, PEER_STRANGERS_CONNECTIONS_PER_ADDRESS,
        PEER_STRANGERS_CONNECTIONS_PER_PEER,
    },
};

/// A peer that is served, or is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Served {
    /// Which peer.
    pub(crate) peer: PeerId,
    /// Whether its key is pinned.
    pub(crate) is_contact: bool,
    /// What stands for the host that it comes from; `None` through the relay.
    pub(crate) network: Option<IpAddr>,
}

/// Whether there is room for `new` beside those that are `served`.
pub(crate) fn has_room(served: &[Served], new: Served) -> bool {
    let fewer =
        |most: usize, of: &dyn Fn(&Served) -> bool| served.iter().filter(|one| of(one)).count() < most;
    let all = fewer(PEER_CONNECTIONS_MAX, &|_| true);
    let ways = new.network.is_none() || fewer(PEER_CONNECTIONS_DIRECT_MAX, &|one| one.network.is_some());
    if new.is_contact {
        return all && ways && fewer(PEER_CONNECTIONS_PER_PEER, &|one| one.peer == new.peer);
    }
    all && ways
        && fewer(PEER_STRANGERS_CONNECTIONS_MAX, &|one| !one.is_contact)
        && fewer(PEER_STRANGERS_CONNECTIONS_PER_PEER, &|one| one.peer == new.peer)
        && (new.network.is_none()
            || fewer(PEER_STRANGERS_CONNECTIONS_PER_ADDRESS, &|one| {
                !one.is_contact && one.network == new.network
            }))
}

/// Which of the connections that are `idle` is closed to make room for `new`: the first that does; those of contacts are not closed
/// for others.
pub(crate) fn makes_room(served: &[Served], idle: &[usize], new: Served) -> Option<usize> {
    idle.iter().copied().find(|at| {
        let others = served.iter().enumerate().filter(|(index, _)| index != at).map(|(_, one)| *one);
        let goes = served.get(*at).is_some_and(|one| new.is_contact || !one.is_contact);
        goes && has_room(&others.collect::<Vec<_>>(), new)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_makes_room_for_a_contact_and_that_of_a_contact_for_no_other() {
        let contact = |number| Served { peer: peer(number), is_contact: true, network: network(number) };
        let full: Vec<Served> = (0..PEER_CONNECTIONS_DIRECT_MAX).map(contact).collect();
        let new = contact(9_999);
        assert!(!has_room(&full, new));
        assert_eq!(makes_room(&full, &[], new), None);
        assert_eq!(makes_room(&full, &[7, 3], new), Some(7));
        assert_eq!(makes_room(&full, &[7, 3], Served { is_contact: false, ..new }), None);
        // Of many of one peer, one of its own.
        let own: Vec<Served> =
            (0..PEER_CONNECTIONS_PER_PEER).map(|_| contact(1)).chain([contact(2)]).collect();
        assert_eq!(makes_room(&own, &[PEER_CONNECTIONS_PER_PEER, 0], contact(1)), Some(0));
    }

    fn peer(number: usize) -> PeerId {
        PeerId::from_number(PeerId::COUNT / 3 + u64::try_from(number).unwrap()).unwrap()
    }

    fn network(number: usize) -> Option<IpAddr> {
        Some(IpAddr::from([10, 0, 0, u8::try_from(number % 256).unwrap()]))
    }

    /// How many of these there is room for, one after the other, beside those that are served.
    fn fill(served: &mut Vec<Served>, new: impl Fn(usize) -> Served) -> usize {
        let before = served.len();
        for number in 0..2 * PEER_CONNECTIONS_MAX {
            let new = new(number);
            if has_room(served, new) {
                served.push(new);
            }
        }
        served.len() - before
    }

    #[test]
    fn one_peer_has_its_share_and_less_if_it_is_no_contact() {
        let one = |is_contact, network| Served { peer: peer(1), is_contact, network };
        assert_eq!(fill(&mut Vec::new(), |_| one(true, network(1))), PEER_CONNECTIONS_PER_PEER);
        assert_eq!(fill(&mut Vec::new(), |_| one(true, None)), PEER_CONNECTIONS_PER_PEER);
        assert_eq!(fill(&mut Vec::new(), |_| one(false, network(1))), PEER_STRANGERS_CONNECTIONS_PER_PEER);
        assert_eq!(fill(&mut Vec::new(), |_| one(false, None)), PEER_STRANGERS_CONNECTIONS_PER_PEER);
    }

    #[test]
    fn strangers_of_one_address_have_their_share_and_contacts_are_not_counted_by_address() {
        let at_one =
            |is_contact| move |number| Served { peer: peer(number), is_contact, network: network(1) };
        let mut served = Vec::new();
        assert_eq!(fill(&mut served, at_one(false)), PEER_STRANGERS_CONNECTIONS_PER_ADDRESS);
        let left = PEER_CONNECTIONS_DIRECT_MAX - PEER_STRANGERS_CONNECTIONS_PER_ADDRESS;
        assert_eq!(fill(&mut served, at_one(true)), left);
    }

    #[test]
    fn strangers_leave_room_for_contacts_and_the_port_for_calls() {
        let mut served = Vec::new();
        let stranger = |number| Served { peer: peer(number), is_contact: false, network: network(number) };
        assert_eq!(fill(&mut served, stranger), PEER_STRANGERS_CONNECTIONS_MAX);
        let called = |number: usize| Served { peer: peer(9000 + number), is_contact: false, network: None };
        assert!(!has_room(&served, called(0)), "strangers are counted together");
        let contact =
            |number: usize| Served { peer: peer(1000 + number), is_contact: true, network: network(1) };
        assert_eq!(fill(&mut served, contact), PEER_CONNECTIONS_DIRECT_MAX - PEER_STRANGERS_CONNECTIONS_MAX);
        let relayed = |number| Served { network: None, ..contact(number) };
        assert_eq!(fill(&mut served, relayed), PEER_CONNECTIONS_MAX - PEER_CONNECTIONS_DIRECT_MAX);
        assert_eq!(served.len(), PEER_CONNECTIONS_MAX);
        served.remove(0);
        assert!(has_room(&served, contact(0)), "one that has gone leaves its place");
    }
}
