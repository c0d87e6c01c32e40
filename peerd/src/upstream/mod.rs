//! The session to the directory: asking it, and going online and offline.
//!
//! [`state`] decides, [`actor`] acts, [`attempt`] and [`connection`] sign in, [`session`] carries a live session. What always holds: a
//! request made while there is no session waits a moment for one if one is wanted, and fails at once if none is.

mod actor;
mod attempt;
mod backoff;
mod connection;
mod login;
mod port;
mod roaming;
mod session;
mod silence;
mod state;
mod ways;
mod wishes;

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use dos_protocol::{
    Code, Instance, OperationId, PeerId, PeerName, Reason, Seq, Timestamp, WireError,
    control::SessionState,
    directory::{Answer, Call, Op, PeerNews, RendezvousCall, Share, ViewsChange},
    model::{Address, PreviewSize},
};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until, timeout_at},
};

use crate::{
    config::Config,
    counters::Counters,
    directory::{Directory, Repeat, Unanswered, unregistered},
    feed::Feed,
    identity::{Identities, Identity},
    inbox::Inbox,
    mapping::Mapped,
    store::Store,
};
use session::{AskError, Handle, Request};

pub(crate) use actor::run;
pub(crate) use login::{Escrowed, log_in};
pub(crate) use port::{share, socket_from};
pub(crate) use ways::resolve;
use wishes::Wish;

/// How long a request waits for a session that is being established.
const SESSION_PATIENCE: Duration = Duration::from_secs(5);

/// A directory that is started anew is back within this time; while it may be on its way, requests wait for it.
const RESTART_TIME: Duration = Duration::from_secs(2);

/// How long a request that can be repeated is repeated over lost connections.
const REPEAT_PATIENCE: Duration = Duration::from_secs(20);

/// How long a request that comes too early is held back; a longer wait is for the caller to decide about.
const LIMIT_PATIENCE: Duration = Duration::from_secs(5);

/// Commands that wait for the actor.
const COMMANDS_MAX: usize = 16;

/// How the session stands.
#[derive(Debug, Clone)]
pub(crate) struct Status {
    /// Its state.
    pub state: SessionState,
    /// Since when.
    pub since: Timestamp,
    /// Why it is not online, if something went wrong.
    pub trouble: Option<Box<str>>,
    /// The trouble is the directory's own word: it is there, and does not let this peer in.
    pub refused: bool,
    /// Where the directory tells others to reach this daemon, while online.
    pub address: Option<Address>,
    /// The last update in the inbox when it signed in.
    pub latest: Seq,
    /// How many attempts to sign in have failed.
    pub failures: u64,
    /// How many sessions there were, with this one.
    pub session: u64,
    /// The directory's end of the session, while online.
    directory: Option<SocketAddr>,
    /// This daemon's end of it.
    local: Option<SocketAddr>,
    /// Where the directory sees that, if it arranges a rendezvous.
    pub mapped: Option<Address>,
    /// Up to which size the directory keeps previews, as it has said last.
    previews: PreviewSize,
    handle: Option<Handle>,
}

impl Status {
    /// The number of the session, while online.
    #[must_use]
    pub(crate) fn online(&self) -> Option<u64> {
        (self.state == SessionState::Online).then_some(self.session)
    }
}

/// A sign-in, to those who asked for it.
#[derive(Debug, Clone)]
pub(crate) struct SignedInAs {
    /// The peer.
    pub id: PeerId,
    /// Its name.
    pub name: Option<PeerName>,
    /// The last update in its inbox.
    pub latest: Seq,
    /// The last update that was stored before.
    pub stored: Seq,
}

type Waiter = oneshot::Sender<Result<SignedInAs, WireError>>;

/// Under which name a daemon without an ID gets one, and what lets it in.
#[derive(Debug, Clone)]
pub(crate) struct Application {
    /// Its key is written down already.
    pub identity: Arc<Identity>,
    pub name: Option<PeerName>,
    pub invite: Option<Box<str>>,
}

/// The session, for those who use it.
#[derive(Debug)]
pub(crate) struct Upstream {
    wishes: mpsc::Sender<Wish>,
    status: watch::Receiver<Status>,
    counters: Counters,
    password_again: Arc<AtomicBool>,
    /// Whether changes wait until the directory was told what is known here.
    reconciling: Arc<watch::Sender<bool>>,
}

