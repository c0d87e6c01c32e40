//! Events: what happened, to whoever watches. A watcher that is too slow misses the oldest and is told how many.

use dos_protocol::{
    Timestamp,
    control::{Event, What},
};
use tokio::sync::broadcast;

/// Events kept for the slowest watcher.
const EVENTS_KEPT: usize = 1024;

/// Where events come from.
#[derive(Debug, Clone)]
pub(crate) struct Events(broadcast::Sender<Event>);

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::channel(EVENTS_KEPT).0)
    }
}

impl Events {
    /// Tells everybody who watches.
    pub(crate) fn tell(&self, at: Timestamp, what: What) {
        // Without watchers there is nobody to tell.
        drop(self.0.send(Event { at, what }));
    }

    /// From now on.
    #[must_use]
    pub(crate) fn watch(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }
}
