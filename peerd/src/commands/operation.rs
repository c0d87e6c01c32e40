//! A change under an operation ID: done once, however often its command is given until the user has seen what came of it.
//!
//! What always holds: the ID is durable under the fingerprint of the command before the directory receives the change; the
//! directory does a change of an ID that it knows no second time, and answers it the same. The ID is given up when the
//! directory has refused the change, when the caller says that the outcome was shown, or when another change about the same thing was
//! done ([`repeats`]).

use std::sync::{
    Arc, Mutex, OnceLock, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use dos_protocol::{
    Code, Reason, Timestamp, WireError,
    control::Command,
    directory::{Answer, Op},
    frame,
};
use tokio::sync::OnceCell;

use super::{Finished, Services, WhenShown};
use crate::{
    directory::unregistered,
    rules::repeats::{self, About, Subject},
    store::{Change, Error},
};

/// The change that a command makes at the directory. Commands that make none never begin it.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(super) services: Arc<Services>,
    /// Of the command; none without an identity.
    fingerprint: Option<[u8; 32]>,
    /// Begun with the first request: a command that fails before has changed nothing.
    change: OnceCell<Change>,
    /// What it is about, as soon as that is known.
    about: OnceLock<About>,
    /// What it changes beside that.
    touches: Mutex<Vec<Subject>>,
    /// It was sent, and its outcome is unknown.
    unknown: AtomicBool,
}

impl Operation {
    /// That of `command`.
    pub(super) fn of(services: &Arc<Services>, command: &Command) -> Arc<Self> {
        let fingerprint = services.identity.registered().and_then(|(_, identity)| {
            // It may hold a password.
            let bytes = frame::to_wiped_frame(command.without_manner().as_ref()).ok()?;
            Some(identity.fingerprint(&bytes))
        });
        Arc::new(Self {
            services: Arc::clone(services),
            fingerprint,
            change: OnceCell::new(),
            about: OnceLock::new(),
            touches: Mutex::default(),
            unknown: AtomicBool::new(false),
        })
    }

    async fn change(&self) -> Result<&Change, WireError> {
        let begin = || async {
            let fingerprint = self.fingerprint.ok_or_else(unregistered)?;
            let live = self.services.operations.clone();
            let about = self.about.get().copied().unwrap_or(About::ITSELF);
            Ok(self.services.store.begin_operation(live, fingerprint, about).await?)
        };
        self.change.get_or_try_init(begin).await
    }

    /// What the change is about, to be said before it is begun where the request alone would say it too late.
    pub(super) fn is_about(&self, about: About) {
        // What was said first stays.
        self.about.get_or_init(|| about);
    }

    /// The change is about this, too.
    pub(super) fn touches(&self, subject: Subject) {
        self.touches.lock().unwrap_or_else(PoisonError::into_inner).push(subject);
    }

    /// When the command was given first.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) async fn begun_at(&self) -> Result<Timestamp, WireError> {
        Ok(self.change().await?.begun_at)
    }

    /// Whether the user has given the same command before and has not seen what came of it.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) async fn is_repeated(&self) -> Result<bool, WireError> {
        Ok(self.change().await?.resumed)
    }

    /// Has the directory make the change, again after lost connections.
    ///
    /// # Errors
    /// What the directory refuses; `offline`; `timeout`.
    pub(super) async fn request(&self, op: Op) -> Result<Answer, WireError> {
        self.services.upstream.ready().await?;
        let about = repeats::about(&op);
        self.is_about(about);
        let id = self.change().await?.open.id();
        let answer = self.services.upstream.change(op, id).await.map_err(|failed| {
            if failed.perhaps_done {
                self.outcome_is_unknown();
            }
            failed.error
        })?;
        let mut subjects = std::mem::take(&mut *self.touches.lock().unwrap_or_else(PoisonError::into_inner));
        subjects.extend(about.subject);
        if !subjects.is_empty() {
            let live = self.services.operations.clone();
            let ended = self.services.store.end_earlier(live, id, (subjects, about.effect)).await;
            // The change is made: given again after this failure, the command must not make it a second time.
            ended.inspect_err(|_| self.outcome_is_unknown())?;
        }
        Ok(answer)
    }

    /// The change was sent in another way than by [`Self::request`], and may have been made.
    pub(super) fn outcome_is_unknown(&self) {
        self.unknown.store(true, Ordering::Relaxed);
    }

    /// What the command has come to.
    ///
    /// # Errors
    /// That of the command, or that it is not known whether the change was made.
    pub(super) async fn conclude(
        self: Arc<Self>,
        outcome: Result<Finished, WireError>,
    ) -> Result<Finished, WireError> {
        let Some(change) = self.change.get() else { return outcome };
        let error = match outcome {
            Ok(Finished { outcome, then }) => {
                let then = then.or(Some(WhenShown::Changed(self)));
                return Ok(Finished { outcome, then });
            }
            Err(error) => error,
        };
        // What was not sent now may have been sent by an earlier command.
        if self.unknown.load(Ordering::Relaxed) || (change.resumed && !is_final(&error)) {
            return Err(not_known(error));
        }
        self.shown().await?;
        Err(error)
    }

    /// The user knows what came of it: the same command again is another change.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) async fn shown(&self) -> Result<(), Error> {
        match self.change.get() {
            Some(change) => self.services.store.drop_operation(change.open.id()).await,
            None => Ok(()),
        }
    }
}

/// Whether the refusal speaks of the change itself, so that no earlier attempt can have made it.
fn is_final(error: &WireError) -> bool {
    let passing = matches!(error.code, Code::Offline | Code::Timeout | Code::Internal)
        || error.reason == Some(Reason::Limit);
    !passing
}

fn not_known(error: WireError) -> WireError {
    WireError::new(error.code, "it is not known whether the change was made")
        .caused_by(error.message)
        .hint("the same command again: the change is made once")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_given_up_only_when_the_change_itself_was_refused() {
        for code in [Code::NotFound, Code::Invalid, Code::Conflict, Code::Denied, Code::Stale] {
            assert!(is_final(&WireError::new(code, "x")), "{code}");
        }
        for code in [Code::Offline, Code::Timeout, Code::Internal] {
            assert!(!is_final(&WireError::new(code, "x")), "{code}");
        }
        assert!(!is_final(&WireError::new(Code::Denied, "x").because(Reason::Limit)));
    }

    #[test]
    fn what_is_not_known_is_told_with_its_cause() {
        let error = not_known(WireError::new(Code::Timeout, "no answer"));
        assert_eq!((error.code, error.cause.as_deref()), (Code::Timeout, Some("no answer")));
        assert!(error.hint.is_some_and(|hint| hint.contains("once")));
    }
}
