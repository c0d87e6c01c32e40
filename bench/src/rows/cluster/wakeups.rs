//! Sign-ins against changes: a peer signs in at one node in the moment in which another one, at another node, changes its right. The
//! change must reach the session, whether it was there when the peer came or comes a moment later.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use dos_protocol::{
    Allowance, ImageNo, PeerId,
    directory::{Answer, Op, Share, Update, ViewsChange},
};
use dos_testing::cluster::Cluster;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::targets;
use crate::{
    load::{Caller, Entry, Session, secrets},
    rows::spend::{publication, unlimited},
    stats::percentile,
    table::{Bar, Row, Unit},
};

/// Peers that sign in, each with an owner of its own.
const PAIRS: u32 = 24;
/// What has not come after both were answered and so long again is lost.
const LOST_AFTER: Duration = Duration::from_secs(20);
/// A change begins so much later than the sign-in, at most, or as much earlier.
const APART_MICROS: u64 = 6_000;

pub(super) async fn measure(cluster: &Cluster, sign_ins: u32) -> anyhow::Result<Vec<Row>> {
    let targets = targets(cluster)?;
    let (mut tasks, nodes) = (JoinSet::new(), targets.len());
    for (number, keys) in secrets(usize::try_from(PAIRS * 2)?)?.chunks_exact(2).enumerate() {
        let [owner, viewer] = keys else { bail!("two keys are needed") };
        let at = *targets.get(number % nodes).context("there is no node")?;
        let owner = Caller::new(owner, at)?;
        // It comes to all nodes in turn.
        let callers =
            targets.iter().cycle().skip(number).take(nodes).map(|target| Caller::new(viewer, *target));
        let callers = callers.collect::<Result<Vec<_>, _>>()?;
        tasks.spawn(pair(owner, callers, sign_ins.div_ceil(PAIRS)));
    }
    let (mut waits, mut lost, begun) = (Vec::new(), 0u32, Instant::now());
    while let Some(done) = tasks.join_next().await {
        let (times, missing) = done??;
        waits.extend(times);
        lost += missing;
    }
    let row = Row::new("sign-ins against changes: wake-ups lost", Unit::Count)
        .ours(lost.into())
        .bar(Bar::Below(1.0))
        .note(format!("of {}, in {:.0?}", waits.len(), begun.elapsed()));
    let wait = |name: &str, share| {
        Row::new(format!("update after sign-in and change were answered, {name}"), Unit::Millis)
            .ours(percentile(&waits, share))
    };
    Ok(vec![row, wait("p50", 0.5), wait("p99.9", 0.999), wait("the last", 1.0)])
}

/// How long each update was waited for after both were answered, in milliseconds; how many did not come.
async fn pair(owner: Caller, viewer: Vec<Caller>, times: u32) -> anyhow::Result<(Vec<f64>, u32)> {
    let mut owner = owner.open(&Entry::Register(None)).await?;
    let Answer::Image(image) = owner.ask(Op::Publish(Box::new(publication()?))).await? else {
        bail!("not published")
    };
    let first = viewer.first().context("there is no node")?.open(&Entry::Register(None)).await?;
    let id = first.signed_in.as_ref().context("not signed in")?.id;
    drop(first);
    let (mut waits, mut lost) = (Vec::new(), 0);
    for (views, caller) in (1..=times).zip(viewer.iter().cycle()) {
        match once(&mut owner, caller, (image.no, id, views)).await? {
            Some(wait) => waits.push(wait.as_secs_f64() * 1e3),
            None => lost += 1,
        }
    }
    Ok((waits, lost))
}

async fn once(
    owner: &mut Session,
    viewer: &Caller,
    (image, id, views): (ImageNo, PeerId, u32),
) -> anyhow::Result<Option<Duration>> {
    let share = Share { views: ViewsChange::Set(Allowance::Views(views)), ..unlimited(image, id) };
    // Any spread will do; this one is the same in every run.
    let apart = Duration::from_micros(u64::from(views) * 7_919 % APART_MICROS);
    let change = async {
        sleep(apart).await;
        owner.ask(Op::Share(share)).await
    };
    let (changed, session) = tokio::join!(change, viewer.open(&Entry::SignIn));
    changed?;
    let (mut session, answered) = (session?, Instant::now());
    let comes = async {
        loop {
            match session.update().await {
                Ok(Update::Grant(grant)) if grant.views_left == Allowance::Views(views) => return Ok(()),
                Ok(_) => {}
                // A takeover of a session before it may end this one too: a peer comes again.
                Err(_) => session = viewer.open(&Entry::SignIn).await?,
            }
        }
    };
    match timeout(LOST_AFTER, comes).await {
        Ok(came) => came.map(|()| Some(answered.elapsed())),
        Err(_) => Ok(None),
    }
}
