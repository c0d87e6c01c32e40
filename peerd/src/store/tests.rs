//! The store on real files.

mod contacted;
mod deleted;
mod healing;
mod invitations;
mod messages;
mod old;
mod pages;
mod pins;
mod unknown;

use dos_protocol::{
    ImageId, ImageName, ImageNo, ImagePath, PeerId, Revision, SealedHash, Seq, SplitId, Timestamp,
    control::EventKind,
    directory::{Preview, Publish, Request, RequestState, Update, Viewed, ViewedKind},
    model::{Allowance, Format, Grant, ImageInfo, Original, PreviewInfo, SealedCopy},
};
use tempfile::TempDir;

use super::*;
use crate::rules::{cache::Cached, strangers::Strangers, trust::Proof};

struct Bench {
    store: Store,
    _thread: WriterThread,
    temp: TempDir,
}

fn me() -> PeerId {
    "7xKqPm2R".parse().unwrap()
}

fn other() -> PeerId {
    "8yLrQn3S".parse().unwrap()
}

fn hash(byte: u8) -> SealedHash {
    SealedHash::from([byte; 32])
}

async fn bench() -> Bench {
    let temp = tempfile::tempdir().unwrap();
    let (store, thread) = Store::open(&temp.path().join("peerd.db")).unwrap();
    store.bind(me(), false).await.unwrap();
    Bench { store, _thread: thread, temp }
}

fn name(text: &str) -> ImageName {
    text.parse().unwrap()
}

/// A grant of image 1, whose sealed copy is 1.
fn grant(owner: PeerId, viewer: PeerId, revision: u64) -> Grant {
    Grant {
        image: ImageNo(1),
        path: ImagePath { owner, name: name("sea") },
        owner_name: Some("alice".parse().unwrap()),
        viewer,
        viewer_name: None,
        views_left: Allowance::Views(3),
        views_used: 0,
        expires_at: None,
        revoked: false,
        revision: Revision(revision),
        split: SplitId::from([1; 16]),
        sealed: SealedCopy { hash: hash(1), bytes: 100 },
        check: None,
        allow_offline: false,
        returned: 0,
        offer: false,
    }
}

fn received(revision: u64) -> Grant {
    grant(other(), me(), revision)
}

fn asked(revision: u64, state: RequestState) -> Request {
    Request {
        request: 5,
        image: ImageNo(1),
        path: ImagePath { owner: me(), name: name("sea") },
        owner_name: None,
        from: other(),
        from_name: None,
        views: 2,
        state,
        note: None,
        reason: None,
        created_at: Timestamp(1),
        decided_at: None,
        revision,
        offline: false,
    }
}

fn update(seq: u64, update: Update) -> Incoming {
    Incoming { seq: Seq(seq), at: Timestamp(9), update, proof: Proof::None }
}

fn granted(seq: u64, grant: Grant) -> Incoming {
    update(seq, Update::Grant(Box::new(grant)))
}

impl Bench {
    async fn apply(&self, updates: Vec<Incoming>) -> Result<Applied, Error> {
        let arrivals = updates.into_iter().map(Arrival::Update).collect();
        self.store.apply_updates((me(), Strangers::Offer), arrivals, |_| ()).await
    }

    async fn known(&self) -> Grant {
        self.store.received(me(), None).await.unwrap().remove(0)
    }

    /// A received grant whose copy and share are here.
    async fn with_copy(&self) {
        self.apply(vec![granted(1, received(1))]).await.unwrap();
        assert!(self.store.copy_arrived(received(1), vec![7], Some(vec![])).await.unwrap());
    }

