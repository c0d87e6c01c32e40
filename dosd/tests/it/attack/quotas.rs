//! Peers that fill the directory: the inbox of one that is away, their own part of it, all of it.

use dos_protocol::{
    Code, ImageArg, MessageId, PeerId, Reason, ViewId, WireError,
    directory::{Answer, Decide, Decision, Op, Preview, Publish, RequestAccess, Send, Update, ViewsChange},
    limits::PREVIEW_BYTES_MAX,
    model::PeerRef,
};
use dos_testing::{attack, wait_until_async};
use dosd::config::FileConfig;
use futures_util::future::join_all;

use crate::{
    net::{Client, Net, open_to_all},
    shelf::{publication, share, views},
};

fn message(to: PeerId, bytes: usize) -> Op {
    let text = "x".repeat(bytes).into();
    Op::Send(Send { message: MessageId::generate(), to: PeerRef::Id(to), text, sealed: None })
}

fn is_limit(refused: &WireError, limit: &str) -> bool {
    refused.code == Code::Denied
        && refused.reason == Some(Reason::Limit)
        && refused.message.ends_with(&format!("(limit {limit})"))
}

/// Has a peer do this until it is refused by a limit; how often it was done.
async fn until_refused(
    peer: &mut Client,
    most: usize,
    mut op: impl FnMut(usize) -> Op,
) -> (usize, WireError) {
    for done in 0..most {
        if let Err(refused) = peer.ask(op(done)).await {
            assert_eq!(refused.reason, Some(Reason::Limit), "{refused:?}");
            return (done, refused);
        }
    }
    panic!("nothing refuses it");
}

#[track_caller]
fn is_sound(data_dir: &std::path::Path) {
    let checked = dosd::store::check(&data_dir.join("dosd.db")).unwrap();
    assert_eq!(checked.findings, Vec::<Box<str>>::new());
}

#[tokio::test]
async fn a_hundred_colluding_senders_do_not_fill_the_inbox_of_a_peer_that_is_away() {
    let dir = tempfile::tempdir().unwrap();
    let said = FileConfig {
        inbox_bytes_max: attack::size(Some(1 << 20), None),
        messages_per_minute: Some(1_000_000),
        handshakes_per_minute: Some(1_000_000),
        ..open_to_all()
    };
    let net = Net::start_with(dir.path(), said);
    let (mut victim, mut friend) = (net.peer("victim").await, net.peer("friend").await);
    // The victim deals with this one.
    let photo = victim.publish("photo", 1).await;
    victim.share(photo.no, friend.id(), views(3)).await;
    let mut owner = net.peer("owner").await;
    let (sea, hill) = (owner.publish("sea", 1).await, owner.publish("hill", 2).await);
    owner.share(sea.no, victim.id(), views(3)).await;
    victim.acknowledge().await;
    victim.sign_out().await;

    let mut senders = Vec::new();
    for number in 0..100 {
        senders.push(net.peer(&format!("sender{number}")).await);
    }
    let (to, bytes) = (victim.id(), attack::size(1_000, 16_000));
    let floods = senders.iter_mut().map(|sender| until_refused(sender, 5_000, |_| message(to, bytes)));
    let sent: usize = join_all(floods).await.into_iter().map(|(sent, _)| sent).sum();
    // Again, and with grants: whatever share is left.
    let mut images = Vec::new();
    for sender in &mut senders {
        images.push(sender.publish("bait", 7).await.no);
    }
    for (sender, image) in senders.iter_mut().zip(images) {
        drop(sender.ask(message(to, 1)).await);
        drop(sender.ask(share(image, to, views(1))).await);
    }

    let mut newcomer = net.peer("newcomer").await;
    let figures = format!("{sent} messages of {bytes} bytes wait of 100 senders");
    let newcomers = until_refused(&mut newcomer, 5_000, |_| message(to, bytes)).await.0;
    attack::report("an inbox filled", &format!("{figures}; a newcomer has room for {newcomers} more"));
    assert!(newcomers > 0, "{figures}");
    owner.share(hill.no, to, views(1)).await;
    assert!(owner.share(sea.no, to, ViewsChange::Revoke).await.revoked);
    for _ in 0..4 {
        friend.ask(message(to, 16_000)).await.unwrap();
    }
    let view = ViewId::generate();
    let spent = friend.spend(photo.no, view).await;
    assert!(spent.is_ok(), "{spent:?}");

    let mut victim = net.again(&victim).await;
    let signed_in = victim.signed_in.clone().unwrap();
    let (mut from_friend, mut grants, mut receipts) = (0, Vec::new(), 0);
    for seq in signed_in.since.0..signed_in.latest.0 {
        match victim.update().await {
            Update::Message(message) if message.from == friend.id() => from_friend += 1,
            Update::Grant(grant) if grant.path.owner == owner.id() => grants.push(grant.revoked),
            Update::Viewed(viewed) if viewed.view == view => receipts += 1,
            _ => {}
        }
        if seq % 100 == 0 {
            victim.acknowledge().await;
        }
    }
    assert_eq!((from_friend, grants, receipts), (4, vec![false, true], 1));
    net.stop().await;
    is_sound(dir.path());
}

