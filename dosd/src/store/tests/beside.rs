//! Operations of several peers at two nodes at once, beside each other where they may be: what comes of them is what would have come of
//! them one after the other.

use dos_protocol::{Seq, directory::Checkin};

use super::*;

/// Owners, each with an image; every peer is a viewer of the others, too.
const PEERS: u8 = 6;

/// Views that each may spend of each image. More are tried.
const GRANTED: u32 = 8;

struct Fixture {
    peers: Vec<PeerId>,
    images: Vec<dos_protocol::ImageNo>,
}

fn publication(number: u8) -> Publish {
    Publish {
        name: "sea".parse().unwrap(),
        original: Original {
            image_id: [number; 32].into(),
            format: Format::Jpeg,
            width: 4,
            height: 3,
            bytes: 100,
        },
        sealed: SealedCopy { hash: [number; 32].into(), bytes: 164 },
        preview: Preview { format: Format::Jpeg, width: 4, height: 3, data: vec![1; 10] },
        replace: false,
        record: None,
    }
}

fn terms(image: dos_protocol::ImageNo, viewer: PeerId, views: ViewsChange) -> Share {
    Share {
        image,
        viewer: PeerRef::Id(viewer),
        views,
        expiry: ExpiryChange::Keep,
        key: Some(KeyShare { split: SplitId::from([3; 16]), share: [4; 32], check: None }),
        lasts_ms: None,
        allow_offline: Some(true),
    }
}

async fn fixture(store: &Store) -> Fixture {
    let (mut peers, mut images) = (Vec::new(), Vec::new());
    for number in 1..=PEERS {
        let peer = join(store, number, Admission::Open).await.unwrap();
        let image = store.publish(by(peer, NOW), (publication(number), Wanted::default())).await.unwrap();
        peers.push(peer);
        images.push(image.no);
    }
    for (owner, image) in peers.iter().zip(&images) {
        for viewer in peers.iter().filter(|viewer| *viewer != owner) {
            let terms = terms(*image, *viewer, ViewsChange::Set(Allowance::Views(GRANTED)));
            store.share(by(*owner, NOW), terms).await.unwrap();
        }
    }
    Fixture { peers, images }
}

/// What one daemon of a peer does at a node: it views and checks out what others own, sends to all, and stores its inbox. What it asks it
/// asks at the other node too in the same moment, as after a lost reply. Tells how many views it was given.
async fn live([store, elsewhere]: [Store; 2], fixture: &Fixture, index: usize) -> u32 {
    let peer = fixture.peers[index];
    let mut given = 0;
    for round in 0..usize::try_from(GRANTED).unwrap() + 4 {
        for other in (0..fixture.peers.len()).filter(|other| *other != index) {
            let kind = if round % 3 == 2 { SpendKind::Checkout } else { SpendKind::View };
            let (view, image) = (ViewId::generate(), fixture.images[other]);
            let sealed = SealedHash::from([u8::try_from(other).unwrap() + 1; 32]);
            let spend = Spend { image, view, views: 1, kind, split: SplitId::from([3; 16]), sealed };
            let (one, again) = tokio::join!(
                store.spend(by(peer, NOW), spend.clone()),
                elsewhere.spend(by(peer, NOW), spend)
            );
            assert_eq!(one.is_ok(), again.is_ok(), "{one:?} {again:?}");
            match one {
                Ok(_) => given += 1,
                Err(Refusal::Refused(error)) => assert_eq!(error.code, Code::Denied),
                Err(Refusal::Store(error)) => panic!("{error:?}"),
            }
            if kind == SpendKind::Checkout && round.is_multiple_of(2) {
                let checkin = Checkin { image, checkout: view, unused: 1, given_up: 0 };
                if store.checkin(by(peer, NOW), checkin).await.is_ok() {
                    given -= 1;
                }
            }
            store.close_views(by(peer, NOW), vec![view]).await.unwrap();
            let sent = letter(fixture.peers[other]);
            let (one, again) = tokio::join!(
                store.send(by(peer, NOW), sent.clone()),
                elsewhere.send(by(peer, NOW), sent.clone())
            );
            assert_eq!(one.unwrap().seq, again.unwrap().seq);
            store.queued(peer, sent.message).await.unwrap();
        }
        let latest = store.seats_latest(peer).await;
        store.acknowledge(peer, Seq(latest.0 / 2), NOW).await.unwrap();
        store.left((peer, 0), NOW, SessionEnd::Closed).await.unwrap();
    }
    given
}

impl Store {
    async fn seats_latest(&self, peer: PeerId) -> Seq {
        let read = move |connection: &Connection| {
            let sql = "SELECT latest FROM inbox_heads WHERE peer = ?1";
            Ok(connection.prepare(sql)?.query_row([row::peer_number(peer)], |row| row::unsigned(row, 0))?)
        };
        self.read(read).await.map(Seq).unwrap()
    }
}

/// Everything at once, at two nodes, with what needs everything now and then.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_runs_beside_each_other_at_two_nodes_counts_as_if_one_after_the_other() {
    let name = "what_runs_beside_each_other_at_two_nodes_counts_as_if_one_after_the_other";
    let Some(place) = Place::database(name) else { return };
    let nodes = [place.open(), place.open()];
    let fixture = Arc::new(fixture(&nodes[0].0).await);
    let mut tasks = tokio::task::JoinSet::new();
    let both = || [nodes[0].0.clone(), nodes[1].0.clone()];
    for index in 0..fixture.peers.len() {
        // Two daemons of each peer, at different nodes, compete for the same views.
        for mut stores in [both(), both()] {
            stores.rotate_left(tasks.len() % 2);
            let fixture = Arc::clone(&fixture);
            tasks.spawn(async move { live(stores, &fixture, index).await });
        }
    }
    let chores = nodes[1].0.clone();
    let beating = tokio::spawn(async move {
        for number in 0..20 {
            chores.forget_old(NOW).await.unwrap();
            join(&chores, 100 + number, Admission::Open).await.unwrap();
        }
    });
    let mut given = 0;
    while let Some(done) = tasks.join_next().await {
        given += i64::from(done.unwrap());
    }
    beating.await.unwrap();
    for node in nodes {
        close(node).await;
    }
    assert_eq!(place.check().findings, Vec::<Box<str>>::new());
    let used = "SELECT CAST(sum(views_used) AS bigint), CAST(max(views_used) AS bigint) FROM grants";
    let [used, most] = place.numbers(used);
    assert_eq!((used, most), (given, i64::from(GRANTED)), "as many as were given, and none beyond its grant");
}
