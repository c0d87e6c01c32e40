//! peerd, the daemon of one client: its images, its rights, its session to the directory, and its port for other peers.
//!
//! - [`upstream`]: the session to the directory; [`inbox`] applies what the directory owes us.
//! - [`control`]: the local socket for dosctl, one file per command.
//! - [`peer`]: other peers: serving sealed copies, and fetching them; direct messages.
//! - [`relearn`]: what was lost here and the directory still knows.
//! - [`library`]: one's own images; [`rights`]: what one may view; [`ledger`]: views that are under way or held.
//! - [`store`]: everything that must last; [`copies`]: sealed files; [`identity`], [`vault`], [`keys`]: secrets.
//! - [`events`]: what happened, to whoever watches; [`presence`]: who comes and goes, as far as somebody watches.
//! - [`config`]: the settings; [`reload`]: what SIGHUP does; [`metrics`]: what is measured.
//! - [`chores`]: what the daemon does by itself.
//!
//! Stopping takes two steps: first nobody new is served and what can be given up is given up, while commands that change
//! something finish; then the session signs out.

mod chores;
pub mod cli;
pub mod config;
pub mod control;
mod copies;
mod events;
pub mod identity;
mod inbox;
mod keys;
mod ledger;
mod library;
mod manager;
mod metrics;
mod opened;
mod peer;
mod presence;
mod random;
mod relearn;
pub mod reload;
mod rights;
mod rules;
mod sealing;
mod state_dir;
pub mod stop;
mod store;
mod upstream;
mod vault;

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock, atomic::AtomicU64},
    time::Duration,
};

use dos_daemon::{http, notify};
use dos_protocol::{Instance, MessageId, Seq, WireError, directory::Call, limits::SHUTDOWN_TIME_MAX};
use dos_sqlite::WriterThread;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc, watch},
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};

pub use config::{Config, Settings};
use copies::Copies;
use events::Events;
use identity::Identities;
use metrics::Metrics;
pub use peer::traffic::Limits;
use peer::{callers::KnownKeys, dial::Ways, fetch::Fetches, relay::CALLS_WAITING_MAX, traffic::Traffic};
use reload::Reload;
use state_dir::StateDir;
use stop::{Stop, Stopper, stop};
use store::Store;
use upstream::Upstream;

/// How long commands that change something may take to finish when the daemon stops.
const FINISH_TIME_MAX: Duration = Duration::from_millis(1500);