#[tokio::test]
async fn one_peer_that_publishes_grants_and_requests_without_end_comes_to_an_end() {
    let dir = tempfile::tempdir().unwrap();
    let said = FileConfig {
        preview_bytes_per_peer: Some(2 << 20),
        row_bytes_per_peer: Some(60_000),
        ..open_to_all()
    };
    let net = Net::start_with(dir.path(), said);
    let (mut mallory, mut oscar) = (net.peer("mallory").await, net.peer("oscar").await);
    let large = |number: usize| {
        let small = publication(&format!("large{number}"), 1);
        let data = vec![1; PREVIEW_BYTES_MAX];
        Op::Publish(Box::new(Publish { preview: Preview { data, ..small.preview.clone() }, ..small }))
    };
    let (published, refused) = until_refused(&mut mallory, 1_000, large).await;
    assert_eq!(published, (2 << 20) / PREVIEW_BYTES_MAX);
    assert!(is_limit(&refused, "preview_bytes_per_peer"), "{refused:?}");

    let small = |number: usize| Op::Publish(Box::new(publication(&format!("small{number}"), 1)));
    let mut other = net.peer("other").await;
    let (published, refused) = until_refused(&mut other, 1_000, small).await;
    assert_eq!(published, 100);
    assert!(is_limit(&refused, "row_bytes_per_peer"), "{refused:?}");
    other.ask(Op::Publish(Box::new(Publish { replace: true, ..publication("small1", 9) }))).await.unwrap();

    // Requests that are denied and made again: the two of them collude.
    let mut asker = net.peer("asker").await;
    oscar.publish("bait", 1).await;
    let image: ImageArg = format!("{}/bait", oscar.id()).parse().unwrap();
    let mut made = 0;
    let refused = loop {
        assert!(made < 1_000, "nothing refuses it");
        let note = Some("x".repeat(1_000).into());
        let access = RequestAccess { image: image.clone(), views: 1, note, offline: false };
        let request = match asker.ask(Op::Request(access)).await {
            Ok(Answer::Request(request)) => request.request,
            Ok(answer) => panic!("{answer:?}"),
            Err(refused) => break refused,
        };
        let decision = Decision::Deny { reason: None };
        oscar.ask(Op::Decide(Decide { request, decision })).await.unwrap();
        made += 1;
    };
    assert_eq!(made, 60_000_usize.div_ceil(1_300));
    assert!(is_limit(&refused, "row_bytes_per_peer"), "{refused:?}");
    net.stop().await;
    is_sound(dir.path());
}

