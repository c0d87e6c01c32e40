//! Reads, each on a session of its own, as many together as there are sessions. They go to the server that takes writes: what was just
//! changed counts.

use std::{sync::Arc, thread, time::Instant};

use parking_lot::Mutex;
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use super::{PAUSE, PostgresError, Server, Session, TRIED_AGAIN};
use crate::{Connection, StoreError};

/// A few sessions that only read.
#[derive(Debug, Clone)]
pub struct Sessions {
    server: Server,
    idle: Arc<Mutex<Vec<Session>>>,
    places: Arc<Semaphore>,
}

impl Sessions {
    /// At most `count` sessions; each is opened when it is needed first.
    #[must_use]
    pub fn new(server: Server, count: usize) -> Self {
        Self { server, idle: Arc::default(), places: Arc::new(Semaphore::new(count)) }
    }

    /// Runs `work` on one of them; again, if the server was lost meanwhile.
    ///
    /// # Errors
    /// Those of `work`, [`StoreError::Unavailable`], or [`StoreError::Closed`] while the program stops.
    pub async fn read<T, E>(
        &self,
        work: impl FnOnce(&Connection<'_>) -> Result<T, E> + Clone + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let place = timeout(TRIED_AGAIN, Arc::clone(&self.places).acquire_owned()).await;
        let place = place.map_err(|_| StoreError::Unavailable(PostgresError::Busy))?;
        let place = place.map_err(|_| StoreError::Closed)?;
        let sessions = self.clone();
        let task = spawn_blocking(move || {
            let result = sessions.try_for_some_time(work);
            drop(place);
            result
        });
        task.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    fn try_for_some_time<T, E>(
        &self,
        work: impl FnOnce(&Connection<'_>) -> Result<T, E> + Clone,
    ) -> Result<T, E>
    where
        E: From<StoreError>,
    {
        let began = Instant::now();
        loop {
            let is_last = began.elapsed() >= TRIED_AGAIN;
            let idle = self.idle.lock().pop().filter(|session| session.broken().is_none());
            // Of those that have waited all may be broken; of a new one that is the server's news.
            let is_fresh = idle.is_none();
            match idle.map_or_else(|| self.open(), Ok) {
                Ok(session) => {
                    let result = work.clone()(&Connection::Postgres(&session));
                    if session.broken().is_none() {
                        self.idle.lock().push(session);
                        return result;
                    }
                    // What was read before it broke may be a part.
                    if is_last {
                        return result;
                    }
                }
                Err(error) if is_last || !error.is_passing() => {
                    return Err(StoreError::Unavailable(error).into());
                }
                Err(_) => {}
            }
            if is_fresh {
                thread::park_timeout(PAUSE);
            }
        }
    }

    fn open(&self) -> Result<Session, PostgresError> {
        let session = Session::open(&self.server)?;
        session.batch("SET default_transaction_read_only = on")?;
        Ok(session)
    }
}
