//! From the owner's request for a change of a right until the viewer has the update: both at one node, and at two.

use std::time::Instant;

use anyhow::{Context as _, bail};
use dos_protocol::{
    Allowance, ImageNo,
    directory::{Answer, Op, Share, ViewsChange},
};
use dos_testing::cluster::Cluster;

use super::targets;
use crate::{
    lab::Lab,
    load::{Caller, Entry, Session, secrets},
    rows::spend::{publication, unlimited},
    stats::{median, micros, percentile},
    table::{Bar, Row, Unit},
};

/// The most that a hop may take, in milliseconds.
const HOP_MS_MAX: f64 = 2.0;

pub(super) async fn measure(lab: &Lab, cluster: &Cluster) -> anyhow::Result<Vec<Row>> {
    let (targets, keys) = (targets(cluster)?, secrets(3)?);
    let mut sessions = Vec::new();
    for (key, at) in keys.iter().zip([0, 0, 1]) {
        let target = *targets.get(at).context("there is no such node")?;
        sessions.push(Caller::new(key, target)?.open(&Entry::Register(None)).await?);
    }
    let [mut owner, mut near, mut far] =
        <[Session; 3]>::try_from(sessions).map_err(|_| anyhow::anyhow!("three are needed"))?;
    let Answer::Image(image) = owner.ask(Op::Publish(Box::new(publication()?))).await? else {
        bail!("not published")
    };
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for views in 1..=lab.pick(1_000, 50) {
        one.push(push(&mut owner, &mut near, (image.no, views)).await?);
        two.push(push(&mut owner, &mut far, (image.no, views)).await?);
    }
    let row = |name: &str, share| {
        Row::new(format!("push of a right to a peer at another node, {name}"), Unit::Millis)
            .ours(percentile(&two, share))
            .raw(percentile(&one, share), "at the same node")
    };
    let hop = Row::new("a hop between nodes, p50", Unit::Millis).ours(median(&two) - median(&one));
    Ok(vec![row("p50", 0.5), row("p99", 0.99), hop.bar(Bar::Below(HOP_MS_MAX))])
}

/// Milliseconds.
async fn push(
    owner: &mut Session,
    viewer: &mut Session,
    (image, views): (ImageNo, u32),
) -> anyhow::Result<f64> {
    let id = viewer.signed_in.as_ref().context("not signed in")?.id;
    let share = Share { views: ViewsChange::Set(Allowance::Views(views)), ..unlimited(image, id) };
    let start = Instant::now();
    let arrives = async {
        viewer.update().await?;
        anyhow::Ok(micros(start.elapsed()) / 1e3)
    };
    // The owner's answer is read meanwhile, so that the next push begins on a quiet connection.
    let (time, answer) = tokio::join!(arrives, owner.ask(Op::Share(share)));
    answer?;
    time
}
