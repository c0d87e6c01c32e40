//! Who comes and goes, and why, told to those who subscribed.

use std::{net::SocketAddr, time::Duration};

use dos_protocol::{
    Code, Instance, PeerId, Seq,
    directory::{Answer, FromDirectory, List, NoticeKind, Op, Presence, Subscription, ToDirectory},
    key::SecretKey,
    limits::{PRESENCE_PAUSE, PRESENCE_PER_PUSH_MAX, SUBSCRIBED_PEERS_MAX},
    model::{PeerInfo, SessionEnd},
};
use dos_testing::wait_until_async;
use dosd::{
    config::{FileConfig, Registration},
    live::{Arrival, Claim, Epoch},
    rules::Reach,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{Instant, timeout},
};

use crate::{
    commands::run,
    net::{Client, Net, PATIENCE, register, sign_in},
};

async fn subscribe(client: &mut Client, subscription: Subscription) {
    assert_eq!(client.ask(Op::Subscribe(subscription)).await, Ok(Answer::Done));
}

/// The next change, which must be of this peer: whether it is online, and why it went.
async fn change(client: &mut Client, of: PeerId) -> (bool, Option<SessionEnd>) {
    let Presence { id, online, end, .. } = client.presence(PATIENCE).await;
    assert_eq!(id, of);
    (online, end)
}

async fn resolve(client: &mut Client, peer: PeerId) -> PeerInfo {
    match client.ask(Op::Resolve(dos_protocol::PeerRef::Id(peer))).await {
        Ok(Answer::Peer(peer)) => *peer,
        other => panic!("{other:?}"),
    }
}

/// Waits until it is written down that the peer went for this reason.
async fn written(client: &mut Client, peer: PeerId, end: SessionEnd) {
    wait_until_async(&format!("{end:?} is written down"), async || {
        let info = resolve(client, peer).await;
        info.last_end == Some(end) && !info.online
    })
    .await;
}

const GONE: fn(SessionEnd) -> (bool, Option<SessionEnd>) = |end| (false, Some(end));
const HERE: (bool, Option<SessionEnd>) = (true, None);

#[tokio::test]
async fn the_reasons_of_going_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let id = bob.id();
    subscribe(&mut alice, Subscription::Everybody).await;
    bob.sign_out().await;
    assert_eq!(change(&mut alice, id).await, GONE(SessionEnd::SignedOut));
    written(&mut alice, id, SessionEnd::SignedOut).await;
    let bob = net.again(&bob).await;
    let now = alice.presence(PATIENCE).await;
    assert_eq!((now.id, now.online, now.end), (id, true, None));
    assert_eq!(now.name, Some("bob".parse().unwrap()));
    assert_eq!(now.address, Some("127.0.0.1:4000".parse().unwrap()));
    let secret = bob.secret.clone();
    drop(bob);
    assert_eq!(change(&mut alice, id).await, GONE(SessionEnd::Closed));
    written(&mut alice, id, SessionEnd::Closed).await;
    let enter = async |instance, force| {
        let mut client = Client::connect(&net, secret.clone()).await;
        let mut sign_in = sign_in(instance, Seq(0));
        sign_in.force = force;
        client.enter(Op::SignIn(sign_in)).await.unwrap();
        client
    };
    let mut rude = enter(1, false).await;
    assert_eq!(change(&mut alice, id).await, HERE);
    rude.send(&ToDirectory::Ack(Seq(77))).await;
    assert_eq!(change(&mut alice, id).await, GONE(SessionEnd::Dropped));
    written(&mut alice, id, SessionEnd::Dropped).await;
    let mut loser = enter(1, false).await;
    assert_eq!(change(&mut alice, id).await, HERE);
    let mut winner = enter(2, true).await;
    assert_eq!(change(&mut alice, id).await, (true, Some(SessionEnd::TakenOver)));
    assert!(matches!(loser.next().await, Some(FromDirectory::Notice(n)) if n.kind == NoticeKind::TakenOver));
    let reading = tokio::spawn(async move { winner.next().await });
    assert_eq!(run(dir.path(), &["kick", "bob"]).await.code, 0);
    assert_eq!(change(&mut alice, id).await, GONE(SessionEnd::Kicked));
    written(&mut alice, id, SessionEnd::Kicked).await;
    assert!(reading.await.unwrap().is_some());
    let _last = enter(1, false).await;
    assert_eq!(change(&mut alice, id).await, HERE);
    net.stop().await;
    let net = Net::start(dir.path());
    let mut alice = net.again(&alice).await;
    written(&mut alice, id, SessionEnd::Shutdown).await;
    net.stop().await;
}

