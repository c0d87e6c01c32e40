//! What a peer learns again that has lost its state: its grants and requests, page by page, and keys of its own.

use dos_protocol::{
    Allowance, Code, ImageNo, PeerId, SplitId, ViewId,
    directory::{Answer, KeyShare, Op, RequestAccess, Share, ViewsChange},
    limits::PAGE_MAX,
    model::Grant,
};

use crate::{
    net::{Client, Net},
    shelf::{share, views},
};

async fn rights(client: &mut Client) -> Vec<Grant> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let Ok(Answer::Grants { grants, more }) = client.ask(Op::Grants { after }).await else { panic!() };
        assert!(grants.len() <= usize::try_from(PAGE_MAX).unwrap());
        after = grants.last().map(|grant| (grant.image, grant.viewer));
        all.extend(grants);
        if !more {
            return all;
        }
    }
}

#[tokio::test]
async fn a_peer_that_has_lost_its_list_gets_all_of_its_grants_and_pending_requests() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let mut carol = net.peer("carol").await;
    let (sea, hill) = (alice.publish("sea", 1).await, bob.publish("hill", 2).await);
    let theirs = carol.publish("tree", 3).await;
    alice.share(sea.no, bob.id(), views(2)).await;
    alice.share(sea.no, carol.id(), views(2)).await;
    alice.share(sea.no, carol.id(), ViewsChange::Revoke).await;
    bob.share(hill.no, alice.id(), views(1)).await;
    carol.share(theirs.no, bob.id(), views(1)).await;
    let key = |grant: &Grant| (grant.image, grant.viewer, grant.revoked);
    let mut expected: Vec<(ImageNo, PeerId, bool)> =
        vec![(sea.no, bob.id(), false), (sea.no, carol.id(), true), (hill.no, alice.id(), false)];
    expected.sort_unstable();
    assert_eq!(rights(&mut alice).await.iter().map(key).collect::<Vec<_>>(), expected);
    let ask = |image: &str| {
        Op::Request(RequestAccess { image: image.parse().unwrap(), views: 1, note: None, offline: false })
    };
    alice.ask(ask("carol/tree")).await.unwrap();
    bob.ask(ask("alice/sea")).await.unwrap();
    let Ok(Answer::Request(asked)) = carol.ask(ask("alice/sea")).await else { panic!() };
    carol.ask(Op::Cancel(asked.request)).await.unwrap();
    let mut alice = net.again(&alice).await;
    let Ok(Answer::Requests { requests: asks, more: false }) = alice.ask(Op::Requests { after: None }).await
    else {
        panic!()
    };
    let pairs: Vec<_> = asks.iter().map(|asked| (asked.path.owner, asked.from)).collect();
    assert_eq!(pairs, [(carol.id(), alice.id()), (alice.id(), bob.id())]);
    let after = Some(asks[0].request);
    let Ok(Answer::Requests { requests: rest, .. }) = alice.ask(Op::Requests { after }).await else {
        panic!()
    };
    assert_eq!(rest, asks[1..]);
    net.stop().await;
}

#[tokio::test]
async fn rights_come_in_pages() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let count = usize::try_from(PAGE_MAX).unwrap() + 3;
    for number in 0..count {
        let image = alice.publish(&format!("i{number}"), u8::try_from(number % 250).unwrap()).await;
        alice.share(image.no, bob.id(), views(1)).await;
    }
    let all = rights(&mut bob).await;
    assert_eq!(all.len(), count);
    assert!(all.is_sorted_by_key(|grant| grant.image));
    net.stop().await;
}

#[tokio::test]
async fn a_right_under_another_key_keeps_its_views_and_makes_the_old_share_stale() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    let key = Some(KeyShare { split: SplitId::from([9; 16]), share: [9; 32], check: None });
    let Op::Share(plain) = share(sea.no, bob.id(), ViewsChange::Rekey) else { panic!() };
    let rekey = Op::Share(Share { key, ..plain });
    let none = alice.refusal(rekey.clone()).await;
    assert_eq!(none.0, Code::NotFound);
    alice.share(sea.no, bob.id(), views(2)).await;
    let view = ViewId::generate();
    bob.spend(sea.no, view).await.unwrap();
    let Ok(Answer::Grant(grant)) = alice.ask(rekey).await else { panic!() };
    assert_eq!((grant.views_left, grant.views_used), (Allowance::Views(1), 1));
    assert_eq!(grant.split, SplitId::from([9; 16]));
    assert_eq!(bob.spend(sea.no, ViewId::generate()).await.unwrap_err().code, Code::Stale);
    net.stop().await;
}
