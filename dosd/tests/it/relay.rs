//! Two peers that meet at the directory's port, and all who try to abuse that.

use std::time::{Duration, Instant};

use dos_protocol::{
    Code, PeerId, Reason,
    directory::{Answer, Call, FromDirectory, Op, RELAY_MAGIC, RELAY_OPEN, Ticket},
    limits::RELAY_CALLS_PER_PAIR,
};
use dos_testing::wait_until_async;
use dosd::config::{FileConfig, Switch};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::net::{Client, Net, PATIENCE, open_to_all};

/// A directory with these settings, and two peers.
async fn stage(said: FileConfig) -> (tempfile::TempDir, Net, Client, Client) {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start_with(dir.path(), said);
    let (alice, bob) = (net.peer("alice").await, net.peer("bob").await);
    (dir, net, alice, bob)
}

async fn ask(caller: &mut Client, to: PeerId) -> Ticket {
    let Ok(Answer::Ticket(ticket)) = caller.ask(Op::Relay(to)).await else { panic!("no ticket") };
    ticket
}

/// A connection that brings a ticket.
async fn bring(net: &Net, ticket: &Ticket) -> TcpStream {
    let mut stream = TcpStream::connect(net.address).await.unwrap();
    stream.write_all(&[RELAY_MAGIC.as_slice(), ticket.as_bytes()].concat()).await.unwrap();
    stream
}

/// A call that is open.
async fn open(net: &Net, ticket: &Ticket) -> (TcpStream, TcpStream) {
    let (mut near, mut far) = (bring(net, ticket).await, bring(net, ticket).await);
    for side in [&mut near, &mut far] {
        assert_eq!(timeout(PATIENCE, side.read_u8()).await.unwrap().unwrap(), RELAY_OPEN);
    }
    (near, far)
}

async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    // A connection that is reset has ended, too.
    drop(timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("the connection stays open"));
    rest
}

#[tokio::test]
async fn a_call_is_told_and_carries_bytes_both_ways_until_both_have_ended() {
    let (_dir, net, mut alice, mut bob) = stage(open_to_all()).await;
    let ticket = ask(&mut bob, alice.id()).await;
    assert_eq!(alice.next().await, Some(FromDirectory::Call(Call { ticket, from: bob.id(), at: None })));
    let (mut near, mut far) = open(&net, &ticket).await;
    let sent: Vec<u8> = (0..3_000_000_u32).map(|at| at.to_le_bytes()[usize::from(at % 3 == 0)]).collect();
    let (sending, got) = tokio::join!(
        async {
            near.write_all(&sent).await.unwrap();
            near.shutdown().await.unwrap();
        },
        read_to_end(&mut far)
    );
    let () = sending;
    assert!(got == sent, "damaged on the way");
    // The other direction is still there.
    far.write_all(b"thanks").await.unwrap();
    far.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut near).await, b"thanks");
    net.stop().await;
}

#[tokio::test]
async fn a_ticket_is_good_for_two_connections_and_no_more() {
    let (_dir, net, alice, mut bob) = stage(open_to_all()).await;
    let ticket = ask(&mut bob, alice.id()).await;
    let (mut near, mut far) = open(&net, &ticket).await;
    assert_eq!(read_to_end(&mut bring(&net, &ticket).await).await, b"");
    near.write_all(b"x").await.unwrap();
    assert_eq!(timeout(PATIENCE, far.read_u8()).await.unwrap().unwrap(), b'x');
    drop((near, far));
    assert_eq!(read_to_end(&mut bring(&net, &ticket).await).await, b"", "not after the call either");
    net.stop().await;
}

#[tokio::test]
async fn a_wrong_ticket_and_what_is_none_are_hung_up_on() {
    let (_dir, net, alice, mut bob) = stage(open_to_all()).await;
    assert_eq!(read_to_end(&mut bring(&net, &Ticket::from([7; 32])).await).await, b"");
    let ticket = ask(&mut bob, alice.id()).await;
    let mut stream = TcpStream::connect(net.address).await.unwrap();
    stream.write_all(&[b"DOSX".as_slice(), ticket.as_bytes()].concat()).await.unwrap();
    assert_eq!(read_to_end(&mut stream).await, b"");
    drop(open(&net, &ticket).await);
    net.stop().await;
}

#[tokio::test]
async fn only_peers_that_are_online_are_called_and_nobody_calls_itself() {
    let (_dir, net, mut alice, mut bob) = stage(open_to_all()).await;
    let Ok(Answer::Contact(contact)) = bob.ask(Op::Contact(alice.id())).await else { panic!("no contact") };
    assert!(contact.online && contact.relay);
    let own = bob.id();
    assert_eq!(bob.refusal(Op::Relay(own)).await.0, Code::Invalid);
    alice.sign_out().await;
    assert_eq!(bob.refusal(Op::Relay(alice.id())).await.0, Code::Offline);
    let Ok(Answer::Contact(contact)) = bob.ask(Op::Contact(alice.id())).await else { panic!("no contact") };
    assert!(!contact.online && !contact.relay && contact.addresses.is_empty());
    net.stop().await;
}