/// Another peer that calls, as the directory tells of it.
#[derive(Debug)]
pub(crate) enum Summons {
    /// Through the relay.
    Relayed(Call),
    /// To a rendezvous.
    Rendezvous(Box<RendezvousCall>),
}

/// What a session needs of this daemon.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) config: Config,
    /// Where this daemon listens for other peers.
    pub(crate) listen: SocketAddr,
    /// Where a router forwards that.
    pub(crate) mapped: watch::Receiver<Mapped>,
    pub(crate) instance: Instance,
    pub(crate) identity: Arc<Identities>,
    pub(crate) store: Store,
    pub(crate) feed: Arc<Feed>,
    pub(crate) inbox: Arc<Inbox>,
    /// Where the calls of other peers go.
    pub(crate) calls: mpsc::Sender<Summons>,
    /// Where what followed peers do goes.
    pub(crate) peer_news: mpsc::Sender<PeerNews>,
    /// The address of the directory that led to the last session.
    pub(crate) last: Mutex<Option<ways::Last>>,
}

/// The actor's ends of an [`Upstream`].
#[derive(Debug)]
pub(crate) struct Ends {
    wishes: mpsc::Receiver<Wish>,
    status: watch::Sender<Status>,
    password_again: Arc<AtomicBool>,
    reconciling: Arc<watch::Sender<bool>>,
}

impl Upstream {
    /// A session that is not there yet.
    pub(crate) fn new(counters: Counters) -> (Self, Ends) {
        let (wishes, waiting) = mpsc::channel(COMMANDS_MAX);
        let (publisher, status) = watch::channel(Status {
            state: SessionState::Unregistered,
            since: Timestamp::now(),
            trouble: None,
            refused: false,
            address: None,
            latest: Seq(0),
            failures: 0,
            session: 0,
            directory: None,
            local: None,
            mapped: None,
            previews: PreviewSize::default(),
            handle: None,
        });
        let password_again = Arc::new(AtomicBool::new(false));
        let reconciling = Arc::new(watch::Sender::new(false));
        let ends = Ends {
            wishes: waiting,
            status: publisher,
            password_again: Arc::clone(&password_again),
            reconciling: Arc::clone(&reconciling),
        };
        (Self { wishes, status, counters, password_again, reconciling }, ends)
    }

    /// How it stands, now and from now on.
    #[must_use]
    pub(crate) fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Whether it is online.
    #[must_use]
    pub(crate) fn is_online(&self) -> bool {
        self.status.borrow().state == SessionState::Online
    }

    /// Whether a session is wanted and was lost, or could not be had. The next attempt is made now.
    #[must_use]
    pub(crate) fn is_out_of_reach(&self) -> bool {
        let is_lost = {
            let status = self.status.borrow();
            status.state == SessionState::Connecting && status.trouble.is_some()
        };
        if is_lost {
            self.hurry();
        }
        is_lost
    }

    /// Where the directory is reached now.
    #[must_use]
    pub(crate) fn directory(&self) -> Option<SocketAddr> {
        self.status.borrow().directory
    }

    /// This daemon's end of the session, which a rendezvous shares.
    #[must_use]
    pub(crate) fn session_address(&self) -> Option<SocketAddr> {
        self.status.borrow().local
    }

    /// Waits a moment for a session.
    ///
    /// # Errors
    /// `offline` if none comes about.
    pub(crate) async fn ready(&self) -> Result<(), WireError> {
        self.first_handle().await.map(drop)
    }

    /// Sends a request once; later, if the directory says that it is too early.
    ///
    /// # Errors
    /// As [`Directory::send`].
    pub(crate) async fn request(&self, op: Op) -> Result<Answer, WireError> {
        self.answered(op, Repeat::Never).await.map_err(|failed| failed.error)
    }

    /// Sends a request that may be done any number of times, again after lost connections, for a caller that must know
    /// whether the directory may have done it nevertheless.
    ///
    /// # Errors
    /// As [`Directory::send`], after trying for some seconds.
    pub(crate) async fn request_tracked(&self, op: Op) -> Result<Answer, Unanswered> {
        self.answered(op, Repeat::Always).await
    }

