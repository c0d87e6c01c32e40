//! The page for metrics and health: what is counted all the time, and what is looked up for each look.
//!
//! What always holds: no ID, name, address or text appears.

use std::{
    error::Error,
    sync::{Arc, Weak},
    time::Duration,
};

use dos_daemon::{
    http::{self, Page},
    log,
};
use dos_sql::WriterStats;
use prometheus_client::{
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};
use tokio::{sync::watch, time::timeout};

use crate::{
    directory::{Directory, outward},
    phase::Phase,
    rules::Level,
    store::{Counts, Looked},
};

/// A store that has not written in this time is not ready to.
const WRITE_TIME_MAX: Duration = Duration::from_secs(3);

/// A directory as its page shows it.
#[derive(Debug)]
pub(crate) struct Observed {
    /// Weak, because the store closes only when nothing holds it any more.
    directory: Weak<Directory>,
    phase: watch::Receiver<Phase>,
}

impl Observed {
    pub(crate) fn new(directory: &Arc<Directory>, phase: watch::Receiver<Phase>) -> Self {
        Self { directory: Arc::downgrade(directory), phase }
    }
}

impl Page for Observed {
    async fn metrics(&self) -> String {
        let Some(directory) = self.directory.upgrade() else { return http::open_metrics(&[]) };
        let counts = match directory.store.counts().await {
            Ok(counts) => Some(counts),
            Err(refusal) => {
                let error = outward(refusal);
                tracing::warn!(error = &error as &dyn Error, "the store cannot be counted");
                None
            }
        };
        let looked = match directory.store.space().await {
            Ok(looked) => Some(looked),
            Err(refusal) => {
                let error = outward(refusal);
                tracing::warn!(error = &error as &dyn Error, "the store cannot be measured");
                None
            }
        };
        let sampled = sample(&directory, counts, looked);
        http::open_metrics(&[directory.metrics.registry(), &sampled])
    }

    async fn is_healthy(&self) -> bool {
        let Some(directory) = self.directory.upgrade() else { return false };
        // A lock that is never given back would stop this, too.
        let _sessions = directory.live.count();
        let store = directory.store.clone();
        drop(directory);
        store.answers().await
    }

    async fn is_ready(&self) -> Result<(), String> {
        match *self.phase.borrow() {
            Phase::Open => {}
            Phase::Closing | Phase::Ended => return Err("the directory is closing".into()),
        }
        let Some(directory) = self.directory.upgrade() else { return Err("the directory is closing".into()) };
        let store = directory.store.clone();
        drop(directory);
        if timeout(WRITE_TIME_MAX, store.is_writable()).await.unwrap_or(false) {
            Ok(())
        } else {
            Err("the store takes no writes".into())
        }
    }
}

/// What is not counted but looked up; the store's part is missing if it cannot tell.
fn sample(directory: &Directory, counts: Option<Counts>, looked: Option<Looked>) -> Registry {
    let mut registry = Registry::with_prefix("dos");
    let mut gauge = |name: &str, help: &str, value: u64| {
        registry.register(name, help, ConstGauge::new(value));
    };
    gauge("sessions", "Peers that are online", u64::try_from(directory.live.count()).unwrap_or(u64::MAX));
    if let Some(counts) = counts {
        gauge("registered_peers", "Peers that are registered", counts.peers);
        gauge("images", "Images that are published", counts.images);
        gauge("inbox_rows", "Updates that peers have not stored yet", counts.inbox_rows);
    }
    if let Some(Looked { level, .. }) = looked {
        let level = match level {
            Level::Ample => 0,
            Level::Low(_) => 1,
            Level::Full(_) => 2,
        };
        gauge("room_level", "0: enough, 1: little is left, 2: none, peers can add nothing", level);
    }
    let uptime = directory.metrics.uptime().as_secs_f64();
    let calls = u64::try_from(directory.live.relay.calls()).unwrap_or(u64::MAX);
    gauge("relay_calls", "Calls through the relay under way, or about to be", calls);
    let mut bytes = |name: &str, help: &str, value: u64| {
        registry.register_with_unit(name, help, Unit::Bytes, ConstGauge::new(value));
    };
    if let Some(counts) = counts {
        bytes("preview", "All previews", counts.preview_bytes);
        bytes("inbox", "Updates that peers have not stored yet", counts.inbox_bytes);
    }
    if let Some(looked) = looked {
        bytes("store_used", "What of the database is in use", looked.space.database);
        bytes("room", "By how much the database can grow before nothing may be added", looked.room);
    }
    let relayed = ConstCounter::new(directory.live.relay.bytes());
    registry.register_with_unit("relayed", "What passed through the relay, both ways", Unit::Bytes, relayed);
    registry.register_with_unit("uptime", "Since the start", Unit::Seconds, ConstGauge::new(uptime));
    let WriterStats { commits, operations, failures } = directory.store.stats();
    let mut counter = |name: &str, help: &str, value: u64| {
        registry.register(name, help, ConstCounter::new(value));
    };
    counter("store_commits", "Transactions committed", commits);
    counter("store_operations", "Operations in the committed transactions", operations);
    counter("store_failures", "Transactions that could not be committed", failures);
    counter("log_drops", "Lines of the log that were left out because it was not read", log::dropped());
    registry
}
