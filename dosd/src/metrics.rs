//! What is counted all the time. Knows nothing of what is measured: each part reports what it has done.
//!
//! What always holds: every directory has its own registry; labels have few values, none of which comes from a peer; no ID,
//! name, address or text appears.

use std::time::{Duration, Instant};

use dos_protocol::{
    Timestamp, WireError,
    directory::{Op, ViewedKind},
};
use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

/// The bounds of the histogram of operations, in seconds: from a read from memory to a disk that stalls.
const BUCKETS: [f64; 12] = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// Labels and their values.
type Labels<const N: usize> = [(&'static str, &'static str); N];

/// By which request a peer comes online, or a machine gets its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entrance {
    SignIn,
    Register,
    Login,
    Reclaim,
    /// By none of these.
    None,
}

impl Entrance {
    pub(crate) fn of(op: &Op) -> Self {
        match op {
            Op::SignIn(_) => Self::SignIn,
            Op::Register(_) => Self::Register,
            Op::LoginStart(_) | Op::LoginFinish(_) => Self::Login,
            Op::Reclaim(_) => Self::Reclaim,
            _ => Self::None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::Register => "register",
            Self::Login => "login",
            Self::Reclaim => "reclaim",
            Self::None => "none",
        }
    }
}

/// Why a connection came to nothing before its first request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unproved {
    /// It failed to.
    Failed,
    /// Its address has made too many.
    Limit,
    /// It sent nothing.
    Silent,
    /// Its address has too many open.
    Crowded,
    /// It has proved a key and asked for nothing in time, or for nonsense.
    Unsigned,
    /// It made room for one of another address, or took too long while others waited.
    Displaced,
}

impl Unproved {
    const ALL: [Self; 6] =
        [Self::Failed, Self::Limit, Self::Silent, Self::Crowded, Self::Unsigned, Self::Displaced];

    fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Limit => "limit",
            Self::Silent => "silent",
            Self::Crowded => "crowded",
            Self::Unsigned => "unsigned",
            Self::Displaced => "displaced",
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
    /// Of a directory that starts now, with the live side's own counter.
    #[must_use]
    pub fn new(queue_drops: Counter) -> Self {
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
        for entrance in [Entrance::SignIn, Entrance::Register, Entrance::Login] {
            drop(metrics.sign_ins.get_or_create(&[("kind", entrance.as_str()), ("result", "ok")]));
        }
        for why in Unproved::ALL {
            drop(metrics.handshake_failures.get_or_create(&[("why", why.as_str())]));
        }
        for kind in [ViewedKind::View, ViewedKind::Checkout, ViewedKind::Checkin, ViewedKind::GivenUp] {
            drop(metrics.views.get_or_create(&[("kind", kind.as_str())]));
        }
        Self { registry: metrics.registered(queue_drops), ..metrics }
    }

    fn registered(&self, queue_drops: Counter) -> Registry {
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
            "Connections that ended before their first request, by why",
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
        registry.register("queue_drops", "What did not fit into a session's queue", queue_drops);
        registry
    }

    /// A peer tried to come online.
    pub(crate) fn signed_in(&self, entrance: Entrance, error: Option<&WireError>) {
        let result = error.map_or("ok", |error| error.code.as_str());
        self.sign_ins.get_or_create(&[("kind", entrance.as_str()), ("result", result)]).inc();
        if let Some(error) = error {
            self.refused(error);
        }
    }

    /// A connection did not prove a key.
    pub(crate) fn unproved(&self, why: Unproved) {
        self.handshake_failures.get_or_create(&[("why", why.as_str())]).inc();
    }

    /// A request was refused with this.
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

    /// How long the directory has run.
    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Everything that is counted here.
    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }
}
