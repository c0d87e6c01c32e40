//! The store on a database server on this machine, beside the one in a file, in one run: views, messages and registrations, durable in
//! both; views of many owners at one node and at two; and what one view computes in the node and in the database.
//!
//! Both share this machine's cores and disk: the server's processes take what the store in a file leaves to the program. What nodes and
//! a database on machines of their own would do comes of the computing time of one operation.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use dos_protocol::{MessageId, PeerId, Timestamp, directory::Send, model::PeerRef};
use dos_sql::{Secrets, Server, WriterThread};
use dos_testing::Postgres;
use dosd::{
    live::Live,
    store::{Change, Joining, Store},
};
use tokio::task::JoinSet;

use super::{
    push::Pair,
    spend::{anybody, at_stores, give_rights_of},
};
use crate::{
    dosd::Dosd,
    lab::{ANYWHERE, Lab},
    load::secrets,
    stats::median,
    table::{Row, Unit},
};

/// Registrations, or senders, at once.
const TOGETHER: usize = 64;

/// Owners whose images are viewed at once, so that no lane has all of them.
const OWNERS: usize = 16;

/// Messages of one sender in one measurement: fewer than may wait for a recipient.
const MESSAGES: usize = 12;

/// Some rows; none where PostgreSQL is not installed.
pub(super) async fn measure(lab: &Lab) -> anyhow::Result<Vec<Row>> {
    // The server runs as another user.
    fs::set_permissions(lab.dir(), fs::Permissions::from_mode(0o711))?;
    let Some(postgres) = Postgres::own_at(lab.dir(), "the rows of PostgreSQL") else { return Ok(Vec::new()) };
    let server = Server::new(&postgres.database().parse()?, &Secrets::default())?;
    let stores = Stores::on(lab, &server, "PostgreSQL")?;
    let mut rows = views(lab, &stores, || Ok(postgres.computed())).await?;
    rows.extend(writes(lab, &stores).await?);
    rows.push(Box::pin(pushes(lab, postgres.database())).await?);
    Ok(rows)
}

/// The push of a grant by a dosd on a database server, beside one on a file.
async fn pushes(lab: &Lab, database: String) -> anyhow::Result<Row> {
    let program = lab.programs.get("dosd", "dosd").await?;
    let here = Dosd::new(&program, &lab.dir().join("push-file"))?.start(ANYWHERE).await?;
    let there = Dosd::new(&program, &lab.dir().join("push-postgres"))?.on(database).start(ANYWHERE).await?;
    let (mut local, mut remote) = (Pair::register(here.target).await?, Pair::register(there.target).await?);
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for _turn in 0..lab.pick(1_000, 50) {
        raw.push(local.push().await?);
        ours.push(remote.push().await?);
    }
    let what = "push of a grant until the viewer's daemon has it, on PostgreSQL, p50";
    Ok(Row::new(what, Unit::Micros).ours(median(&ours)).raw(median(&raw), "SQLite"))
}

/// Two nodes on one database, and the store in a file beside them.
pub(super) struct Stores {
    /// What the database is, for the rows.
    on: &'static str,
    remote: [Store; 2],
    local: Store,
    /// They write as long as these live.
    _writers: [WriterThread; 3],
}

impl Stores {
    /// Opens a database that is empty.
    pub(super) fn on(lab: &Lab, server: &Server, on: &'static str) -> anyhow::Result<Self> {
        let node = |port: u16| Joining {
            address: format!("localhost:{port}").into(),
            cluster: Some(format!("localhost:{}", port + 1).into()),
        };
        let (one, first) = Store::connect(server, &node(5001), Arc::new(Live::default()))?;
        let (two, second) = Store::connect(server, &node(6001), Arc::new(Live::default()))?;
        let file = lab.dir().join(format!("beside {on}.db"));
        let (local, third) = Store::open(&file, Arc::new(Live::default()))?;
        Ok(Self { on, remote: [one, two], local, _writers: [first, second, third] })
    }
}

