//! Messages and broadcasts: taken once, delivered in order, and what is said of how far they got.

use dos_protocol::{
    Code, MessageId, PeerId, Reason, Seq,
    directory::{
        Answer, Broadcast, Delivery, FromDirectory, InboxMessage, NoticeKind, Op, Register, Send, Sent,
        ToDirectory, Update,
    },
    key::SecretKey,
    limits::{DELIVERY_TIME_MAX, MESSAGE_BYTES_MAX},
};
use dosd::config::{FileConfig, Registration, Switch};
use tokio::time::Instant;

use crate::net::{Client, Net, sign_in};

pub(crate) fn message(to: &str, text: &str) -> Op {
    Op::Send(Send {
        message: MessageId::generate(),
        to: to.parse().unwrap(),
        text: text.into(),
        sealed: None,
    })
}

impl Client {
    /// Sends a message.
    pub(crate) async fn write_to(&mut self, op: Op) -> Sent {
        match self.ask(op).await {
            Ok(Answer::Sent(sent)) => *sent,
            other => panic!("{other:?}"),
        }
    }

    /// The next update, which is a message.
    pub(crate) async fn letter(&mut self) -> InboxMessage {
        match self.update().await {
            Update::Message(letter) => *letter,
            other => panic!("{other:?}"),
        }
    }

    /// Returns when the directory has handled everything that was sent to it before.
    pub(crate) async fn settle(&mut self) {
        self.ask(Op::Blocks).await.unwrap();
    }

    /// Stores whatever comes, until `writing` is done.
    pub(crate) async fn store_while<T>(&mut self, writing: impl Future<Output = T>) -> T {
        tokio::pin!(writing);
        loop {
            tokio::select! {
                done = &mut writing => return done,
                letter = self.letter() => {
                    self.read.push(letter);
                    self.acknowledge().await;
                }
            }
        }
    }

    fn texts(&mut self) -> Vec<Box<str>> {
        self.read.drain(..).map(|letter| letter.text).collect()
    }
}

/// A peer that is reached at a port of its own.
pub(crate) async fn peer_at(net: &Net, name: &str, port: u16) -> Client {
    let mut client = Client::connect(net, SecretKey::generate().unwrap()).await;
    let mut sign_in = sign_in(1, Seq(0));
    sign_in.port = port;
    let name = Some(name.parse().unwrap());
    client.enter(Op::Register(Register { name, invite: None, password: None, sign_in })).await.unwrap();
    client
}

#[tokio::test]
async fn a_message_to_an_online_peer_is_delivered_by_id_name_and_address() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, peer_at(&net, "bob", 4001).await);
    for to in ["bob", &bob.id().to_string(), "127.0.0.1:4001"] {
        let bobs = bob.id();
        let sent = bob.store_while(alice.write_to(message(to, "hello\nbob"))).await;
        assert_eq!((sent.to, sent.delivery), (bobs, Delivery::Delivered), "{to}");
        assert_eq!(sent.to_name, Some("bob".parse().unwrap()));
        let letter = bob.read.pop().unwrap();
        assert_eq!((letter.from, &*letter.text, letter.sent_at), (alice.id(), "hello\nbob", sent.at));
        assert_eq!(letter.from_name, Some("alice".parse().unwrap()));
    }
    net.stop().await;
}