    /// Sends a change under an operation ID, again after lost connections.
    ///
    /// # Errors
    /// As [`Directory::send`], after trying for some seconds.
    pub(crate) async fn change(&self, op: Op, operation: OperationId) -> Result<Answer, Unanswered> {
        self.answered(op, Repeat::Under(operation)).await
    }

    async fn answered(&self, op: Op, repeat: Repeat) -> Result<Answer, Unanswered> {
        let name = op.name();
        let result = self.repeated(op, repeat).await;
        self.counters.operation(name, result.as_ref().err().map(|failed| &failed.error));
        result
    }

    async fn repeated(&self, op: Op, repeat: Repeat) -> Result<Answer, Unanswered> {
        let not_done = |error| Unanswered { error, perhaps_done: false };
        let perhaps_done = |error| Unanswered { error, perhaps_done: true };
        let deadline = Instant::now() + REPEAT_PATIENCE;
        let mut handle = self.first_handle().await.map_err(not_done)?;
        if is_change(&op) {
            self.unreconciled(deadline).await.map_err(not_done)?;
        }
        let operation = if let Repeat::Under(operation) = repeat { Some(operation) } else { None };
        let request = Request { op, operation };
        loop {
            let lost = match ask_patiently(&handle, &request, deadline).await {
                Err(lost @ (AskError::Lost | AskError::Slow)) => lost,
                // Whatever became of earlier requests, this answer speaks of it.
                other => return other.map_err(|error| not_done(explain(error))),
            };
            if repeat == Repeat::Never {
                return Err(perhaps_done(explain(lost)));
            }
            let mut status = self.status.clone();
            // The handle of a session that is over may be there for a moment still.
            let over = status.wait_for(|now| now.handle.as_ref().is_none_or(|now| !now.same(&handle)));
            if timeout_at(deadline, over).await.is_err() {
                return Err(perhaps_done(explain(lost)));
            }
            handle = self.handle(deadline).await.map_err(perhaps_done)?;
            if doubles(&request.op) && !handle.knows_operations() {
                return Err(perhaps_done(explain(lost)));
            }
        }
    }

    /// The directory was told what is known here, or cannot be: changes go on.
    pub(crate) fn reconciled(&self) {
        self.reconciling.send_replace(false);
    }

    /// Waits while a directory that was restored is told what is known here: a change that came in between would be taken for
    /// something that was known.
    async fn unreconciled(&self, deadline: Instant) -> Result<(), WireError> {
        let mut reconciling = self.reconciling.subscribe();
        let told = reconciling.wait_for(|reconciling| !reconciling);
        match timeout_at(deadline, told).await {
            Ok(_) => Ok(()),
            Err(_) => Err(WireError::new(
                Code::Offline,
                "the directory was restored and is being told what is known here; try again in a moment",
            )),
        }
    }

    /// A session for a request that was not sent yet. A directory that was out of reach for longer than a restart takes is tried
    /// now, and if that fails, the caller learns it at once.
    async fn first_handle(&self) -> Result<Handle, WireError> {
        let deadline = Instant::now() + SESSION_PATIENCE;
        let mut status = self.status.clone();
        let (failed, lost_for) = {
            let now = status.borrow();
            let is_lost = now.state == SessionState::Connecting && now.trouble.is_some();
            (is_lost.then_some(now.failures), Timestamp::now().since(now.since))
        };
        let Some(failed) = failed.filter(|_| lost_for >= RESTART_TIME) else {
            return self.handle(deadline).await;
        };
        // Twice: the first attempt may have begun before the directory was there again.
        for more in 1..=2 {
            self.hurry();
            let settled = status.wait_for(|now| {
                now.handle.is_some() || now.state != SessionState::Connecting || now.failures >= failed + more
            });
            let has_failed = timeout_at(deadline, settled).await.is_ok_and(|now| {
                now.is_ok_and(|now| now.handle.is_none() && now.state == SessionState::Connecting)
            });
            if !has_failed {
                return self.handle(deadline).await;
            }
        }
        Err(not_yet(&self.status.borrow()))
    }

