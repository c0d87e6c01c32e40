//! Images and rights as the tests make them, and the images' own tests.

use std::time::Duration;

use dos_protocol::{
    Allowance, Code, ImageNo, PeerId, SealedHash, SplitId, Timestamp, ViewId,
    directory::{
        Answer, ExpiryChange, KeyShare, List, Op, Page, Preview, Publish, Set, Share, Spend, SpendKind,
        Spent, Update, ViewsChange,
    },
    model::{Format, Grant, ImageInfo, Original, PeerRef, PreviewSize, SealedCopy},
    record::{ImageRecord, Taken, Thumb},
};
use dos_testing::wait_until_async;
use dosd::config::FileConfig;

use crate::{
    net::{Client, Net, open_to_all},
    private::arg,
};

pub(crate) const SPLIT: [u8; 16] = [3; 16];
pub(crate) const SHARE: [u8; 32] = [4; 32];

pub(crate) fn publication(name: &str, content: u8) -> Publish {
    Publish {
        name: name.parse().unwrap(),
        original: Original {
            image_id: [content; 32].into(),
            format: Format::Jpeg,
            width: 40,
            height: 30,
            bytes: 100,
        },
        sealed: SealedCopy { hash: [content; 32].into(), bytes: 164 },
        preview: Preview { format: Format::Jpeg, width: 4, height: 3, data: vec![content; 10] },
        replace: false,
        record: None,
    }
}

