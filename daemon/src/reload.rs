//! What SIGHUP does: reads the configuration again and puts in force what can be changed while the daemon runs.
//!
//! What always holds: a configuration that makes no sense changes nothing at all; what would need a restart is reported and
//! stays as it is; the service manager is notified when a reload begins and when it is over, whatever comes of it.

use std::error::Error;

use tokio::task::spawn_blocking;

use crate::{log::Log, notify};

/// A daemon's configuration, put together from flags, environment and file.
pub trait Configuration: Send + 'static {
    /// The filter of the log.
    fn log(&self) -> &str;

    /// The keys of what is different in `other` and cannot be changed while the daemon runs.
    fn needs_restart_for(&self, other: &Self) -> Vec<&'static str>;
}

/// What a reload compares with and changes.
#[derive(Debug)]
pub struct Reload<C> {
    started: C,
    log: Log,
}

impl<C: Configuration> Reload<C> {
    /// Of a daemon that was started with this.
    #[must_use]
    pub fn new(started: C, log: Log) -> Self {
        Self { started, log }
    }

    /// Reads the configuration with `load`, on a thread that may block, and hands it to `apply`, which tells whether the
    /// daemon was still there to take it.
    pub async fn run<E: Error + Send + 'static>(
        &self,
        load: impl FnOnce() -> Result<C, E> + Send + 'static,
        apply: impl FnOnce(C) -> bool,
    ) {
        notify::reloading();
        match spawn_blocking(load).await {
            Ok(Ok(config)) => self.apply(config, apply),
            Ok(Err(error)) => {
                let error = &error as &dyn Error;
                tracing::error!(error, "the configuration is refused, the old one stays in force");
            }
            Err(error) => {
                let error = &error as &dyn Error;
                tracing::error!(error, "the configuration cannot be read, the old one stays in force");
            }
        }
        notify::ready();
    }

    fn apply(&self, config: C, apply: impl FnOnce(C) -> bool) {
        let (restart, filter) = (self.started.needs_restart_for(&config), config.log().to_owned());
        if !apply(config) {
            return tracing::warn!("not reloaded: the daemon is stopping");
        }
        if !restart.is_empty() {
            tracing::warn!(keys = restart.join(", "), "these settings have changed and need a restart");
        }
        if let Err(error) = self.log.set_filter(&filter) {
            tracing::error!(error = &error as &dyn Error, "the log goes on as before");
        }
        tracing::info!("the configuration has been read again");
    }
}
