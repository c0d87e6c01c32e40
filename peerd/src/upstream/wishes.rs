//! What people want of the session: an ID, to go online, to go offline. The actor does it, one wish after the other.

use std::sync::atomic::Ordering;

use dos_protocol::WireError;
use tokio::{sync::oneshot, time::timeout};

use super::{Application, SESSION_PATIENCE, SignedInAs, Upstream, Waiter, not_yet, stopping};
use crate::identity::Identity;

/// What people want of the session.
#[derive(Debug)]
pub(crate) enum Wish {
    Register {
        application: Application,
        waiter: Waiter,
    },
    /// Makes the identity, which has an ID, that of this daemon, and logs in.
    Adopt {
        identity: Box<Identity>,
        force: bool,
        waiter: Waiter,
    },
    Login {
        force: bool,
        waiter: Waiter,
    },
    Logout {
        done: oneshot::Sender<()>,
    },
    /// Somebody needs the session: no use in waiting out a delay.
    Hurry,
}

impl Upstream {
    /// Gets an ID for a key that is written down already, and signs in.
    ///
    /// # Errors
    /// What the directory or the network says.
    pub(crate) async fn register(&self, application: Application) -> Result<SignedInAs, WireError> {
        let (waiter, answer) = oneshot::channel();
        self.wish(Wish::Register { application, waiter }).await?;
        answer.await.unwrap_or_else(|_| Err(stopping()))
    }

    /// Makes an identity that has an ID that of this daemon, durably, and goes online with it, as [`Self::login`].
    ///
    /// # Errors
    /// `conflict` if this daemon has an ID or its state directory is another peer's; as [`Self::login`].
    pub(crate) async fn adopt(&self, identity: Identity, force: bool) -> Result<SignedInAs, WireError> {
        let (waiter, answer) = oneshot::channel();
        self.wish(Wish::Adopt { identity: Box::new(identity), force, waiter }).await?;
        self.signed_in(answer).await
    }

    /// Goes online, and tries on if the directory is out of reach.
    ///
    /// # Errors
    /// What the directory says, or `offline` with what is wrong if it is not reached within a few seconds.
    pub(crate) async fn login(&self, force: bool) -> Result<SignedInAs, WireError> {
        let (waiter, answer) = oneshot::channel();
        self.wish(Wish::Login { force, waiter }).await?;
        self.signed_in(answer).await
    }

    async fn signed_in(
        &self,
        answer: oneshot::Receiver<Result<SignedInAs, WireError>>,
    ) -> Result<SignedInAs, WireError> {
        match timeout(SESSION_PATIENCE, answer).await {
            Ok(answer) => answer.unwrap_or_else(|_| Err(stopping())),
            Err(_) => {
                let status = self.status.borrow().clone();
                Err(not_yet(&status).hint("dosctl wait --state online"))
            }
        }
    }

    /// Whether the directory has lost this peer's password and wants it set once more.
    #[must_use]
    pub(crate) fn password_again(&self) -> bool {
        self.password_again.load(Ordering::Relaxed)
    }

    /// The password was set, or removed.
    pub(crate) fn password_done(&self) {
        self.password_again.store(false, Ordering::Relaxed);
    }

    /// Goes offline.
    ///
    /// # Errors
    /// `internal` while the daemon stops.
    pub(crate) async fn logout(&self) -> Result<(), WireError> {
        let (done, answer) = oneshot::channel();
        self.wish(Wish::Logout { done }).await?;
        answer.await.map_err(|_| stopping())
    }

    /// Somebody needs the session: the next attempt to connect is made now.
    pub(crate) fn hurry(&self) {
        // With a full queue of wishes, the attempt comes about anyway.
        drop(self.wishes.try_send(Wish::Hurry));
    }

    async fn wish(&self, wish: Wish) -> Result<(), WireError> {
        self.wishes.send(wish).await.map_err(|_| stopping())
    }
}
