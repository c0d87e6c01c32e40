//! Views, messages and registrations on three database servers of which two confirm each commit, beside a file: the rows of `postgres`,
//! with the stores in this process. The nodes of the cluster take them for nodes that cannot be reached, and strike them after 4 s, which
//! costs nothing of what is measured.

use std::{fs, path::Path, time::Duration};

use anyhow::Context as _;
use dos_sql::{Secrets, Server};
use dos_testing::cluster::Cluster;

use crate::{
    lab::Lab,
    rows::postgres::{Stores, computed_here, views, writes},
    table::Row,
};

pub(super) async fn measure(lab: &Lab, cluster: &Cluster) -> anyhow::Result<Vec<Row>> {
    let stores = Stores::on(lab, &server(cluster)?, "a quorum of three")?;
    let mut rows = views(lab, &stores, computed_elsewhere).await?;
    rows.extend(writes(lab, &stores).await?);
    Ok(rows)
}

/// The database servers as a node is told of them.
fn server(cluster: &Cluster) -> anyhow::Result<Server> {
    let flags = cluster.store();
    let flag = |name: &str| {
        let given =
            flags.iter().find_map(|flag| flag.strip_prefix(name)).context("the cluster has no such flag");
        given.map(str::to_owned)
    };
    let password = fs::read_to_string(Path::new(&flag("--store-password-file=")?))?;
    let authority = fs::read(Path::new(&flag("--store-ca=")?))?;
    let secrets = Secrets { password: Some(password.trim_end().into()), authority: Some(authority.into()) };
    Ok(Server::new(&flag("--store=")?.parse()?, &secrets)?)
}

/// How long everything but this process has computed: the three servers, on a machine that does nothing else.
fn computed_elsewhere() -> anyhow::Result<Duration> {
    let stat = fs::read_to_string("/proc/stat")?;
    let times = stat.lines().next().context("no times of this machine")?.split_whitespace().skip(1);
    // User, nice, system; then idle and waiting, which are none; then interrupts of two kinds (proc_stat(5)).
    let ticks: u64 = times
        .enumerate()
        .filter(|(at, _)| matches!(at, 0..=2 | 5 | 6))
        .filter_map(|(_, ticks)| ticks.parse::<u64>().ok())
        .sum();
    Ok(Duration::from_millis(ticks * 10).saturating_sub(computed_here()?))
}
