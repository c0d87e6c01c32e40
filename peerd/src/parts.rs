//! The parts of a daemon: opened from its state directory, and put together.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use dos_host::socket::PlaceError;
use dos_protocol::{Instance, WireError, directory::PeerNews};
use dos_sqlite::WriterThread;
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    cache::Cache,
    chores::{albums::Albums, following::PEER_NEWS_WAITING_MAX},
    commands::Services,
    config::Config,
    copies::{self, Copies},
    counters::Counters,
    directory::Directory,
    entrance::{Asked, Entrance},
    feed::Feed,
    identity::{Identities, IdentityError},
    inbox::Inbox,
    invitations::Invitations,
    ledger::Ledger,
    library::Library,
    mapping::Mapped,
    peer::{Peers, fetch::Owners, relay::CALLS_WAITING_MAX},
    random,
    relearn::Relearning,
    remembered::Remembered,
    requests::Requests,
    rights::Grants,
    settings::CurrentSettings,
    source::Source,
    state_dir::{StateDir, StateDirError},
    store::{self, Live, Store},
    trust::Trust,
    upstream::{Ends, Local, Summons, Upstream},
};

/// Why the daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The state directory.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
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
    Control(PathBuf, #[source] PlaceError),
}

/// What was opened from the state directory.
pub(crate) struct State {
    pub(crate) dirs: StateDir,
    pub(crate) identity: Arc<Identities>,
    pub(crate) cache: Cache,
    pub(crate) feed: Arc<Feed>,
    pub(crate) settings: CurrentSettings,
    pub(crate) wanted_online: bool,
}

impl State {
    pub(crate) async fn open(config: &Config) -> Result<(Self, WriterThread), RunError> {
        let dirs = StateDir::open(&config.state_dir)?;
        let identity = Arc::new(Identities::open(dirs.identity())?);
        let (store, writer) = Store::open(&dirs.database())?;
        let own = store.own().await?;
        if let (Some(peer), Some((id, _))) = (own.peer, identity.registered())
            && peer != id
        {
            return Err(store::Error::Foreign(peer).into());
        }
        let copies = Copies::new(&dirs);
        tidy_up(&store, &copies).await?;
        let settings = CurrentSettings::new(config.settings);
        let cache = Cache::new(store, copies, settings.clone());
        let (feed, wanted_online) = (Arc::new(Feed::new(&own)), own.wanted_online);
        Ok((Self { dirs, identity, cache, feed, settings, wanted_online }, writer))
    }
}

/// The ends of the parts that tasks run with.
pub(crate) struct Loose {
    pub(crate) ends: Ends,
    pub(crate) local: Local,
    pub(crate) calls: mpsc::Receiver<Summons>,
    pub(crate) peer_news: mpsc::Receiver<PeerNews>,
    pub(crate) asked: mpsc::Receiver<Asked>,
    pub(crate) mapping: watch::Sender<Mapped>,
}

/// What is kept of images and views.
fn books(
    (cache, identity, directory, trust): (Cache, Arc<Identities>, Arc<dyn Directory>, Arc<Trust>),
    source: Arc<dyn Source>,
) -> (Arc<Library>, Grants, Arc<Ledger>) {
    let live = Live::default();
    let library = Arc::new(Library::new(cache.clone(), Arc::clone(&identity), Arc::clone(&directory), trust));
    let grants = Grants {
        library: Arc::clone(&library),
        cache: cache.clone(),
        identity: Arc::clone(&identity),
        directory: Arc::clone(&directory),
        live: live.clone(),
    };
    let closings = Notify::new();
    let ledger = Ledger { grants: grants.clone(), cache, identity, directory, source, live, closings };
    (library, grants, Arc::new(ledger))
}

/// Puts the parts together.
#[expect(clippy::too_many_lines, reason = "a line for each part, and no more")]
pub(crate) fn assemble(
    config: Config,
    listen: SocketAddr,
    state: State,
) -> Result<(Services, Loose), RunError> {
    let State { dirs, identity, cache, feed, settings, .. } = state;
    let (counters, store) = (Counters::default(), cache.store.clone());
    let (upstream, ends) = Upstream::new(counters.clone());
    let upstream = Arc::new(upstream);
    let directory: Arc<dyn Directory> = Arc::clone(&upstream) as _;
    let trust = Arc::new(Trust::new(store.clone(), Arc::clone(&directory), Arc::clone(&feed)));
    let peers = Arc::new(Peers::new(
        Arc::clone(&identity),
        Arc::clone(&upstream),
        cache.clone(),
        Arc::clone(&trust),
        &config,
    ));
    let requests = Requests { store: store.clone(), feed: Arc::clone(&feed) };
    let known = (cache.clone(), Arc::clone(&identity), Arc::clone(&directory), Arc::clone(&trust));
    let (library, grants, ledger) = books(known, Arc::new(Owners(Arc::clone(&peers))));
    let relearning = Arc::new(Relearning {
        cache: cache.clone(),
        identity: Arc::clone(&identity),
        directory,
        requests: requests.clone(),
        turn: Semaphore::new(1),
    });
    let known = (cache.clone(), Arc::clone(&identity), Arc::clone(&upstream) as _, Arc::clone(&trust));
    let invitations = Arc::new(Invitations::new(known, Arc::clone(&feed)));
    let inbox = Arc::new(Inbox {
        cache: cache.clone(),
        identity: Arc::clone(&identity),
        feed: Arc::clone(&feed),
        counters: counters.clone(),
        trust: Arc::clone(&trust),
        invitations: Arc::clone(&invitations),
    });
    let (peer_news, peer_news_waiting) = mpsc::channel(PEER_NEWS_WAITING_MAX);
    let (calls, calls_waiting) = mpsc::channel(CALLS_WAITING_MAX);
    let (entrance, asked) = Entrance::new();
    let (mapping, mapped) = watch::channel(Mapped::default());
    let local = Local {
        last: parking_lot::Mutex::default(),
        config: config.clone(),
        listen,
        mapped: mapped.clone(),
        instance: Instance(u64::from_be_bytes(random::bytes()?)),
        identity: Arc::clone(&identity),
        store: store.clone(),
        feed: Arc::clone(&feed),
        inbox,
        calls,
        peer_news,
    };
    let services = Services {
        albums: Arc::new(Albums::new(Arc::clone(&library))),
        config,
        dirs,
        listen,
        mapped,
        settings,
        store,
        cache,
        identity,
        upstream,
        feed,
        counters,
        presence: Arc::default(),
        library,
        grants,
        requests,
        ledger,
        peers,
        trust,
        relearning,
        invitations,
        entrance,
        sends: Live::default(),
        remembered: Remembered::default(),
        anew: CancellationToken::new(),
        operations: Live::default(),
    };
    Ok((services, Loose { ends, local, calls: calls_waiting, peer_news: peer_news_waiting, asked, mapping }))
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
