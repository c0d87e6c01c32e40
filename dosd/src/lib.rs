//! The directory server: listener -> session -> directory (the operations) -> store.
//!
//! [`Server::start`] opens everything and [`Server::run`] serves until it is told to stop. Several can run in one process,
//! each on its own data directory.

mod address;
pub mod admin;
pub mod announce;
pub mod cli;
pub mod commands;
pub mod config;
mod data_dir;
pub mod directory;
pub mod greeting;
pub mod limits;
mod listener;
pub mod live;
mod manager;
pub mod metrics;
mod nodes;
mod page;
mod phase;
pub mod rules;
mod session;
pub mod store;

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use dos_daemon::{files, http, notify};
use dos_protocol::{
    Fingerprint, JoinLink, PublicKey,
    admin::SOCKET_NAME,
    directory::NoticeKind,
    limits::{RELAY_TICKETS_MAX, SHUTDOWN_TIME_MAX},
    opaque::{OpaqueError, Setup},
    tls::{Alpn, ServerTls, TlsError},
};
use tokio::{net::TcpListener, sync::watch, time::timeout};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    admin::{Door, Operator},
    announce::Announcement,
    config::Config,
    data_dir::{DATABASE_NAME, DataDir},
    directory::Directory,
    live::Live,
    phase::Phase,
    rules::{
        identity::{self, Alien, Remembered},
        room::{Room, room},
    },
    store::{Joining, Store},
};

