//! The task that owns the session: performs what [`super::state`] decides.
//!
//! What always holds: at most one attempt or session exists; each waiter for a sign-in is answered when it is decided;
//! an ID that the directory gave is on disk before it is reported.

use std::{
    future::pending,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use dos_protocol::{
    Code, Seq, Timestamp, WireError,
    control::{EventKind, SessionState},
    directory::{Notice, NoticeKind, Op, SignedIn},
    limits::BRIEF_SESSION,
    link::HostPort,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Application, Ends, Local, SignedInAs, Status, Waiter, Wish,
    attempt::{Entrance, attempt},
    backoff::{delay, kicked_delay},
    connection::{Established, Failure},
    roaming::{Moved, Place, Roaming},
    session::{Ending, Request, Session},
    state::{Action, Event, Failed, Lost, Phase},
    ways::know_nodes,
};
use crate::{copies::blocking, identity::Identity, random::jitter, store::Met};

/// To a user whose password the directory has no more.
const PASSWORD_AGAIN: &str = "set your password once more: dosctl password";

/// How long signing out may take.
const SIGN_OUT_TIME_MAX: Duration = Duration::from_secs(1);

struct Actor {
    local: Arc<Local>,
    ends: Ends,
    phase: Phase,
    application: Option<Application>,
    attempt: Option<JoinHandle<Result<Established, Failure>>>,
    session: Option<Session>,
    due: Option<Instant>,
    waiters: Vec<Waiter>,
    roaming: Roaming,
    /// Where the directory was last.
    directory: Option<SocketAddr>,
}

fn under_way() -> WireError {
    WireError::new(Code::Conflict, "this daemon has an ID, or a registration is under way")
}

/// Runs until `stop`, then signs out.
pub(crate) async fn run(local: Arc<Local>, ends: Ends, wanted: bool, stop: CancellationToken) {
    let registered = local.identity.registered().is_some();
    let phase = if registered { Phase::Offline } else { Phase::Unregistered };
    let mut actor = Actor {
        local,
        ends,
        phase,
        application: None,
        attempt: None,
        session: None,
        due: None,
        waiters: Vec::new(),
        roaming: Roaming::new(),
        directory: None,
    };
    let mut mapped = actor.local.mapped.clone();
    let because = actor.local.store.offline_because().await.unwrap_or_default();
    actor.publish(|status| status.trouble = because);
    if wanted && registered {
        actor.step(Event::Start).await;
    }
    loop {
        let attempt = async {
            match &mut actor.attempt {
                Some(attempt) => attempt.await,
                None => pending().await,
            }
        };
        let ending = async {
            match &mut actor.session {
                Some(session) => session.ended().await,
                None => pending().await,
            }
        };
        let due = async {
            match actor.due {
                Some(due) => sleep_until(due).await,
                None => pending().await,
            }
        };
        let moved = actor.roaming.moved(|| Place::now(&actor.local, actor.directory));
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            wish = actor.ends.wishes.recv() => match wish {
                Some(wish) => actor.wish(wish).await,
                None => break,
            },
            ended = ending => actor.ended(ended).await,
            attempt = attempt => {
                actor.attempt = None;
                let failed = WireError::new(Code::Internal, "the attempt to connect failed");
                let outcome = attempt.unwrap_or_else(|_| Err(Failure::refused(failed)));
                actor.attempted(outcome).await;
            }
            () = due => {
                actor.due = None;
                actor.step(Event::Due).await;
            }
            moved = moved => actor.moved(moved).await,
            Ok(()) = mapped.changed() => actor.roaming.hint(),
        }
    }
    actor.sign_out().await;
}

