//! peerd, the daemon of one client: its images, its grants, its session to the directory, and its port for other peers.
//!
//! [`parts`] are opened and put together, and run here; which of them may use which is said in ARCHITECTURE.md.
//!
//! - [`control`]: the local socket for dosctl; [`gallery`]: the same commands in a browser; [`commands`]: what a user can do, one file
//!   per command.
//! - [`chores`]: what the daemon does by itself; [`relearn`]: what was lost here and the directory still knows; [`presence`]:
//!   who is online, as far as somebody watches.
//! - [`peer`]: other peers: serving sealed copies, and fetching them; direct messages.
//! - [`upstream`]: the session to the directory; [`inbox`] applies the updates that come in.
//! - [`invitations`]: who is invited and by whom, proved on both sides.
//! - [`ledger`]: views in flight or held; [`rights`]: what one may view; [`library`]: one's own images; [`requests`],
//!   [`blocks`]. They know the directory and other peers as something that answers ([`directory`], [`source`]).
//! - [`store`]: everything that must last; [`copies`]: sealed files, [`cache`]: both together; [`feed`], [`events`]: what
//!   happened, for all who watch.
//! - [`clock`]: the directory's time, by which grants expire.
//! - [`identity`], [`vault`], [`keys`]: secrets. [`config`], [`settings`], [`metrics`], [`manager`].
//!
//! Stopping takes two steps: first no one new is served and what can be given up is given up, while commands that change
//! something finish; then the session signs out.

mod addresses;
mod blocks;
mod cache;
mod chores;
pub mod cli;
mod clock;
mod commands;
pub mod config;
pub mod control;
mod copies;
mod counters;
mod directory;
mod entrance;
mod escrow;
mod events;
mod feed;
mod gallery;
mod giving;
mod grant_pages;
pub mod identity;
mod inbox;
mod invitations;
mod keys;
mod ledger;
mod letters;
mod library;
mod manager;
mod mapping;
mod metrics;
mod opened;
mod parts;
mod peer;
mod presence;
mod random;
mod reconcile;
mod relearn;
mod remembered;
mod requests;
mod rights;
mod rules;
mod sealing;
mod settings;
mod shell;
mod source;
mod state_dir;
mod store;
mod traffic;
mod trust;
mod upstream;
mod vault;

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Weak},
    time::Duration,
};

use dos_daemon::{http, notify};
use dos_protocol::{Seq, limits::SHUTDOWN_TIME_MAX};
use dos_sqlite::WriterThread;
use parking_lot::Mutex;
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use chores::{
    Chores,
    fetching::Fetching,
    following::{self, Following},
    notifying::{self, Notifying},
};
use commands::Services;
pub use config::{Config, Limits, Settings};
use config::{MappingSwitch, NotifySwitch};
pub use parts::RunError;
use parts::{Loose, State, assemble};
use reconcile::Reconciling;
#[cfg(fuzzing)]
pub use store::fuzzing;
use upstream::Summons;

/// How long commands that change something may take to finish when the daemon stops.
const FINISH_TIME_MAX: Duration = Duration::from_millis(1500);

/// The settings of a running daemon. Weak, because the store closes only when no one holds it any more.
#[derive(Debug, Clone)]
pub struct SettingsHandle(Weak<Services>);

impl SettingsHandle {
    /// Puts other settings in force; false if the daemon has stopped.
    #[must_use]
    pub fn set(&self, settings: Settings) -> bool {
        self.0.upgrade().map(|services| services.set(settings)).is_some()
    }
}

/// What comes after a daemon has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Nothing.
    Stop,
    /// The next one, in the same process: this one's peer has left its directory.
    BeginAnew,
}

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    services: Arc<Services>,
    writer: WriterThread,
    /// Dropping them stops it, too.
    stop: [DropGuard; 2],
    control: JoinHandle<()>,
    session: JoinHandle<()>,
    others: Vec<JoinHandle<()>>,
    page: Option<JoinHandle<()>>,
    opened: Arc<Mutex<Option<opened::Opened>>>,
}

