//! What is measured, and the page on which it is seen: counters that are kept all the time, and what is looked up when
//! somebody looks.
//!
//! What always holds: every daemon has its own registry; labels have few values, none of which comes from another peer; no
//! ID, name, address or text is told.

use std::{
    error::Error,
    sync::{Arc, Weak},
    time::Instant,
};

use crate::{
    commands::Services,
    counters::{Counters, Labels},
    rules::cache,
};
use dos_daemon::{
    http::{self, Page},
    log,
};
use dos_protocol::control::SessionState;
use prometheus_client::{
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::{ConstGauge, Gauge},
        info::Info,
    },
    registry::{Registry, Unit},
};

const STATES: [SessionState; 4] =
    [SessionState::Unregistered, SessionState::Offline, SessionState::Connecting, SessionState::Online];

/// The two ways of a transfer, as they are called.
const UPLOAD: Labels<1> = [("direction", "upload")];
const DOWNLOAD: Labels<1> = [("direction", "download")];

/// What is registered once, when the daemon starts.
fn counted(counters: &Counters) -> Registry {
    let mut registry = Registry::with_prefix("dos_peer");
    let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("build", "The version that runs", version);
    registry.register(
        "operations",
        "Requests to the directory, by operation and result: ok, or the code of the error",
        counters.operations.clone(),
    );
    let (updates, views_shown) = (counters.updates.clone(), counters.views_shown.clone());
    registry.register("updates", "Updates from the directory that took effect, by kind", updates);
    registry.register("views_shown", "Pictures of others that were given out whole", views_shown);
    registry
}

/// A daemon as those see it who watch over it.
#[derive(Debug)]
pub(crate) struct Observed {
    /// Weak, because the store closes only when nobody holds it any more.
    services: Weak<Services>,
    registry: Registry,
    started: Instant,
}

impl Observed {
    pub(crate) fn new(services: &Arc<Services>) -> Self {
        Self {
            services: Arc::downgrade(services),
            registry: counted(&services.counters),
            started: Instant::now(),
        }
    }
}

impl Page for Observed {
    async fn metrics(&self) -> String {
        let Some(services) = self.services.upgrade() else { return http::open_metrics(&[]) };
        let cached = match services.store.cached().await {
            Ok(copies) => Some(cache::total(&copies)),
            Err(error) => {
                tracing::warn!(error = &error as &dyn Error, "the cache cannot be counted");
                None
            }
        };
        http::open_metrics(&[&self.registry, &sample(&services, cached, self.started)])
    }

    async fn is_healthy(&self) -> bool {
        let store = self.services.upgrade().map(|services| services.store.clone());
        let Some(store) = store else { return false };
        store.answers().await
    }

    /// It is ready when others can use it: its port and its socket are open (else there is no page), and it has its session,
    /// or wants none: nobody has registered it, or it was logged out.
    async fn is_ready(&self) -> Result<(), String> {
        let services = self.services.upgrade().ok_or("the daemon is stopping")?;
        let session = services.upstream.status().borrow().clone();
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
fn sample(services: &Services, cached: Option<u64>, started: Instant) -> Registry {
    let mut registry = Registry::with_prefix("dos_peer");
    let session = Family::<Labels<1>, Gauge>::default();
    let now = services.upstream.status().borrow().state;
    for state in STATES {
        session.get_or_create(&[("state", state.as_str())]).set(i64::from(state == now));
    }
    registry.register("session", "How the session to the directory stands: 1 at its state", session);
    let under_way = Family::<Labels<1>, Gauge>::default();
    let transferred = Family::<Labels<1>, Counter>::default();
    for (labels, traffic) in [(UPLOAD, &services.peers.uploads), (DOWNLOAD, &services.peers.downloads)] {
        under_way.get_or_create(&labels).set(i64::try_from(traffic.under_way()).unwrap_or(i64::MAX));
        transferred.get_or_create(&labels).inc_by(traffic.passed());
    }
    registry.register("transfers", "Transfers of sealed copies under way", under_way);
    registry.register_with_unit("transferred", "Sealed bytes sent and received", Unit::Bytes, transferred);
    if let Some(bytes) = cached {
        let help = "What the sealed copies of others take on the disk";
        registry.register_with_unit("cached", help, Unit::Bytes, ConstGauge::new(bytes));
    }
    let pending = services.feed.requests();
    registry.register(
        "pending_requests",
        "Requests of others that wait for an answer",
        ConstGauge::new(pending),
    );
    let uptime = started.elapsed().as_secs_f64();
    registry.register_with_unit("uptime", "Since the start", Unit::Seconds, ConstGauge::new(uptime));
    let sessions = ConstCounter::new(services.upstream.status().borrow().session);
    registry.register("sign_ins", "Sessions that came about", sessions);
    let drops = ConstCounter::new(log::dropped());
    registry.register("log_drops", "Lines of the log that were left out because it was not read", drops);
    registry
}
