//! Who arrives, who takes over, and what a full queue loses.

use dos_protocol::{
    Instance, Timestamp,
    directory::{Notice, Subscription, Update},
};
use futures_util::FutureExt as _;

use super::*;

fn arrival(instance: u64, force: bool) -> Arrival {
    let peer = PeerId::from_number(PeerId::COUNT / 3).unwrap();
    let claim = if force { Claim::Forced } else { Claim::Polite };
    Arrival {
        peer,
        name: None,
        instance: Instance(instance),
        reach: Reach::of([127, 0, 0, 1].into(), 0, Vec::new()),
        claim,
        permit: None,
    }
}

fn arrive(live: &Live, arrival: Arrival) -> Result<(Handle, Receiver<Push>), ArrivalError> {
    let arrived = live.arrive(arrival);
    if let Ok((session, _)) = &arrived {
        live.settle(session, 0, Epoch::default());
    }
    arrived
}

#[test]
fn the_same_daemon_takes_over_and_the_old_session_is_notified() {
    let live = Live::default();
    let (old, mut pushed) = arrive(&live, arrival(1, false)).unwrap();
    let (new, _pushes) = arrive(&live, arrival(1, false)).unwrap();
    assert!(matches!(pushed.try_recv(), Some(Push::Close(Notice { kind: NoticeKind::Superseded, .. }))));
    assert!(!live.leave(&old, SessionEnd::Closed), "the old session's end must not make the new one offline");
    assert_eq!(live.count(), 1);
    assert!(live.leave(&new, SessionEnd::Closed));
    assert_eq!(live.count(), 0);
}

#[test]
fn another_daemon_is_refused_unless_it_forces_its_way() {
    let live = Live::default();
    let (_old, mut pushed) = arrive(&live, arrival(1, false)).unwrap();
    assert_eq!(arrive(&live, arrival(2, false)).unwrap_err(), ArrivalError::Taken);
    assert!(pushed.try_recv().is_none());
    let _new = arrive(&live, arrival(2, true)).unwrap();
    assert!(matches!(pushed.try_recv(), Some(Push::Close(Notice { kind: NoticeKind::TakenOver, .. }))));
}

#[test]
fn sessions_of_an_earlier_epoch_of_the_data_end_and_those_of_the_new_one_stay() {
    let live = Live::default();
    let of = |number: u64| Arrival {
        peer: PeerId::from_number(PeerId::COUNT / 3 + number).unwrap(),
        ..arrival(1, false)
    };
    let ends = |pushes: &mut Receiver<Push>| {
        matches!(pushes.try_recv(), Some(Push::Close(Notice { kind: NoticeKind::Shutdown, .. })))
    };
    let (_old, mut old) = arrive(&live, of(0)).unwrap();
    let (late, mut late_pushes) = live.arrive(of(1)).unwrap();
    let (new, mut new_pushes) = live.arrive(of(2)).unwrap();
    live.settle(&new, 0, Epoch::from_number(7));
    live.meet(Epoch::from_number(7));
    assert!(ends(&mut old) && !ends(&mut new_pushes) && !ends(&mut late_pushes));
    // The store had let it in before, and it comes to be known here afterwards.
    live.settle(&late, 0, Epoch::from_number(0));
    assert!(ends(&mut late_pushes));
    live.meet(Epoch::from_number(7));
    live.meet(Epoch::from_number(3));
    assert!(!ends(&mut old) && !ends(&mut new_pushes), "it is news once");
}

#[test]
fn a_session_that_has_ended_is_no_obstacle() {
    let live = Live::default();
    drop(arrive(&live, arrival(1, false)).unwrap());
    assert!(!live.is_online(arrival(1, false).peer) && live.presence_of(arrival(1, false).peer).is_none());
    assert!(arrive(&live, arrival(2, false)).is_ok());
}

#[test]
fn followers_see_a_takeover_but_not_the_same_daemon_coming_back() {
    let live = Live::default();
    let me = PeerId::from_number(PeerId::COUNT / 2).unwrap();
    let mut follower = live.follow(me, Subscription::Everybody).unwrap().unwrap();
    let mut news = || follower.take(|_| false).map(|changes| changes.peers[0].clone());
    let (first, _first_pushes) = arrive(&live, arrival(1, false)).unwrap();
    assert_eq!(news().map(|now| (now.online, now.end)), Some((true, None)));
    let (again, _again_pushes) = arrive(&live, arrival(1, false)).unwrap();
    assert!(!live.leave(&first, SessionEnd::Closed));
    assert_eq!(news(), None);
    let (other, _other_pushes) = arrive(&live, arrival(2, true)).unwrap();
    assert!(!live.leave(&again, SessionEnd::TakenOver));
    assert_eq!(news().map(|now| (now.online, now.end)), Some((true, Some(SessionEnd::TakenOver))));
    assert!(live.leave(&other, SessionEnd::Dropped));
    assert_eq!(news().map(|now| (now.online, now.end)), Some((false, Some(SessionEnd::Dropped))));
}

#[test]
fn a_full_queue_loses_rows_but_not_the_knowledge_of_them() {
    let live = Live::default();
    let (session, _pushes) = arrive(&live, arrival(1, false)).unwrap();
    let row = |seq| (session.peer(), Row { seq: Seq(seq), at: Timestamp(0), update: Update::Void }, None);
    live.push((1..=1000).map(row));
    assert_eq!(session.latest(), Seq(1000));
}