#[tokio::test]
async fn messages_to_an_absent_peer_wait_in_order_and_come_once_through_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    bob.sign_out().await;
    let first = message("bob", "0");
    let sent = alice.write_to(first.clone()).await;
    assert_eq!((sent.to, sent.delivery), (bob.id(), Delivery::Queued));
    for number in 1..5 {
        assert_eq!(alice.write_to(message("bob", &number.to_string())).await.delivery, Delivery::Queued);
    }
    assert_eq!(alice.write_to(first.clone()).await, sent, "the same message again");
    let address = net.address;
    net.stop().await;

    let net = Net::start_at(dir.path(), address);
    let mut alice = net.again(&alice).await;
    assert_eq!(alice.write_to(first.clone()).await, sent, "the same message after a restart");
    let mut bob = net.again(&bob).await;
    for number in 0..5 {
        assert_eq!(*bob.letter().await.text, *number.to_string());
    }
    bob.acknowledge().await;
    bob.settle().await;
    let stored = alice.write_to(first.clone()).await;
    assert_eq!(stored, Sent { delivery: Delivery::Delivered, ..sent });
    bob.sign_out().await;
    assert_eq!(alice.write_to(first).await, stored, "what was stored stays delivered");
    assert_eq!(net.again(&bob).await.signed_in.unwrap().latest, Seq(5));
    net.stop().await;
}

#[tokio::test]
async fn a_sender_that_lost_the_answer_repeats_the_message_and_it_arrives_once() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    for round in 0..20 {
        let op = message("bob", &round.to_string());
        alice.send(&ToDirectory::request(1_000, op.clone())).await;
        let again = net.again(&alice).await;
        drop(std::mem::replace(&mut alice, again));
        assert_eq!(bob.store_while(alice.write_to(op)).await.delivery, Delivery::Delivered);
    }
    bob.settle().await;
    let expected: Vec<Box<str>> = (0..20).map(|round| round.to_string().into()).collect();
    assert_eq!(bob.texts(), expected);
    net.stop().await;
}

#[tokio::test]
async fn a_peer_that_acknowledges_nothing_makes_it_queued_in_bounded_time() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let (op, began) = (message("bob", "well?"), Instant::now());
    let sent = alice.write_to(op.clone()).await;
    assert_eq!(sent.delivery, Delivery::Queued);
    assert!((DELIVERY_TIME_MAX..DELIVERY_TIME_MAX * 3).contains(&began.elapsed()), "{:?}", began.elapsed());
    bob.letter().await;
    bob.acknowledge().await;
    bob.settle().await;
    assert_eq!(alice.write_to(op).await, Sent { delivery: Delivery::Delivered, ..sent });
    net.stop().await;
}

#[tokio::test]
async fn nobody_waits_for_a_session_that_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let began = Instant::now();
    let sending = alice.write_to(message("bob", "still there?"));
    let leaving = async {
        bob.letter().await;
        drop(bob);
    };
    assert_eq!(tokio::join!(sending, leaving).0.delivery, Delivery::Queued);
    assert!(began.elapsed() < DELIVERY_TIME_MAX, "{:?}", began.elapsed());
    net.stop().await;
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_two_who_wait_for_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    alice.send(&ToDirectory::request(77, message("bob", "you first"))).await;
    bob.send(&ToDirectory::request(77, message("alice", "no, you"))).await;
    alice.letter().await;
    bob.letter().await;
    let began = Instant::now();
    let stopping = tokio::spawn(net.stop());
    for peer in [&mut alice, &mut bob] {
        let answer = peer.next().await;
        assert!(
            matches!(&answer, Some(FromDirectory::Answer { id: 77, answer: Answer::Sent(sent) })
                if sent.delivery == Delivery::Queued),
            "{answer:?}"
        );
        assert!(
            matches!(peer.next().await, Some(FromDirectory::Notice(n)) if n.kind == NoticeKind::Shutdown)
        );
    }
    stopping.await.unwrap();
    assert!(began.elapsed() < DELIVERY_TIME_MAX, "{:?}", began.elapsed());
}