    async fn publish(&self, no: u64, image: &str, byte: u8) -> ImageInfo {
        let original = Original {
            image_id: ImageId::from([byte; 32]),
            format: Format::Jpeg,
            width: 4,
            height: 3,
            bytes: 90,
        };
        let sealed = SealedCopy { hash: hash(byte), bytes: 100 };
        let preview = Preview { format: Format::Jpeg, width: 4, height: 3, data: vec![1] };
        let info = ImageInfo {
            no: ImageNo(no),
            owner: me(),
            name: name(image),
            original,
            sealed,
            preview: PreviewInfo { format: Format::Jpeg, width: 4, height: 3, bytes: 1 },
            access: None,
            record: None,
            signature: None,
            visibility: dos_protocol::Visibility::Listed,
            added_at: None,
        };
        let publish = Publish { name: name(image), original, sealed, preview, replace: true, record: None };
        let publication =
            Publication { publish, visibility: None, content_key: vec![byte], share_secret: vec![byte] };
        self.store.begin_publication(publication, vec![byte]).await.unwrap();
        info
    }
}

#[tokio::test]
async fn an_update_takes_effect_once_however_often_it_comes() {
    let bench = bench().await;
    let first = vec![granted(1, received(1)), granted(2, received(2))];
    let applied = bench.apply(first.clone()).await.unwrap();
    assert_eq!((applied.stored, applied.events.len(), applied.received.len()), (Seq(2), 2, 2));
    let again = bench.apply(first).await.unwrap();
    assert_eq!(again, Applied { stored: Seq(2), ..Applied::default() });
    assert_eq!(bench.store.own().await.unwrap().stored, Seq(2));
}

#[tokio::test]
async fn a_gap_is_refused_and_nothing_of_its_batch_is_applied() {
    let bench = bench().await;
    let batch = vec![granted(1, received(1)), granted(3, received(2))];
    let error = bench.apply(batch).await.unwrap_err();
    assert!(matches!(error, Error::Gap { got: Seq(3), expected: Seq(2) }));
    assert_eq!(bench.store.own().await.unwrap().stored, Seq(0));
    assert!(bench.store.received(me(), None).await.unwrap().is_empty());
}

#[tokio::test]
async fn updates_forgotten_by_the_directory_are_skipped_and_never_taken_back() {
    let bench = bench().await;
    bench.store.meet(Seq(4), None).await.unwrap();
    bench.store.meet(Seq(2), None).await.unwrap();
    assert_eq!(bench.apply(vec![granted(5, received(1))]).await.unwrap().stored, Seq(5));
}

#[tokio::test]
async fn what_is_not_told_any_more_has_ended_unless_it_changed_meanwhile() {
    let bench = bench().await;
    bench.apply(vec![granted(1, received(1))]).await.unwrap();
    assert!(!bench.store.has_lost().await.unwrap());
    bench.store.meet(Seq(9), None).await.unwrap();
    assert!(bench.store.has_lost().await.unwrap());
    let known = bench.store.inventory().await.unwrap();
    bench.store.take_grants(vec![received(2)]).await.unwrap();
    bench.store.relearned(known).await.unwrap();
    assert!(!bench.known().await.revoked, "an update came in between");
    assert!(!bench.store.has_lost().await.unwrap());
    let known = bench.store.inventory().await.unwrap();
    bench.store.relearned(known).await.unwrap();
    assert!(bench.known().await.revoked);
}

#[tokio::test]
async fn a_grant_never_goes_back_to_an_older_revision() {
    let bench = bench().await;
    let newer = Grant { views_left: Allowance::Views(9), ..received(5) };
    bench.store.take_grant(newer.clone()).await.unwrap();
    let applied = bench.apply(vec![granted(1, received(4)), granted(2, received(5))]).await.unwrap();
    assert_eq!((applied.stored, applied.events.len()), (Seq(2), 0));
    assert_eq!(bench.known().await, newer);
}

