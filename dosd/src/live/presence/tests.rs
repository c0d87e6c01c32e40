//! What a follower gets, without sockets.

use dos_protocol::{Timestamp, model::SessionEnd};
use futures_util::FutureExt as _;

use super::*;

fn peer(number: usize) -> PeerId {
    PeerId::from_number(PeerId::COUNT / 3 + u64::try_from(number).unwrap()).unwrap()
}

fn presence(number: usize, online: bool) -> Presence {
    let end = (!online).then_some(SessionEnd::Closed);
    Presence { id: peer(number), name: None, online, address: None, at: Timestamp(1), end }
}

fn log() -> Arc<PresenceLog> {
    Arc::new(PresenceLog::default())
}

fn follow(log: &Arc<PresenceLog>, subscription: Subscription) -> Follower {
    log.follow(peer(0), subscription).unwrap().unwrap()
}

fn numbers(changes: &Changes) -> Vec<PeerId> {
    changes.peers.iter().map(|presence| presence.id).collect()
}

#[tokio::test]
async fn each_peer_comes_once_as_it_is_now_in_the_order_of_the_last_changes() {
    let log = log();
    let mut follower = follow(&log, Subscription::Everybody);
    for online in [true, false, true] {
        log.note(|| presence(1, online));
        log.note(|| presence(2, !online));
    }
    log.note(|| presence(1, false));
    let changes = follower.take(|_| false).unwrap();
    assert_eq!(changes.peers, [presence(2, false), presence(1, false)]);
    assert!(!changes.missed);
    assert_eq!(follower.take(|_| false), None);
}

#[tokio::test]
async fn the_follower_itself_and_peers_that_hide_are_left_out() {
    let log = log();
    let mut follower = follow(&log, Subscription::Everybody);
    (0..4).for_each(|number| log.note(|| presence(number, true)));
    assert_eq!(numbers(&follower.take(|id| id == peer(2)).unwrap()), [peer(1), peer(3)]);
    log.note(|| presence(2, false));
    assert_eq!(follower.take(|id| id == peer(2)), None);
}

#[tokio::test]
async fn only_those_named_are_reported_and_the_rest_costs_nothing() {
    let log = log();
    let these = vec![peer(3), peer(2), peer(3)];
    let mut follower = follow(&log, Subscription::These(these));
    (0..100).for_each(|number| log.note(|| presence(number, true)));
    assert_eq!(numbers(&follower.take(|_| false).unwrap()), [peer(2), peer(3)]);
    (4..100).for_each(|number| log.note(|| presence(number, false)));
    assert_eq!(follower.take(|_| false), None);
    log.note(|| presence(3, false));
    assert_eq!(follower.take(|_| false).unwrap().peers, [presence(3, false)]);
}

#[tokio::test]
async fn a_push_is_bounded_and_the_next_goes_on() {
    let log = log();
    let many = PRESENCE_PER_PUSH_MAX + 7;
    let named = (1..=many).map(peer).collect();
    for subscription in [Subscription::Everybody, Subscription::These(named)] {
        let mut follower = follow(&log, subscription);
        (1..=many).for_each(|number| log.note(|| presence(number, true)));
        let first = follower.take(|_| false).unwrap();
        let second = follower.take(|_| false).unwrap();
        assert_eq!((first.peers.len(), second.peers.len()), (PRESENCE_PER_PUSH_MAX, 7));
        let all: Vec<_> = numbers(&first).into_iter().chain(numbers(&second)).collect();
        assert_eq!(all, (1..=many).map(peer).collect::<Vec<_>>());
        assert_eq!(follower.take(|_| false), None);
    }
}

#[tokio::test]
async fn a_follower_that_falls_behind_the_log_is_notified_and_goes_on() {
    let log = log();
    let mut slow = follow(&log, Subscription::Everybody);
    let many = PRESENCE_KEPT + 10;
    (1..=many).for_each(|number| log.note(|| presence(number, true)));
    assert_eq!(log.changed().by_peer.len(), PRESENCE_KEPT);
    let first = slow.take(|_| false).unwrap();
    assert!(first.missed);
    assert_eq!(first.peers.first().unwrap().id, peer(11));
    assert!(!slow.take(|_| false).unwrap().missed);
}

#[tokio::test]
async fn nothing_is_noted_or_kept_while_no_one_follows() {
    let log = log();
    log.note(|| panic!("nobody wants to know"));
    let follower = follow(&log, Subscription::Everybody);
    log.note(|| presence(1, true));
    let mut second = follow(&log, Subscription::Everybody);
    assert_eq!(second.take(|_| false), None, "it begins from now on");
    drop(follower);
    assert_eq!(log.changed().by_peer.len(), 1);
    drop(second);
    assert!(log.changed().by_peer.is_empty());
    log.note(|| panic!("nobody wants to know any more"));
    assert_eq!(follow(&log, Subscription::Everybody).take(|_| false), None);
}

#[tokio::test]
async fn a_subscription_is_bounded_and_one_to_nobody_is_none() {
    let log = log();
    let too_many = (0..=SUBSCRIBED_PEERS_MAX).map(peer).collect();
    let refused = log.follow(peer(0), Subscription::These(too_many)).unwrap_err();
    assert_eq!(refused.code, Code::Invalid);
    assert!(log.follow(peer(0), Subscription::Nobody).unwrap().is_none());
    assert_eq!(log.followers.load(Ordering::Acquire), 0);
}

#[tokio::test]
async fn a_follower_is_woken_at_once_and_then_not_before_the_pause_is_over() {
    let log = log();
    let mut follower = follow(&log, Subscription::Everybody);
    assert!(follower.news().now_or_never().is_none());
    let mut wakes = 0;
    let always_news = async {
        loop {
            log.note(|| presence(1, wakes % 2 == 0));
            follower.news().await;
            assert!(follower.take(|_| false).is_some());
            wakes += 1;
        }
    };
    assert!(tokio::time::timeout(PRESENCE_PAUSE * 5 / 2, always_news).await.is_err());
    assert!((1..=3).contains(&wakes), "{wakes} wakes in two and a half pauses");
}
