//! Views spent durably: 64 viewers, each asking for the next one when the last is answered.
//!
//! Through the protocol to a dosd of its own, and the same operation called on a store in this process, with group commit.
//! The image's owner is away in both, so that receipts are written and not delivered.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use dos_protocol::{
    Allowance, ImageNo, PeerId, SealedHash, SplitId, Timestamp, ViewId,
    directory::{Answer, ExpiryChange, KeyShare, Op, Preview, Publish, Share, Spend, SpendKind, ViewsChange},
    model::{Format, Original, PeerRef, SealedCopy},
};
use dosd::{
    live::Live,
    store::{Admission, Change, NewPeer, Store, Wanted},
};
use tokio::task::JoinSet;

use crate::{
    lab::{ANYWHERE, Lab},
    load::{Entry, Session, callers, secrets, storm},
    stats::median,
    table::{Bar, Row, Unit},
};

/// Viewers.
const VIEWERS: usize = 64;

/// One row.
pub(super) async fn measure(lab: &Lab) -> anyhow::Result<Vec<Row>> {
    let (dosd, _) = lab.pair("spend").await?;
    let server = dosd.start(ANYWHERE).await?;
    let mut sessions =
        storm(&callers(&secrets(VIEWERS + 1)?, server.target)?, &Entry::Register(None)).await?.1;
    let image = grant_to_all(&mut sessions).await?;
    let (store, viewers, stored_image) = store_with_rights(&lab.dir().join("spend.db")).await?;
    let time = lab.pick(Duration::from_secs(2), Duration::from_millis(300));
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for _round in 0..lab.pick(7, 2) {
        raw.push(in_process(&store, &viewers, stored_image, time).await?);
        let (rate, back) = through_protocol(sessions, image, time).await?;
        ours.push(rate);
        sessions = back;
    }
    let stats = store.stats();
    let batch = stats.operations as f64 / stats.commits.max(1) as f64;
    let row = Row::new("views spent durably, 64 sessions", Unit::PerSecond)
        .ours(median(&ours))
        .raw(median(&raw), "store in process")
        .bar(Bar::RatioAtLeast(0.5))
        .note(format!("{batch:.0} operations a commit in process"));
    Ok(vec![row])
}

/// The first session publishes an image, gives the others a right without limit, and goes.
async fn grant_to_all(sessions: &mut Vec<Session>) -> anyhow::Result<ImageNo> {
    let mut owner = sessions.pop().context("nobody is signed in")?;
    let Answer::Image(image) = owner.ask(Op::Publish(Box::new(publication()?))).await? else {
        bail!("not published")
    };
    for viewer in sessions.iter() {
        let viewer = viewer.signed_in.as_ref().context("not signed in")?.id;
        owner.ask(Op::Share(unlimited(image.no, viewer))).await?;
    }
    owner.ask(Op::SignOut).await?;
    Ok(image.no)
}

async fn through_protocol(
    sessions: Vec<Session>,
    image: ImageNo,
    time: Duration,
) -> anyhow::Result<(f64, Vec<Session>)> {
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for mut session in sessions {
        tasks.spawn(async move {
            let mut count = 0u32;
            while start.elapsed() < time {
                session.ask(Op::Spend(one_view(image))).await?;
                count += 1;
            }
            anyhow::Ok((count, session))
        });
    }
    let (mut total, mut back) = (0, Vec::with_capacity(VIEWERS));
    while let Some(done) = tasks.join_next().await {
        let (count, session) = done??;
        total += count;
        back.push(session);
    }
    Ok((f64::from(total) / start.elapsed().as_secs_f64(), back))
}

pub(super) async fn in_process(
    store: &Store,
    viewers: &[PeerId],
    image: ImageNo,
    time: Duration,
) -> anyhow::Result<f64> {
    let rights: Vec<_> = viewers.iter().map(|viewer| (*viewer, image)).collect();
    at_stores(std::slice::from_ref(store), &rights, time).await
}

