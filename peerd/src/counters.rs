//! What a daemon counts while it works; [`crate::metrics`] shows it.
//!
//! What always holds: labels have few values, none of which comes from another peer.

use dos_protocol::WireError;
use prometheus_client::metrics::{counter::Counter, family::Family};

/// Labels and their values.
pub(crate) type Labels<const N: usize> = [(&'static str, &'static str); N];

/// The counters; clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters {
    /// Requests to the directory, by operation and result.
    pub(crate) operations: Family<Labels<2>, Counter>,
    /// Updates that took effect, by kind.
    pub(crate) updates: Family<Labels<1>, Counter>,
    /// Pictures that were given out whole under a grant.
    pub(crate) views_shown: Counter,
}

impl Counters {
    /// An operation of this name was answered, or failed.
    pub(crate) fn operation(&self, name: &'static str, error: Option<&WireError>) {
        let result = error.map_or("ok", |error| error.code.as_str());
        self.operations.get_or_create(&[("op", name), ("result", result)]).inc();
    }

    /// Updates of these kinds took effect.
    pub(crate) fn applied(&self, kinds: &[&'static str]) {
        for kind in kinds {
            self.updates.get_or_create(&[("kind", kind)]).inc();
        }
    }
}
