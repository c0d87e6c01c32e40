//! Everybody back after a crash: the server is killed with thousands of idle sessions and started anew at once; each
//! client notices, and tries again after peerd's own delays until it is in. From the kill to the last one.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use dos_protocol::limits::{RECONNECT_DELAY_MAX, RECONNECT_DELAY_MIN};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    lab::{ANYWHERE, Lab, register_all},
    load::{Caller, Entry, callers, secrets},
    server::Server,
    stats::median,
    table::{Bar, Row, Unit},
};

/// Nobody waits longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// One row.
pub(super) async fn measure(lab: &Lab) -> anyhow::Result<Vec<Row>> {
    let count = lab.pick(4_000, 400);
    let (dosd, bare) = lab.pair("reconnect").await?;
    let keys = secrets(count)?;
    register_all(&dosd, &keys).await?;
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for _round in 0..lab.pick(5, 1) {
        let server = bare.start(ANYWHERE).await?;
        let crowd = Crowd::gather(&server, callers(&keys, server.target)?.to_vec(), Entry::Bare).await?;
        raw.push(crowd.after_crash(server, |address| bare.start(address)).await?);
        let server = dosd.start(ANYWHERE).await?;
        let crowd = Crowd::gather(&server, callers(&keys, server.target)?.to_vec(), Entry::SignIn).await?;
        ours.push(crowd.after_crash(server, |address| dosd.start(address)).await?);
    }
    let row = Row::new(format!("{count} peers back after a crash of the server"), Unit::Seconds)
        .ours(median(&ours))
        .raw(median(&raw), "bare server")
        .bar(Bar::RatioAtMost(1.3));
    Ok(vec![row])
}

/// Clients that always come back.
struct Crowd {
    count: usize,
    arrivals: mpsc::Receiver<usize>,
    _members: JoinSet<()>,
}

impl Crowd {
    /// Everybody comes, and is then idle.
    async fn gather(server: &Server, callers: Vec<Caller>, entry: Entry) -> anyhow::Result<Self> {
        let count = callers.len();
        let (arrived, arrivals) = mpsc::channel(count);
        let mut members = JoinSet::new();
        for (number, caller) in callers.into_iter().enumerate() {
            members.spawn(belong(number, caller, entry.clone(), arrived.clone()));
        }
        let mut crowd = Self { count, arrivals, _members: members };
        crowd.all().await?;
        server.settle().await?;
        Ok(crowd)
    }

    /// Waits until everybody has arrived since the last call.
    async fn all(&mut self) -> anyhow::Result<()> {
        let mut there = vec![false; self.count];
        let mut missing = self.count;
        while missing > 0 {
            let arrival = timeout(PATIENCE, self.arrivals.recv()).await.context("somebody does not come")?;
            let place = there.get_mut(arrival.context("nobody is left")?);
            if place.is_some_and(|there| !std::mem::replace(there, true)) {
                missing -= 1;
            }
        }
        Ok(())
    }

    /// Seconds from the kill until the last one is back.
    async fn after_crash<F: Future<Output = anyhow::Result<Server>>>(
        mut self,
        server: Server,
        start: impl FnOnce(std::net::SocketAddr) -> F,
    ) -> anyhow::Result<f64> {
        let address = server.target.address;
        let began = Instant::now();
        server.kill().await?;
        let (server, back) = tokio::join!(start(address), self.all());
        let (server, time) = (server?, began.elapsed());
        back?;
        drop(self);
        server.kill().await?;
        Ok(time.as_secs_f64())
    }
}

/// Comes, stays while it can, and comes again: after peerd's first delay, which doubles, give or take a half.
async fn belong(number: usize, caller: Caller, entry: Entry, arrived: mpsc::Sender<usize>) {
    let mut delay = RECONNECT_DELAY_MIN;
    // Any spread will do; this one is the same in every run.
    let jitter = 0.5 + f64::from(u32::try_from(number * 7_919 % 1_000).unwrap_or(0)) / 1_000.0;
    loop {
        if let Ok(session) = caller.open(&entry).await {
            delay = RECONNECT_DELAY_MIN;
            if arrived.send(number).await.is_err() {
                return;
            }
            session.idle().await;
        }
        sleep(delay.mul_f64(jitter)).await;
        delay = (delay * 2).min(RECONNECT_DELAY_MAX);
    }
}