#[tokio::test]
async fn a_revocation_ends_the_copy_the_share_the_open_views_and_the_held_ones() {
    let bench = bench().await;
    bench.with_copy().await;
    let live = Live::default();
    drop(bench.store.take_view(live.clone(), ImageNo(1)).await.unwrap());
    let taken = bench.store.take_checkout(live.clone(), ImageNo(1), Some(2)).await.unwrap().unwrap();
    let held = Held { checkout: taken.view.id(), image: ImageNo(1), left: 2, given_up: 0 };
    assert!(bench.store.hold(held, hash(1), vec![3]).await.unwrap());
    let late = bench.store.take_checkout(live.clone(), ImageNo(1), Some(1)).await.unwrap().unwrap();
    let open = bench.store.take_view(live.clone(), ImageNo(1)).await.unwrap();
    let applied = bench.apply(vec![granted(2, Grant { revoked: true, ..received(2) })]).await.unwrap();
    assert_eq!((applied.free, applied.received.len()), (vec![hash(1)], 0));
    assert!(!bench.store.has_copy(hash(1)).await.unwrap());
    assert_eq!(bench.store.owner_share(ImageNo(1), received(1).split).await.unwrap(), None);
    assert!(!bench.store.left_open(live.clone(), ImageNo(1)).await.unwrap());
    assert!(bench.store.next_held(ImageNo(1)).await.unwrap().is_none());
    // What was on its way meanwhile comes to nothing.
    assert!(!bench.store.close_view(open.view.id()).await.unwrap());
    let held = Held { checkout: late.view.id(), image: ImageNo(1), left: 1, given_up: 0 };
    assert!(!bench.store.hold(held, hash(1), vec![3]).await.unwrap());
    assert!(bench.store.next_held(ImageNo(1)).await.unwrap().is_none());
    assert!(!bench.store.copy_arrived(received(1), vec![7], Some(vec![])).await.unwrap());
}

#[tokio::test]
async fn a_replaced_image_frees_the_old_copy_unless_held_views_need_it() {
    let bench = bench().await;
    bench.with_copy().await;
    let live = Live::default();
    let taken = bench.store.take_checkout(live.clone(), ImageNo(1), Some(1)).await.unwrap().unwrap();
    let checkout = taken.view.id();
    bench
        .store
        .hold(Held { checkout, image: ImageNo(1), left: 1, given_up: 0 }, hash(1), vec![3])
        .await
        .unwrap();
    let replaced = Grant { sealed: SealedCopy { hash: hash(2), bytes: 50 }, ..received(2) };
    let applied = bench.apply(vec![granted(2, replaced)]).await.unwrap();
    assert_eq!(applied.free, []);
    let held = bench.store.next_held(ImageNo(1)).await.unwrap().unwrap();
    assert_eq!((held.hash, held.key.clone(), held.checkout), (hash(1), vec![3], checkout));
    assert_eq!(bench.store.use_held(checkout).await.unwrap().unwrap().free, [hash(1)]);
    assert!(!bench.store.has_copy(hash(1)).await.unwrap());
}

