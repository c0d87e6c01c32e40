//! What is measured, and the page on which it is seen: counters that are kept all the time, and what is looked up when
//! somebody looks.
//!
//! What always holds: every directory has its own registry; labels have few values, none of which comes from a peer; no ID,
//! name, address or text is told.

use std::{
    error::Error,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use dos_daemon::http::{self, Page};
use dos_protocol::{
    Timestamp, WireError,
    directory::{Op, ViewedKind},
};
use dos_sqlite::WriterStats;
use prometheus_client::{
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::ConstGauge,
        histogram::Histogram,
        info::Info,
    },
    registry::{Registry, Unit},
};
use tokio::sync::watch;

use crate::{
    admin::Phase,
    directory::{Directory, outward},
    hub::Hub,
    store::Counts,
};

/// Up to where operations are told apart by how long they take, in seconds: from a read from memory to a disk that stalls.
const BUCKETS: [f64; 12] = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// Labels and their values.
type Labels<const N: usize> = [(&'static str, &'static str); N];

/// How somebody comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entrance {
    SignIn,
    Register,
    Recover,
    /// By nothing of these.
    None,
}

impl Entrance {
    pub(crate) fn of(op: &Op) -> Self {
        match op {
            Op::SignIn(_) => Self::SignIn,
            Op::Register(_) => Self::Register,
            Op::Recover(_) => Self::Recover,
            _ => Self::None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::Register => "register",
            Self::Recover => "recover",
            Self::None => "none",
        }
    }
}

/// What a directory counts while it works.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    started_at: Timestamp,
    started: Instant,
    sign_ins: Family<Labels<2>, Counter>,
    refusals: Family<Labels<2>, Counter>,
    operations: Family<Labels<1>, Histogram>,
    views: Family<Labels<1>, Counter>,
    handshake_failures: Family<Labels<1>, Counter>,
}

impl Metrics {
    /// Of a directory that starts now.
    #[must_use]
    pub fn new(hub: &Hub) -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS);
        let metrics = Self {
            registry: Registry::default(),
            started_at: Timestamp::now(),
            started: Instant::now(),
            sign_ins: Family::default(),
            refusals: Family::default(),
            operations: Family::new_with_constructor(histogram),
            views: Family::default(),
            handshake_failures: Family::default(),
        };
        // What has not happened yet stands there as 0, so that its rate is known from the first time on.
        for entrance in [Entrance::SignIn, Entrance::Register, Entrance::Recover] {
            drop(metrics.sign_ins.get_or_create(&[("kind", entrance.as_str()), ("result", "ok")]));
        }
        for why in ["failed", "limit"] {
            drop(metrics.handshake_failures.get_or_create(&[("why", why)]));
        }
        for kind in [ViewedKind::View, ViewedKind::Checkout, ViewedKind::Checkin] {
            drop(metrics.views.get_or_create(&[("kind", kind.as_str())]));
        }
        Self { registry: metrics.registered(hub), ..metrics }
    }

    fn registered(&self, hub: &Hub) -> Registry {
        let mut registry = Registry::with_prefix("dos");
        registry.register(
            "build",
            "The version that runs",
            Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
        );
        registry.register(
            "sign_ins",
            "Attempts to come online, by kind and result: ok, or the code of the error",
            self.sign_ins.clone(),
        );
        registry.register(
            "handshake_failures",
            "Connections that proved no key: they failed to, or there were too many of their address",
            self.handshake_failures.clone(),
        );
        registry.register(
            "refusals",
            "Requests that were refused, by the code and the reason of the error",
            self.refusals.clone(),
        );
        registry.register_with_unit(
            "operation_duration",
            "How long operations took, by name",
            Unit::Seconds,
            self.operations.clone(),
        );
        registry.register(
            "views",
            "Views that were counted: viewed, checked out, given back",
            self.views.clone(),
        );
        registry.register("queue_drops", "What did not fit into a session's queue", hub.drops.clone());
        registry
    }

    /// Somebody tried to come online.
    pub(crate) fn signed_in(&self, entrance: Entrance, error: Option<&WireError>) {
        let result = error.map_or("ok", |error| error.code.as_str());
        self.sign_ins.get_or_create(&[("kind", entrance.as_str()), ("result", result)]).inc();
        if let Some(error) = error {
            self.refused(error);
        }
    }

    /// A connection did not prove a key.
    pub(crate) fn handshake_failed(&self) {
        self.handshake_failures.get_or_create(&[("why", "failed")]).inc();
    }

    /// A connection was refused because its address has made too many.
    pub(crate) fn handshake_refused(&self) {
        self.handshake_failures.get_or_create(&[("why", "limit")]).inc();
    }

    /// A peer is told this.
    pub(crate) fn refused(&self, error: &WireError) {
        let reason = error.reason.map_or("", dos_protocol::Reason::as_str);
        self.refusals.get_or_create(&[("code", error.code.as_str()), ("reason", reason)]).inc();
    }

    /// An operation of this name ended, after this time.
    pub(crate) fn performed(&self, name: &'static str, took: Duration) {
        self.operations.get_or_create(&[("op", name)]).observe(took.as_secs_f64());
    }

    /// So many views were counted, for the first time.
    pub(crate) fn viewed(&self, kind: ViewedKind, views: u32) {
        self.views.get_or_create(&[("kind", kind.as_str())]).inc_by(views.into());
    }

    /// Views counted so far.
    #[must_use]
    pub fn views(&self, kind: ViewedKind) -> u64 {
        self.views.get_or_create(&[("kind", kind.as_str())]).get()
    }

    /// When the directory was started.
    #[must_use]
    pub fn started_at(&self) -> Timestamp {
        self.started_at
    }
}

