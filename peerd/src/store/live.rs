//! Which of the things that were begun, and are written down as such, live commands of this process own.
//!
//! What always holds: a thing belongs to at most one command. One that belongs to none was left by a crash or a lost
//! connection, and may be taken up again.

use std::{
    collections::HashSet,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use dos_protocol::ViewId;

/// The things of one kind that live commands own.
#[derive(Debug, Clone)]
pub(crate) struct Live<T: Copy + Eq + Hash = ViewId>(Arc<Mutex<HashSet<T>>>);

impl<T: Copy + Eq + Hash> Default for Live<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Copy + Eq + Hash> Live<T> {
    /// Takes a thing, unless another command has it.
    pub(super) fn claim(&self, id: T) -> Option<Open<T>> {
        let fresh = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        fresh.then(|| Open { id, live: self.clone() })
    }

    /// Whether a command has it.
    pub(super) fn has(&self, id: T) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }
}

/// A thing that was begun, owned until dropped.
#[derive(Debug)]
pub(crate) struct Open<T: Copy + Eq + Hash> {
    id: T,
    live: Live<T>,
}

impl<T: Copy + Eq + Hash> Open<T> {
    /// Its ID.
    #[must_use]
    pub(crate) fn id(&self) -> T {
        self.id
    }
}

impl<T: Copy + Eq + Hash> Drop for Open<T> {
    fn drop(&mut self) {
        self.live.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}