pub use data_dir::DataDirError;

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The server's key.
    #[error("cannot use the server's key")]
    Key(#[from] dos_protocol::key::SecretError),
    /// What is derived from the server's key for passwords.
    #[error("cannot set up passwords")]
    Passwords(#[from] OpaqueError),
    /// TLS.
    #[error("cannot set up TLS")]
    Tls(#[from] TlsError),
    /// The database.
    #[error("cannot open the database")]
    Store(#[from] dos_sql::OpenError),
    /// The database on servers.
    #[error("cannot open the database")]
    Servers(#[from] store::ConnectError),
    /// Where other nodes find this one.
    #[error("cannot listen for other nodes on {0}")]
    Cluster(SocketAddr, #[source] io::Error),
    /// Where it is.
    #[error(transparent)]
    StoreConfig(#[from] config::StoreConfigError),
    /// The peers are in a file, and the store on the servers is empty.
    #[error(
        "the database {path} has peers and the store on the database servers has none: move them with `dosd store move`, or put \
         the file elsewhere",
        path = .0.display()
    )]
    NotMoved(PathBuf),
    /// The port.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    /// The port that was passed.
    #[error("cannot use the socket that the service manager passed")]
    Passed(#[source] io::Error),
    /// The page for metrics and health.
    #[error("cannot listen for metrics on {0}")]
    Metrics(SocketAddr, #[source] io::Error),
    /// The operator's door.
    #[error("cannot open the operator's socket")]
    Admin(#[from] admin::AdminError),
}

/// Why a server ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Another server has taken its store.
    #[error("another server has taken the store, while this one was out of reach of it")]
    Struck,
    /// Its files are gone: what was confirmed since would not be found by the next start.
    #[error("the file {path} was removed or replaced while the server ran", path = .0.display())]
    Gone(PathBuf),
}

/// A server whose port, sockets and store are open.
pub struct Server {
    directory: Arc<Directory>,
    tls: ServerTls,
    listener: TcpListener,
    door: Door,
    page: Option<TcpListener>,
    link: JoinLink,
    writer: dos_sql::WriterThread,
    /// How it is among the nodes; nothing where its store is a file.
    joining: Option<(Joining, Option<nodes::Links>)>,
    data_dir: DataDir,
    room: Room,
    announcement: Option<Announcement>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("link", &self.link.to_string()).finish_non_exhaustive()
    }
}

impl Server {
    /// Opens everything: from here on connections are accepted by the kernel.
    ///
    /// # Errors
    /// As in [`StartError`].
    pub fn start(config: &Config) -> Result<Self, StartError> {
        Self::start_on(config, None)
    }

    /// As [`Server::start`]; a socket that listens already takes the place of the address in `config`.
    ///
    /// # Errors
    /// As in [`StartError`].
    pub fn start_on(config: &Config, passed: Option<std::net::TcpListener>) -> Result<Self, StartError> {
        let data_dir = DataDir::open(&config.data_dir)?;
        let database = data_dir.join(DATABASE_NAME);
        let servers = config.store.as_ref().map(config::StoreConfig::server).transpose()?;
        let remembered = remembered(servers.as_ref(), &database)?;
        let secret = data_dir.server_key(|key, path| fits(key, &remembered, path))?;
        let key = secret.public()?;
        let tls = ServerTls::new(&secret, Alpn::Directory)?;
        let passwords = Setup::derive(&secret)?;
        let live = Arc::new(Live::default());
        let failed = |error| StartError::Listen(config.listen, error);
        let listener = match passed {
            Some(listener) => TcpListener::from_std(listener).map_err(StartError::Passed)?,
            None => listener::bind(config.listen).map_err(failed)?,
        };
        let bound = listener.local_addr().map_err(failed)?;
        let link = join_link(key, bound, config.advertise.clone());
        let links = config.cluster.map(|address| links(address, &secret)).transpose()?;
        let (store, writer, joining) = match &servers {
            None => {
                let (store, writer) = Store::open(&database, Arc::clone(&live) as _)?;
                (store, writer, None)
            }
            Some(servers) => {
                let joining = joining(&link, links.as_ref());
                let (store, writer) = Store::connect(servers, &joining, Arc::clone(&live) as _)?;
                (store, writer, Some((joining, links)))
            }
        };
        let open_page = |address| http::bind(address).map_err(|error| StartError::Metrics(address, error));
        let page = config.metrics.map(open_page).transpose()?;
        let door = Door::open(&data_dir.join(SOCKET_NAME))?;
        let room = room_for(&config.settings);
        let directory = Directory::new(store, live, (&secret, passwords), config.settings.clone())?;
        let directory =
            Arc::new(directory.with_room_for(room.sessions).with_previews_of(config.preview_size));
        let fingerprint = Fingerprint::of_directory(&link.key);
        tracing::info!(listen = %bound, data_dir = %config.data_dir.display(), %fingerprint, "the directory is open");
        let announcement = announce(config.announce, &link);
        Ok(Self { directory, tls, listener, door, page, link, writer, joining, data_dir, room, announcement })
    }

    /// The join link, without an invite.
    #[must_use]
    pub fn link(&self) -> &JoinLink {
        &self.link
    }

    /// Where it listens.
    #[must_use]
    pub fn listens_at(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Where metrics and health are served, if anywhere.
    #[must_use]
    pub fn metrics(&self) -> Option<SocketAddr> {
        self.page.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// The operations and the store, for tests and measurements in the same process.
    #[must_use]
    pub fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// Serves until `stop` or the operator ends it; then tells every peer, finishes what was accepted, and returns.
    ///
    /// # Errors
    /// [`RunError`] if it had to end by itself.
    pub async fn run(self, stop: CancellationToken) -> Result<(), RunError> {
        let ended = Box::pin(self.serve(stop)).await;
        if let Err(error) = &ended {
            tracing::error!(error = error as &dyn std::error::Error, "the directory has ended by itself");
        }
        ended
    }

    async fn serve(self, stop: CancellationToken) -> Result<(), RunError> {
        let (plan, mut planned) = watch::channel(None);
        let (phase, phases) = watch::channel(Phase::Open);
        let operator = Arc::new(Operator::new(Arc::clone(&self.directory), self.link, plan));
        tokio::spawn(self.door.serve(operator, phases.clone()));
        let page = self.page.map(|listener| {
            let page = page::Observed::new(&self.directory, phases);
            tokio::spawn(http::serve(listener, page))
        });
        let mut among = self.joining.map(|(joining, links)| {
            AbortOnDropHandle::new(tokio::spawn(nodes::run(Arc::clone(&self.directory), joining, links)))
        });
        let closing = CancellationToken::new();
        let entrance = listener::Entrance::new(self.tls, Arc::clone(&self.directory), self.room);
        let listening = listener::listen(self.listener, entrance, closing.clone());
        let mut listening = tokio::spawn(listening);
        let reporting = tokio::spawn(manager::report(Arc::clone(&self.directory)));
        let mut ended = Ok(());
        let why = tokio::select! {
            path = lost(&self.directory) => {
                ended = Err(RunError::Gone(path));
                admin::closing(None)
            }
            nodes::Struck = struck(&mut among) => {
                ended = Err(RunError::Struck);
                admin::closing(None)
            }
            () = stop.cancelled() => admin::closing(None),
            why = admin::due(&mut planned) => why,
            _ = &mut listening => {
                tracing::error!("the listener has failed");
                admin::closing(None)
            }
        };
        tracing::info!(sessions = self.directory.live.count(), "the directory closes");
        notify::stopping();
        // Beside the rest, which does not wait for it.
        drop(self.announcement.map(|announcement| tokio::task::spawn_blocking(|| announcement.end())));
        reporting.abort();
        drop(reporting.await);
        closing.cancel();
        phase.send_replace(Phase::Closing);
        self.directory.live.close_all(NoticeKind::Shutdown, &why);
        if !listening.is_finished() && timeout(SHUTDOWN_TIME_MAX, &mut listening).await.is_err() {
            tracing::warn!(sessions = self.directory.live.count(), "some sessions did not end in time");
            listening.abort();
            drop(listening.await);
        }
        if let Some(page) = page {
            page.abort();
        }
        drop(among);
        nodes::leave(&self.directory).await;
        drop(self.directory);
        let writer = self.writer;
        let closing_store = tokio::task::spawn_blocking(move || writer.join());
        if timeout(SHUTDOWN_TIME_MAX, closing_store).await.is_err() {
            tracing::warn!("the store did not close in time; it recovers at the next start");
        }
        tracing::info!("the directory is closed");
        drop(self.data_dir);
        phase.send_replace(Phase::Ended);
        ended
    }
}

/// Until another server has taken the store; never, where that cannot be.
async fn struck(among: &mut Option<AbortOnDropHandle<nodes::Struck>>) -> nodes::Struck {
    match among {
        Some(running) => match running.await {
            Ok(struck) => struck,
            // A panic has been reported by the panic hook already.
            Err(_) => nodes::Struck,
        },
        None => std::future::pending().await,
    }
}

/// Announces the directory on the local network, if that is wanted. That it cannot be announced stops nothing.
fn announce(wanted: Option<bool>, link: &JoinLink) -> Option<Announcement> {
    if !wanted.unwrap_or_else(|| announce::by_default(link)) {
        return None;
    }
    match Announcement::begin(link) {
        Ok(announcement) => {
            tracing::info!("announced on the local network");
            Some(announcement)
        }
        Err(error) => {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "not announced on the local network");
            None
        }
    }
}

/// What a node listens with for the others.
fn links(address: SocketAddr, secret: &dos_protocol::key::SecretKey) -> Result<nodes::Links, StartError> {
    let listener = listener::bind(address).map_err(|error| StartError::Cluster(address, error))?;
    Ok(nodes::Links::new(listener, secret)?)
}

fn joining(link: &JoinLink, links: Option<&nodes::Links>) -> Joining {
    let cluster = links.and_then(|links| links.listener.local_addr().ok());
    Joining { address: link.address().into(), cluster: cluster.map(|address| address.to_string().into()) }
}

/// What the store remembers, wherever it is.
fn remembered(servers: Option<&dos_sql::Server>, database: &Path) -> Result<Remembered, StartError> {
    let Some(servers) = servers else { return Ok(store::remembered(database)?) };
    let remembered = store::remembered_by(servers)?;
    if remembered.peers == 0 && store::remembered(database)?.peers > 0 {
        return Err(StartError::NotMoved(database.to_owned()));
    }
    Ok(remembered)
}

/// How many connections there may be.
fn room_for(settings: &config::Settings) -> Room {
    let room = room(files::raise_limit(), u64::from(settings.relay.calls) * 2 + RELAY_TICKETS_MAX);
    if room.sessions < settings.limits.sessions_max.into() {
        tracing::warn!(
            sessions = room.sessions,
            sessions_max = settings.limits.sessions_max,
            "the limit of open files leaves room for fewer sessions"
        );
    }
    room
}

/// Refuses a key, or a new one where there is none, that the peers in the database do not know.
fn fits(key: Option<&PublicKey>, remembered: &Remembered, path: PathBuf) -> Result<(), DataDirError> {
    identity::check(key, remembered).map_err(|alien| match alien {
        Alien::Missing => DataDirError::KeyLost(path, remembered.peers),
        Alien::Other => DataDirError::KeyAlien(path, remembered.peers),
    })
}

/// Remembers the directory's key, then waits until its files are gone.
async fn lost(directory: &Directory) -> PathBuf {
    if let Err(error) = directory.store.remember_key(directory.key).await {
        tracing::warn!(%error, "cannot remember the directory's key");
    }
    directory.store.gone().await
}

fn join_link(key: PublicKey, bound: SocketAddr, advertise: Option<(String, u16)>) -> JoinLink {
    let (host, port) = advertise.unwrap_or_else(|| address::guess(bound));
    JoinLink { key, host: host.into(), port, others: Vec::new(), invite: None, invitation: None }
}