/// Views of one owner, of several, and of several at two nodes.
///
/// `computed` is how long the database's processes have computed.
pub(super) async fn views(
    lab: &Lab,
    stores: &Stores,
    computed: impl Fn() -> anyhow::Result<Duration>,
) -> anyhow::Result<Vec<Row>> {
    let [one, two] = &stores.remote;
    let (here, there) = (give_rights_of(&stores.local, OWNERS).await?, give_rights_of(one, OWNERS).await?);
    let of_one = give_rights_of(one, 1).await?;
    let time = lab.pick(Duration::from_secs(2), Duration::from_millis(300));
    let (mut raw, mut single, mut several, mut both) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut in_node, mut in_database) = (Vec::new(), Vec::new());
    for _round in 0..lab.pick(5, 2) {
        raw.push(at_stores(std::slice::from_ref(&stores.local), &here, time).await?);
        single.push(at_stores(std::slice::from_ref(one), &of_one, time).await?);
        let before = (computed_here()?, computed()?);
        let begun = Instant::now();
        let rate = at_stores(std::slice::from_ref(one), &there, time).await?;
        let count = rate * begun.elapsed().as_secs_f64();
        in_node.push((computed_here()? - before.0).as_secs_f64() * 1e6 / count);
        in_database.push(computed()?.saturating_sub(before.1).as_secs_f64() * 1e6 / count);
        several.push(rate);
        both.push(at_stores(&[one.clone(), two.clone()], &there, time).await?);
    }
    let on = stores.on;
    let row = |name: String, remote: &[f64]| {
        Row::new(name, Unit::PerSecond).ours(median(remote)).raw(median(&raw), "SQLite")
    };
    let micros = |name: String, all: &[f64]| Row::new(name, Unit::Micros).ours(median(all));
    Ok(vec![
        row(format!("views on {on}, 64 at once, of one owner"), &single),
        row(format!("views on {on}, 64 at once, of 16 owners"), &several),
        row(format!("the same at two nodes of one machine, on {on}"), &both),
        micros(format!("computing time of such a view in the node, on {on}"), &in_node),
        micros(format!("computing time of such a view in the database: {on}"), &in_database),
    ])
}

/// Registrations and messages.
pub(super) async fn writes(lab: &Lab, stores: &Stores) -> anyhow::Result<Vec<Row>> {
    let [one, _] = &stores.remote;
    let count = lab.pick(2_000, 200);
    let (here, there) = (peers(&stores.local).await?, peers(one).await?);
    let (mut registered, mut sent) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for _round in 0..lab.pick(5, 2) {
        registered.0.push(register(one, count).await?);
        registered.1.push(register(&stores.local, count).await?);
        sent.0.push(send(one, &there).await?);
        sent.1.push(send(&stores.local, &here).await?);
    }
    let row = |name: &str, (remote, local): &(Vec<f64>, Vec<f64>)| {
        let name = format!("{name} on {}, 64 at once", stores.on);
        Row::new(name, Unit::PerSecond).ours(median(remote)).raw(median(local), "SQLite")
    };
    Ok(vec![row("registrations", &registered), row("messages for the absent", &sent)])
}

/// How long this process has computed.
pub(super) fn computed_here() -> anyhow::Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let behind = stat.rsplit_once(") ").context("no times of this process")?.1;
    let ticks: u64 = behind.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}

/// Peers of whom each sends to the next one.
async fn peers(store: &Store) -> anyhow::Result<Vec<PeerId>> {
    let mut peers = Vec::with_capacity(TOGETHER);
    for secret in secrets(TOGETHER)? {
        peers.push(store.register(secret.public()?, anybody(), Timestamp::now()).await?.id);
    }
    Ok(peers)
}

/// Every peer sends some messages to the next one; how many a second.
async fn send(store: &Store, peers: &[PeerId]) -> anyhow::Result<f64> {
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for (from, to) in peers.iter().copied().zip(peers.iter().copied().cycle().skip(1)) {
        let store = store.clone();
        tasks.spawn(async move {
            for _ in 0..MESSAGES {
                let message = MessageId::generate();
                let letter =
                    Send { message, to: PeerRef::Id(to), text: "x".repeat(100).into(), sealed: None };
                store.send(Change::by(from, Timestamp::now()), letter).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.context("a task has failed")??;
    }
    Ok((peers.len() * MESSAGES) as f64 / start.elapsed().as_secs_f64())
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
