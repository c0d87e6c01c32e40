//! Changes under an operation ID: once done, the same one again is answered the same and does nothing.

use std::time::Duration;

use dos_protocol::{
    ImageArg, OperationId, PeerName,
    directory::{Decision, RequestAccess},
    limits::{OPERATION_BYTES_PER_PEER, OPERATION_REMEMBERED},
};

use super::*;

on_both_engines!(
    every_change_is_done_once_per_operation,
    an_operation_is_its_peers_own_and_of_one_kind_and_a_refusal_is_not_kept,
    operations_are_forgotten_after_a_day_with_later_ones,
    the_oldest_answers_of_a_peer_go_beyond_their_bytes_and_those_of_others_stay,
    an_invite_is_made_once_under_its_code_and_tells_what_is_left,
    a_rename_is_owed_to_every_holder_in_order_and_without_a_gap,
    a_publication_that_comes_late_once_more_brings_back_no_earlier_name,
    a_peer_takes_a_free_name_and_the_same_again_changes_nothing,
    a_peer_that_leaves_is_gone_and_leaving_again_changes_nothing,
);

fn once(peer: PeerId, operation: u8) -> Change {
    Change { peer, operation: Some(OperationId::from([operation; 16])), ..Change::by(peer, NOW) }
}

pub(super) fn publication() -> Publish {
    Publish {
        name: "sea".parse().unwrap(),
        original: Original {
            image_id: [1; 32].into(),
            format: Format::Jpeg,
            width: 4,
            height: 3,
            bytes: 100,
        },
        sealed: SealedCopy { hash: [1; 32].into(), bytes: 164 },
        preview: Preview { format: Format::Jpeg, width: 4, height: 3, data: vec![1; 10] },
        replace: false,
        record: None,
    }
}

fn key_share() -> KeyShare {
    KeyShare { split: SplitId::from([3; 16]), share: [4; 32], check: None }
}

pub(super) fn more_views(image: dos_protocol::ImageNo, viewer: PeerId) -> Share {
    Share {
        image,
        viewer: PeerRef::Id(viewer),
        views: ViewsChange::Add(2),
        expiry: ExpiryChange::Keep,
        key: Some(key_share()),
        lasts_ms: None,
        allow_offline: None,
    }
}

fn access(owner: PeerId) -> RequestAccess {
    let image = ImageArg { owner: Some(PeerRef::Id(owner)), name: "sea".parse().unwrap() };
    RequestAccess { image, views: 3, note: None, offline: false }
}

/// Does it twice; the second time nothing is owed to anyone, and the answer is the same.
async fn twice<T: PartialEq + std::fmt::Debug>(
    store: &Store,
    peers: &[PeerId],
    mut change: impl AsyncFnMut() -> Result<T, Refusal>,
) -> T {
    let owed = async || {
        let mut last = Vec::new();
        for peer in peers {
            last.push(store.replay(*peer, Seq(0)).await.unwrap().len());
        }
        last
    };
    let first = change().await.unwrap();
    let before = owed().await;
    assert_eq!(change().await.unwrap(), first);
    assert_eq!(owed().await, before, "of {first:?}");
    first
}

pub(super) async fn three(store: &Store) -> [PeerId; 3] {
    let name = |name: &str| NewPeer { name: Some(name.parse().unwrap()), admission: Admission::Open };
    let mut ids = Vec::new();
    for (number, text) in [(1, "alice"), (2, "bob"), (3, "carol")] {
        ids.push(store.register(key(number), name(text), NOW).await.unwrap().id);
    }
    ids.try_into().unwrap()
}

async fn every_change_is_done_once_per_operation(place: Place) {
    let (store, thread) = place.open();
    let peers = three(&store).await;
    let [alice, bob, carol] = peers;
    let image =
        twice(&store, &peers, || store.publish(once(alice, 1), (publication(), Wanted::default()))).await.no;
    let grant = twice(&store, &peers, || store.share(once(alice, 2), more_views(image, bob))).await;
    assert_eq!(grant.views_left, Allowance::Views(2));
    let request = twice(&store, &peers, || store.request(once(carol, 3), access(alice))).await.request;
    let approve = || Decision::Approve { views: None, key: key_share(), allow_offline: None };
    twice(&store, &peers, || store.decide(once(alice, 4), request, approve())).await;
    let second = store.request(by(carol, NOW), access(alice)).await.unwrap().request;
    twice(&store, &peers, || store.cancel(once(carol, 5), second)).await;
    let renamed =
        twice(&store, &peers, || store.rename_image(once(alice, 6), image, ("lake".parse().unwrap(), None)))
            .await;
    assert_eq!(renamed.name.as_str(), "lake");
    twice(&store, &peers, || store.set_password(once(alice, 7), Some(escrow()))).await;
    let carols = || PeerRef::Id(carol);
    twice(&store, &peers, || store.block(once(alice, 8), carols(), Seq(0))).await;
    twice(&store, &peers, || store.unblock(once(alice, 9), carols())).await;
    // The block of operation 8 was lifted by another operation, and stays lifted.
    store.block(once(alice, 8), carols(), Seq(0)).await.unwrap();
    assert!(store.blocks(alice).await.unwrap().is_empty());
    twice(&store, &peers, || store.remove_image(once(alice, 10), image)).await;
    close((store, thread)).await;
    assert_eq!(place.check().findings, Vec::<Box<str>>::new());
}

