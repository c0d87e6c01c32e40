//! Everybody back after a crash: the server is killed with thousands of idle sessions and started anew at once; each
//! client notices, and tries again after peerd's own delays until it is in. From the kill to the last one. And the same ten times in a
//! row, as soon as the last one is back: sessions that are brief must not keep anybody away for long.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use dos_protocol::limits::{BRIEF_SESSION, BRIEF_SESSIONS_MAX, RECONNECT_DELAY_MAX, RECONNECT_DELAY_MIN};
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

/// Crashes in a row.
const CRASHES: u32 = 10;

/// Nobody is away for longer after the last of them, in seconds.
const AWAY_MAX: f64 = 5.0;

/// A row for one crash, and one for many.
pub(super) async fn measure(lab: &Lab) -> anyhow::Result<Vec<Row>> {
    let count = lab.pick(4_000, 400);
    let (dosd, bare) = lab.pair("reconnect").await?;
    let keys = secrets(count)?;
    register_all(&dosd, &keys).await?;
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for _round in 0..lab.pick(5, 1) {
        let server = bare.start(ANYWHERE).await?;
        let mut crowd = Crowd::gather(&server, callers(&keys, server.target)?.to_vec(), Entry::Bare).await?;
        let (server, time) = crowd.crash(server, |address| bare.start(address)).await?;
        server.kill().await?;
        raw.push(time);
        let server = dosd.start(ANYWHERE).await?;
        let mut crowd =
            Crowd::gather(&server, callers(&keys, server.target)?.to_vec(), Entry::SignIn).await?;
        let (server, time) = crowd.crash(server, |address| dosd.start(address)).await?;
        server.kill().await?;
        ours.push(time);
    }
    let mut server = dosd.start(ANYWHERE).await?;
    let mut crowd = Crowd::gather(&server, callers(&keys, server.target)?.to_vec(), Entry::SignIn).await?;
    let mut times = Vec::new();
    for _crash in 0..CRASHES {
        let (next, time) = crowd.crash(server, |address| dosd.start(address)).await?;
        server = next;
        times.push(time);
    }
    server.kill().await?;
    let what = format!("{count} peers back after");
    Ok(vec![
        Row::new(format!("{what} a crash of the server"), Unit::Seconds)
            .ours(median(&ours))
            .raw(median(&raw), "bare server")
            .bar(Bar::RatioAtMost(1.1)),
        Row::new(format!("{what} the last of {CRASHES} crashes in a row"), Unit::Seconds)
            .ours(times.last().copied().unwrap_or_default())
            .bar(Bar::Below(AWAY_MAX))
            .note(format!("after the slowest {:.2} s", times.iter().copied().fold(0.0, f64::max))),
    ])
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

    /// The server anew, and the seconds from the kill until the last one is back.
    async fn crash<F: Future<Output = anyhow::Result<Server>>>(
        &mut self,
        server: Server,
        start: impl FnOnce(std::net::SocketAddr) -> F,
    ) -> anyhow::Result<(Server, f64)> {
        let address = server.target.address;
        let began = Instant::now();
        server.kill().await?;
        let everybody = async {
            self.all().await?;
            anyhow::Ok(began.elapsed().as_secs_f64())
        };
        tokio::try_join!(start(address), everybody)
    }
}

/// Comes, stays while it can, and comes again, after the same delays as peerd: those of failures in a row, and of brief sessions.
async fn belong(number: usize, caller: Caller, entry: Entry, arrived: mpsc::Sender<usize>) {
    let (mut failures, mut brief) = (0, 0);
    // Any spread will do; this one is the same in every run.
    let jitter = 0.5 + f64::from(u32::try_from(number * 7_919 % 1_000).unwrap_or(0)) / 2_000.0;
    loop {
        let delay = match caller.open(&entry).await {
            Ok(session) => {
                if arrived.send(number).await.is_err() {
                    return;
                }
                let since = Instant::now();
                session.idle().await;
                failures = 0;
                brief = if since.elapsed() < BRIEF_SESSION { BRIEF_SESSIONS_MAX.min(brief + 1) } else { 0 };
                delay_after(brief)
            }
            Err(_) => {
                failures += 1;
                delay_after(failures - 1)
            }
        };
        sleep(delay.mul_f64(jitter)).await;
    }
}

/// The longest that peerd waits after N failures.
fn delay_after(failures: u32) -> Duration {
    (RECONNECT_DELAY_MIN * (1 << failures.min(16))).min(RECONNECT_DELAY_MAX)
}