impl Client {
    pub(crate) async fn publish(&mut self, name: &str, content: u8) -> ImageInfo {
        match self.ask(Op::Publish(Box::new(publication(name, content)))).await {
            Ok(Answer::Image(image)) => *image,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn share(&mut self, image: ImageNo, viewer: PeerId, views: ViewsChange) -> Grant {
        match self.ask(share(image, viewer, views)).await {
            Ok(Answer::Grant(grant)) => *grant,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn spend(
        &mut self,
        image: ImageNo,
        view: ViewId,
    ) -> Result<Spent, dos_protocol::WireError> {
        match self.ask(Op::Spend(spend(image, view))).await? {
            Answer::Spent(spent) => Ok(*spent),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn page(&mut self, list: List) -> Page {
        match self.ask(Op::List(list)).await {
            Ok(Answer::Page(page)) => page,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn share(image: ImageNo, viewer: PeerId, views: ViewsChange) -> Op {
    Op::Share(Share {
        image,
        viewer: PeerRef::Id(viewer),
        views,
        expiry: ExpiryChange::Keep,
        key: Some(KeyShare { split: SplitId::from(SPLIT), share: SHARE, check: None }),
        lasts_ms: None,
        allow_offline: Some(true),
    })
}

pub(crate) fn views(count: u32) -> ViewsChange {
    ViewsChange::Set(Allowance::Views(count))
}

/// One view of the image whose content is 1.
pub(crate) fn spend(image: ImageNo, view: ViewId) -> Spend {
    Spend {
        image,
        view,
        views: 1,
        kind: SpendKind::View,
        split: SplitId::from(SPLIT),
        sealed: SealedHash::from([1; 32]),
    }
}

pub(crate) fn everything() -> List {
    List { peer: None, seen_since: None, online: false, after: None, limit: 100, seen_within_ms: None }
}

#[tokio::test]
async fn a_name_is_taken_once_unless_it_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut alice = net.peer("alice").await;
    let sea = alice.publish("sea", 1).await;
    assert_eq!(alice.publish("sea", 1).await, sea, "the same publication again changes nothing");
    assert_eq!(alice.refusal(Op::Publish(Box::new(publication("sea", 2)))).await.0, Code::Conflict);
    let again = Publish { replace: true, ..publication("sea", 2) };
    let Ok(Answer::Image(replaced)) = alice.ask(Op::Publish(Box::new(again))).await else { panic!() };
    assert_eq!((replaced.no, replaced.sealed.hash), (sea.no, [2; 32].into()));
    assert_eq!(alice.publish("copy", 2).await.original.image_id, replaced.original.image_id);
    net.stop().await;
}

#[tokio::test]
async fn what_an_owner_sends_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut alice = net.peer("alice").await;
    let good = publication("sea", 1);
    let mut large = good.clone();
    large.preview.data = vec![0; dos_protocol::limits::PREVIEW_BYTES_MAX + 1];
    let mut wide = good.clone();
    wide.preview.width = 257;
    let mut empty = good.clone();
    empty.original.bytes = 0;
    let mut unsealed = good.clone();
    unsealed.sealed.bytes = 100;
    for bad in [large, wide, empty, unsealed] {
        assert_eq!(alice.refusal(Op::Publish(Box::new(bad))).await.0, Code::Invalid);
    }
    assert!(alice.page(everything()).await.peers.iter().all(|peer| peer.images.is_empty()));
    net.stop().await;
}

#[tokio::test]
async fn previews_are_kept_up_to_the_size_that_peers_are_told() {
    let dir = tempfile::tempdir().unwrap();
    for (size, pixels, bytes) in [(PreviewSize::Usual, 256, 64 << 10), (PreviewSize::Large, 512, 256 << 10)] {
        let data_dir = dir.path().join(size.to_string());
        let net = Net::start_with(&data_dir, FileConfig { preview_size: Some(size), ..open_to_all() });
        let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
        assert_eq!(alice.signed_in.as_ref().unwrap().previews, size);
        let of = |name: &str, side, len| {
            let mut publish = publication(name, 1);
            (publish.preview.width, publish.preview.height) = (side, side);
            publish.preview.data = vec![7; len];
            Op::Publish(Box::new(publish))
        };
        for (side, len) in [(pixels + 1, 1), (1, bytes + 1)] {
            assert_eq!(alice.refusal(of("large", side, len)).await.0, Code::Invalid);
        }
        let Ok(Answer::Image(_)) = alice.ask(of("sea", pixels, bytes)).await else { panic!() };
        let Ok(Answer::Preview(shown)) = bob.ask(Op::Preview(arg("sea"))).await else { panic!() };
        assert_eq!((shown.preview.width, shown.preview.data), (pixels, vec![7; bytes]));
        net.stop().await;
    }
}

#[tokio::test]
async fn what_an_owner_says_of_a_picture_is_kept_and_shown_as_it_was_signed() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let word = |revision, is_full: bool| {
        let hash = vec![0xfb; 25].try_into().unwrap();
        let at = "2024-05-06T07:08:09+02:00".parse().unwrap();
        ImageRecord {
            revision,
            preview_hash: [1; 32],
            signature: [1; 64].into(),
            album: None,
            description: None,
            thumbhash: is_full.then_some(Thumb { hash, signature: [2; 64].into() }),
            taken: is_full.then_some(Taken { at, signature: [3; 64].into() }),
        }
    };
    let publish = Publish { record: Some(word(1, true)), ..publication("sea", 1) };
    let Ok(Answer::Image(sea)) = alice.ask(Op::Publish(Box::new(publish))).await else { panic!() };
    assert_eq!(sea.record, Some(word(1, true)));
    let Ok(Answer::Image(seen)) = bob.ask(Op::Image(arg("sea"))).await else { panic!() };
    assert_eq!(seen.record, Some(word(1, true)));
    let page = bob.page(everything()).await;
    let listed = page.peers.into_iter().flat_map(|peer| peer.images).next().unwrap();
    assert_eq!(listed.record, Some(word(1, true)));
    let without = Set { image: sea.no, visibility: None, record: Some(word(2, false)) };
    let Ok(Answer::Image(_)) = alice.ask(Op::Set(Box::new(without))).await else { panic!() };
    let Ok(Answer::Image(seen)) = bob.ask(Op::Image(arg("sea"))).await else { panic!() };
    assert_eq!(seen.record, Some(word(2, false)));
    net.stop().await;
}

#[tokio::test]
async fn pages_show_everything_once_and_end() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let mut peers = Vec::new();
    for number in 0..7u8 {
        let mut peer = net.peer(&format!("peer{number}")).await;
        for image in 0..number {
            peer.publish(&format!("image{image}"), image).await;
        }
        peers.push(peer);
    }
    for limit in [1, 2, 3, 5, 100] {
        let mut after = None;
        let mut seen = Vec::new();
        for _round in 0..60 {
            let list = List { after, limit, ..everything() };
            let page = peers.first_mut().unwrap().page(list).await;
            let entries: usize = page.peers.iter().map(|peer| peer.images.len().max(1)).sum();
            assert!(entries <= usize::try_from(limit).unwrap(), "{entries} entries on a page of {limit}");
            for peer in page.peers {
                assert!(peer.online && peer.address.is_some());
                seen.extend(peer.images.iter().map(|image| (peer.id, Some(image.name.clone()))));
                if peer.images.is_empty() {
                    seen.push((peer.id, None));
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(after, None, "the listing never ends");
        let mut sorted = seen.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(seen, sorted, "out of order or twice with pages of {limit}");
        assert_eq!(seen.len(), 22, "with pages of {limit}");
    }
    net.stop().await;
}

#[tokio::test]
async fn a_removed_image_ends_its_rights_and_a_renamed_one_keeps_them() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    alice.share(sea.no, bob.id(), views(2)).await;
    assert!(matches!(bob.update().await, Update::Grant(grant) if grant.views_left == Allowance::Views(2)));
    let rename = Op::Rename { image: sea.no, name: "ocean".parse().unwrap(), record: None };
    assert!(alice.ask(rename).await.is_ok());
    assert!(matches!(bob.update().await, Update::Grant(grant) if grant.path.name.as_str() == "ocean"));
    assert!(bob.spend(sea.no, ViewId::generate()).await.is_ok());
    assert!(alice.ask(Op::Remove(sea.no)).await.is_ok());
    assert!(matches!(bob.update().await, Update::Removed { image, .. } if image == sea.no));
    assert_eq!(bob.spend(sea.no, ViewId::generate()).await.unwrap_err().code, Code::Denied);
    let next = alice.publish("sea", 1).await;
    assert!(next.no > sea.no, "an image's number is never used again");
    net.stop().await;
}

#[tokio::test]
async fn nobody_touches_somebody_elses_image() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    let rename = Op::Rename { image: sea.no, name: "mine".parse().unwrap(), record: None };
    let alices = alice.id();
    for op in [Op::Remove(sea.no), rename, share(sea.no, alices, views(1))] {
        assert_eq!(bob.refusal(op).await.0, Code::NotFound);
    }
    let page = bob.page(List { peer: Some("alice".parse().unwrap()), ..everything() }).await;
    assert_eq!(page.peers[0].images.len(), 1);
    net.stop().await;
}

#[tokio::test]
async fn a_right_that_has_expired_comes_back_when_it_is_extended() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::start(dir.path());
    let (mut alice, mut bob) = (net.peer("alice").await, net.peer("bob").await);
    let sea = alice.publish("sea", 1).await;
    let bobs = bob.id();
    let brief = |expiry, views| match share(sea.no, bobs, views) {
        Op::Share(share) => Op::Share(Share { expiry, ..share }),
        other => other,
    };
    let mut lasting = Duration::from_millis(300);
    // On a slow machine so short a time may be over before it has begun, which is refused.
    let until = loop {
        let until = Timestamp::now().after(lasting);
        let op = brief(ExpiryChange::At(until), ViewsChange::Set(Allowance::Unlimited));
        match alice.ask(op).await {
            Ok(_) => break until,
            Err(error) => assert!(Timestamp::now() >= until, "{error}"),
        }
        lasting *= 2;
    };
    wait_until_async("it has expired", async || match bob.spend(sea.no, ViewId::generate()).await {
        Ok(spent) => {
            assert_eq!(spent.grant.expires_at, Some(until));
            false
        }
        Err(error) => {
            assert_eq!(error.reason, Some(dos_protocol::Reason::Expired));
            true
        }
    })
    .await;
    assert!(Timestamp::now() >= until);
    let later = Timestamp::now().after(Duration::from_secs(3600));
    assert!(alice.ask(brief(ExpiryChange::At(later), ViewsChange::Keep)).await.is_ok());
    assert!(bob.spend(sea.no, ViewId::generate()).await.is_ok());
    net.stop().await;
}
