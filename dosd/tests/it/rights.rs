//! Counts are exact: under concurrency, with lost replies, whatever an owner changes meanwhile.

use std::collections::HashSet;

use dos_protocol::{
    Allowance, Code, Reason, SealedHash, SplitId, Timestamp, ViewId,
    directory::ToDirectory,
    directory::{Answer, Checkin, Op, Share, Spend, SpendKind, Update, ViewedKind, ViewsChange},
    frame,
};
use dos_testing::wait_until_async;

use crate::{
    net::{Client, Net},
    shelf::{SHARE, share, spend, views},
};

#[tokio::test]
async fn a_view_is_counted_once_however_often_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    alice.share(sea.no, bob.id(), views(2)).await;
    let view = ViewId::generate();
    for _ in 0..3 {
        let spent = bob.spend(sea.no, view).await.unwrap();
        assert_eq!(
            (spent.share, spent.grant.views_left, spent.grant.views_used),
            (SHARE, Allowance::Views(1), 1)
        );
    }
    assert!(bob.spend(sea.no, ViewId::generate()).await.is_ok());
    let end = bob.spend(sea.no, ViewId::generate()).await.unwrap_err();
    assert_eq!((end.code, end.reason), (Code::Denied, Some(Reason::UsedUp)));
    assert!(bob.spend(sea.no, view).await.is_ok(), "a counted view is answered even when all are used");
    net.stop().await;
}

#[tokio::test]
async fn a_lost_reply_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    alice.share(sea.no, bob.id(), views(1)).await;
    let view = ViewId::generate();
    let request = ToDirectory::request(77, Op::Spend(spend(sea.no, view)));
    bob.send_bytes(&frame::to_frame(&request).unwrap()).await;
    // The connection dies with the reply on its way; the receipt tells when the view is counted.
    let mut bob = net.again(&bob).await;
    while !matches!(alice.update().await, Update::Viewed(_)) {}
    let spent = bob.spend(sea.no, view).await.unwrap();
    assert_eq!(spent.grant.views_used, 1);
    net.stop().await;
}

