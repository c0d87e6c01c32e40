//! The store on a database server on this machine, beside the one in a file, in one run: views and registrations, durable in both.
//!
//! Both share this machine's cores and disk: the server's processes take what the store in a file leaves to the program.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use dos_protocol::Timestamp;
use dos_sql::{Secrets, Server};
use dos_testing::Postgres;
use dosd::{
    live::Live,
    store::{Joining, Store},
};
use tokio::task::JoinSet;

use super::spend::{anybody, give_rights, in_process};
use crate::{
    lab::Lab,
    load::secrets,
    stats::median,
    table::{Row, Unit},
};

/// Registrations at once.
const TOGETHER: usize = 64;

/// Two rows; none where PostgreSQL is not installed.
pub(super) async fn measure(lab: &Lab) -> anyhow::Result<Vec<Row>> {
    // The server runs as another user.
    fs::set_permissions(lab.dir(), fs::Permissions::from_mode(0o711))?;
    let Some(postgres) = Postgres::own_at(lab.dir(), "the rows of PostgreSQL") else { return Ok(Vec::new()) };
    let server = Server::new(&postgres.database().parse()?, &Secrets::default())?;
    let joining = Joining { address: "localhost:5001".into(), cluster: None };
    let (remote, _lane) = Store::connect(&server, &joining, Arc::new(Live::default()))?;
    let (local, _writer) = Store::open(&lab.dir().join("beside-postgres.db"), Arc::new(Live::default()))?;
    let (remote_viewers, remote_image) = give_rights(&remote).await?;
    let (local_viewers, local_image) = give_rights(&local).await?;
    let time = lab.pick(Duration::from_secs(2), Duration::from_millis(300));
    let count = lab.pick(2_000, 200);
    let (mut spent, mut registered) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for _round in 0..lab.pick(5, 2) {
        spent.0.push(in_process(&remote, &remote_viewers, remote_image, time).await?);
        spent.1.push(in_process(&local, &local_viewers, local_image, time).await?);
        registered.0.push(register(&remote, count).await?);
        registered.1.push(register(&local, count).await?);
    }
    let row = |name: &str, (remote, local): &(Vec<f64>, Vec<f64>)| {
        let name = format!("{name} on PostgreSQL, 64 at once");
        Row::new(name, Unit::PerSecond).ours(median(remote)).raw(median(local), "SQLite")
    };
    Ok(vec![row("views spent durably", &spent), row("registrations", &registered)])
}

/// Registers so many peers, and tells how many a second.
async fn register(store: &Store, count: usize) -> anyhow::Result<f64> {
    let keys = secrets(count)?.into_iter().map(|secret| secret.public()).collect::<Result<Vec<_>, _>>()?;
    let keys = Arc::new(keys);
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for first in 0..TOGETHER {
        let (store, keys) = (store.clone(), Arc::clone(&keys));
        tasks.spawn(async move {
            for key in keys.iter().skip(first).step_by(TOGETHER) {
                store.register(*key, anybody(), Timestamp::now()).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.context("a task has failed")??;
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}
