//! Tickets and reservations, without connections.
use std::time::Duration;

use dos_protocol::limits::{RELAY_CALLS_PER_PAIR, RELAY_SPARE_AFTER, RELAY_TICKETS_MAX};
use tokio::time::advance;

use super::*;

fn peer(number: u64) -> PeerId {
    PeerId::from_number(PeerId::COUNT / 3 + number).unwrap()
}

fn settings() -> RelaySettings {
    RelaySettings { calls: 20, calls_per_peer: 10, ..RelaySettings::default() }
}

fn refusal(admitted: Result<Ticket, WireError>) -> (Code, Option<Reason>, bool) {
    let error = admitted.unwrap_err();
    (error.code, error.reason, error.retry_after_ms.is_some())
}

const LIMIT: (Code, Option<Reason>, bool) = (Code::Denied, Some(Reason::Limit), true);

#[tokio::test(start_paused = true)]
async fn a_ticket_that_no_one_brings_gives_its_place_back() {
    let relay = Relay::default();
    let one = RelaySettings { calls_per_peer: 1, ..settings() };
    relay.admit(peer(1), peer(2), one).unwrap();
    assert_eq!(refusal(relay.admit(peer(1), peer(4), one)), LIMIT);
    advance(RELAY_TICKET_TIME - Duration::from_millis(1)).await;
    assert_eq!(relay.calls(), 1);
    advance(Duration::from_millis(1)).await;
    assert_eq!(relay.calls(), 0);
    relay.admit(peer(1), peer(4), one).unwrap();
}

/// Has both sides come.
fn joined(relay: &Relay, from: u64, to: u64) {
    let ticket = relay.admit(peer(from), peer(to), settings()).unwrap();
    relay.table().get_mut(&ticket).unwrap().state = State::Joined;
}

#[test]
fn a_peer_has_its_own_limit_for_calls_made_and_taken() {
    let relay = Relay::default();
    for other in 0..10 {
        joined(&relay, other + 100, 1);
    }
    assert_eq!(refusal(relay.admit(peer(200), peer(1), settings())), LIMIT, "taken");
    assert_eq!(refusal(relay.admit(peer(1), peer(200), settings())), LIMIT, "made");
    relay.admit(peer(200), peer(201), settings()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_on_which_nothing_moves_makes_room_for_another() {
    let relay = Relay::default();
    joined(&relay, 100, 1);
    let cut = relay.table().values().next().unwrap().call.cut.clone();
    advance(Duration::from_secs(1)).await;
    for other in 1..10 {
        joined(&relay, other + 100, 1);
    }
    advance(RELAY_SPARE_AFTER - Duration::from_millis(1001)).await;
    assert_eq!(refusal(relay.admit(peer(200), peer(1), settings())), LIMIT, "all are in use");
    advance(Duration::from_millis(1)).await;
    let ticket = relay.admit(peer(200), peer(1), settings()).unwrap();
    assert!(!cut.is_cancelled(), "nobody has come yet");
    let (first, second) = (connection().await, connection().await);
    let (Side::First { second: waits, .. }, _) = relay.join(&ticket, first) else { panic!("not the first") };
    assert!(!cut.is_cancelled(), "one alone is no call");
    assert!(matches!(relay.join(&ticket, second), (Side::Second, _)));
    drop(waits);
    assert!(cut.is_cancelled(), "the one on which nothing moved for longest");
    assert_eq!(relay.calls(), 10);
    // What was joined just now is in use, and so are the others.
    let ticket = relay.table().insert(Ticket::from([9; 32]), waiting(201, 1));
    assert!(ticket.is_none());
    let (first, second) = (connection().await, connection().await);
    let (Side::First { second: _waits, .. }, _) = relay.join(&Ticket::from([9; 32]), first) else {
        panic!("not the first")
    };
    assert!(matches!(relay.join(&Ticket::from([9; 32]), second), (Side::Full, _)));
}

/// A connection to somewhere.
async fn connection() -> TcpStream {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    TcpStream::connect(listener.local_addr().unwrap()).await.unwrap()
}

/// A call whose sides have not come.
fn waiting(from: u64, to: u64) -> Entry {
    let (limiters, settings) = (<[Arc<Mutex<RateLimiter>>; 2]>::default(), settings());
    let (moved, cut) = (Arc::new(Moved::now()), CancellationToken::new());
    let call = Call { from: peer(from), to: peer(to), limiters, settings, moved, cut };
    Entry { call, state: State::Waiting { until: Instant::now() + RELAY_TICKET_TIME, first: None } }
}

#[test]
fn tickets_that_are_not_used_count_against_the_peer_that_asked_for_them() {
    let relay = Relay::default();
    for caller in [2, 3] {
        for _ in 0..RELAY_CALLS_PER_PAIR {
            relay.admit(peer(caller), peer(1), settings()).unwrap();
        }
        assert_eq!(refusal(relay.admit(peer(caller), peer(1), settings())), LIMIT);
    }
    relay.admit(peer(4), peer(1), settings()).unwrap();
    relay.admit(peer(1), peer(2), settings()).unwrap();
}

#[test]
fn tickets_of_those_who_have_the_most_make_room() {
    let relay = Relay::default();
    for caller in 0..RELAY_TICKETS_MAX {
        relay.admit(peer(caller / 4 + 1000), peer(caller), settings()).unwrap();
    }
    let first = relay.admit(peer(1), peer(2), settings()).unwrap();
    assert_eq!(relay.calls(), usize::try_from(RELAY_TICKETS_MAX).unwrap());
    assert!(relay.table().contains_key(&first));
    assert_eq!(refusal(relay.admit(peer(1000), peer(9), settings())), LIMIT);
}

#[test]
fn calls_of_one_peer_share_its_rate() {
    let relay = Relay::default();
    let tickets = [(1, 2), (3, 1)].map(|(from, to)| relay.admit(peer(from), peer(to), settings()).unwrap());
    let calls = relay.table();
    let limiter = |ticket: &Ticket, who| Arc::clone(calls[ticket].call.limiter_of(peer(who)).unwrap());
    assert!(Arc::ptr_eq(&limiter(&tickets[0], 1), &limiter(&tickets[1], 1)));
    assert!(!Arc::ptr_eq(&limiter(&tickets[0], 2), &limiter(&tickets[1], 3)));
}

#[test]
fn a_tls_record_is_never_taken_for_a_relayed_connection() {
    // The content types of RFC 8446, section 5.1.
    assert!([20, 21, 22, 23].into_iter().all(|first| !is_relayed(first)));
    assert!(is_relayed(RELAY_MAGIC[0]));
}
