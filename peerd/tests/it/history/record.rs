//! What clients have asked for, when, and what came of it: the history that is checked.

use std::sync::{
    Mutex, PoisonError, RwLock,
    atomic::{AtomicU64, Ordering},
};

use dos_testing::{Backoff, PATIENCE};

/// A peer, by its place among the names.
pub(crate) type Who = usize;

/// The two images of every peer that others view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Image {
    /// Of this one viewers only ever get more views, which they may check out: so its sums are exact.
    Sea,
    /// Of this one views are set and revoked.
    Dunes,
}

impl Image {
    pub(crate) const ALL: [Self; 2] = [Self::Sea, Self::Dunes];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sea => "sea",
            Self::Dunes => "dunes",
        }
    }
}

/// Who may view what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Grant {
    pub(crate) owner: Who,
    pub(crate) viewer: Who,
    pub(crate) image: Image,
}

/// What a client wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// An image that is not shared, by its name, which is never used again.
    Publish(String),
    Rename(String, String),
    Remove(String),
    Add(Grant, u32),
    Set(Grant, u32),
    Revoke(Grant),
    Request(Grant, u64),
    Approve(Grant, u64, u32),
    Deny(u64),
    Cancel(u64),
    View {
        grant: Grant,
        /// Of a view that is held.
        offline: bool,
        /// Whether the first byte of the picture has come.
        shown: bool,
    },
    Checkout(Grant, u32),
    Checkin(Grant),
    Send {
        to: Who,
        text: String,
    },
    Block(Who),
    Unblock(Who),
    Logout,
    Login,
    /// Whether the daemon tells that it is online.
    Status(bool),
}

impl Action {
    /// Its kind, for the figures.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Publish(_) => "publish",
            Self::Rename(..) => "rename",
            Self::Remove(_) => "remove",
            Self::Add(..) | Self::Set(..) => "share",
            Self::Revoke(_) => "revoke",
            Self::Request(..) => "request",
            Self::Approve(..) => "approve",
            Self::Deny(_) => "deny",
            Self::Cancel(_) => "cancel",
            Self::View { offline: false, .. } => "view",
            Self::View { offline: true, .. } => "view held",
            Self::Checkout(..) => "checkout",
            Self::Checkin(_) => "checkin",
            Self::Send { .. } => "send",
            Self::Block(_) | Self::Unblock(_) => "block",
            Self::Logout | Self::Login => "login",
            Self::Status(_) => "status",
        }
    }
}

/// What came of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was confirmed.
    Ok,
    /// It was refused, and has changed nothing.
    Fail,
    /// It may have been done.
    Unknown,
}

/// One operation of one client. Times are those of [`Record::tick`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) client: Who,
    pub(crate) action: Action,
    pub(crate) invoked: u64,
    pub(crate) ended: u64,
    pub(crate) outcome: Ended,
}

/// The history as it grows.
#[derive(Debug, Default)]
pub(crate) struct Record {
    clock: AtomicU64,
    entries: Mutex<Vec<Entry>>,
    /// Rises when the world is cut off, and when it goes on: odd while what still runs belongs to a world that is gone. What
    /// was begun in one epoch and has ended in another one is not written down.
    epoch: RwLock<u64>,
}

impl Record {
    /// A moment, later than all before.
    pub(crate) fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// The epoch; waits while the world is cut off.
    pub(crate) fn epoch(&self) -> u64 {
        let mut patience = Backoff::within(PATIENCE);
        loop {
            let epoch = *self.epoch.read().unwrap_or_else(PoisonError::into_inner);
            if epoch.is_multiple_of(2) {
                return epoch;
            }
            assert!(patience.pause(), "the world does not go on");
        }
    }

    /// Writes an operation down, unless the world was cut off since `epoch`.
    pub(crate) fn write(&self, epoch: u64, entry: Entry) -> bool {
        let now = self.epoch.read().unwrap_or_else(PoisonError::into_inner);
        if *now != epoch {
            return false;
        }
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        true
    }

    /// Cuts the world off: whatever was written down before was confirmed before `cut` is called, and nothing is written down
    /// from then on until [`Record::resume`].
    pub(crate) fn cut<T>(&self, cut: impl FnOnce() -> T) -> T {
        let mut epoch = self.epoch.write().unwrap_or_else(PoisonError::into_inner);
        *epoch += 1;
        cut()
    }

    /// What runs from here on belongs to the world that is left.
    pub(crate) fn resume(&self) {
        *self.epoch.write().unwrap_or_else(PoisonError::into_inner) += 1;
    }

    /// The history so far.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many operations were written down.
    pub(crate) fn len(&self) -> usize {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