#[tokio::test]
async fn who_asks_nothing_for_too_long_is_told_and_signed_out() {
    let dir = tempfile::tempdir().unwrap();
    let said = FileConfig {
        registration: Some(Registration::Open),
        idle_timeout: Some(Duration::from_secs(2)),
        ..FileConfig::default()
    };
    let net = Net::start_with(dir.path(), said);
    let mut alice = net.peer("alice").await;
    let started = Instant::now();
    let mut bob = net.peer("bob").await;
    let id = bob.id();
    let idling = tokio::spawn(async move { (bob.next().await, bob.next().await, Instant::now()) });
    // Alice asks again and again, and stays.
    written(&mut alice, id, SessionEnd::Idle).await;
    let (said, then, ended) = idling.await.unwrap();
    assert!(matches!(said, Some(FromDirectory::Notice(notice)) if notice.kind == NoticeKind::Idle));
    assert_eq!(then, None);
    assert!(ended - started >= Duration::from_secs(2), "{:?}", ended - started);
    assert!(resolve(&mut alice, id).await.last_seen.is_some());
    net.stop().await;
}

#[tokio::test]
async fn a_subscription_takes_the_place_of_the_last_one_and_ends_with_the_session() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob, mut carol) =
        (net.peer("alice").await, net.peer("bob").await, net.peer("carol").await);
    subscribe(&mut alice, Subscription::Everybody).await;
    subscribe(&mut alice, Subscription::These(vec![carol.id()])).await;
    bob.sign_out().await;
    carol.sign_out().await;
    assert_eq!(change(&mut alice, carol.id()).await, GONE(SessionEnd::SignedOut));
    let too_many = vec![carol.id(); SUBSCRIBED_PEERS_MAX + 1];
    let refused = alice.refusal(Op::Subscribe(Subscription::These(too_many))).await;
    assert_eq!(refused.0, Code::Invalid);
    let mut carol = net.again(&carol).await;
    assert_eq!(change(&mut alice, carol.id()).await, HERE, "the last subscription that was taken goes on");
    subscribe(&mut alice, Subscription::Nobody).await;
    carol.sign_out().await;
    let mut again = net.again(&alice).await;
    let carol = net.again(&carol).await;
    assert!(resolve(&mut again, carol.id()).await.online);
    timeout(PRESENCE_PAUSE * 2, again.next()).await.unwrap_err();
    assert!(again.pushes.is_empty(), "a new session begins without a subscription");
    net.stop().await;
}

#[tokio::test]
async fn who_is_blocked_hears_nothing_of_the_blocker() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob, mut carol) =
        (net.peer("alice").await, net.peer("bob").await, net.peer("carol").await);
    subscribe(&mut alice, Subscription::Everybody).await;
    let mut named = net.peer("dave").await;
    subscribe(&mut named, Subscription::These(vec![bob.id()])).await;
    assert_eq!(change(&mut alice, named.id()).await, HERE);
    for blocked in [alice.id(), named.id()] {
        bob.ask(Op::Block(dos_protocol::PeerRef::Id(blocked))).await.unwrap();
    }
    bob.sign_out().await;
    let mut bob = net.again(&bob).await;
    carol.sign_out().await;
    assert_eq!(change(&mut alice, carol.id()).await, GONE(SessionEnd::SignedOut), "bob hides");
    assert!(!resolve(&mut named, bob.id()).await.online && named.pushes.is_empty());
    for blocked in [alice.id(), named.id()] {
        bob.ask(Op::Unblock(dos_protocol::PeerRef::Id(blocked))).await.unwrap();
    }
    bob.sign_out().await;
    for seer in [&mut alice, &mut named] {
        // That he came online waits for the pause between two pushes, and is no secret any more when it ends.
        let mut seen = change(seer, bob.id()).await;
        if seen == HERE {
            seen = change(seer, bob.id()).await;
        }
        assert_eq!(seen, GONE(SessionEnd::SignedOut));
    }
    net.stop().await;
}

fn stranger(number: u64) -> PeerId {
    PeerId::from_number(PeerId::COUNT / 3 + number).unwrap()
}

/// Somebody comes and goes, without a connection: what is measured is the subscriber's side.
fn visit(net: &Net, number: u64) {
    let name = format!("stranger-{number}").parse().unwrap();
    let arrival = Arrival {
        peer: stranger(number),
        name: Some(name),
        instance: Instance(number),
        reach: Reach::of("192.0.2.7".parse().unwrap(), 4000, Vec::new()),
        claim: Claim::Polite,
        permit: None,
    };
    let (session, _pushes) = net.live.arrive(arrival).unwrap();
    net.live.settle(&session, 0, Epoch::default());
    assert!(net.live.leave(&session, SessionEnd::SignedOut));
}

/// Reads changes until this peer's has come; how many pushes that were, and how many bytes.
async fn read_until(client: &mut Client, last: PeerId) -> (usize, usize) {
    while client.presence(PATIENCE).await.id != last {}
    let bytes = client.pushes.iter().map(|(_, bytes)| bytes).sum();
    assert!(client.pushes.iter().all(|(changes, _)| changes.peers.len() <= PRESENCE_PER_PUSH_MAX));
    assert!(client.pushes.iter().all(|(changes, _)| !changes.missed));
    (client.pushes.len(), bytes)
}