#[tokio::test]
async fn a_thousand_views_from_64_connections_are_exactly_a_thousand() {
    const GRANTED: u32 = 1000;
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut alice = net.peer("alice").await;
    let sea = alice.publish("sea", 1).await;
    // One viewer has one session; what 64 commands of its daemon ask comes pipelined over it, and so do checkouts.
    let mut bob = net.peer("bob").await;
    alice.share(sea.no, bob.id(), views(GRANTED)).await;
    let mut succeeded = 0u32;
    let mut refused = 0u32;
    for round in 0..20u32 {
        let mut out = Vec::new();
        for index in 0..64u32 {
            let kind = if index % 8 == 0 { SpendKind::Checkout } else { SpendKind::View };
            let op = Op::Spend(Spend { kind, ..spend(sea.no, ViewId::generate()) });
            frame::encode(&ToDirectory::request(1000 + round * 64 + index, op), &mut out).unwrap();
        }
        bob.send_bytes(&out).await;
        for _ in 0..64 {
            match bob.next().await.unwrap() {
                dos_protocol::directory::FromDirectory::Answer { .. } => succeeded += 1,
                dos_protocol::directory::FromDirectory::Refused { error, .. } => {
                    assert_eq!(error.reason, Some(Reason::UsedUp));
                    refused += 1;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!((succeeded, refused), (GRANTED, 280));
    let Ok(Answer::Grant(grant)) = bob.ask(Op::Grant { image: sea.no, viewer: bob.id() }).await else {
        panic!()
    };
    assert_eq!((grant.views_left, grant.views_used), (Allowance::Views(0), u64::from(GRANTED)));
    let mut receipts = HashSet::new();
    let mut used = 0;
    while receipts.len() < 1000 {
        if let Update::Viewed(viewed) = alice.update().await {
            assert!(receipts.insert(viewed.view), "a receipt came twice");
            used += 1;
            assert_eq!(viewed.grant.views_used, used, "receipts are out of order");
        }
        alice.acknowledge().await;
    }
    net.stop().await;
}

#[tokio::test]
async fn superseded_copies_and_shares_are_refused_before_anything_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    let good = spend(sea.no, ViewId::generate());
    assert_eq!(bob.refusal(Op::Spend(good.clone())).await.0, Code::Denied);
    alice.share(sea.no, bob.id(), views(1)).await;
    let copy = Spend { sealed: SealedHash::from([9; 32]), ..good.clone() };
    let split = Spend { split: SplitId::from([9; 16]), ..good.clone() };
    for stale in [copy, split] {
        assert_eq!(bob.refusal(Op::Spend(stale)).await.0, Code::Stale);
    }
    for wrong in [0, u32::MAX] {
        assert!(matches!(
            bob.refusal(Op::Spend(Spend { views: wrong, ..good.clone() })).await.0,
            Code::Invalid | Code::Denied
        ));
    }
    assert!(bob.ask(Op::Spend(good)).await.is_ok());
    net.stop().await;
}

#[tokio::test]
async fn a_revoked_right_gives_no_share_not_even_for_a_counted_view() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    alice.share(sea.no, bob.id(), views(5)).await;
    let view = ViewId::generate();
    assert!(bob.spend(sea.no, view).await.is_ok());
    let revoked = alice.share(sea.no, bob.id(), ViewsChange::Revoke).await;
    assert!(revoked.revoked);
    for view in [view, ViewId::generate()] {
        assert_eq!(bob.spend(sea.no, view).await.unwrap_err().reason, Some(Reason::Revoked));
    }
    let given = alice.share(sea.no, bob.id(), ViewsChange::Add(2)).await;
    assert_eq!((given.views_left, given.views_used, given.revoked), (Allowance::Views(2), 1, false));
    let carol = net.peer("carol").await;
    for change in [ViewsChange::Revoke, ViewsChange::Keep] {
        assert_eq!(alice.refusal(share(sea.no, carol.id(), change)).await.0, Code::NotFound);
    }
    net.stop().await;
}

#[tokio::test]
async fn unused_views_of_a_checkout_come_back_once() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    alice.share(sea.no, bob.id(), views(10)).await;
    let checkout = ViewId::generate();
    let take = Spend { views: 4, kind: SpendKind::Checkout, ..spend(sea.no, checkout) };
    assert!(bob.ask(Op::Spend(take)).await.is_ok());
    for _ in 0..2 {
        let back = Op::Checkin(Checkin { image: sea.no, checkout, unused: 3, given_up: 0 });
        let Ok(Answer::Grant(grant)) = bob.ask(back).await else { panic!() };
        assert_eq!((grant.views_left, grant.views_used), (Allowance::Views(9), 1));
    }
    let kinds: Vec<_> = [alice.update().await, alice.update().await, alice.update().await]
        .into_iter()
        .filter_map(|update| match update {
            Update::Viewed(viewed) => Some((viewed.kind, viewed.views)),
            _ => None,
        })
        .collect();
    assert_eq!(kinds, [(ViewedKind::Checkout, 4), (ViewedKind::Checkin, 3)]);
    let alien = Op::Checkin(Checkin { image: sea.no, checkout: ViewId::generate(), unused: 1, given_up: 0 });
    assert_eq!(bob.refusal(alien).await.0, Code::NotFound);
    net.stop().await;
}

async fn refused(client: &mut Client, spend: Spend) -> Option<Reason> {
    let error = client.ask(Op::Spend(spend)).await.unwrap_err();
    assert_eq!(error.code, Code::Denied);
    error.reason
}

#[tokio::test]
async fn a_view_id_that_is_over_gets_the_share_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let mut carol = net.peer("carol").await;
    let sea = alice.publish("sea", 1).await;
    alice.share(sea.no, bob.id(), views(10)).await;
    let (view, checkout) = (ViewId::generate(), ViewId::generate());
    let take = || Spend { views: 2, kind: SpendKind::Checkout, ..spend(sea.no, checkout) };
    assert!(bob.spend(sea.no, view).await.is_ok());
    assert!(bob.ask(Op::Spend(take())).await.is_ok());

    // Another peer closes nothing; unknown ones are passed over.
    let both = || Op::CloseViews(vec![view, ViewId::generate(), checkout]);
    assert_eq!(carol.ask(both()).await.unwrap(), Answer::Done);
    assert!(bob.spend(sea.no, view).await.is_ok());
    for _ in 0..2 {
        assert_eq!(bob.ask(both()).await.unwrap(), Answer::Done);
        for over in [spend(sea.no, view), take()] {
            assert_eq!(refused(&mut bob, over).await, Some(Reason::ViewClosed));
        }
    }
    let back = Op::Checkin(Checkin { image: sea.no, checkout, unused: 1, given_up: 0 });
    let Ok(Answer::Grant(grant)) = bob.ask(back).await else { panic!() };
    assert_eq!((grant.views_left, grant.views_used, grant.returned), (Allowance::Views(8), 2, 1));
    assert_eq!(refused(&mut bob, take()).await, Some(Reason::ViewClosed));
    let many = Op::CloseViews(vec![view; dos_protocol::limits::VIEWS_CLOSED_MAX + 1]);
    assert_eq!(bob.refusal(many).await.0, Code::Invalid);
    net.stop().await;
}

#[tokio::test]
async fn an_expired_right_gives_no_share_not_even_for_a_counted_view() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    alice.share(sea.no, bob.id(), views(5)).await;
    let view = ViewId::generate();
    assert!(bob.spend(sea.no, view).await.is_ok());
    let Op::Share(keep) = share(sea.no, bob.id(), ViewsChange::Keep) else { panic!() };
    let short = Op::Share(Share { lasts_ms: Some(1), ..keep.clone() });
    assert!(alice.ask(short).await.is_ok());
    // It may take a moment until the millisecond is over.
    wait_until_async("the right has expired", async || bob.spend(sea.no, view).await.is_err()).await;
    for view in [view, ViewId::generate()] {
        assert_eq!(refused(&mut bob, spend(sea.no, view)).await, Some(Reason::Expired));
    }
    let again = Op::Share(Share { lasts_ms: Some(3_600_000), ..keep });
    let Ok(Answer::Grant(grant)) = alice.ask(again).await else { panic!() };
    assert!(grant.expires_at > Some(Timestamp::now()));
    assert!(bob.spend(sea.no, view).await.is_ok());
    net.stop().await;
}

#[tokio::test]
async fn a_directory_says_what_time_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let before = Timestamp::now();
    let bob = net.peer("bob").await;
    let told = bob.signed_in.unwrap().now.unwrap();
    assert!(before <= told && told <= Timestamp::now());
    net.stop().await;
}