#[tokio::test]
async fn a_blocked_peer_cannot_call_and_the_blocker_can() {
    let (_dir, net, mut alice, mut bob) = stage(open_to_all()).await;
    let theirs = ask(&mut bob, alice.id()).await;
    assert_eq!(
        alice.next().await,
        Some(FromDirectory::Call(Call { ticket: theirs, from: bob.id(), at: None }))
    );
    let own = ask(&mut alice, bob.id()).await;
    assert_eq!(bob.next().await, Some(FromDirectory::Call(Call { ticket: own, from: alice.id(), at: None })));
    let (mut caller, mut called) = open(&net, &theirs).await;
    alice.ask(Op::Block("bob".parse().unwrap())).await.unwrap();
    // The call of the blocked peer ends; that of the blocker still waits for its sides.
    assert_eq!(read_to_end(&mut caller).await, b"");
    assert_eq!(read_to_end(&mut called).await, b"");
    drop(open(&net, &own).await);
    let error = bob.ask(Op::Relay(alice.id())).await.unwrap_err();
    assert_eq!((error.code, error.reason), (Code::Offline, None), "as if she was not there");
    let Ok(Answer::Contact(contact)) = bob.ask(Op::Contact(alice.id())).await else { panic!("no contact") };
    assert!(!contact.relay);
    let ticket = ask(&mut alice, bob.id()).await;
    assert_eq!(bob.next().await, Some(FromDirectory::Call(Call { ticket, from: alice.id(), at: None })));
    alice.ask(Op::Unblock("bob".parse().unwrap())).await.unwrap();
    ask(&mut bob, alice.id()).await;
    net.stop().await;
}

#[tokio::test]
async fn where_the_relay_is_off_nobody_is_called() {
    let said = FileConfig { relay: Some(Switch::Off), ..open_to_all() };
    let (_dir, net, alice, mut bob) = stage(said).await;
    assert_eq!(bob.refusal(Op::Relay(alice.id())).await.0, Code::Denied);
    let Ok(Answer::Contact(contact)) = bob.ask(Op::Contact(alice.id())).await else { panic!("no contact") };
    assert!(contact.online && !contact.relay);
    net.stop().await;
}

#[tokio::test]
async fn one_call_too_many_is_refused_until_another_has_ended() {
    let (_dir, net, alice, mut bob) = stage(open_to_all()).await;
    let mut open_calls = Vec::new();
    for _ in 0..RELAY_CALLS_PER_PAIR {
        open_calls.push(open(&net, &ask(&mut bob, alice.id()).await).await);
    }
    let error = bob.ask(Op::Relay(alice.id())).await.unwrap_err();
    assert_eq!((error.code, error.reason), (Code::Denied, Some(Reason::Limit)));
    assert!(error.retry_after_ms.is_some());
    drop(open_calls.pop());
    let again = async || bob.ask(Op::Relay(alice.id())).await.is_ok();
    wait_until_async("the place is given back", again).await;
    // By the one that has ended, and by no other.
    for (near, far) in &mut open_calls {
        near.write_all(b"x").await.unwrap();
        assert_eq!(far.read_u8().await.unwrap(), b'x');
    }
    net.stop().await;
}

#[tokio::test]
async fn a_call_on_which_nothing_moves_is_ended() {
    let said = FileConfig { relay_idle: Some(Duration::from_secs(1)), ..open_to_all() };
    let (_dir, net, alice, mut bob) = stage(said).await;
    let (mut near, mut far) = open(&net, &ask(&mut bob, alice.id()).await).await;
    let start = Instant::now();
    near.write_all(b"x").await.unwrap();
    assert_eq!(read_to_end(&mut far).await, b"x");
    assert!(start.elapsed() >= Duration::from_millis(900), "{:?}", start.elapsed());
    assert_eq!(read_to_end(&mut near).await, b"");
    net.stop().await;
}

#[tokio::test]
async fn bytes_come_no_faster_than_the_operator_allows_and_the_wait_is_not_idleness() {
    let said = FileConfig {
        relay_bytes_per_second_per_peer: Some(20_000),
        relay_idle: Some(Duration::from_secs(1)),
        ..open_to_all()
    };
    let (_dir, net, alice, mut bob) = stage(said).await;
    let (mut near, mut far) = open(&net, &ask(&mut bob, alice.id()).await).await;
    let start = Instant::now();
    near.write_all(&[1; 30_000]).await.unwrap();
    near.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut far).await.len(), 30_000);
    assert!(start.elapsed() >= Duration::from_millis(1300), "{:?}", start.elapsed());
    net.stop().await;
}

#[tokio::test]
async fn what_a_side_does_not_take_is_not_read_from_the_other() {
    let (_dir, net, alice, mut bob) = stage(open_to_all()).await;
    let (mut near, mut far) = open(&net, &ask(&mut bob, alice.id()).await).await;
    let (mut taken, piece) = (0, vec![7; 1 << 20]);
    while let Ok(written) = timeout(Duration::from_secs(1), near.write(&piece)).await {
        taken += written.unwrap();
        // Far more than all buffers on the way hold.
        assert!(taken < 64 << 20, "the directory takes what nobody reads");
    }
    near.shutdown().await.unwrap();
    let got = read_to_end(&mut far).await;
    assert_eq!(got.len(), taken, "what was taken arrives once it is read");
    net.stop().await;
}

#[tokio::test]
async fn a_shutdown_ends_calls() {
    let (_dir, net, alice, mut bob) = stage(open_to_all()).await;
    let (mut near, _far) = open(&net, &ask(&mut bob, alice.id()).await).await;
    let mut waiting = bring(&net, &ask(&mut bob, alice.id()).await).await;
    let start = Instant::now();
    net.stop().await;
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!(read_to_end(&mut near).await, b"");
    assert_eq!(read_to_end(&mut waiting).await, b"");
}