/// Why the daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The state directory.
    #[error(transparent)]
    StateDir(#[from] state_dir::StateDirError),
    /// The identity.
    #[error(transparent)]
    Identity(#[from] identity::IdentityError),
    /// The database.
    #[error(transparent)]
    Open(#[from] dos_sqlite::OpenError),
    /// What is in the database.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The system gives no random bytes.
    #[error(transparent)]
    Random(#[from] random::NoRandomness),
    /// The sealed files.
    #[error("cannot tidy up the sealed copies")]
    Files(#[source] io::Error),
    /// The port for other peers.
    #[error("cannot listen for peers at {0}")]
    Listen(SocketAddr, #[source] io::Error),
    /// The page for metrics and health.
    #[error("cannot listen for metrics at {0}")]
    Metrics(SocketAddr, #[source] io::Error),
    /// The socket for dosctl.
    #[error("cannot listen for commands at {path}", path = .0.display())]
    Control(PathBuf, #[source] io::Error),
}

/// What all tasks share.
#[derive(Debug)]
pub(crate) struct Core {
    /// As it was started; what can be changed is in `settings`.
    config: Config,
    settings: RwLock<Settings>,
    dirs: StateDir,
    store: Store,
    identity: Identities,
    upstream: Upstream,
    metrics: Metrics,
    events: Events,
    presence: Arc<presence::Interest>,
    copies: Copies,
    fetches: Fetches,
    uploads: Traffic,
    downloads: Traffic,
    ways: Ways,
    calls: mpsc::Sender<Call>,
    chores: chores::Chores,
    live: store::Live,
    sends: store::Live<MessageId>,
    known_keys: KnownKeys,
    names_busy: library::BusyNames,
    previews: Semaphore,
    relearning: Semaphore,
    /// Written on the store's writer's thread alone, so that an older number never takes the place of a newer one.
    pending_requests: Arc<AtomicU64>,
    mail: watch::Sender<store::Mail>,
    stored: watch::Sender<Seq>,
    instance: Instance,
    listen: SocketAddr,
}

impl Core {
    /// What is set now.
    pub(crate) fn settings(&self) -> Settings {
        *self.settings.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts other settings in force: what is begun from now on obeys them.
    pub(crate) fn set(&self, settings: Settings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
        self.uploads.set(settings.uploads);
        self.downloads.set(settings.downloads);
        // There may be room for more copies, or they are wanted now.
        self.chores.look();
    }
}

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    core: Arc<Core>,
    writer: WriterThread,
    first: Stopper,
    second: Stopper,
    control: JoinHandle<()>,
    session: JoinHandle<()>,
    others: Vec<JoinHandle<()>>,
    page: Option<JoinHandle<()>>,
    opened: Option<opened::Opened>,
}

impl Daemon {
    /// Starts it. When this returns, commands and peers are served.
    ///
    /// # Errors
    /// As in [`RunError`].
    pub async fn start(config: Config) -> Result<Self, RunError> {
        let dirs = StateDir::open(&config.state_dir)?;
        let identity = Identities::open(dirs.identity())?;
        let (store, writer) = Store::open(&dirs.database())?;
        let own = store.own().await?;
        if let (Some(peer), Some((id, _))) = (own.peer, identity.registered())
            && peer != id
        {
            return Err(store::Error::Foreign(peer).into());
        }
        let copies = Copies::new(&dirs);
        tidy_up(&store, &copies).await?;
        let listen_error = |error| RunError::Listen(config.listen, error);
        let listener = peer::listener::bind(config.listen).map_err(listen_error)?;
        let listen = listener.local_addr().map_err(listen_error)?;
        let socket = control::Listener::bind(&config.socket)
            .map_err(|error| RunError::Control(config.socket.clone(), error))?;
        let page = config.metrics.map(open_page).transpose()?;
        let opened = opened::Opened::prepare(&config.socket);
        let (upstream, ends) = Upstream::new();
        let (chores, arrivals) = chores::Chores::new();
        let (calls, calls_waiting) = mpsc::channel(CALLS_WAITING_MAX);
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let core = Arc::new(Core {
            settings: RwLock::new(config.settings),
            uploads: Traffic::new(config.settings.uploads),
            downloads: Traffic::new(config.settings.downloads),
            config,
            dirs,
            store,
            identity,
            metrics: Metrics::new(&upstream),
            upstream,
            events: Events::default(),
            presence: Arc::default(),
            copies,
            fetches: Fetches::default(),
            ways: Ways::default(),
            calls,
            chores,
            live: store::Live::default(),
            sends: store::Live::default(),
            known_keys: KnownKeys::default(),
            names_busy: library::BusyNames::default(),
            previews: Semaphore::new(threads),
            relearning: Semaphore::new(1),
            pending_requests: Arc::new(AtomicU64::new(own.requests)),
            mail: watch::Sender::new(own.mail),
            stored: watch::Sender::new(own.stored),
            instance: Instance(u64::from_be_bytes(random::bytes()?)),
            listen,
        });
        tracing::info!(
            profile = &*core.config.profile,
            %listen,
            socket = %core.config.socket.display(),
            version = env!("CARGO_PKG_VERSION"),
            "peerd is running"
        );
        let page = page.map(|listener| tokio::spawn(http::serve(listener, metrics::Observed::new(&core))));
        let ((first, early), (second, late)) = (stop(), stop());
        let session = tokio::spawn(upstream::run(Arc::clone(&core), ends, own.wanted_online, late));
        let control = tokio::spawn(control::run(Arc::clone(&core), socket, early.clone()));
        let others = vec![
            tokio::spawn(peer::listener::run(Arc::clone(&core), listener, calls_waiting, early.clone())),
            tokio::spawn(presence::run(Arc::clone(&core), early.clone())),
            tokio::spawn(chores::run(Arc::clone(&core), arrivals, early)),
        ];
        Ok(Self { core, writer, first, second, control, session, others, page, opened })
    }

    /// Where it listens for other peers.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        self.core.listen
    }

    /// Where it listens for dosctl.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.core.config.socket
    }

    /// The last update that is durable, now and from now on.
    #[must_use]
    pub fn updates_stored(&self) -> watch::Receiver<Seq> {
        self.core.stored.subscribe()
    }

    /// Finishes what was accepted, signs out and closes the store, within [`SHUTDOWN_TIME_MAX`].
    pub async fn stop(self) {
        let Self { core, writer, first, second, control, session, others, page, opened } = self;
        let orderly = async {
            first.stop();
            for task in others {
                drop(task.await);
            }
            tracing::debug!("the port and the chores are closed");
            if timeout(FINISH_TIME_MAX, control).await.is_err() {
                tracing::warn!("a command did not finish in time");
            }
            tracing::debug!("commands are finished");
            drop(opened);
            second.stop();
            drop(session.await);
            tracing::debug!("signed out");
            if let Some(page) = page {
                page.abort();
            }
            drop(core);
            // Everything is durable already; this only tidies the log.
            drop(spawn_blocking(move || writer.join()).await);
        };
        if timeout(SHUTDOWN_TIME_MAX, orderly).await.is_err() {
            tracing::warn!("not everything ended in time");
        }
    }
}

fn open_page(address: SocketAddr) -> Result<TcpListener, RunError> {
    let failed = |error| RunError::Metrics(address, error);
    let listener = http::bind(address).map_err(failed)?;
    tracing::info!(listen = %listener.local_addr().map_err(failed)?, "metrics are served");
    Ok(listener)
}

/// Makes the disk and the database agree after a crash.
async fn tidy_up(store: &Store, copies: &Copies) -> Result<(), RunError> {
    let (whole, arriving) = store.files_needed().await?;
    let sweeping = copies.clone();
    let missing = copies::blocking(move || sweeping.sweep(&whole, &arriving))
        .await
        .map_err(|error: WireError| RunError::Files(io::Error::other(error)))?
        .map_err(RunError::Files)?;
    for hash in missing {
        tracing::warn!(copy = %hash, "a sealed copy is missing");
        store.forget_copy(hash).await?;
    }
    Ok(())
}

/// Runs a daemon until `stop`; `reload` changes its settings meanwhile.
///
/// # Errors
/// As in [`RunError`].
pub async fn run(config: Config, reload: &Reload, mut stop: Stop) -> Result<(), RunError> {
    let daemon = Box::pin(Daemon::start(config)).await?;
    reload.attach(&daemon.core);
    let telling = tokio::spawn(manager::tell(Arc::clone(&daemon.core)));
    stop.stopped().await;
    tracing::info!("stopping");
    notify::stopping();
    telling.abort();
    drop(telling.await);
    daemon.stop().await;
    Ok(())
}