#[tokio::test]
async fn a_new_split_drops_the_owner_share_but_keeps_the_copy() {
    let bench = bench().await;
    bench.with_copy().await;
    let split = SplitId::from([2; 16]);
    bench.apply(vec![granted(2, Grant { split, ..received(2) })]).await.unwrap();
    assert!(bench.store.has_copy(hash(1)).await.unwrap());
    assert_eq!(bench.store.owner_share(ImageNo(1), received(1).split).await.unwrap(), None);
    assert_eq!(bench.store.lacking(me(), None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_removed_image_ends_the_grant_and_the_requests() {
    let bench = bench().await;
    bench.with_copy().await;
    let mine = Request { from: me(), path: received(1).path, ..asked(1, RequestState::Pending) };
    bench.store.take_request(mine).await.unwrap();
    let removed = Update::Removed { image: ImageNo(1), path: received(1).path };
    let applied = bench.apply(vec![update(2, removed)]).await.unwrap();
    assert_eq!(applied.free, [hash(1)]);
    assert!(matches!(applied.events.as_slice(), [(_, EventKind::Image(_))]));
    assert!(bench.known().await.revoked);
    let outgoing = bench.store.requests((false, true), 0).await.unwrap();
    assert_eq!(outgoing[0].state, RequestState::Denied);
}

#[tokio::test]
async fn a_rename_is_followed_also_through_a_swap_of_names() {
    let bench = bench().await;
    for (no, image, byte) in [(1, "a", 1), (2, "b", 2)] {
        let info = bench.publish(no, image, byte).await;
        assert_eq!(bench.store.finish_publication(info).await.unwrap(), []);
    }
    let renamed = |seq, no, to: &str| {
        let path = ImagePath { owner: me(), name: name(to) };
        update(seq, Update::Renamed { image: ImageNo(no), path })
    };
    bench.apply(vec![renamed(1, 1, "b"), renamed(2, 2, "a")]).await.unwrap();
    assert_eq!(bench.store.own_image(name("b")).await.unwrap().unwrap().info.no, ImageNo(1));
    assert_eq!(bench.store.own_image(name("a")).await.unwrap().unwrap().info.no, ImageNo(2));
    bench
        .apply(vec![granted(3, Grant { path: ImagePath { owner: other(), name: name("x") }, ..received(1) })])
        .await
        .unwrap();
    let arg = "alice/x".parse().unwrap();
    assert!(bench.store.find_received(me(), arg).await.unwrap().is_some());
}

#[tokio::test]
async fn a_receipt_brings_the_given_grant_up_to_date() {
    let bench = bench().await;
    let given = grant(me(), other(), 1);
    bench.store.take_grant(given.clone()).await.unwrap();
    let after = Grant { views_left: Allowance::Views(2), views_used: 1, ..grant(me(), other(), 2) };
    let viewed = Viewed {
        view: dos_protocol::ViewId::generate(),
        views: 1,
        kind: ViewedKind::View,
        grant: after.clone(),
    };
    let applied = bench.apply(vec![update(1, Update::Viewed(Box::new(viewed)))]).await.unwrap();
    assert!(matches!(applied.events.as_slice(), [(_, EventKind::Viewed { views: 1, .. })]));
    assert_eq!(bench.store.given(me(), None).await.unwrap(), [after]);
}

#[tokio::test]
async fn pending_requests_are_counted_until_they_are_answered() {
    let bench = bench().await;
    let ask = |seq, revision, state| update(seq, Update::Request(Box::new(asked(revision, state))));
    assert_eq!(bench.apply(vec![ask(1, 1, RequestState::Pending)]).await.unwrap().requests, 1);
    bench.store.take_request(asked(2, RequestState::Approved)).await.unwrap();
    assert_eq!(bench.store.own().await.unwrap().requests, 0);
    let late = bench.apply(vec![ask(2, 1, RequestState::Pending)]).await.unwrap();
    assert_eq!((late.requests, late.events.len()), (0, 0));
    assert_eq!(bench.store.requests((true, true), 0).await.unwrap().len(), 1);
    assert!(bench.store.requests((true, false), 0).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_open_view_is_taken_up_by_the_next_command_and_by_one_at_a_time() {
    let bench = bench().await;
    let live = Live::default();
    let take = || bench.store.take_view(live.clone(), ImageNo(1));
    let (first, second) = (take().await.unwrap(), take().await.unwrap());
    assert!(!first.resumed && !second.resumed);
    assert_ne!(first.view.id(), second.view.id());
    let id = first.view.id();
    drop(first);
    let third = take().await.unwrap();
    assert_eq!((third.resumed, third.view.id()), (true, id));
    drop(third);
    assert!(bench.store.close_view(id).await.unwrap());
    assert!(!bench.store.close_view(id).await.unwrap(), "it is closed once");
    assert!(!take().await.unwrap().resumed);
}

#[tokio::test]
async fn closed_views_are_kept_until_the_directory_knows_them_and_those_that_never_came_about_are_not() {
    let bench = bench().await;
    let live = Live::default();
    let closed = || bench.store.closed_views();
    let mut started = Vec::new();
    for _ in 0..3 {
        started.push(bench.store.take_view(live.clone(), ImageNo(1)).await.unwrap());
    }
    let mut ids: Vec<_> = started.iter().map(|started| started.view.id()).collect();
    bench.store.give_up_view(ids.pop().unwrap()).await.unwrap();
    for id in &ids {
        bench.store.close_view(*id).await.unwrap();
    }
    let taken = bench.store.take_checkout(live.clone(), ImageNo(1), Some(2)).await.unwrap().unwrap();
    ids.push(taken.view.id());
    let held = Held { checkout: taken.view.id(), image: ImageNo(1), left: 2, given_up: 0 };
    bench.store.hold(held, hash(1), vec![3]).await.unwrap();
    ids.sort_unstable();
    assert_eq!(closed().await.unwrap(), ids);
    assert!(!bench.store.left_open(live, ImageNo(1)).await.unwrap());
    bench.store.forget_closed(ids[..2].to_vec()).await.unwrap();
    assert_eq!(closed().await.unwrap(), ids[2..]);
}

#[tokio::test]
async fn the_directorys_time_goes_on_after_a_restart() {
    let bench = bench().await;
    assert_eq!(bench.store.clock().known(), None);
    bench.store.directory_told(Timestamp(1_000)).await.unwrap();
    bench.store.came_about(Timestamp(500)).await.unwrap();
    let again = || Store::open(&bench.temp.path().join("peerd.db")).unwrap().0;
    let known = again().clock().known().unwrap();
    assert!(known >= Timestamp(1_000) && known < Timestamp(1_000_000), "{known:?}");
    bench.store.came_about(Timestamp(5_000_000)).await.unwrap();
    assert!(again().clock().known().unwrap() >= Timestamp(5_000_000));
    // Its word counts, also if its clock was set back.
    bench.store.directory_told(Timestamp(7)).await.unwrap();
    bench.store.keep_time().await.unwrap();
    assert!(again().clock().known().unwrap() < Timestamp(1_000_000));
}

#[tokio::test]
async fn an_open_view_survives_the_process() {
    let bench = bench().await;
    let id = bench.store.take_view(Live::default(), ImageNo(1)).await.unwrap().view.id();
    let (store, _thread) = Store::open(&bench.temp.path().join("peerd.db")).unwrap();
    let again = store.take_view(Live::default(), ImageNo(1)).await.unwrap();
    assert_eq!((again.resumed, again.view.id()), (true, id));
}

#[tokio::test]
async fn held_views_are_counted_down_once_each_and_never_below_nothing() {
    let bench = bench().await;
    bench.with_copy().await;
    let live = Live::default();
    let taken = bench.store.take_checkout(live.clone(), ImageNo(1), Some(2)).await.unwrap().unwrap();
    let held = Held { checkout: taken.view.id(), image: ImageNo(1), left: 2, given_up: 0 };
    assert!(bench.store.hold(held.clone(), hash(1), vec![3]).await.unwrap());
    assert!(!bench.store.hold(held, hash(1), vec![3]).await.unwrap(), "it is held once");
    let next = || bench.store.next_held(ImageNo(1));
    let checkout = taken.view.id();
    for left in [1, 0] {
        // Looking for it counts nothing.
        assert_eq!(next().await.unwrap().unwrap().checkout, checkout);
        assert_eq!(bench.store.held_left(ImageNo(1)).await.unwrap(), left + 1);
        assert_eq!(bench.store.use_held(checkout).await.unwrap().unwrap().left, left);
    }
    assert!(next().await.unwrap().is_none());
    assert!(bench.store.use_held(checkout).await.unwrap().is_none());
}

#[tokio::test]
async fn views_that_are_being_given_back_cannot_be_used() {
    let bench = bench().await;
    bench.with_copy().await;
    let live = Live::default();
    let taken = bench.store.take_checkout(live.clone(), ImageNo(1), Some(3)).await.unwrap().unwrap();
    let checkout = taken.view.id();
    bench
        .store
        .hold(Held { checkout, image: ImageNo(1), left: 3, given_up: 0 }, hash(1), vec![3])
        .await
        .unwrap();
    bench.store.use_held(checkout).await.unwrap().unwrap();
    let returning = bench.store.begin_checkin(ImageNo(1)).await.unwrap();
    assert_eq!(returning, [Held { checkout, image: ImageNo(1), left: 2, given_up: 0 }]);
    assert!(bench.store.next_held(ImageNo(1)).await.unwrap().is_none());
    assert!(bench.store.use_held(checkout).await.unwrap().is_none());
    assert_eq!(bench.store.returning().await.unwrap(), returning);
    bench.store.finish_checkin(checkout).await.unwrap();
    assert!(bench.store.returning().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_checkout_with_another_number_of_views_is_not_mistaken_for_an_open_one() {
    let bench = bench().await;
    let live = Live::default();
    let take = |views| bench.store.take_checkout(live.clone(), ImageNo(1), views);
    let open = take(Some(3)).await.unwrap().unwrap();
    let id = open.view.id();
    drop(open);
    assert!(!take(Some(2)).await.unwrap().unwrap().resumed);
    assert_eq!(take(Some(3)).await.unwrap().unwrap().view.id(), id);
}

#[tokio::test]
async fn a_publication_becomes_an_image_and_frees_what_it_replaces() {
    let bench = bench().await;
    let info = bench.publish(1, "sea", 1).await;
    assert_eq!(bench.store.publications().await.unwrap().len(), 1);
    bench.store.finish_publication(info).await.unwrap();
    let newer = bench.publish(1, "sea", 2).await;
    assert_eq!(bench.store.finish_publication(newer).await.unwrap(), [hash(1)]);
    let own = bench.store.own_image(name("sea")).await.unwrap().unwrap();
    assert_eq!((own.info.sealed.hash, own.content_key), (hash(2), vec![2]));
    assert!(bench.store.publications().await.unwrap().is_empty());
    assert_eq!(bench.store.blocks(hash(2)).await.unwrap(), Some(vec![2]));
    assert_eq!(bench.store.remove_image(ImageNo(1)).await.unwrap(), [hash(2)]);
}

#[tokio::test]
async fn a_refused_publication_leaves_nothing() {
    let bench = bench().await;
    bench.publish(1, "sea", 1).await;
    assert_eq!(bench.store.drop_publication(hash(1)).await.unwrap(), [hash(1)]);
    let (whole, arriving) = bench.store.files_needed().await.unwrap();
    assert!(whole.is_empty() && arriving.is_empty());
}

#[tokio::test]
async fn own_images_are_no_cached_copies_and_held_views_keep_theirs() {
    let bench = bench().await;
    let info = bench.publish(7, "own", 9).await;
    bench.store.finish_publication(info).await.unwrap();
    bench.with_copy().await;
    let copy = Cached { hash: hash(1), bytes: 100, held: false };
    assert_eq!(bench.store.cached().await.unwrap(), [copy]);
    let live = Live::default();
    let taken = bench.store.take_checkout(live, ImageNo(1), Some(1)).await.unwrap().unwrap();
    let held = Held { checkout: taken.view.id(), image: ImageNo(1), left: 1, given_up: 0 };
    bench.store.hold(held, hash(1), vec![3]).await.unwrap();
    assert_eq!(bench.store.cached().await.unwrap(), [Cached { held: true, ..copy }]);
}

#[tokio::test]
async fn the_database_of_another_peer_is_refused() {
    let bench = bench().await;
    assert!(bench.store.bind(me(), false).await.is_ok());
    assert!(matches!(bench.store.bind(other(), false).await, Err(Error::Foreign(peer)) if peer == me()));
}
