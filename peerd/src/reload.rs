//! What SIGHUP does: reads the configuration file again and puts in force what can be changed while the daemon runs.
//!
//! What always holds: flags and environment still beat the file; a file that makes no sense changes nothing at all; what
//! would need a restart is told and stays as it is.

use std::{
    error::Error,
    sync::{Arc, PoisonError, RwLock, Weak},
};

use dos_daemon::{log::Log, notify};
use dos_protocol::paths::Environment;
use tokio::task::spawn_blocking;

use crate::{cli::Arguments, commands::Services, config::Config};

/// What is needed to read the configuration again.
#[derive(Debug)]
pub struct Reload {
    arguments: Arguments,
    environment: Environment,
    /// With what the daemon was started.
    started: Config,
    log: Log,
    /// Nothing until it runs. Weak, because the store closes only when nobody holds it any more.
    services: RwLock<Weak<Services>>,
}

impl Reload {
    /// For a daemon that is started with this.
    #[must_use]
    pub fn new(arguments: Arguments, environment: Environment, started: Config, log: Log) -> Self {
        Self { arguments, environment, started, log, services: RwLock::default() }
    }

    /// The daemon runs.
    pub(crate) fn attach(&self, services: &Arc<Services>) {
        *self.services.write().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(services);
    }

    /// Reads it again. The service manager is told when that begins and when it is over, whatever comes of it.
    pub async fn run(&self) {
        notify::reloading();
        let (arguments, environment) = (self.arguments.clone(), self.environment.clone());
        match spawn_blocking(move || Config::load(arguments, &environment)).await {
            Ok(Ok(config)) => self.apply(&config),
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

    fn apply(&self, config: &Config) {
        let services = self.services.read().unwrap_or_else(PoisonError::into_inner).upgrade();
        let Some(services) = services else {
            return tracing::warn!("not reloaded: the daemon is starting or stopping");
        };
        let restart = self.started.needs_restart_for(config);
        if !restart.is_empty() {
            tracing::warn!(keys = restart.join(", "), "these settings have changed and need a restart");
        }
        if let Err(error) = self.log.set_filter(&config.log) {
            tracing::error!(error = &error as &dyn Error, "the log goes on as before");
        }
        services.set(config.settings);
        tracing::info!("the configuration has been read again");
    }
}
