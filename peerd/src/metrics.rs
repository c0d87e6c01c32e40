//! What is measured, and the page on which it is seen: counters that are kept all the time, and what is looked up when
//! somebody looks.
//!
//! What always holds: every daemon has its own registry; labels have few values, none of which comes from another peer; no
//! ID, name, address or text is told.

use std::{
    error::Error,
    sync::{Arc, Weak, atomic::Ordering},
    time::{Duration, Instant},
};

use dos_daemon::http::{self, Page};
use dos_protocol::{WireError, control::SessionState};
use prometheus_client::{
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::{ConstGauge, Gauge},
        info::Info,
    },
    registry::{Registry, Unit},
};
use tokio::{sync::Semaphore, time::timeout};

use crate::{Core, rules::cache, upstream::Upstream};

/// A store whose writer does not answer for so long does not work.
const HEALTH_TIME_MAX: Duration = Duration::from_secs(5);

/// Labels and their values.
type Labels<const N: usize> = [(&'static str, &'static str); N];

const STATES: [SessionState; 4] =
    [SessionState::Unregistered, SessionState::Offline, SessionState::Connecting, SessionState::Online];

/// The two ways of a transfer, as they are called.
const UPLOAD: Labels<1> = [("direction", "upload")];
const DOWNLOAD: Labels<1> = [("direction", "download")];

/// What was asked of the directory.
#[derive(Debug, Clone, Default)]
pub(crate) struct UpstreamCounter(Family<Labels<2>, Counter>);

impl UpstreamCounter {
    /// An operation of this name was answered, or failed.
    pub(crate) fn count(&self, name: &'static str, error: Option<&WireError>) {
        let result = error.map_or("ok", |error| error.code.as_str());
        self.0.get_or_create(&[("op", name), ("result", result)]).inc();
    }
}

/// What a daemon counts while it works.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    started: Instant,
    updates: Family<Labels<1>, Counter>,
    /// Pictures that dosctl has shown under a right.
    pub(crate) views_shown: Counter,
}

impl Metrics {
    /// Of a daemon that starts now.
    pub(crate) fn new(upstream: &Upstream) -> Self {
        let (updates, views_shown) = (Family::default(), Counter::default());
        let mut registry = Registry::with_prefix("dos_peer");
        let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version that runs", version);
        registry.register(
            "operations",
            "EventKind was asked of the directory, by name and result: ok, or the code of the error",
            upstream.asked().0.clone(),
        );
        registry.register("updates", "Updates from the directory that took effect, by kind", updates.clone());
        registry.register("views_shown", "Pictures of others that were shown", views_shown.clone());
        Self { registry, started: Instant::now(), updates, views_shown }
    }

    /// Updates of these kinds took effect.
    pub(crate) fn applied(&self, kinds: &[&'static str]) {
        for kind in kinds {
            self.updates.get_or_create(&[("kind", kind)]).inc();
        }
    }
}

/// A daemon as those see it who watch over it.
#[derive(Debug)]
pub(crate) struct Observed {
    /// Weak, because the store closes only when nobody holds it any more.
    core: Weak<Core>,
    /// Whoever looks waits for the one before.
    looking: Semaphore,
}

impl Observed {
    pub(crate) fn new(core: &Arc<Core>) -> Self {
        Self { core: Arc::downgrade(core), looking: Semaphore::new(1) }
    }
}

impl Page for Observed {
    async fn metrics(&self) -> String {
        let Ok(_place) = self.looking.acquire().await else { return String::new() };
        let Some(core) = self.core.upgrade() else { return http::open_metrics(&[]) };
        let cached = match core.store.cached().await {
            Ok(copies) => Some(cache::total(&copies)),
            Err(error) => {
                tracing::warn!(error = &error as &dyn Error, "the cache cannot be counted");
                None
            }
        };
        http::open_metrics(&[&core.metrics.registry, &sample(&core, cached)])
    }

    async fn is_healthy(&self) -> bool {
        let store = self.core.upgrade().map(|core| core.store.clone());
        let Some(store) = store else { return false };
        timeout(HEALTH_TIME_MAX, store.answers()).await.unwrap_or(false)
    }

    /// It is ready when others can use it: its port and its socket are open (else there is no page), and it has its session,
    /// or wants none: nobody has registered it, or it was logged out.
    async fn is_ready(&self) -> Result<(), String> {
        let core = self.core.upgrade().ok_or("the daemon is stopping")?;
        let session = core.upstream.status().borrow().clone();
        match session.state {
            SessionState::Online | SessionState::Unregistered | SessionState::Offline => Ok(()),
            SessionState::Connecting => {
                let why = session.trouble.map(|trouble| format!(": {trouble}")).unwrap_or_default();
                Err(format!("not connected to the directory{why}"))
            }
        }
    }
}

/// What is not counted but looked up; what the store could not tell is missing.
fn sample(core: &Core, cached: Option<u64>) -> Registry {
    let mut registry = Registry::with_prefix("dos_peer");
    let session = Family::<Labels<1>, Gauge>::default();
    let now = core.upstream.status().borrow().state;
    for state in STATES {
        session.get_or_create(&[("state", state.as_str())]).set(i64::from(state == now));
    }
    registry.register("session", "How the session to the directory stands: 1 at its state", session);
    let under_way = Family::<Labels<1>, Gauge>::default();
    let transferred = Family::<Labels<1>, Counter>::default();
    for (labels, traffic) in [(UPLOAD, &core.uploads), (DOWNLOAD, &core.downloads)] {
        under_way.get_or_create(&labels).set(i64::try_from(traffic.under_way()).unwrap_or(i64::MAX));
        transferred.get_or_create(&labels).inc_by(traffic.passed());
    }
    registry.register("transfers", "Transfers of sealed copies under way", under_way);
    registry.register_with_unit("transferred", "Sealed bytes sent and received", Unit::Bytes, transferred);
    if let Some(bytes) = cached {
        let help = "EventKind sealed copies of others take on the disk";
        registry.register_with_unit("cached", help, Unit::Bytes, ConstGauge::new(bytes));
    }
    let pending = core.pending_requests.load(Ordering::Relaxed);
    registry.register(
        "pending_requests",
        "Requests of others that wait for an answer",
        ConstGauge::new(pending),
    );
    let uptime = core.metrics.started.elapsed().as_secs_f64();
    registry.register_with_unit("uptime", "Since the start", Unit::Seconds, ConstGauge::new(uptime));
    let sessions = ConstCounter::new(core.upstream.status().borrow().session);
    registry.register("sign_ins", "Sessions that came about", sessions);
    registry
}