async fn an_operation_is_its_peers_own_and_of_one_kind_and_a_refusal_is_not_kept(place: Place) {
    let (store, thread) = place.open();
    let [alice, bob, carol] = three(&store).await;
    let code = |result: Result<_, Refusal>| match result {
        Err(Refusal::Refused(error)) => error.code,
        other => panic!("{other:?}"),
    };
    let image = store.publish(once(alice, 1), (publication(), Wanted::default())).await.unwrap().no;
    assert_eq!(code(store.remove_image(once(alice, 1), image).await), Code::Conflict, "it published");
    assert_eq!(code(store.remove_image(once(bob, 1), image).await), Code::NotFound, "bob's own");
    assert_eq!(code(store.unblock(once(alice, 2), "dave".parse().unwrap()).await), Code::NotFound);
    store.share(once(alice, 2), more_views(image, bob)).await.unwrap();
    let twice = store.share(once(alice, 2), more_views(image, carol)).await.unwrap();
    assert_eq!(twice.viewer, bob, "asked again it is the change that was done");
    close((store, thread)).await;
}

async fn operations_are_forgotten_after_a_day_with_later_ones(place: Place) {
    let (store, thread) = place.open();
    let [alice, bob, _] = three(&store).await;
    let image = store.publish(by(alice, NOW), (publication(), Wanted::default())).await.unwrap().no;
    for operation in 1..=3 {
        store.share(once(alice, operation), more_views(image, bob)).await.unwrap();
    }
    let at = |operation, now| Change { now, ..once(alice, operation) };
    let last_moment = NOW.after(OPERATION_REMEMBERED);
    let views = async |change| store.share(change, more_views(image, bob)).await.unwrap().views_left;
    assert_eq!(views(at(4, last_moment)).await, Allowance::Views(8));
    assert_eq!(views(at(1, last_moment)).await, Allowance::Views(2), "answered as then");
    let later = last_moment.after(Duration::from_millis(1));
    assert_eq!(views(at(5, later)).await, Allowance::Views(10));
    place.forget_old(&store, later).await;
    assert_eq!(views(at(1, later)).await, Allowance::Views(12), "done anew");
    assert!(!store.forget_operations(later).await.unwrap(), "there are no more steps");
    close((store, thread)).await;
    assert_eq!(place.numbers("SELECT count(*) FROM done"), [3], "operations 4, 5 and the new 1");
}

async fn the_oldest_answers_of_a_peer_go_beyond_their_bytes_and_those_of_others_stay(place: Place) {
    let (store, thread) = place.open();
    let [alice, bob, _] = three(&store).await;
    store.block(once(bob, 1), PeerRef::Id(alice), Seq(0)).await.unwrap();
    let kept = |peer: PeerId| {
        let peer = row::peer_number(peer);
        let [count, oldest] =
            place.numbers(&format!("SELECT count(*), coalesce(min(at), 0) FROM done WHERE peer = {peer}"));
        (count, oldest)
    };
    let large = row::number(OPERATION_BYTES_PER_PEER / 16);
    let insert = |number: u8, at: i64| {
        let (operation, alice) = (format!("{number:02x}").repeat(16), row::peer_number(alice));
        let sql = "INSERT INTO done(peer, operation, answer, at) VALUES";
        assert_eq!(place.execute(&format!("{sql}({alice}, x'{operation}', zeroblob({large}), {at})")), 1);
    };
    for number in 0..15 {
        insert(number, NOW.0 + i64::from(number));
    }
    let later = |operation| Change { now: NOW.after(Duration::from_secs(1)), ..once(alice, operation) };
    store.block(later(100), PeerRef::Id(bob), Seq(0)).await.unwrap();
    assert_eq!(kept(alice), (16, NOW.0), "there is room for all");
    insert(99, NOW.0);
    store.unblock(later(101), PeerRef::Id(bob)).await.unwrap();
    assert_eq!(kept(alice), (13, NOW.0 + 4), "a quarter is forgotten, the oldest");
    assert_eq!(kept(bob).0, 1);
    store.block(later(100), PeerRef::Id(bob), Seq(0)).await.unwrap();
    assert!(store.blocks(alice).await.unwrap().is_empty(), "what is kept is not done again");
    close((store, thread)).await;
    // They were no answers of ours.
    place.execute(&format!("DELETE FROM done WHERE length(answer) = {large}"));
    assert_eq!(place.check().findings, Vec::<Box<str>>::new());
}

