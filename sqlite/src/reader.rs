//! Reads, each on a connection of its own, as many together as there are connections.
//!
//! A read of a few rows by key takes microseconds and is done where it is asked for: handing it to another thread would
//! cost several times as much. Everything else goes off the asynchronous threads.

use std::{path::Path, sync::Arc};

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::{OpenError, StoreError, open_reader};

/// A few connections that only read.
#[derive(Debug, Clone)]
pub struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    places: Arc<Semaphore>,
}

impl Readers {
    /// Opens `count` connections to the database.
    ///
    /// # Errors
    /// [`OpenError::Sqlite`].
    pub fn open(path: &Path, count: usize) -> Result<Self, OpenError> {
        let idle = (0..count).map(|_| open_reader(path)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { idle: Arc::new(Mutex::new(idle)), places: Arc::new(Semaphore::new(count)) })
    }

    /// Runs `work`, which reads a few rows by their keys, at once on this thread if a connection is idle, else as
    /// [`Readers::read`] does.
    ///
    /// # Errors
    /// As in [`Readers::read`].
    pub async fn read_brief<T, E>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let place = self.places.try_acquire();
        let idle = || self.idle.lock();
        let connection = if place.is_ok() { idle().pop() } else { None };
        let Some(connection) = connection else {
            drop(place);
            return self.read(work).await;
        };
        let result = work(&connection);
        idle().push(connection);
        result
    }

    /// Runs `work` on one of them. What it reads is one consistent state if it is one statement or opens a transaction.
    ///
    /// # Errors
    /// Those of `work`, or [`StoreError::Closed`] while the program stops.
    pub async fn read<T, E>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let idle = Arc::clone(&self.idle);
        let task = spawn_blocking(move || {
            let Some(connection) = idle.lock().pop() else {
                return Err(StoreError::Closed.into());
            };
            let result = work(&connection);
            idle.lock().push(connection);
            drop(place);
            result
        });
        task.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }
}