/// What is bound before anything runs.
struct Doors {
    peers: TcpListener,
    listen: SocketAddr,
    socket: control::Listener,
    page: Option<TcpListener>,
}

impl Doors {
    fn open(config: &Config) -> Result<Self, RunError> {
        let listen_error = |error| RunError::Listen(config.listen, error);
        let peers = peer::listener::bind(config.listen).map_err(listen_error)?;
        let listen = peers.local_addr().map_err(listen_error)?;
        let socket = control::Listener::bind(&config.socket, &config.state_dir)
            .map_err(|error| RunError::Control(config.socket.clone(), error))?;
        Ok(Self { peers, listen, socket, page: config.metrics.map(open_page).transpose()? })
    }
}

impl Daemon {
    /// Starts it. When this returns, commands and peers are served.
    ///
    /// # Errors
    /// As in [`RunError`].
    pub async fn start(config: Config) -> Result<Self, RunError> {
        let (state, writer) = Box::pin(State::open(&config)).await?;
        let doors = Doors::open(&config)?;
        let opened = Arc::new(Mutex::new(opened::Opened::prepare(&config.socket)));
        let wanted_online = state.wanted_online;
        let (services, Loose { ends, local, calls, peer_news, asked, mapping }) =
            assemble(config, doors.listen, state)?;
        let services = Arc::new(services);
        services.trust.count().await?;
        services.store.count_offers().await?;
        tracing::info!(
            profile = &*services.config.profile,
            listen = %doors.listen,
            socket = %services.config.socket.display(),
            version = env!("CARGO_PKG_VERSION"),
            "peerd is running"
        );
        let observed = metrics::Observed::new(&services);
        let page = doors.page.map(|listener| tokio::spawn(http::serve(listener, observed)));
        let (stop, [early, late]) = stop_steps();
        let session = tokio::spawn(upstream::run(Arc::new(local), ends, wanted_online, late));
        let renew = renewing(&services.config.socket, &opened);
        let control = tokio::spawn(control::run(Arc::clone(&services), doors.socket, renew, early.clone()));
        let mut others = spawn_others(&services, (doors.peers, calls), &early);
        others.push(tokio::spawn(following::run(follows(&services), peer_news, early.clone())));
        if services.config.reachable && services.config.port_mapping == MappingSwitch::On {
            others.push(tokio::spawn(mapping::run(doors.listen, mapping, early.clone())));
        }
        if services.config.notify == NotifySwitch::On {
            others.push(tokio::spawn(notifying::run(notifies(&services), early.clone())));
        }
        others.push(tokio::spawn(gallery::run(Arc::clone(&services), asked, early)));
        Ok(Self { services, writer, stop, control, session, others, page, opened })
    }

    /// Where it listens for other peers.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        self.services.listen
    }

    /// Where it listens for dosctl.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.services.config.socket
    }

    /// The last update that is durable, now and from now on.
    #[must_use]
    pub fn updates_stored(&self) -> watch::Receiver<Seq> {
        self.services.feed.stored()
    }

    /// Through which its settings can be changed while it runs.
    #[must_use]
    pub fn settings(&self) -> SettingsHandle {
        SettingsHandle(Arc::downgrade(&self.services))
    }

    /// Runs until `stop`, or until it is to begin anew, and keeps the service manager informed meanwhile.
    pub async fn run(self, stop: CancellationToken) -> Then {
        let (reporting, anew) =
            (tokio::spawn(manager::report(Arc::clone(&self.services))), self.services.anew.clone());
        let then = tokio::select! {
            biased;
            () = stop.cancelled() => Then::Stop,
            () = anew.cancelled() => Then::BeginAnew,
        };
        if then == Then::Stop {
            tracing::info!("stopping");
            notify::stopping();
        }
        reporting.abort();
        drop(reporting.await);
        self.stop().await;
        then
    }

    /// Finishes what was accepted, signs out and closes the store, within [`SHUTDOWN_TIME_MAX`].
    pub async fn stop(self) {
        let Self { services, writer, stop: [first, second], control, session, others, page, opened } = self;
        let orderly = async {
            drop(first);
            for task in others {
                drop(task.await);
            }
            tracing::debug!("the port and the chores are closed");
            if timeout(FINISH_TIME_MAX, control).await.is_err() {
                tracing::warn!("a command did not finish in time");
            }
            tracing::debug!("commands are finished");
            drop(opened.lock().take());
            drop(second);
            drop(session.await);
            tracing::debug!("signed out");
            if let Some(page) = page {
                page.abort();
            }
            drop(services);
            // Everything is durable already; this only tidies the log.
            drop(spawn_blocking(move || writer.join()).await);
        };
        if timeout(SHUTDOWN_TIME_MAX, orderly).await.is_err() {
            tracing::warn!("not everything ended in time");
        }
    }
}

