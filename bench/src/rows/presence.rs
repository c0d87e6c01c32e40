//! What subscribers to everybody's presence cost the directory: its computing time while thousands come and go, beside the
//! same without subscribers, and what each subscriber is sent.

use std::sync::Arc;

use anyhow::ensure;
use dos_protocol::directory::{Answer, Op, Subscription};
use tokio::task::JoinSet;

use crate::{
    lab::{ANYWHERE, Lab, register_all},
    load::{Caller, Entry, Told, callers, secrets, storm},
    server::Server,
    stats::median,
    table::{Row, Unit},
};

/// Two rows: computing time, and bytes to a subscriber.
pub(super) async fn measure(lab: &Lab) -> anyhow::Result<Vec<Row>> {
    let (visitors, subscribers) = (lab.pick(2_000, 200), lab.pick(100, 10));
    let (dosd, _bare) = lab.pair("presence").await?;
    let keys = secrets(visitors + subscribers)?;
    register_all(&dosd, &keys).await?;
    let server = dosd.start(ANYWHERE).await?;
    let everybody = callers(&keys, server.target)?;
    let (visitors, subscribers) = everybody.split_at(visitors);
    let visitors: Arc<[Caller]> = visitors.into();
    let (mut without, mut with, mut bytes, mut pushes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _round in 0..lab.pick(5, 1) {
        without.push(visit(&server, &visitors).await?);
        let told = Arc::new(Told::default());
        let following = follow(subscribers, &told).await?;
        with.push(visit(&server, &visitors).await?);
        let (all_pushes, all_bytes) = told.so_far();
        ensure!(following.len() == subscribers.len(), "a subscriber was lost");
        drop(following);
        server.settle().await?;
        bytes.push(all_bytes as f64 / subscribers.len() as f64);
        pushes.push(all_pushes as f64 / subscribers.len() as f64);
    }
    server.kill().await?;
    let (visits, count) = (visitors.len(), subscribers.len());
    let computing = Row::new(
        format!("dosd's computing for {visits} peers on and off, {count} subscribers"),
        Unit::Millis,
    );
    let sent = Row::new("the same, sent to each subscriber", Unit::Kilobytes);
    let each = median(&bytes) / (2.0 * visits as f64);
    Ok(vec![
        computing.ours(median(&with)).raw(median(&without), "no subscribers"),
        sent.ours(median(&bytes) / 1024.0)
            .note(format!("{:.0} pushes, {each:.0} bytes for each coming or going", median(&pushes))),
    ])
}

/// Milliseconds that the server computes while everybody comes, and goes again.
async fn visit(server: &Server, visitors: &Arc<[Caller]>) -> anyhow::Result<f64> {
    let before = server.computed()?;
    let (_, sessions) = storm(visitors, &Entry::SignIn).await?;
    drop(sessions);
    server.settle().await?;
    Ok((server.computed()? - before) * 1e3)
}

/// Sessions that follow every peer, until the set is dropped.
async fn follow(subscribers: &[Caller], told: &Arc<Told>) -> anyhow::Result<JoinSet<()>> {
    let mut following = JoinSet::new();
    for subscriber in subscribers {
        let mut session = subscriber.open(&Entry::SignIn).await?;
        let answer = session.ask(Op::Subscribe(Subscription::Everybody)).await?;
        ensure!(answer == Answer::Done, "not subscribed");
        following.spawn(session.count(Arc::clone(told)));
    }
    Ok(following)
}
