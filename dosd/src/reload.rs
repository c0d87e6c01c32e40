//! What SIGHUP does: reads the configuration file again and puts in force what can be changed while the server runs.
//!
//! What always holds: flags and environment still beat the file; a file that makes no sense changes nothing at all; what
//! would need a restart is told and stays as it is.

use std::{
    error::Error,
    path::PathBuf,
    sync::{Arc, Weak},
};

use dos_daemon::{log::Log, notify};
use tokio::task::spawn_blocking;

use crate::{
    config::{Config, FileConfig},
    directory::Directory,
};

/// What is needed to read the configuration again.
#[derive(Debug)]
pub struct Reload {
    /// What flags and environment say.
    said: FileConfig,
    /// The file, if there is one.
    file: Option<PathBuf>,
    /// With what the server was started.
    started: Config,
    log: Log,
    /// Weak, because the store closes only when nobody holds it any more.
    directory: Weak<Directory>,
}

impl Reload {
    /// For a server that was started with this.
    #[must_use]
    pub fn new(
        said: FileConfig,
        file: Option<PathBuf>,
        started: Config,
        log: Log,
        directory: &Arc<Directory>,
    ) -> Self {
        Self { said, file, started, log, directory: Arc::downgrade(directory) }
    }

    /// Reads it again. The service manager is told when that begins and when it is over, whatever comes of it.
    pub async fn run(&self) {
        notify::reloading();
        let (said, file) = (self.said.clone(), self.file.clone());
        match spawn_blocking(move || Config::load(said, file.as_deref())).await {
            Ok(Ok(config)) => self.apply(config),
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

    fn apply(&self, config: Config) {
        let Some(directory) = self.directory.upgrade() else { return };
        let restart = self.started.needs_restart_for(&config);
        if !restart.is_empty() {
            tracing::warn!(keys = restart.join(", "), "these settings have changed and need a restart");
        }
        if let Err(error) = self.log.set_filter(&config.log) {
            tracing::error!(error = &error as &dyn Error, "the log goes on as before");
        }
        directory.set(config.settings);
        tracing::info!("the configuration has been read again");
    }
}