/// What it takes to tell the desktop.
fn notifies(services: &Services) -> Notifying {
    Notifying {
        profile: services.config.profile.clone(),
        identity: Arc::clone(&services.identity),
        feed: Arc::clone(&services.feed),
    }
}

/// What it takes to follow contacts.
fn follows(services: &Services) -> Following {
    Following {
        upstream: Arc::clone(&services.upstream),
        identity: Arc::clone(&services.identity),
        trust: Arc::clone(&services.trust),
        feed: Arc::clone(&services.feed),
    }
}

/// The tasks that end first.
fn spawn_others(
    services: &Arc<Services>,
    (listener, calls): (TcpListener, mpsc::Receiver<Summons>),
    stop: &CancellationToken,
) -> Vec<JoinHandle<()>> {
    let chores = Chores {
        albums: Arc::clone(&services.albums),
        upstream: Arc::clone(&services.upstream),
        library: Arc::clone(&services.library),
        ledger: Arc::clone(&services.ledger),
        relearning: Arc::clone(&services.relearning),
        reconciling: Reconciling {
            cache: services.cache.clone(),
            identity: Arc::clone(&services.identity),
            directory: Arc::clone(&services.upstream) as _,
            trust: Arc::clone(&services.trust),
            feed: Arc::clone(&services.feed),
        },
    };
    let fetching = Fetching {
        upstream: Arc::clone(&services.upstream),
        identity: Arc::clone(&services.identity),
        settings: services.settings.clone(),
        cache: services.cache.clone(),
        feed: Arc::clone(&services.feed),
        source: Arc::clone(&services.ledger.source),
        trust: Arc::clone(&services.trust),
    };
    let (interest, upstream) = (Arc::clone(&services.presence), Arc::clone(&services.upstream));
    vec![
        tokio::spawn(peer::listener::run(Arc::clone(&services.peers), listener, calls, stop.clone())),
        tokio::spawn(presence::run(interest, upstream, stop.clone())),
        tokio::spawn(chores::run(chores, stop.clone())),
        tokio::spawn(chores::fetching::run(fetching, stop.clone())),
        tokio::spawn(chores::closing::run(
            Arc::clone(&services.upstream),
            Arc::clone(&services.ledger),
            stop.clone(),
        )),
        tokio::spawn(chores::inviting::run(
            Arc::clone(&services.upstream),
            Arc::clone(&services.invitations),
            stop.clone(),
        )),
    ]
}

/// Makes the directory for a viewer's files anew, which vanished with the socket.
fn renewing(socket: &Path, opened: &Arc<Mutex<Option<opened::Opened>>>) -> impl Fn() + Send + Sync + use<> {
    let (socket, opened) = (socket.to_owned(), Arc::clone(opened));
    move || {
        let mut opened = opened.lock();
        // First the old one, which removes what has its name.
        drop(opened.take());
        *opened = opened::Opened::prepare(&socket);
    }
}

/// What stops a daemon, and what its tasks wait for: the first step and the second.
fn stop_steps() -> ([DropGuard; 2], [CancellationToken; 2]) {
    let steps = <[CancellationToken; 2]>::default();
    (steps.clone().map(CancellationToken::drop_guard), steps)
}

fn open_page(address: SocketAddr) -> Result<TcpListener, RunError> {
    http::bind(address).map_err(|error| RunError::Metrics(address, error))
}
