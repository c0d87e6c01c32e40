//! The settings in force, which a reload changes while the daemon runs.

use std::sync::{Arc, PoisonError, RwLock};

use crate::config::Settings;

/// The settings in force; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct CurrentSettings(Arc<RwLock<Settings>>);

impl CurrentSettings {
    pub(crate) fn new(settings: Settings) -> Self {
        Self(Arc::new(RwLock::new(settings)))
    }

    /// What is in force now.
    pub(crate) fn get(&self) -> Settings {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts others in force.
    pub(crate) fn set(&self, settings: Settings) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = settings;
    }
}