impl Actor {
    async fn wish(&mut self, wish: Wish) {
        match wish {
            Wish::Register { application, waiter } => {
                if self.phase == Phase::Unregistered {
                    self.application = Some(application);
                    self.waiters.push(waiter);
                    self.step(Event::Register).await;
                } else {
                    drop(waiter.send(Err(under_way())));
                }
            }
            Wish::Adopt { identity, force, waiter } => match self.adopt(*identity).await {
                Ok(()) => self.login(force, waiter).await,
                Err(error) => drop(waiter.send(Err(error))),
            },
            Wish::Login { force, waiter } => self.login(force, waiter).await,
            Wish::Hurry => {
                if matches!(self.phase, Phase::Waiting(attempt) if !attempt.kicked) {
                    self.due = None;
                    self.step(Event::Due).await;
                }
            }
            Wish::Logout { done } => {
                self.step(Event::Logout).await;
                self.answer(&Err(WireError::new(Code::Offline, "logged out meanwhile")));
                // Whoever waited may have gone away.
                let _ = done.send(());
            }
        }
    }

    async fn login(&mut self, force: bool, waiter: Waiter) {
        self.step(Event::Login { force }).await;
        match (self.phase, self.local.identity.registered()) {
            (Phase::Online(_), Some((id, identity))) => {
                let stored = self.local.feed.stored_now();
                let name = identity.name.clone();
                drop(waiter.send(Ok(SignedInAs { id, name, latest: stored, stored })));
            }
            (Phase::Unregistered | Phase::Registering, _) | (_, None) => {
                drop(waiter.send(Err(crate::directory::unregistered())));
            }
            _ => self.waiters.push(waiter),
        }
    }

    /// Writes down an identity that came with its password. The database first: what a crash leaves then is completed by the
    /// same command again, and never signs in without knowing that it has to relearn.
    async fn adopt(&mut self, identity: Identity) -> Result<(), WireError> {
        let id = identity.id.ok_or_else(crate::directory::unregistered)?;
        if self.phase != Phase::Unregistered {
            return Err(under_way());
        }
        self.local.store.bind(id, true).await?;
        let local = Arc::clone(&self.local);
        blocking(move || local.identity.adopt(identity)).await??;
        self.step(Event::Adopted).await;
        Ok(())
    }

