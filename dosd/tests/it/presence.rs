//! Who is online, and where; one live session per ID.

use dos_protocol::{
    Code, Seq,
    directory::{Answer, FromDirectory, List, NoticeKind, Op, Register},
    key::SecretKey,
    model::{PeerInfo, PeerRef},
};
use dos_testing::wait_until_async;

use crate::{
    net::{Client, Net, sign_in},
    shelf::everything,
};

async fn resolve(client: &mut Client, peer: &str) -> PeerInfo {
    match client.ask(Op::Resolve(peer.parse().unwrap())).await {
        Ok(Answer::Peer(peer)) => *peer,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_sign_out_and_a_closed_connection_are_seen_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let online = resolve(&mut alice, "bob").await;
    assert_eq!((online.id, online.online), (bob.id(), true));
    assert_eq!(online.address, Some("127.0.0.1:4000".parse().unwrap()));
    bob.sign_out().await;
    let offline = resolve(&mut alice, "bob").await;
    assert_eq!((offline.online, offline.address), (false, None));
    assert!(offline.last_seen.is_some());
    let bob = net.again(&bob).await;
    assert!(resolve(&mut alice, &bob.id().to_string()).await.online);
    let page = alice.page(List { online: true, ..everything() }).await;
    assert_eq!(page.peers.len(), 2);
    drop(bob);
    wait_until_async("bob is offline", async || !resolve(&mut alice, "bob").await.online).await;
    net.stop().await;
}

#[tokio::test]
async fn several_peers_behind_one_address_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, _bob) = (net.peer("alice").await, net.peer("bob").await);
    let address: PeerRef = "127.0.0.1:4000".parse().unwrap();
    assert_eq!(alice.refusal(Op::Resolve(address)).await.0, Code::Conflict);
    let mut carol = Client::connect(&net, SecretKey::generate().unwrap()).await;
    let mut register = Register { name: None, invite: None, password: None, sign_in: sign_in(1, Seq(0)) };
    register.sign_in.port = 4001;
    carol.enter(Op::Register(register)).await.unwrap();
    assert_eq!(resolve(&mut alice, "127.0.0.1:4001").await.id, carol.id());
    assert_eq!(alice.refusal(Op::Resolve("127.0.0.1:4002".parse().unwrap())).await.0, Code::NotFound);
    net.stop().await;
}

#[tokio::test]
async fn one_live_session_per_id() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut bob = net.peer("bob").await;
    let mut other = Client::connect(&net, bob.secret.clone()).await;
    let error = other.enter(Op::SignIn(sign_in(2, Seq(0)))).await.unwrap_err();
    assert_eq!(error.code, Code::Conflict);
    let mut forced = Client::connect(&net, bob.secret.clone()).await;
    let mut with_force = sign_in(2, Seq(0));
    with_force.force = true;
    forced.enter(Op::SignIn(with_force)).await.unwrap();
    assert!(
        matches!(bob.next().await, Some(FromDirectory::Notice(notice)) if notice.kind == NoticeKind::TakenOver)
    );
    assert_eq!(bob.next().await, None);
    let mut same = Client::connect(&net, bob.secret.clone()).await;
    same.enter(Op::SignIn(sign_in(2, Seq(0)))).await.unwrap();
    assert!(
        matches!(forced.next().await, Some(FromDirectory::Notice(n)) if n.kind == NoticeKind::Superseded)
    );
    assert!(resolve(&mut same, "bob").await.online);
    net.stop().await;
}

#[tokio::test]
async fn registering_again_with_the_same_key_gives_the_same_id() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let bob = net.peer("bob").await;
    let mut again = Client::connect(&net, bob.secret.clone()).await;
    let register = |name: &str| {
        Op::Register(Register {
            name: Some(name.parse().unwrap()),
            invite: None,
            password: None,
            sign_in: sign_in(1, Seq(0)),
        })
    };
    again.enter(register("bob")).await.unwrap();
    assert_eq!(again.id(), bob.id());
    let mut renamed = Client::connect(&net, bob.secret.clone()).await;
    assert_eq!(renamed.enter(register("robert")).await.unwrap_err().code, Code::Conflict);
    let mut thief = Client::connect(&net, SecretKey::generate().unwrap()).await;
    assert_eq!(thief.enter(register("bob")).await.unwrap_err().code, Code::Conflict);
    let mut stranger = Client::connect(&net, SecretKey::generate().unwrap()).await;
    assert_eq!(stranger.enter(Op::SignIn(sign_in(1, Seq(0)))).await.unwrap_err().code, Code::NotFound);
    net.stop().await;
}

#[tokio::test]
async fn a_shutdown_is_announced_to_every_peer() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let stopping = tokio::spawn(net.stop());
    for peer in [&mut alice, &mut bob] {
        assert!(
            matches!(peer.next().await, Some(FromDirectory::Notice(n)) if n.kind == NoticeKind::Shutdown)
        );
        assert_eq!(peer.next().await, None);
    }
    stopping.await.unwrap();
}
