//! The database's primary is lost under viewers at all nodes: what is refused and after how long, whether a session ends, and whether
//! everything that was confirmed is counted, once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use dos_protocol::{
    Code, ImageNo,
    directory::{Answer, Op},
};
use dos_testing::{
    Backoff,
    cluster::{Cluster, Part, Way},
};
use tokio::{
    task::{JoinSet, block_in_place},
    time::sleep,
};

use super::targets;
use crate::{
    load::{Caller, Entry, Session, secrets},
    rows::spend::{one_view, publication, unlimited},
    table::{Bar, Row, Unit},
};

/// Viewers, over all nodes.
const VIEWERS: usize = 60;
/// How long they view before, and after another primary is there.
const BEFORE: Duration = Duration::from_secs(5);
const AFTER: Duration = Duration::from_secs(15);
/// Another primary is there within this time.
const TAKEOVER_TIME_MAX: Duration = Duration::from_secs(60);
/// What is asked for waits so long before it is refused, in seconds.
const PATIENT: f64 = 25.0;

/// What came of views.
#[derive(Debug, Default)]
struct Viewed {
    confirmed: u64,
    /// How long each request that was refused had waited.
    refused: Vec<f64>,
    /// The longest that a view took, with repetitions.
    longest: f64,
    ended: u64,
}

pub(super) async fn measure(cluster: &mut Cluster, way: Way) -> anyhow::Result<Vec<Row>> {
    let (image, sessions) = viewers(cluster).await?;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for session in sessions {
        tasks.spawn(view(session, image, Arc::clone(&is_over)));
    }
    sleep(BEFORE).await;
    let struck = Instant::now();
    let fault = block_in_place(|| cluster.strike(Part::Primary, way, 0))?;
    let taken = block_in_place(|| cluster.another_primary(fault, &mut Backoff::within(TAKEOVER_TIME_MAX)));
    ensure!(taken, "no other server has taken over");
    let takeover = struck.elapsed().as_secs_f64();
    sleep(AFTER).await;
    is_over.store(true, Ordering::Relaxed);
    let mut all = Viewed::default();
    while let Some(done) = tasks.join_next().await {
        let one = done??;
        all.confirmed += one.confirmed;
        all.refused.extend(one.refused);
        all.longest = all.longest.max(one.longest);
        all.ended += one.ended;
    }
    block_in_place(|| cluster.mend(fault))?;
    let sql = format!("SELECT coalesce(sum(views_used), 0) FROM grants WHERE image = {}", image.0);
    let counted: u64 = block_in_place(|| cluster.sql("dosd", &sql))?.parse()?;
    Ok(rows(way, &all, (takeover, counted)))
}

fn rows(way: Way, all: &Viewed, (takeover, counted): (f64, u64)) -> Vec<Row> {
    let what = match way {
        Way::Kill => "the primary's process is killed",
        Way::Stop => "the primary's machine is stopped",
        Way::Cut => "the primary's machine is cut off",
    };
    let row = |name: &str, unit| Row::new(format!("{what}: {name}"), unit);
    let refused = row("requests refused", Unit::Count).ours(all.refused.len() as f64);
    let soonest = all.refused.iter().copied().reduce(f64::min);
    let refused = match (way, soonest) {
        (Way::Kill, _) => refused.bar(Bar::Below(1.0)),
        (_, Some(soonest)) => {
            let early = if soonest < PATIENT { ", TOO EARLY" } else { "" };
            refused.note(format!("the first after {soonest:.2} s{early}; all repeated with success"))
        }
        (_, None) => refused,
    };
    let differ = all.confirmed.abs_diff(counted) as f64;
    vec![
        row("another one takes writes after", Unit::Seconds).ours(takeover),
        refused,
        row("the longest that a view took", Unit::Seconds).ours(all.longest),
        row("sessions ended", Unit::Count).ours(all.ended as f64).bar(Bar::Below(1.0)),
        row("views confirmed and not counted, or counted twice", Unit::Count)
            .ours(differ)
            .bar(Bar::Below(1.0))
            .note(format!("of {}", all.confirmed)),
    ]
}

/// An image, and viewers at all nodes who may view it without end.
async fn viewers(cluster: &Cluster) -> anyhow::Result<(ImageNo, Vec<Session>)> {
    let (targets, keys) = (targets(cluster)?, secrets(VIEWERS + 1)?);
    let mut sessions = Vec::new();
    for (key, target) in keys.iter().zip(targets.iter().cycle()) {
        sessions.push(Caller::new(key, *target)?.open(&Entry::Register(None)).await?);
    }
    let mut owner = sessions.pop().context("nobody is signed in")?;
    let Answer::Image(image) = owner.ask(Op::Publish(Box::new(publication()?))).await? else {
        bail!("not published")
    };
    for viewer in &sessions {
        let viewer = viewer.signed_in.as_ref().context("not signed in")?.id;
        owner.ask(Op::Share(unlimited(image.no, viewer))).await?;
    }
    owner.ask(Op::SignOut).await?;
    Ok((image.no, sessions))
}

/// Views again and again; what is refused for want of a database is asked for again, under the same ID.
async fn view(mut session: Session, image: ImageNo, is_over: Arc<AtomicBool>) -> anyhow::Result<Viewed> {
    let mut viewed = Viewed::default();
    while !is_over.load(Ordering::Relaxed) {
        let (view, begun) = (one_view(image), Instant::now());
        loop {
            let asked = Instant::now();
            match session.attempt(Op::Spend(view.clone())).await {
                Ok(Ok(_)) => break,
                Ok(Err(error)) if error.code == Code::Timeout => {
                    viewed.refused.push(asked.elapsed().as_secs_f64());
                }
                Ok(Err(error)) => bail!("a view was refused: {error}"),
                Err(_) => {
                    viewed.ended += 1;
                    return Ok(viewed);
                }
            }
        }
        viewed.confirmed += 1;
        viewed.longest = viewed.longest.max(begun.elapsed().as_secs_f64());
    }
    Ok(viewed)
}