#[tokio::test]
async fn an_image_that_is_renamed_without_end_does_not_fill_the_inbox_of_a_viewer_that_is_away() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start_with(dir.path(), FileConfig { inbox_rows_max: Some(200), ..open_to_all() });
    let (mut mallory, mut bob) = (net.peer("mallory").await, net.peer("bob").await);
    let image = mallory.publish("bait", 1).await;
    mallory.share(image.no, bob.id(), views(1)).await;
    bob.sign_out().await;
    let renamed = |number: usize| Op::Rename {
        image: image.no,
        name: format!("bait{number}").parse().unwrap(),
        record: None,
    };
    let (renames, refused) = until_refused(&mut mallory, 1_000, renamed).await;
    assert!(is_limit(&refused, "inbox_rows_max"), "{refused:?}");
    assert!(renames <= 50, "{renames} updates wait");
    let replaced = Publish { replace: true, ..publication(&format!("bait{}", renames - 1), 2) };
    assert!(is_limit(&mallory.ask(Op::Publish(Box::new(replaced))).await.unwrap_err(), "inbox_rows_max"));
    assert!(mallory.share(image.no, bob.id(), ViewsChange::Revoke).await.revoked);
    mallory.ask(Op::Remove(image.no)).await.unwrap();
    let mut alice = net.peer("alice").await;
    alice.ask(message(bob.id(), 10)).await.unwrap();
    net.stop().await;
    is_sound(dir.path());
}

#[tokio::test]
async fn a_peer_that_acknowledges_nothing_fills_nothing_but_its_own_room() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start_with(dir.path(), FileConfig { inbox_bytes_max: Some(20_000), ..open_to_all() });
    let (mut mallory, mut bob) = (net.peer("mallory").await, net.peer("bob").await);
    let image = mallory.publish("bait", 1).await;
    mallory.share(image.no, bob.id(), views(1)).await;
    let mut changes = 0;
    let refused = loop {
        assert!(changes < 1_000, "nothing refuses it");
        bob.update().await;
        bob.acknowledge().await;
        match mallory.ask(share(image.no, bob.id(), ViewsChange::Add(1))).await {
            Ok(_) => changes += 1,
            Err(refused) => break refused,
        }
    };
    assert!(is_limit(&refused, "inbox_bytes_max"), "{refused:?}");
    mallory.acknowledge().await;
    wait_until_async("what was acknowledged is gone", async || {
        mallory.ask(share(image.no, bob.id(), ViewsChange::Add(1))).await.is_ok()
    })
    .await;
    net.stop().await;
    is_sound(dir.path());
}

#[tokio::test]
async fn a_database_of_its_largest_size_takes_what_is_owed_and_has_room_again_when_something_goes() {
    let dir = tempfile::tempdir().unwrap();
    let said = FileConfig { database_bytes_max: Some(4 << 20), ..open_to_all() };
    let net = Net::start_with(dir.path(), said);
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    alice.share(sea.no, bob.id(), views(9)).await;
    let large = |number: usize| {
        let small = publication(&format!("large{number}"), 1);
        let data = vec![1; PREVIEW_BYTES_MAX];
        Op::Publish(Box::new(Publish { preview: Preview { data, ..small.preview.clone() }, ..small }))
    };
    // The directory looks every second.
    let mut numbers = Vec::new();
    let refused = loop {
        assert!(numbers.len() < 4_000, "nothing refuses it");
        match alice.ask(large(numbers.len())).await {
            Ok(Answer::Image(image)) => numbers.push(image.no),
            Ok(answer) => panic!("{answer:?}"),
            Err(refused) => break refused,
        }
    };
    assert!(is_limit(&refused, "database_bytes_max"), "{refused:?}");
    assert!(refused.retry_after_ms.is_some());
    assert!(is_limit(&alice.ask(message(bob.id(), 10)).await.unwrap_err(), "database_bytes_max"));
    let newcomer = net.newcomer("carol", None).await.map(|_| ());
    assert!(is_limit(&newcomer.unwrap_err(), "database_bytes_max"));
    assert!(bob.spend(sea.no, ViewId::generate()).await.is_ok(), "a view that was granted");
    assert!(alice.share(sea.no, bob.id(), ViewsChange::Revoke).await.revoked);
    for no in numbers {
        alice.ask(Op::Remove(no)).await.unwrap();
    }
    wait_until_async("there is room again", async || alice.ask(message(bob.id(), 10)).await.is_ok()).await;
    net.stop().await;
    is_sound(dir.path());
}
