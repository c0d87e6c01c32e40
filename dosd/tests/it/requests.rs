//! Asking and answering.

use dos_protocol::{
    Allowance, Code, Reason, SplitId,
    directory::{Answer, Decide, Decision, KeyShare, Op, Request, RequestAccess, RequestState, Update},
    limits::REQUESTS_PENDING_MAX,
    model::{AccessState, ImageArg},
};

use crate::{
    net::{Client, Net},
    shelf::{SHARE, SPLIT},
};

fn ask(image: &str, views: u32) -> Op {
    Op::Request(RequestAccess {
        image: image.parse::<ImageArg>().unwrap(),
        views,
        offline: false,
        note: Some("please".into()),
    })
}

fn decide(request: u64, decision: Decision) -> Op {
    Op::Decide(Decide { request, decision })
}

fn approve(views: Option<u32>) -> Decision {
    let key = KeyShare { split: SplitId::from(SPLIT), share: SHARE, check: None };
    Decision::Approve { views, key, allow_offline: None }
}

async fn asked(client: &mut Client, op: Op) -> Request {
    match client.ask(op).await {
        Ok(Answer::Request(asked)) => *asked,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn asking_again_changes_the_pending_request() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    alice.publish("sea", 1).await;
    let first = asked(&mut bob, ask("alice/sea", 3)).await;
    let second = asked(&mut bob, ask("alice/sea", 5)).await;
    assert_eq!((second.request, second.views, second.state), (first.request, 5, RequestState::Pending));
    assert!(
        matches!(alice.update().await, Update::Request(seen) if seen.views == 3 && seen.from == bob.id())
    );
    assert!(matches!(alice.update().await, Update::Request(seen) if seen.views == 5));
    let page = bob.page(crate::shelf::everything()).await;
    let access = page.peers.iter().flat_map(|peer| &peer.images).find_map(|image| image.access).unwrap();
    assert_eq!(access.state, AccessState::Requested);
    net.stop().await;
}

#[tokio::test]
async fn the_owner_answers_in_any_order_and_may_offer_less() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    alice.publish("sea", 1).await;
    alice.publish("hill", 1).await;
    let sea = asked(&mut bob, ask("alice/sea", 3)).await;
    let hill = asked(&mut bob, ask("alice/hill", 3)).await;
    let no = Decision::Deny { reason: Some("not for you".into()) };
    let denied = asked(&mut alice, decide(hill.request, no)).await;
    assert_eq!((denied.state, denied.reason.as_deref()), (RequestState::Denied, Some("not for you")));
    let approved = asked(&mut alice, decide(sea.request, approve(Some(2)))).await;
    assert_eq!((approved.state, approved.views), (RequestState::Approved, 2));
    let Ok(Answer::Grant(grant)) = bob.ask(Op::Grant { image: sea.image, viewer: bob.id() }).await else {
        panic!()
    };
    assert_eq!(grant.views_left, Allowance::Views(2));
    assert_eq!(alice.refusal(decide(sea.request, approve(None))).await.0, Code::Conflict);
    assert_eq!(bob.refusal(Op::Cancel(sea.request)).await.0, Code::Conflict);
    let more = asked(&mut bob, ask("alice/sea", 4)).await;
    assert_ne!(more.request, sea.request);
    asked(&mut alice, decide(more.request, approve(None))).await;
    let Ok(Answer::Grant(grant)) = bob.ask(Op::Grant { image: sea.image, viewer: bob.id() }).await else {
        panic!()
    };
    assert_eq!(grant.views_left, Allowance::Views(6), "extra views come on top");
    net.stop().await;
}

#[tokio::test]
async fn a_request_is_withdrawn_by_its_asker_alone_and_answered_by_the_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let mut carol = net.peer("carol").await;
    alice.publish("sea", 1).await;
    let request = asked(&mut bob, ask("alice/sea", 3)).await.request;
    assert_eq!(carol.refusal(Op::Cancel(request)).await.0, Code::NotFound);
    assert_eq!(bob.refusal(decide(request, approve(None))).await.0, Code::NotFound);
    for _ in 0..2 {
        assert_eq!(asked(&mut bob, Op::Cancel(request)).await.state, RequestState::Cancelled);
    }
    assert_eq!(alice.refusal(decide(request, approve(None))).await.0, Code::Conflict);
    assert_eq!(alice.refusal(ask("sea", 1)).await.0, Code::Invalid, "one's own image needs no request");
    assert_eq!(bob.refusal(ask("alice/none", 1)).await.0, Code::NotFound);
    assert_eq!(bob.refusal(ask("alice/sea", 0)).await.0, Code::Invalid);
    net.stop().await;
}

#[tokio::test]
async fn the_hundred_and_first_pending_request_is_denied_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    for number in 0..=REQUESTS_PENDING_MAX {
        alice.publish(&format!("image{number}"), 1).await;
    }
    for number in 0..REQUESTS_PENDING_MAX {
        asked(&mut bob, ask(&format!("alice/image{number}"), 1)).await;
    }
    let error = bob.ask(ask(&format!("alice/image{REQUESTS_PENDING_MAX}"), 1)).await.unwrap_err();
    assert_eq!((error.code, error.reason), (Code::Denied, Some(Reason::Limit)));
    assert!(bob.ask(ask("alice/image0", 2)).await.is_ok(), "a pending one can still be changed");
    net.stop().await;
}
