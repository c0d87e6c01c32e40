//! Every limit, reached: what is refused, and what goes on.

use dos_protocol::{
    Code, MessageId, Reason, ViewId, WireError,
    directory::{Answer, Op, Publish, RequestAccess, Send, ViewsChange},
    key::SecretKey,
    limits::INBOX_ROWS_PER_SENDER,
    model::PeerRef,
};
use dos_testing::wait_until_async;
use dosd::config::{FileConfig, Registration};

use crate::{
    net::{Client, Net, register},
    shelf::{publication, share, views},
};

fn open() -> FileConfig {
    FileConfig { registration: Some(Registration::Open), ..FileConfig::default() }
}

fn message(to: &Client) -> Op {
    let text = "hello".into();
    Op::Send(Send { message: MessageId::generate(), to: PeerRef::Id(to.id()), text, sealed: None })
}

/// What the refusal by this limit says.
fn assert_limit(refused: &WireError, limit: &str, can_wait: bool) {
    assert_eq!((refused.code, refused.reason), (Code::Denied, Some(Reason::Limit)), "{refused:?}");
    assert!(refused.message.ends_with(&format!("(limit {limit})")), "{refused:?}");
    assert_eq!(refused.retry_after_ms.is_some(), can_wait, "{refused:?}");
}

#[tokio::test]
async fn requests_are_paced_and_a_sign_out_is_always_heard() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start_with(dir.path(), FileConfig { requests_per_second: Some(1), ..open() });
    let mut alice = net.peer("alice").await;
    let mut taken = 0;
    let refused = loop {
        match alice.ask(Op::Blocks).await {
            Ok(_) => taken += 1,
            Err(refused) => break refused,
        }
        assert!(taken <= 12, "nothing limits it");
    };
    assert!((10..=12).contains(&taken), "ten seconds' worth come at once: {taken}");
    assert_limit(&refused, "requests_per_second", true);
    assert!(refused.retry_after_ms <= Some(1000));
    alice.sign_out().await;
    // Connecting anew gives nothing back, but for the time that it took.
    let mut alice = net.again(&alice).await;
    let mut refused = None;
    for _ in 0..5 {
        refused = alice.ask(Op::Blocks).await.err().or(refused);
    }
    assert_limit(&refused.expect("a new connection gives the allowance back"), "requests_per_second", true);
    net.stop().await;
}

#[tokio::test]
async fn messages_are_counted_by_the_minute_and_by_what_waits() {
    let dir = tempfile::tempdir().unwrap();
    let said = FileConfig { messages_per_minute: Some(4), inbox_rows_per_sender: Some(2), ..open() };
    let net = Net::start_with(dir.path(), said);
    let (mut alice, mut bob, mut carol) =
        (net.peer("alice").await, net.peer("bob").await, net.peer("carol").await);
    bob.sign_out().await;
    for _ in 0..2 {
        alice.ask(message(&bob)).await.unwrap();
    }
    assert_limit(&alice.ask(message(&bob)).await.unwrap_err(), "inbox_rows_per_sender", false);
    carol.ask(message(&bob)).await.unwrap();
    alice.ask(message(&carol)).await.unwrap();
    assert_limit(&alice.ask(message(&carol)).await.unwrap_err(), "messages_per_minute", true);
    net.stop().await;
}

#[tokio::test]
async fn a_full_inbox_takes_no_more_than_its_peer_must_learn() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start_with(dir.path(), FileConfig { inbox_rows_max: Some(3), ..open() });
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let (sea, hill) = (alice.publish("sea", 1).await, alice.publish("hill", 2).await);
    bob.sign_out().await;
    alice.share(sea.no, bob.id(), views(1)).await;
    let refused =
        |outcome: Result<Answer, WireError>| assert_limit(&outcome.unwrap_err(), "inbox_rows_max", false);
    refused(alice.ask(share(hill.no, bob.id(), views(9))).await);
    refused(alice.ask(message(&bob)).await);
    for count in 2..=16 {
        alice.share(sea.no, bob.id(), views(count)).await;
    }
    refused(alice.ask(share(sea.no, bob.id(), views(17))).await);
    let revoked = alice.share(sea.no, bob.id(), ViewsChange::Revoke).await;
    assert!(revoked.revoked, "a grant can always be revoked");
    alice.share(sea.no, bob.id(), ViewsChange::Revoke).await;
    let mut bob = net.again(&bob).await;
    let updates = bob.signed_in.as_ref().unwrap().latest.0 - bob.signed_in.as_ref().unwrap().since.0;
    assert_eq!(updates, 17, "a revocation comes once");
    for _ in 0..updates {
        bob.update().await;
    }
    // She has granted something to him, and has not acknowledged the receipts of that.
    let image = format!("{}/sea", alice.id()).parse().unwrap();
    bob.ask(Op::Request(RequestAccess { image, views: 1, note: None, offline: false })).await.unwrap();
    let mut carol = net.peer("carol").await;
    refused(carol.ask(message(&alice)).await);
    net.stop().await;
}

