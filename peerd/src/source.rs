//! Where sealed copies of others come from: their owners. The parts that need a copy know no more of it than this, so that
//! they can be tested without a network.

use std::{fmt::Debug, time::Duration};

use dos_protocol::{WireError, control::Way, model::Grant};
use futures_util::future::BoxFuture;

/// How a copy came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Came {
    /// Which way.
    pub(crate) way: Way,
    /// There and back on it, if the owner answers pings.
    pub(crate) round_trip: Option<Duration>,
}

/// Is given the number of bytes that have arrived.
pub(crate) type OnBytes<'a> = &'a mut (dyn FnMut(u64) + Send);

/// Brings sealed copies and owner shares here.
pub(crate) trait Source: Debug + Send + Sync {
    /// Brings the copy and the share of `grant` here, or waits for the task that does so.
    ///
    /// # Errors
    /// `offline` if the owner is; `stale` if the grant has changed meanwhile; what the owner refuses.
    fn fetch<'a>(&'a self, grant: &'a Grant, progress: OnBytes<'a>)
    -> BoxFuture<'a, Result<Came, WireError>>;
}
