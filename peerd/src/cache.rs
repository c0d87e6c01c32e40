//! The store together with the sealed files that its rows stand for: what changes a row takes its file along.
//!
//! What always holds: a file is deleted only after the row that needed it is gone, durably; a copy in use is never deleted to
//! make room.

use std::sync::Arc;

use dos_protocol::{
    SealedHash, WireError,
    model::{Grant, SealedCopy},
};
use tokio::sync::Notify;

use crate::{
    copies::Copies,
    rules::{cache, strangers::Strangers},
    settings::CurrentSettings,
    store::Store,
};

/// Sealed copies, as rows and as files.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    pub(crate) store: Store,
    pub(crate) copies: Copies,
    settings: CurrentSettings,
    wanted: Arc<Notify>,
}

impl Cache {
    pub(crate) fn new(store: Store, copies: Copies, settings: CurrentSettings) -> Self {
        Self { store, copies, settings, wanted: Arc::default() }
    }

    /// Takes over a grant as the directory answered it.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) async fn take_grant(&self, grant: Grant) -> Result<(), WireError> {
        let free = self.store.take_grant(grant).await?;
        self.copies.remove(free).await;
        Ok(())
    }

    /// Deletes the copies used least recently until `wanted` fits, as far as the bound demands and the rules allow.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub(crate) async fn make_room(&self, wanted: SealedCopy) -> Result<(), WireError> {
        let cached = self.store.cached().await?;
        let bytes_max = self.settings.get().cache_bytes_max;
        for hash in cache::evict(&cached, wanted, bytes_max, |hash| self.copies.is_pinned(hash)) {
            self.forget(hash).await?;
        }
        Ok(())
    }

    /// Deletes a copy, which can be fetched again.
    ///
    /// # Errors
    /// `internal` if the store fails.
    pub(crate) async fn forget(&self, hash: SealedHash) -> Result<(), WireError> {
        self.store.forget_copy(hash).await?;
        self.copies.remove(vec![hash]).await;
        Ok(())
    }

    /// What becomes of the shares of strangers.
    pub(crate) fn strangers(&self) -> Strangers {
        self.settings.get().strangers
    }

    /// A grant was received or has changed: its copy may be missing.
    pub(crate) fn look(&self) {
        self.wanted.notify_one();
    }

    /// Returns when a copy may be missing.
    pub(crate) async fn wanted(&self) {
        self.wanted.notified().await;
    }
}