/// Every viewer spends views of its image, at one of these stores.
pub(super) async fn at_stores(
    stores: &[Store],
    rights: &[(PeerId, ImageNo)],
    time: Duration,
) -> anyhow::Result<f64> {
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for ((viewer, image), store) in rights.iter().copied().zip(stores.iter().cycle()) {
        let store = store.clone();
        tasks.spawn(async move {
            let mut count = 0u32;
            while start.elapsed() < time {
                store.spend(Change::by(viewer, Timestamp::now()), one_view(image)).await?;
                count += 1;
            }
            anyhow::Ok(count)
        });
    }
    let mut total = 0;
    while let Some(done) = tasks.join_next().await {
        total += done??;
    }
    Ok(f64::from(total) / start.elapsed().as_secs_f64())
}

async fn store_with_rights(path: &Path) -> anyhow::Result<(Store, Vec<PeerId>, ImageNo)> {
    let (store, _writer) = Store::open(path, Arc::new(Live::default()))?;
    let (viewers, image) = give_rights(&store).await?;
    Ok((store, viewers, image))
}

/// An owner's image in a store, and a right without limit for every viewer.
pub(super) async fn give_rights(store: &Store) -> anyhow::Result<(Vec<PeerId>, ImageNo)> {
    let now = Timestamp::now();
    let owner = store.register(secrets(1)?.remove(0).public()?, anybody(), now).await?;
    let image = store.publish(Change::by(owner.id, now), (publication()?, Wanted::default())).await?.no;
    let mut viewers = Vec::with_capacity(VIEWERS);
    for secret in secrets(VIEWERS)? {
        let viewer = store.register(secret.public()?, anybody(), now).await?.id;
        store.share(Change::by(owner.id, now), unlimited(image, viewer)).await?;
        viewers.push(viewer);
    }
    Ok((viewers, image))
}

/// As [`give_rights`], by so many owners.
pub(super) async fn give_rights_of(store: &Store, owners: usize) -> anyhow::Result<Vec<(PeerId, ImageNo)>> {
    let mut all = Vec::new();
    for _owner in 0..owners {
        let (viewers, image) = give_rights(store).await?;
        all.extend(viewers.into_iter().take(VIEWERS / owners).map(|viewer| (viewer, image)));
    }
    Ok(all)
}

pub(super) fn anybody() -> NewPeer {
    NewPeer { name: None, admission: Admission::Open }
}

const SPLIT: [u8; 16] = [3; 16];
const SEALED: [u8; 32] = [5; 32];

/// An image of which the directory has everything; that there is no original does not matter to it.
pub(super) fn publication() -> anyhow::Result<Publish> {
    Ok(Publish {
        name: "sea".parse()?,
        original: Original {
            image_id: SEALED.into(),
            format: Format::Jpeg,
            width: 4_000,
            height: 3_000,
            bytes: 5_000_000,
        },
        sealed: SealedCopy { hash: SEALED.into(), bytes: 5_000_900 },
        preview: Preview { format: Format::Jpeg, width: 256, height: 192, data: vec![1; 8 << 10] },
        replace: false,
        record: None,
    })
}

pub(super) fn unlimited(image: ImageNo, viewer: PeerId) -> Share {
    Share {
        image,
        viewer: PeerRef::Id(viewer),
        views: ViewsChange::Set(Allowance::Unlimited),
        expiry: ExpiryChange::Keep,
        key: Some(KeyShare { split: SplitId::from(SPLIT), share: [4; 32], check: None }),
        lasts_ms: None,
        allow_offline: None,
    }
}

pub(super) fn one_view(image: ImageNo) -> Spend {
    Spend {
        image,
        view: ViewId::generate(),
        views: 1,
        kind: SpendKind::View,
        split: SplitId::from(SPLIT),
        sealed: SealedHash::from(SEALED),
    }
}
