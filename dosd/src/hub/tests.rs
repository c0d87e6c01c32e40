//! Who arrives, who takes over, and what a full queue loses.

use dos_protocol::directory::{Subscription, Update};

use super::*;

fn arrival(instance: u64, force: bool) -> Arrival {
    let peer = PeerId::from_number(PeerId::COUNT / 3).unwrap();
    let claim = if force { Claim::Forced } else { Claim::Polite };
    let key = PublicKey::from([1; 32]);
    Arrival { peer, name: None, instance: Instance(instance), addresses: Vec::new(), key, claim, place: None }
}

#[test]
fn the_same_daemon_takes_over_and_the_old_session_is_told() {
    let hub = Hub::default();
    let (old, mut told) = hub.arrive(arrival(1, false)).unwrap();
    let (new, _pushes) = hub.arrive(arrival(1, false)).unwrap();
    assert!(matches!(told.try_recv(), Ok(Push::Close(Notice { kind: NoticeKind::Superseded, .. }))));
    assert!(!hub.leave(&old, SessionEnd::Closed), "the old session's end must not make the new one offline");
    assert_eq!(hub.count(), 1);
    assert!(hub.leave(&new, SessionEnd::Closed));
    assert_eq!(hub.count(), 0);
}

#[test]
fn another_daemon_is_refused_unless_it_forces_its_way() {
    let hub = Hub::default();
    let (_old, mut told) = hub.arrive(arrival(1, false)).unwrap();
    assert_eq!(hub.arrive(arrival(2, false)).unwrap_err().code, Code::Conflict);
    assert!(told.try_recv().is_err());
    let _new = hub.arrive(arrival(2, true)).unwrap();
    assert!(matches!(told.try_recv(), Ok(Push::Close(Notice { kind: NoticeKind::TakenOver, .. }))));
}

#[test]
fn a_replaced_key_is_told_and_never_comes_back_not_even_by_force() {
    let hub = Hub::default();
    let (_old, mut told) = hub.arrive(arrival(1, false)).unwrap();
    let claim = Claim::Recovered;
    let recovered = Arrival { key: PublicKey::from([2; 32]), claim, ..arrival(1, false) };
    let (_new, mut pushes) = hub.arrive(recovered).unwrap();
    assert!(matches!(told.try_recv(), Ok(Push::Close(Notice { kind: NoticeKind::Replaced, .. }))));
    assert_eq!(hub.arrive(arrival(1, true)).unwrap_err().code, Code::NotFound);
    assert!(pushes.try_recv().is_err());
}

#[test]
fn a_session_that_has_ended_is_no_obstacle() {
    let hub = Hub::default();
    drop(hub.arrive(arrival(1, false)).unwrap());
    assert!(hub.get(arrival(1, false).peer).is_none());
    assert!(hub.arrive(arrival(2, false)).is_ok());
}

#[test]
fn followers_hear_of_a_takeover_but_not_of_the_same_daemon_coming_back() {
    let hub = Hub::default();
    let me = PeerId::from_number(PeerId::COUNT / 2).unwrap();
    let mut follower = hub.board.follow(me, Subscription::Everybody).unwrap().unwrap();
    let mut news = || follower.take(|_| false).map(|changes| changes.peers[0].clone());
    let (first, _first_told) = hub.arrive(arrival(1, false)).unwrap();
    assert_eq!(news().map(|now| (now.online, now.end)), Some((true, None)));
    let (again, _again_told) = hub.arrive(arrival(1, false)).unwrap();
    assert!(!hub.leave(&first, SessionEnd::Closed));
    assert_eq!(news(), None);
    let (other, _other_told) = hub.arrive(arrival(2, true)).unwrap();
    assert!(!hub.leave(&again, SessionEnd::TakenOver));
    assert_eq!(news().map(|now| (now.online, now.end)), Some((true, Some(SessionEnd::TakenOver))));
    assert!(hub.leave(&other, SessionEnd::Dropped));
    assert_eq!(news().map(|now| (now.online, now.end)), Some((false, Some(SessionEnd::Dropped))));
}

#[test]
fn a_full_queue_loses_rows_but_not_the_knowledge_of_them() {
    let hub = Hub::default();
    let (session, _pushes) = hub.arrive(arrival(1, false)).unwrap();
    let row = |seq| InboxRow { peer: session.peer, seq: Seq(seq), at: Timestamp(0), update: Update::Void };
    hub.deliver((1..=1000).map(row).collect());
    assert_eq!(session.latest(), Seq(1000));
}

#[test]
fn the_seen_address_comes_first_and_mapped_ipv4_is_plain() {
    let mapped: IpAddr = "::ffff:192.0.2.7".parse().unwrap();
    let announced: Address = "10.0.0.1:5".parse().unwrap();
    let addresses = reachable_at(mapped, 5, vec![announced, announced]);
    assert_eq!(addresses, ["192.0.2.7:5".parse().unwrap(), announced]);
}

#[test]
fn a_peer_that_cannot_be_reached_has_no_address() {
    assert_eq!(reachable_at("192.0.2.7".parse().unwrap(), 0, vec!["10.0.0.1:5".parse().unwrap()]), []);
}