async fn an_invite_is_made_once_under_its_code_and_tells_what_is_left(place: Place) {
    let (store, thread) = place.open();
    let code = InviteCode::generate().unwrap();
    let new = NewInvite { code: code.clone(), uses: 3, expires_at: in_a_minute() };
    let first = store.create_invite(new.clone(), NOW).await.unwrap();
    assert_eq!(store.create_invite(new.clone(), NOW).await.unwrap(), first);
    join(&store, 1, Admission::Invited(code.hash())).await.unwrap();
    let again = NewInvite { uses: 9, expires_at: NOW, ..new };
    let left = store.create_invite(again, NOW).await.unwrap();
    assert_eq!((left.uses, left.uses_left, left.expires_at), (3, 2, in_a_minute()));
    assert_eq!(store.invites(None, 10).await.unwrap().len(), 1);
    let prefix = format!("{}{}", code.prefix(), "1".repeat(12)).parse().unwrap();
    let like = NewInvite { code: prefix, uses: 1, expires_at: in_a_minute() };
    let refused = store.create_invite(like, NOW).await;
    assert!(matches!(refused, Err(Refusal::Refused(error)) if error.code == Code::Conflict));
    close((store, thread)).await;
}

/// A server that was stopped goes on with what it had accepted, after another one has done it.
async fn a_publication_that_comes_late_once_more_brings_back_no_earlier_name(place: Place) {
    let (store, thread) = place.open();
    let [alice, _, _] = three(&store).await;
    let publish = || store.publish(once(alice, 1), (publication(), Wanted::default()));
    let published = publish().await.unwrap();
    let lake = ("lake".parse().unwrap(), None);
    store.rename_image(once(alice, 2), published.no, lake).await.unwrap();
    assert_eq!(publish().await.unwrap(), published, "answered as then");
    store.remove_image(once(alice, 3), published.no).await.unwrap();
    assert_eq!(publish().await.unwrap(), published);
    close((store, thread)).await;
    assert_eq!(place.numbers("SELECT count(*) FROM images"), [0]);
}

async fn a_rename_is_owed_to_every_holder_in_order_and_without_a_gap(place: Place) {
    let (store, thread) = place.open();
    let [alice, ..] = three(&store).await;
    let image = store.publish(by(alice, NOW), (publication(), Wanted::default())).await.unwrap().no;
    let viewers = 90;
    let mut joined = Vec::new();
    for number in 10..10 + viewers {
        let viewer = join(&store, number, Admission::Open).await.unwrap();
        store.share(by(alice, NOW), more_views(image, viewer)).await.unwrap();
        joined.push(viewer);
    }
    let given = u64::from(viewers);
    store.acknowledge(alice, Seq(given), NOW).await.unwrap();
    store.rename_image(by(alice, NOW), image, ("lake".parse().unwrap(), None)).await.unwrap();
    let (mut after, mut rows) = (Seq(given), 0);
    while let page = store.replay(alice, after).await.unwrap()
        && !page.is_empty()
    {
        for (seq, _) in page {
            assert_eq!(seq, after.next());
            (after, rows) = (seq, rows + 1);
        }
    }
    assert_eq!(rows, given + 1, "the name, and every grant");
    for viewer in joined {
        let seqs: Vec<_> =
            store.replay(viewer, Seq(0)).await.unwrap().into_iter().map(|(seq, _)| seq).collect();
        assert_eq!(seqs, [Seq(1), Seq(2)]);
        let grant = store.grant(viewer, image, viewer).await.unwrap();
        assert_eq!((grant.path.name.as_str(), grant.revision.0), ("lake", 2));
    }
    close((store, thread)).await;
    assert_eq!(place.check().findings, Vec::<Box<str>>::new());
}

async fn a_peer_takes_a_free_name_and_the_same_again_changes_nothing(place: Place) {
    let (store, thread) = place.open();
    let [alice, bob, _] = three(&store).await;
    let name = |name: &str| name.parse::<PeerName>().unwrap();
    for _ in 0..2 {
        store.take_name(alice, name("alicia"), NOW).await.unwrap();
    }
    assert_eq!(store.peer(PeerRef::Name(name("alicia"))).await.unwrap().id, alice);
    let refused = store.take_name(bob, name("alicia"), NOW).await;
    assert!(matches!(refused, Err(Refusal::Refused(error)) if error.code == Code::Conflict));
    let unknown = PeerId::from_number(PeerId::COUNT / 2).unwrap();
    let refused = store.take_name(unknown, name("carol"), NOW).await;
    assert!(matches!(refused, Err(Refusal::Refused(error)) if error.code == Code::NotFound));
    close((store, thread)).await;
    assert_eq!(place.check().findings, Vec::<Box<str>>::new());
}

async fn a_peer_that_leaves_is_gone_and_leaving_again_changes_nothing(place: Place) {
    let (store, thread) = place.open();
    let [alice, bob, _] = three(&store).await;
    assert!(store.unregister(alice, NOW).await.unwrap().is_some());
    assert_eq!(store.unregister(alice, NOW).await.unwrap(), None);
    assert!(store.peer(PeerRef::Id(alice)).await.is_err());
    assert!(store.peer(PeerRef::Id(bob)).await.is_ok());
    close((store, thread)).await;
    assert_eq!(place.check().findings, Vec::<Box<str>>::new());
}
