//! Every limit, reached: what is refused, and what goes on.

use dos_protocol::{
    Code, MessageId, Reason, WireError,
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
    let sea = alice.publish("sea", 1).await;
    bob.sign_out().await;
    for count in 1..=3 {
        alice.share(sea.no, bob.id(), views(count)).await;
    }
    let refused =
        |outcome: Result<Answer, WireError>| assert_limit(&outcome.unwrap_err(), "inbox_rows_max", false);
    refused(alice.ask(share(sea.no, bob.id(), views(9))).await);
    refused(alice.ask(message(&bob)).await);
    let revoked = alice.share(sea.no, bob.id(), ViewsChange::Revoke).await;
    assert!(revoked.revoked, "a grant can always be revoked");
    let mut bob = net.again(&bob).await;
    for _ in 0..4 {
        bob.update().await;
    }
    let image = format!("{}/sea", alice.id()).parse().unwrap();
    // Alice has not acknowledged the receipts of what she did herself.
    refused(bob.ask(Op::Request(RequestAccess { image, views: 1, note: None, offline: false })).await);
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