#[tokio::test]
async fn a_wait_for_an_acknowledgement_ends_with_it_or_with_the_session() {
    let live = Live::default();
    let peer = arrival(1, false).peer;
    assert!(!live.has_stored(peer, Seq(1)).await, "it is offline");
    let (session, pushes) = arrive(&live, arrival(1, false)).unwrap();
    let mut waiting = [1, 2].map(|seq| Box::pin(live.has_stored(peer, Seq(seq))));
    assert!(waiting.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
    session.note_stored(Seq(1));
    let [first, second] = waiting;
    assert!(first.await);
    session.note_ending();
    assert!(!second.await);
    assert_eq!(session.caller().stored, Seq(1));
    session.caller().ending.wait().await;
    drop((session, pushes));
    assert!(!live.has_stored(peer, Seq(2)).await, "it has ended");
}

#[tokio::test]
async fn closing_waits_for_the_end() {
    let live = Live::default();
    let peer = arrival(1, false).peer;
    let (_session, mut pushes) = arrive(&live, arrival(1, false)).unwrap();
    let mut closing = Box::pin(live.close(peer, notice(NoticeKind::Kicked, "go")));
    assert!((&mut closing).now_or_never().is_none());
    assert!(matches!(pushes.try_recv(), Some(Push::Close(Notice { kind: NoticeKind::Kicked, .. }))));
    assert!((&mut closing).now_or_never().is_none(), "it has not ended yet");
    drop(pushes);
    closing.await;
    live.close(peer, notice(NoticeKind::Kicked, "no one is there any more")).await;
}

#[test]
fn a_session_is_nobodys_news_before_the_store_has_let_it_in() {
    let live = Live::default();
    let me = PeerId::from_number(PeerId::COUNT / 2).unwrap();
    let mut follower = live.follow(me, Subscription::Everybody).unwrap().unwrap();
    let mut news = || follower.take(|_| false).map(|changes| changes.peers[0].online);
    let (refused, _pushes) = live.arrive(arrival(1, false)).unwrap();
    assert!(live.leave(&refused, SessionEnd::Dropped));
    assert_eq!(news(), None);
    let (first, _first_pushes) = arrive(&live, arrival(1, false)).unwrap();
    assert_eq!(news(), Some(true));
    let (again, _again_pushes) = live.arrive(arrival(1, false)).unwrap();
    assert!(!live.leave(&first, SessionEnd::Closed) && live.leave(&again, SessionEnd::Dropped));
    assert_eq!(news(), Some(false), "what it had displaced is gone");
}

#[test]
fn a_peer_is_where_its_newer_session_is() {
    let live = Live::default();
    let [here, there] = [1, 2].map(|number| NodeId::from_number(number).unwrap());
    let mut told = live.open_way(there);
    let (session, mut pushes) = live.arrive(arrival(1, false)).unwrap();
    live.settle(&session, 5, Epoch::default());
    assert!(matches!(told.parcels.try_recv(), Ok(Parcel::Tell(ToNode::Arrived(_)))));
    let resident = |session| dos_protocol::node::Resident {
        peer: arrival(1, false).peer,
        name: None,
        session,
        instance: Instance(1),
        seen: "127.0.0.1:0".parse().unwrap(),
        addresses: Vec::new(),
        since: Timestamp(0),
        mapped: None,
    };
    live.arrived_at(there, resident(4));
    live.all_at(there, Vec::new());
    assert!(live.is_online(session.peer()), "what is heard late changes nothing");
    live.arrived_at(there, resident(6));
    let row = || Row { seq: Seq(1), at: Timestamp(0), update: Update::Void };
    live.push([(session.peer(), row(), Some(there))]);
    assert!(matches!(told.parcels.try_recv(), Ok(Parcel::Tell(ToNode::Update(_)))));
    assert!(matches!(pushes.try_recv(), Some(Push::Update(_))), "until it ends the older one gets rows too");
    assert!(live.leave(&session, SessionEnd::Closed) && live.is_online(session.peer()));
    assert!(matches!(told.parcels.try_recv(), Ok(Parcel::Tell(ToNode::Left { session: 5, .. }))));
    live.push([(session.peer(), row(), Some(here))]);
    assert!(told.parcels.try_recv().is_err(), "a row for a seat here goes nowhere else");
    live.gone(there);
    assert!(!live.is_online(session.peer()));
}

/// A peer that takes what it is sent and never says so, and nothing that it is pinged with, is waited for no longer than anybody wants
/// to know.
#[tokio::test(start_paused = true)]
async fn what_another_node_asks_has_an_end_whatever_the_peer_does() {
    let live = Live::default();
    let (session, _pushes) = arrive(&live, arrival(1, false)).unwrap();
    let peer = session.peer();
    assert_eq!(live.answer(Ask::Stored { peer, seq: Seq(1) }).await, Told::Done(false));
    assert_eq!(live.answer(Ask::Ping(peer)).await, Told::Done(false));
    session.note_stored(Seq(1));
    assert_eq!(live.answer(Ask::Stored { peer, seq: Seq(1) }).await, Told::Done(true));
}
