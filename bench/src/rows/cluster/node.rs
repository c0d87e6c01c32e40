//! A node with thousands of peers is killed: from then on until each of them is signed in at another one.
//!
//! As peerd does, each goes to another node as soon as its connection ends, and to the next one if that fails.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use dos_testing::cluster::{Cluster, Part, Way};
use tokio::{
    task::{JoinSet, block_in_place},
    time::timeout,
};

use super::targets;
use crate::{
    lab::Lab,
    load::{Caller, Entry, callers, secrets, stay, storm},
    stats::percentile,
    table::{Bar, Row, Unit},
};

/// The node that is killed.
const KILLED: usize = 1;
/// Nobody waits longer.
const PATIENCE: Duration = Duration::from_secs(120);
/// 99 of a hundred are elsewhere before this, in seconds.
const ELSEWHERE_MAX: f64 = 5.0;

pub(super) async fn measure(lab: &Lab, cluster: &mut Cluster) -> anyhow::Result<Vec<Row>> {
    let (targets, keys) = (targets(cluster)?, secrets(lab.pick(4_000, 400))?);
    let there = *targets.get(KILLED).context("there is no such node")?;
    let (_, sessions) = storm(&callers(&keys, there)?, &Entry::Register(None)).await?;
    let mut elsewhere: Vec<_> = targets.clone();
    elsewhere.remove(KILLED);
    let mut members = JoinSet::new();
    for (number, (key, session)) in keys.iter().zip(sessions).enumerate() {
        let callers =
            elsewhere.iter().map(|target| Caller::new(key, *target)).collect::<Result<Vec<_>, _>>()?;
        members.spawn(async move {
            session.idle().await;
            for caller in callers.iter().cycle().skip(number % 2) {
                if let Ok(session) = caller.open(&Entry::SignIn).await {
                    return (Instant::now(), session);
                }
            }
            unreachable!("the callers go round")
        });
    }
    let killed = Instant::now();
    let fault = block_in_place(|| cluster.strike(Part::Node, Way::Kill, KILLED))?;
    let (mut times, mut sessions) = (Vec::new(), Vec::new());
    let all = async {
        while let Some(done) = members.join_next().await {
            let (online, session) = done?;
            times.push((online - killed).as_secs_f64());
            sessions.push(session);
        }
        anyhow::Ok(())
    };
    timeout(PATIENCE, all).await.context("not all are online elsewhere")??;
    let staying = stay(sessions);
    block_in_place(|| cluster.mend(fault))?;
    drop(staying);
    let row = |name: &str, share| {
        Row::new(format!("{} peers of a killed node online elsewhere, {name}", times.len()), Unit::Seconds)
            .ours(percentile(&times, share))
    };
    Ok(vec![row("p50", 0.5), row("p99", 0.99).bar(Bar::Below(ELSEWHERE_MAX)), row("the last", 1.0)])
}
