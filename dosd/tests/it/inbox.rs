//! What is owed waits, comes in order, once, and survives a restart.

use dos_protocol::{
    Allowance, Seq,
    directory::{FromDirectory, Op, SignIn, Update, ViewsChange},
};

use crate::{
    net::{Client, Net, sign_in},
    shelf::views,
};

fn left(update: Update) -> Allowance {
    match update {
        Update::Grant(grant) => grant.views_left,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn updates_for_an_absent_peer_are_replayed_in_order_then_live_ones_follow() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    bob.sign_out().await;
    // More than a page of the replay and more than may be under way unacknowledged.
    for count in 1..=400 {
        alice.share(sea.no, bob.id(), views(count)).await;
        alice.acknowledge().await;
    }
    let mut bob = net.again(&bob).await;
    assert_eq!(bob.signed_in.as_ref().unwrap().latest, Seq(400));
    alice.share(sea.no, bob.id(), views(401)).await;
    for count in 1..=401 {
        assert_eq!(left(bob.update().await), Allowance::Views(count));
        if count % 50 == 0 {
            bob.acknowledge().await;
        }
    }
    net.stop().await;
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_again_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    for count in 1..=3 {
        alice.share(sea.no, bob.id(), views(count)).await;
        bob.update().await;
    }
    // Bob has stored the first two; the directory learns it from the sign-in.
    bob.stored = Seq(2);
    let mut bob = net.again(&bob).await;
    assert_eq!(left(bob.update().await), Allowance::Views(3));
    bob.acknowledge().await;
    alice.share(sea.no, bob.id(), ViewsChange::Add(1)).await;
    assert_eq!(left(bob.update().await), Allowance::Views(4));
    net.stop().await;
}

#[tokio::test]
async fn another_machine_that_takes_over_gets_what_this_one_has_acknowledged_just_before() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    for count in 1..=3 {
        alice.share(sea.no, bob.id(), views(count)).await;
        bob.update().await;
    }
    bob.acknowledge().await;
    // The third comes when the first has surely ended.
    for instance in 2..=3 {
        let mut other = Client::connect(&net, bob.secret.clone()).await;
        other.enter(Op::SignIn(SignIn { force: true, ..sign_in(instance, Seq(0)) })).await.unwrap();
        assert_eq!(other.stored, Seq(0));
        for count in 1..=3 {
            assert_eq!(left(other.update().await), Allowance::Views(count));
        }
        assert!(matches!(bob.next().await, Some(FromDirectory::Notice(_))));
        assert!(bob.next().await.is_none());
        bob = other;
    }
    net.stop().await;
}

#[tokio::test]
async fn a_restart_of_the_directory_loses_nothing_that_was_answered() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    bob.sign_out().await;
    alice.share(sea.no, bob.id(), views(7)).await;
    let address = net.address;
    net.stop().await;
    let net = Net::start_at(dir.path(), address);
    let mut bob = net.again(&bob).await;
    assert_eq!(left(bob.update().await), Allowance::Views(7));
    net.stop().await;
}

#[tokio::test]
async fn a_peer_that_lost_its_state_is_told_where_the_numbers_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    for count in 1..=2 {
        alice.share(sea.no, bob.id(), views(count)).await;
        bob.update().await;
    }
    bob.acknowledge().await;
    bob.sign_out().await;
    bob.stored = Seq(0);
    let again = net.again(&bob).await;
    let signed_in = again.signed_in.unwrap();
    assert_eq!((signed_in.since, signed_in.latest), (Seq(2), Seq(2)));
    net.stop().await;
}

#[tokio::test]
async fn a_directory_that_lost_its_state_gives_no_number_twice() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    let mut again = Client::connect(&net, bob.secret.clone()).await;
    again.enter(Op::SignIn(sign_in(1, Seq(50)))).await.unwrap();
    assert_eq!(again.signed_in.as_ref().unwrap().latest, Seq(50));
    // The data is in another incarnation, which everybody has to meet.
    let mut alice = net.again(&alice).await;
    alice.share(sea.no, bob.id(), views(1)).await;
    assert_eq!(left(again.update().await), Allowance::Views(1));
    assert_eq!(again.stored, Seq(51));
    net.stop().await;
}