    async fn handle(&self, deadline: Instant) -> Result<Handle, WireError> {
        let mut status = self.status.clone();
        if status.borrow().state == SessionState::Connecting {
            self.hurry();
        }
        let settled = status.wait_for(|now| now.handle.is_some() || now.state != SessionState::Connecting);
        let now = match timeout_at(deadline, settled).await {
            Ok(Ok(now)) => now.clone(),
            Ok(Err(_)) => return Err(stopping()),
            Err(_) => self.status.borrow().clone(),
        };
        now.handle.clone().ok_or_else(|| match now.state {
            SessionState::Unregistered => unregistered(),
            SessionState::Offline => {
                let error = WireError::new(Code::Offline, "logged out").hint("dosctl login");
                now.trouble.map_or(error.clone(), |trouble| error.caused_by(trouble))
            }
            SessionState::Connecting | SessionState::Online => not_yet(&now),
        })
    }
}

impl Directory for Upstream {
    fn send(&self, op: Op, repeat: Repeat) -> BoxFuture<'_, Result<Answer, Unanswered>> {
        Box::pin(self.answered(op, repeat))
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), WireError>> {
        Box::pin(self.ready())
    }

    fn is_online(&self) -> bool {
        self.is_online()
    }

    fn preview_size(&self) -> PreviewSize {
        self.status.borrow().previews
    }
}

/// Whether it changes what peers assert.
fn is_change(op: &Op) -> bool {
    matches!(
        op,
        Op::Publish(_)
            | Op::PublishAs(_)
            | Op::Set(_)
            | Op::Remove(_)
            | Op::Rename { .. }
            | Op::Share(_)
            | Op::Spend(_)
            | Op::Checkin(_)
            | Op::Request(_)
            | Op::Cancel(_)
            | Op::Decide(_)
    )
}

/// Whether doing it twice is another thing than doing it once, also if the directory compares the states before and after.
fn doubles(op: &Op) -> bool {
    matches!(op, Op::Share(Share { views: ViewsChange::Add(_), .. }) | Op::Request(_))
}

/// Asks, and when the directory says that it is too early, again at the time that it names, if that is before `deadline`: what
/// it refuses so it has not done.
async fn ask_patiently(handle: &Handle, request: &Request, deadline: Instant) -> Result<Answer, AskError> {
    let deadline = deadline.min(Instant::now() + LIMIT_PATIENCE);
    loop {
        let refused = match handle.ask(request.clone()).await {
            Err(AskError::Refused(refused)) => refused,
            other => return other,
        };
        match retry_at(&refused, Instant::now()) {
            Some(due) if due <= deadline => sleep_until(due).await,
            _ => return Err(AskError::Refused(refused)),
        }
    }
}

/// When what was refused may be asked again, if it was refused for being too early.
fn retry_at(refused: &WireError, now: Instant) -> Option<Instant> {
    let wait = refused.retry_after_ms.filter(|_| refused.reason == Some(Reason::Limit))?;
    now.checked_add(Duration::from_millis(wait))
}

fn stopping() -> WireError {
    WireError::new(Code::Offline, "the daemon is stopping")
}

fn not_yet(status: &Status) -> WireError {
    let text = match status.refused {
        true => "the directory does not let this peer in; peerd asks again now and then",
        false => "the directory is out of reach; peerd goes on trying",
    };
    let error = WireError::new(Code::Offline, text);
    status.trouble.clone().map_or(error.clone(), |trouble| error.caused_by(trouble))
}

fn explain(error: AskError) -> WireError {
    match error {
        AskError::Lost => WireError::new(Code::Offline, "the connection to the directory was lost"),
        AskError::Slow => WireError::new(Code::Timeout, "the directory did not answer in time"),
        AskError::Refused(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_limit_with_a_time_is_waited_for() {
        let now = Instant::now();
        let refused = WireError::new(Code::Denied, "too many requests");
        assert_eq!(retry_at(&refused, now), None);
        let limited = refused.clone().because(Reason::Limit);
        assert_eq!(retry_at(&limited, now), None);
        let later = Duration::from_millis(250);
        assert_eq!(retry_at(&limited.retry_after(later), now), Some(now + later));
        assert_eq!(retry_at(&refused.because(Reason::Locked).retry_after(later), now), None);
        let never = WireError {
            retry_after_ms: Some(u64::MAX),
            ..WireError::new(Code::Denied, "x").because(Reason::Limit)
        };
        assert!(retry_at(&never, now).is_none_or(|due| due > now + Duration::from_secs(1 << 30)));
    }
}