/// A directory as those see it who watch over it.
#[derive(Debug)]
pub(crate) struct Observed {
    /// Weak, because the store closes only when nobody holds it any more.
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
        let sampled = sample(&directory, counts);
        http::open_metrics(&[&directory.metrics.registry, &sampled])
    }

    async fn is_healthy(&self) -> bool {
        let Some(directory) = self.directory.upgrade() else { return false };
        // A lock that is never given back would stop this, too.
        let _sessions = directory.hub.count();
        let store = directory.store.clone();
        drop(directory);
        store.answers().await
    }

    async fn is_ready(&self) -> Result<(), String> {
        match *self.phase.borrow() {
            Phase::Open => Ok(()),
            Phase::Closing | Phase::Ended => Err("the directory is closing".into()),
        }
    }
}

/// What is not counted but looked up; the store's part is missing if it cannot tell.
fn sample(directory: &Directory, counts: Option<Counts>) -> Registry {
    let mut registry = Registry::with_prefix("dos");
    let mut gauge = |name: &str, help: &str, value: u64| {
        registry.register(name, help, ConstGauge::new(value));
    };
    gauge("sessions", "Peers that are online", u64::try_from(directory.hub.count()).unwrap_or(u64::MAX));
    if let Some(counts) = counts {
        gauge("registered_peers", "Peers that are registered", counts.peers);
        gauge("images", "Images that are published", counts.images);
        gauge("inbox_rows", "Updates that peers have not stored yet", counts.inbox_rows);
    }
    let uptime = directory.metrics.started.elapsed().as_secs_f64();
    let calls = u64::try_from(directory.relay.calls()).unwrap_or(u64::MAX);
    gauge("relay_calls", "Calls through the relay under way, or about to be", calls);
    let relayed = ConstCounter::new(directory.relay.bytes());
    registry.register_with_unit("relayed", "What passed through the relay, both ways", Unit::Bytes, relayed);
    registry.register_with_unit("uptime", "Since the start", Unit::Seconds, ConstGauge::new(uptime));
    let WriterStats { commits, operations, failures } = directory.store.stats();
    let mut counter = |name: &str, help: &str, value: u64| {
        registry.register(name, help, ConstCounter::new(value));
    };
    counter("store_commits", "Transactions committed", commits);
    counter("store_operations", "Operations in the committed transactions", operations);
    counter("store_failures", "Transactions that could not be committed", failures);
    registry
}