    async fn step(&mut self, event: Event) {
        let (phase, action) = self.phase.step(event);
        let changed = self.phase.session_state() != phase.session_state();
        self.phase = phase;
        match action {
            Action::Nothing => {}
            Action::Register => self.connect(false, self.local.identity.any()),
            Action::Connect { force } => {
                self.connect(force, self.local.identity.registered().map(|(_, identity)| identity));
            }
            Action::Retry(failures) => self.due = Some(Instant::now() + delay(failures, jitter())),
            Action::RetryAfterKick => self.due = Some(Instant::now() + kicked_delay(jitter())),
            Action::RetrySlowly => self.due = Some(Instant::now() + delay(u32::MAX, jitter())),
            Action::Abandon => self.abandon(),
            Action::SignOut => self.sign_out().await,
            Action::GiveUp => {
                let because = self.ends.status.borrow().trouble.clone();
                if let Err(error) = self.local.store.stay_offline(because).await {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "cannot note that we stay offline"
                    );
                }
            }
        }
        if changed {
            self.publish(|_| ());
        }
    }

    /// Tells everybody how things stand.
    fn publish(&self, change: impl FnOnce(&mut Status)) {
        let state = self.phase.session_state();
        let mut news = false;
        self.ends.status.send_modify(|status| {
            if status.state != state {
                (status.state, status.since, news) = (state, Timestamp::now(), true);
            }
            if state != SessionState::Online {
                (status.address, status.handle, status.latest) = (None, None, Seq(0));
                (status.directory, status.local, status.mapped) = (None, None, None);
            }
            change(status);
        });
        if news {
            tracing::info!(state = state.as_str(), "session");
            self.local.feed.events.tell(Timestamp::now(), EventKind::Session(state));
        }
    }

    fn abandon(&mut self) {
        self.due = None;
        if let Some(attempt) = self.attempt.take() {
            attempt.abort();
        }
    }

    fn connect(&mut self, force: bool, identity: Option<Arc<Identity>>) {
        self.abandon();
        let Some(identity) = identity else { return };
        let (identity, entrance) = match &self.application {
            Some(Application { identity, name, invite }) => {
                let (name, invite) = (name.clone(), invite.clone());
                (Arc::clone(identity), Some(Entrance { name, invite }))
            }
            None => (identity, None),
        };
        self.roaming.begin(Place::now(&self.local, self.directory));
        let local = Arc::clone(&self.local);
        let attempt = async move { Box::pin(attempt(&local, &identity, (entrance, force))).await };
        self.attempt = Some(tokio::spawn(attempt));
    }

    async fn attempted(&mut self, outcome: Result<Established, Failure>) {
        let application = self.application.take();
        let outcome = match outcome {
            Ok(established) => match self.know_ourselves(application, &established).await {
                Ok(()) => Ok(established),
                Err(error) => Err(Failure::refused(error)),
            },
            Err(failure) => Err(failure),
        };
        match outcome {
            Ok(established) => self.signed_in(established),
            Err(failure) => self.failed(failure).await,
        }
    }

    /// Writes down who the directory says we are, or checks it.
    async fn know_ourselves(
        &self,
        application: Option<Application>,
        Established { at, signed_in, stored, .. }: &Established,
    ) -> Result<(), WireError> {
        if let Some(now) = signed_in.now {
            self.local.store.directory_told(now).await?;
        }
        if signed_in.since > *stored {
            tracing::warn!(stored = %stored, since = %signed_in.since, "updates are lost: this state directory is older than what the directory was told");
        }
        let Met { news, notes, free } =
            self.local.store.meet(signed_in.since, signed_in.data.clone()).await?;
        self.local.inbox.cache.copies.remove(free).await;
        self.local.feed.restored(&news, notes);
        self.ends.reconciling.send_replace(self.local.store.is_asserting().await?);
        self.local.feed.set_stored(signed_in.since.max(*stored));
        if let Some(Application { identity, .. }) = application {
            self.local.store.bind(signed_in.id, false).await?;
            let (local, id, name) = (Arc::clone(&self.local), signed_in.id, signed_in.name.clone());
            blocking(move || local.identity.complete(&identity, id, name)).await??;
            return self.know_nodes(at, &signed_in.nodes).await;
        }
        match self.local.identity.registered() {
            Some((id, identity)) if id == signed_in.id => {
                // The operator may have given it another name.
                if identity.name != signed_in.name {
                    let (local, name) = (Arc::clone(&self.local), signed_in.name.clone());
                    blocking(move || local.identity.complete(&identity, id, name)).await??;
                }
                self.know_nodes(at, &signed_in.nodes).await
            }
            _ => Err(WireError::new(Code::Conflict, "the directory knows this key under another ID")),
        }
    }

    /// Writes down where the nodes of the directory are, if that is news.
    async fn know_nodes(&self, at: &HostPort, nodes: &[HostPort]) -> Result<(), WireError> {
        let (identity, at, nodes) = (Arc::clone(&self.local.identity), at.clone(), nodes.to_vec());
        Ok(blocking(move || know_nodes(&identity, &at, &nodes)).await??)
    }

    fn signed_in(&mut self, established: Established) {
        let SignedIn { id, name, address, since, latest, password_again, mapped, previews, .. } =
            established.signed_in.clone();
        let (directory, here) = (established.directory, established.here);
        self.directory = Some(directory);
        let now = Place::now(&self.local, self.directory);
        // What has changed since it began to sign in is announced by the next session.
        let place = Place { announced: established.announced.clone(), ..now.clone() };
        if place != now {
            self.roaming.hint();
        }
        self.roaming.begin(place);
        let session = Session::begin(&self.local, id, established);
        let handle = session.handle.clone();
        self.session = Some(session);
        self.phase = self.phase.step(Event::SignedIn).0;
        self.publish(|status| {
            (status.trouble, status.refused) = (None, false);
            // An address that is none says that there is none.
            status.address = Some(address).filter(|address| address.0.port() != 0);
            status.directory = Some(directory);
            (status.local, status.mapped) = (Some(here), mapped);
            status.previews = previews;
            status.latest = latest;
            status.session += 1;
            status.handle = Some(handle);
        });
        self.ends.password_again.store(password_again, Ordering::Relaxed);
        if password_again {
            let notice = Notice { kind: NoticeKind::Announcement, text: PASSWORD_AGAIN.into() };
            self.local.feed.events.tell(Timestamp::now(), EventKind::Notice(notice));
        }
        self.answer(&Ok(SignedInAs { id, name, latest, stored: since }));
    }

    async fn failed(&mut self, failure: Failure) {
        let Failure { kind, error } = failure;
        let asked = matches!(self.phase, Phase::Registering) || kind != Failed::Unreachable;
        let trouble = match (kind, &error.cause) {
            (Failed::Conflict, _) => format!("{}; to take over: dosctl login --force", error.message),
            (_, Some(cause)) => format!("{}: {cause}", error.message),
            (_, None) => error.message.to_string(),
        };
        tracing::info!(error = %trouble, "cannot sign in");
        // Before the state: whoever waits for that finds the reason beside it.
        self.publish(|status| {
            status.trouble = Some(trouble.into());
            status.refused = matches!(kind, Failed::Refused | Failed::Unknown);
        });
        self.step(Event::Failed(kind)).await;
        // After it: whoever is waiting for the failure may ask for the next attempt at once.
        self.publish(|status| status.failures += 1);
        if asked {
            let error = match (kind, self.phase) {
                (Failed::Conflict, Phase::Offline) => error.hint("dosctl login --force"),
                _ => error,
            };
            self.answer(&Err(error));
        }
    }

    async fn ended(&mut self, ending: Ending) {
        let lasted = self.session.take().is_some_and(|session| session.since.elapsed() >= BRIEF_SESSION);
        let (lost, why) = match ending {
            Ending::TakenOver(why) => (Lost::TakenOver, why),
            Ending::Kicked(why) => (Lost::Kicked, why),
            Ending::Idle(why) => (Lost::Idle, why),
            Ending::Lost(why) if lasted => (Lost::Lasted, why),
            Ending::Lost(why) => (Lost::AtOnce, why),
        };
        tracing::info!(cause = %dos_protocol::name::printable(&why), "the session ended");
        self.publish(|status| {
            status.trouble = Some(why);
            status.refused = lost == Lost::Kicked;
        });
        self.step(Event::Lost(lost)).await;
    }

    /// The host is elsewhere, or was away: a new session takes the place of the old one, which the directory may not know to be dead, and
    /// nobody waits for the next attempt, nor for the end of one that began elsewhere.
    async fn moved(&mut self, moved: Moved) {
        let why = match moved {
            Moved::Place => "the addresses of this host, or its way to the directory, have changed",
            Moved::Slept => "this host has slept",
        };
        match self.phase {
            Phase::Online(_) => {
                tracing::info!(why, "signing in anew");
                self.session = None;
                self.publish(|status| status.trouble = Some(why.into()));
                self.step(Event::Lost(Lost::Lasted)).await;
                self.due = self.due.map(|_| Instant::now());
            }
            Phase::Waiting(attempt) if !attempt.kicked => {
                tracing::debug!(why, "trying now");
                self.due = None;
                self.step(Event::Due).await;
            }
            Phase::Connecting(attempt) => {
                tracing::debug!(why, "trying anew");
                self.connect(attempt.force, self.local.identity.registered().map(|(_, identity)| identity));
            }
            // A registration is not begun twice.
            _ => {}
        }
    }

    fn answer(&mut self, outcome: &Result<SignedInAs, WireError>) {
        for waiter in self.waiters.drain(..) {
            // Whoever waited may have gone away.
            drop(waiter.send(outcome.clone()));
        }
    }

    async fn sign_out(&mut self) {
        self.abandon();
        if let Some(session) = self.session.take() {
            let asked = session.handle.ask(Request { op: Op::SignOut, operation: None });
            if timeout(SIGN_OUT_TIME_MAX, asked).await.is_err() {
                tracing::debug!("the directory did not answer the sign-out in time");
            }
        }
        self.publish(|status| {
            (status.address, status.handle) = (None, None);
            (status.trouble, status.refused) = (None, false);
        });
    }
}