#[tokio::test]
async fn ten_thousand_who_come_and_go_cost_a_subscriber_a_bounded_number_of_pushes() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut alice = net.peer("alice").await;
    let mut bob = net.peer("bob").await;
    subscribe(&mut alice, Subscription::Everybody).await;
    subscribe(&mut bob, Subscription::These(vec![stranger(9_999), stranger(7)])).await;
    (0..10_000).for_each(|number| visit(&net, number));
    let (pushes, bytes) = read_until(&mut alice, stranger(9_999)).await;
    // The first push may find a few of them only.
    assert!((20..=22).contains(&pushes), "{pushes} pushes");
    assert!(bytes < 10_000 * 150, "{bytes} bytes");
    let (pushes, bytes) = read_until(&mut bob, stranger(9_999)).await;
    assert!(pushes <= 2 && bytes < 1000, "{pushes} pushes, {bytes} bytes");
    net.stop().await;
}

#[tokio::test]
async fn a_hundred_who_come_and_go_a_hundred_times_are_told_together() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut alice = net.peer("alice").await;
    subscribe(&mut alice, Subscription::Everybody).await;
    let started = Instant::now();
    for _round in 0..100 {
        (0..100).for_each(|number| visit(&net, number));
        tokio::task::yield_now().await;
    }
    visit(&net, 100);
    let (pushes, bytes) = read_until(&mut alice, stranger(100)).await;
    let pauses = started.elapsed().as_millis() / PRESENCE_PAUSE.as_millis();
    let most = usize::try_from(pauses).unwrap() + 2;
    assert!(pushes <= most, "{pushes} pushes in {pauses} pauses");
    assert!(bytes <= most * 101 * 150, "{bytes} bytes in {pushes} pushes");
    net.stop().await;
}

/// Passes bytes on until it is told to swallow them; the connections stay open.
async fn deaf_proxy(to: SocketAddr, swallow: watch::Receiver<bool>) -> SocketAddr {
    async fn pump(
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        swallow: watch::Receiver<bool>,
    ) {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            if !*swallow.borrow() && to.write_all(&buffer[..count]).await.is_err() {
                break;
            }
        }
        // An end is swallowed too.
        if *swallow.borrow() {
            std::future::pending::<()>().await;
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(to).await.unwrap();
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::spawn(pump(near_in, far_out, swallow.clone()));
            tokio::spawn(pump(far_in, near_out, swallow.clone()));
        }
    });
    address
}

/// In real time, since real sockets take part: about half a minute.
#[tokio::test]
async fn a_half_open_connection_is_offline_within_35_seconds() {
    const WITHIN: Duration = Duration::from_secs(35);
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut alice = net.peer("alice").await;
    let (swallow, swallowing) = watch::channel(false);
    let address = deaf_proxy(net.address, swallowing).await;
    let mut bob = Client::connect_at(&net, address, SecretKey::generate().unwrap()).await;
    bob.enter(register("bob", None)).await.unwrap();
    let id = bob.id();
    subscribe(&mut alice, Subscription::These(vec![id])).await;
    // Nothing comes through to Bob any more, not even an end.
    let answering = tokio::spawn(async move { timeout(WITHIN * 2, bob.reader.next()).await.is_ok() });
    swallow.send_replace(true);
    let since = Instant::now();
    let gone = alice.presence(WITHIN).await;
    assert!(since.elapsed() < WITHIN);
    assert_eq!((gone.id, gone.online, gone.end), (id, false, Some(SessionEnd::Dropped)));
    written(&mut alice, id, SessionEnd::Dropped).await;
    assert!(!answering.is_finished(), "the connection itself was never closed");
    answering.abort();
    net.stop().await;
}

#[tokio::test]
async fn since_lists_who_is_online_and_who_was_not_long_ago() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut alice = net.peer("alice").await;
    let mut bob = net.peer("bob").await;
    let id = bob.id();
    bob.sign_out().await;
    written(&mut alice, id, SessionEnd::SignedOut).await;
    let gone_at = resolve(&mut alice, id).await.last_seen.unwrap();
    for (since, found) in [(gone_at, true), (gone_at.after(Duration::from_millis(1)), false)] {
        let list = List { seen_since: Some(since), ..crate::shelf::everything() };
        let page = alice.page(list).await;
        assert!(
            page.peers.iter().any(|peer| peer.id == alice.id() && peer.online && peer.last_end.is_none())
        );
        let bob = page.peers.iter().find(|peer| peer.id == id);
        assert_eq!(bob.is_some(), found);
        assert!(bob.is_none_or(|bob| bob.last_end == Some(SessionEnd::SignedOut)));
    }
    // By the directory's clock, whatever moment a peer with a wrong one names beside it.
    let future = Some(gone_at.after(Duration::from_secs(10_800)));
    for (within, found) in [(Some(3_600_000), true), (None, false)] {
        let everything = crate::shelf::everything();
        let list = List { seen_since: future, seen_within_ms: within, ..everything };
        let page = alice.page(list).await;
        assert_eq!(page.peers.iter().any(|peer| peer.id == id), found, "{within:?}");
    }
    net.stop().await;
}