#[tokio::test]
async fn messages_to_nobody_to_oneself_and_without_a_fitting_text_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let nobody = PeerId::from_number(PeerId::COUNT / 2).unwrap().to_string();
    for to in ["carol", &nobody, "127.0.0.1:4711"] {
        assert_eq!(alice.refusal(message(to, "hello")).await.0, Code::NotFound, "{to}");
    }
    assert_eq!(alice.refusal(message("127.0.0.1:4000", "hello")).await.0, Code::Conflict, "there are two");
    assert_eq!(alice.refusal(message("alice", "hello")).await.0, Code::Invalid);
    let long = "ä".repeat(MESSAGE_BYTES_MAX / 2);
    for text in ["", " \n\t", &format!("{long}.")] {
        assert_eq!(alice.refusal(message("bob", text)).await.0, Code::Invalid);
    }
    assert_eq!(bob.store_while(alice.write_to(message("bob", &long))).await.delivery, Delivery::Delivered);
    assert_eq!(bob.texts(), [long.into()]);
    net.stop().await;
}

#[tokio::test]
async fn a_message_by_address_can_be_repeated_when_nobody_is_there_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, peer_at(&net, "bob", 4001).await);
    let op = message("127.0.0.1:4001", "hello");
    let sent = bob.store_while(alice.write_to(op.clone())).await;
    bob.sign_out().await;
    assert_eq!(alice.write_to(op).await, sent);
    assert_eq!(alice.refusal(message("127.0.0.1:4001", "again")).await.0, Code::NotFound);
    net.stop().await;
}

fn broadcast(text: &str) -> Op {
    Op::Broadcast(Broadcast { message: MessageId::generate(), text: text.into(), signature: None })
}

async fn heard(client: &mut Client) -> InboxMessage {
    match client.next().await {
        Some(FromDirectory::Broadcast(letter)) => *letter,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_broadcast_reaches_everybody_who_is_online_and_has_not_blocked_the_sender() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let (mut carol, mut absent) = (net.peer("carol").await, net.peer("absent").await);
    absent.sign_out().await;
    assert!(carol.ask(Op::Block("alice".parse().unwrap())).await.is_ok());
    assert_eq!(alice.ask(broadcast("tea?")).await, Ok(Answer::Told(1)));
    let letter = heard(&mut bob).await;
    assert_eq!((letter.from, &*letter.text), (alice.id(), "tea?"));
    assert_eq!(bob.ask(broadcast("yes")).await, Ok(Answer::Told(2)));
    assert_eq!(&*heard(&mut carol).await.text, "yes", "the first that comes, since she has blocked alice");
    assert_eq!(&*heard(&mut alice).await.text, "yes");
    assert_eq!(net.again(&absent).await.signed_in.unwrap().latest, Seq(0), "nothing is kept");
    assert_eq!(alice.refusal(broadcast("  ")).await.0, Code::Invalid);
    net.stop().await;
}

#[tokio::test]
async fn broadcasts_are_limited_for_each_peer_and_can_be_switched_off() {
    let dir = tempfile::tempdir().unwrap();
    let said = |broadcast| FileConfig {
        registration: Some(Registration::Open),
        broadcast: Some(broadcast),
        broadcasts_per_minute: Some(2),
        ..FileConfig::default()
    };
    let net = Net::start_with(dir.path(), said(Switch::On));
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    for _ in 0..2 {
        assert_eq!(alice.ask(broadcast("me")).await, Ok(Answer::Told(1)));
        heard(&mut bob).await;
    }
    let error = alice.ask(broadcast("me")).await.unwrap_err();
    assert_eq!((error.code, error.reason), (Code::Denied, Some(Reason::Limit)));
    assert!(error.retry_after_ms.is_some_and(|wait| (1..=30_000).contains(&wait)), "{error:?}");
    let mut alice = net.again(&alice).await;
    assert_eq!(alice.refusal(broadcast("me")).await.0, Code::Denied, "another session is no way round it");
    assert_eq!(bob.ask(broadcast("you")).await, Ok(Answer::Told(1)), "others are not concerned");
    net.stop().await;

    let net = Net::start_with(dir.path(), said(Switch::Off));
    let mut bob = net.again(&bob).await;
    assert_eq!(bob.refusal(broadcast("you")).await.0, Code::Denied);
    net.stop().await;
}