#[tokio::test]
async fn bytes_are_counted_by_recipient_and_by_sender() {
    let dir = tempfile::tempdir().unwrap();
    let text = |to: &Client, bytes: usize| {
        let text = "x".repeat(bytes).into();
        Op::Send(Send { message: MessageId::generate(), to: PeerRef::Id(to.id()), text, sealed: None })
    };
    let said = FileConfig { inbox_bytes_max: Some(80_000), sent_bytes_per_peer: Some(16_000), ..open() };
    let net = Net::start_with(dir.path(), said);
    let (mut alice, mut bob, mut carol) =
        (net.peer("alice").await, net.peer("bob").await, net.peer("carol").await);
    bob.sign_out().await;
    carol.sign_out().await;
    assert_limit(&alice.ask(text(&bob, 10_001)).await.unwrap_err(), "inbox_bytes_max", false);
    alice.ask(text(&bob, 9_000)).await.unwrap();
    assert_limit(&alice.ask(text(&bob, 1_000)).await.unwrap_err(), "inbox_bytes_max", false);
    assert_limit(&alice.ask(text(&carol, 7_000)).await.unwrap_err(), "sent_bytes_per_peer", false);
    alice.ask(text(&carol, 5_000)).await.unwrap();
    let mut bob = net.again(&bob).await;
    bob.update().await;
    bob.acknowledge().await;
    bob.sign_out().await;
    alice.ask(text(&bob, 9_000)).await.unwrap();
    net.stop().await;
    assert_eq!(dosd::store::check(&dir.path().join("dosd.db")).unwrap().findings, Vec::<Box<str>>::new());
}

#[tokio::test]
async fn views_are_counted_by_the_minute() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start_with(dir.path(), FileConfig { views_per_minute: Some(2), ..open() });
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    alice.share(sea.no, bob.id(), views(9)).await;
    for _ in 0..2 {
        bob.spend(sea.no, ViewId::generate()).await.unwrap();
    }
    assert_limit(&bob.spend(sea.no, ViewId::generate()).await.unwrap_err(), "views_per_minute", true);
    net.stop().await;
}

#[tokio::test]
async fn images_and_previews_have_their_quota_which_replacing_respects() {
    let dir = tempfile::tempdir().unwrap();
    // A preview of the tests has ten bytes.
    let said = FileConfig { images_per_peer: Some(3), preview_bytes_per_peer: Some(20), ..open() };
    let net = Net::start_with(dir.path(), said);
    let mut alice = net.peer("alice").await;
    let one = alice.publish("one", 1).await;
    alice.publish("two", 2).await;
    let third = || Op::Publish(Box::new(publication("three", 3)));
    assert_limit(&alice.ask(third()).await.unwrap_err(), "preview_bytes_per_peer", false);
    let again = Publish { replace: true, ..publication("two", 4) };
    alice.ask(Op::Publish(Box::new(again))).await.unwrap();
    alice.ask(Op::Remove(one.no)).await.unwrap();
    alice.ask(third()).await.unwrap();
    net.stop().await;

    let net = Net::start_with(dir.path(), FileConfig { images_per_peer: Some(2), ..open() });
    let mut alice = net.again(&alice).await;
    let fourth = Op::Publish(Box::new(publication("four", 5)));
    assert_limit(&alice.ask(fourth).await.unwrap_err(), "images_per_peer", false);
    net.stop().await;
}

#[tokio::test]
async fn sessions_are_counted_by_address_and_in_all_and_freed() {
    let dir = tempfile::tempdir().unwrap();
    for (said, limit) in [
        (FileConfig { sessions_per_address: Some(2), ..open() }, "sessions_per_address"),
        (FileConfig { sessions_max: Some(2), ..open() }, "sessions_max"),
    ] {
        let net = Net::start_with(dir.path(), said);
        let (mut one, _two) = (net.peer(&format!("{limit}.1")).await, net.peer(&format!("{limit}.2")).await);
        let mut third = Client::connect(&net, SecretKey::generate().unwrap()).await;
        let name = format!("{limit}.3");
        assert_limit(&third.enter(register(&name, None)).await.unwrap_err(), limit, true);
        one.sign_out().await;
        // The place is free when the session has ended.
        wait_until_async("the place is free", async || {
            let mut third = Client::connect(&net, third.secret.clone()).await;
            third.enter(register(&name, None)).await.is_ok()
        })
        .await;
        net.stop().await;
    }
}

#[tokio::test]
async fn handshakes_beyond_the_limit_are_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start_with(dir.path(), FileConfig { handshakes_per_minute: Some(3), ..open() });
    let _peers = [net.peer("one").await, net.peer("two").await, net.peer("three").await];
    assert!(!Client::can_connect(&net).await);
    net.stop().await;
}

#[test]
fn what_waits_of_one_sender_is_less_than_what_waits_in_all() {
    let limits = dosd::limits::Limits::default();
    assert!(limits.inbox_rows_per_sender < limits.inbox_rows_max);
    assert_eq!(limits.inbox_rows_per_sender, INBOX_ROWS_PER_SENDER);
}
