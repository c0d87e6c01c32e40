//! This server among the nodes of one directory: its beat, the deaths of others, and the links to them.
//!
//! Every second a node raises its beat in the store and reads those of the others. One whose beat stands still, while the store takes
//! writes, is dead: whoever sees it first strikes it from the list and frees its seats. A node that was struck and lives ends its
//! sessions and comes anew. Nothing needs fencing: two sessions of an ID for a moment harm nothing, since counts and inboxes are
//! decided in transactions.

mod accept;
mod dial;
mod seats;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use dos_protocol::{
    Timestamp,
    directory::NoticeKind,
    key::SecretKey,
    node::NodeId,
    tls::{Alpn, ClientTls, ServerTls, TlsError},
};
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
    task::{AbortHandle, JoinSet},
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use crate::{
    directory::Directory,
    rules::seats::Beats,
    store::{BEAT, Joining, NodeRow},
};

/// A beat that takes longer has met a store that was away.
const BEAT_TIME_MAX: Duration = Duration::from_secs(2);

/// After the store was away every node has to find it again before its silence means something.
const QUIET: Duration = Duration::from_secs(10);

/// How often the seats are compared although nothing has gone wrong.
const SEATS_PAUSE: Duration = Duration::from_secs(60);

/// How often what is forgotten after a time is forgotten. Of several nodes each does so, and finds little after another one.
const FORGETTING_PAUSE: Duration = Duration::from_secs(60);

/// At the end of a node.
const FAREWELL_TIME_MAX: Duration = Duration::from_secs(2);

/// To the peers of a node that was taken for dead: they come back by themselves, to any node.
const STRUCK: &str =
    "this server of the directory was out of reach of the others: another one, or this one anew";

/// What a node needs for its links.
pub(crate) struct Links {
    pub(crate) listener: TcpListener,
    accepts: ServerTls,
    calls: ClientTls,
}

impl Links {
    /// Links with the directory's key, which every node has.
    ///
    /// # Errors
    /// As in [`TlsError`].
    pub(crate) fn new(listener: TcpListener, secret: &SecretKey) -> Result<Self, TlsError> {
        let key = secret.public().map_err(|_| TlsError::Key)?;
        let accepts = ServerTls::new(secret, Alpn::Node)?;
        Ok(Self { listener, accepts, calls: ClientTls::new(secret, key, Alpn::Node)? })
    }
}

/// What the tasks of a node share.
#[derive(Debug)]
struct Shared {
    directory: Arc<Directory>,
    /// Something may have been missed: the seats are to be compared.
    missed: Notify,
    /// The nodes from which a link comes.
    heard: watch::Sender<BTreeMap<NodeId, u32>>,
}

/// A store that has another server as its only one now.
#[derive(Debug)]
pub(crate) struct Struck;

/// Keeps this server among the nodes until it is dropped; ends by itself only if it is alone and another server has taken the store.
pub(crate) async fn run(directory: Arc<Directory>, joining: Joining, links: Option<Links>) -> Struck {
    let (heard, _) = watch::channel(BTreeMap::new());
    let shared = Arc::new(Shared { directory, missed: Notify::new(), heard });
    let mut tasks = JoinSet::new();
    let calls = links.map(|links| {
        let Links { listener, accepts, calls } = links;
        tasks.spawn(accept::listen(listener, accepts, Arc::clone(&shared)));
        calls
    });
    tasks.spawn(seats::compare_when_missed(Arc::clone(&shared)));
    tasks.spawn(forget_old(Arc::clone(&shared.directory)));
    let mut node = Node {
        shared,
        joining,
        calls,
        dialling: BTreeMap::new(),
        tasks,
        beats: Beats::default(),
        quiet_until: None,
    };
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beats.tick().await;
        if let Some(struck) = node.beat().await {
            return struck;
        }
        while node.tasks.try_join_next().is_some() {}
    }
}

/// Takes this server from the list, when its sessions have ended.
pub(crate) async fn leave(directory: &Directory) {
    let Some(node) = directory.store.node() else { return };
    if !matches!(timeout(FAREWELL_TIME_MAX, directory.store.strike(node, None)).await, Ok(Ok(_))) {
        tracing::warn!("cannot say that this server ends: the others see it in some seconds");
    }
}

struct Node {
    shared: Arc<Shared>,
    joining: Joining,
    /// Nothing of a server that is alone.
    calls: Option<ClientTls>,
    dialling: BTreeMap<NodeId, AbortHandle>,
    tasks: JoinSet<()>,
    beats: Beats,
    quiet_until: Option<Instant>,
}

impl Node {
    /// Once a second. Something if this server has to end.
    async fn beat(&mut self) -> Option<Struck> {
        let directory = Arc::clone(&self.shared.directory);
        let own = directory.store.node()?;
        let begun = Instant::now();
        let read = directory.store.beat(own).await;
        if read.is_err() || begun.elapsed() > BEAT_TIME_MAX {
            self.quiet_until = Some(Instant::now() + QUIET);
            self.shared.missed.notify_one();
        }
        match read {
            Ok(Some((nodes, epoch))) => {
                // The node that has met it tells those that are linked; one that is not ends its sessions, too.
                directory.live.meet(epoch);
                self.bury(own, &nodes).await;
                self.link(own, &nodes);
                directory.set_nodes(nodes);
                None
            }
            Ok(None) => self.come_anew().await,
            Err(error) => {
                tracing::debug!(%error, "cannot tell the other nodes that this one lives");
                None
            }
        }
    }

    /// Strikes those that have died.
    async fn bury(&mut self, own: NodeId, nodes: &[NodeRow]) {
        let is_quiet = self.quiet_until.is_some_and(|until| Instant::now() < until);
        if is_quiet {
            self.beats.begin_anew();
        }
        let dead = self.beats.read(nodes.iter().map(|node| (node.node, node.beat)));
        let store = &self.shared.directory.store;
        for (node, beat) in dead.into_iter().filter(|(node, _)| *node != own) {
            match store.strike(node, Some(beat)).await {
                Ok(true) => {
                    let address = nodes.iter().find(|dead| dead.node == node).map(|dead| &*dead.address);
                    tracing::warn!(%node, address, "a node has died");
                    self.shared.missed.notify_one();
                }
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, %node, "cannot strike a node that has died"),
            }
        }
    }

    /// Calls those that are new and forgets those that are gone.
    fn link(&mut self, own: NodeId, nodes: &[NodeRow]) {
        let live = &self.shared.directory.live;
        self.dialling.retain(|node, task| {
            let stays = nodes.iter().any(|there| there.node == *node);
            if !stays {
                task.abort();
                live.gone(*node);
            }
            stays
        });
        let Some(calls) = &self.calls else { return };
        for node in nodes.iter().filter(|node| node.node != own) {
            let Some(address) = node.cluster.clone() else { continue };
            let (shared, calls) = (Arc::clone(&self.shared), calls.clone());
            let tasks = &mut self.tasks;
            self.dialling.entry(node.node).or_insert_with(|| {
                tracing::info!(node = %node.node, %address, "another node of the directory");
                tasks.spawn(dial::keep(shared, calls, (own, node.node), address))
            });
        }
        // What a node that is not heard would have told is read.
        let heard = self.shared.heard.borrow();
        if nodes
            .iter()
            .any(|node| node.node != own && node.cluster.is_some() && !heard.contains_key(&node.node))
        {
            self.shared.missed.notify_one();
        }
    }

    /// Another node has taken this one for dead.
    async fn come_anew(&mut self) -> Option<Struck> {
        if self.calls.is_none() {
            return Some(Struck);
        }
        tracing::error!("the other nodes have taken this one for dead: its sessions end, and it comes anew");
        let directory = &self.shared.directory;
        directory.live.close_all(NoticeKind::Shutdown, STRUCK);
        for (node, task) in std::mem::take(&mut self.dialling) {
            task.abort();
            directory.live.gone(node);
        }
        match directory.store.join_again(self.joining.clone()).await {
            Ok(_) => self.beats = Beats::default(),
            Err(error) => tracing::warn!(%error, "cannot come anew"),
        }
        None
    }
}

/// Forgets operation IDs and messages whose time is over.
async fn forget_old(directory: Arc<Directory>) {
    let mut times = interval(FORGETTING_PAUSE);
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        times.tick().await;
        loop {
            match directory.store.forget_old(Timestamp::now()).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::debug!(%error, "cannot forget what is old");
                    break;
                }
            }
        }
    }
}

/// Frees the seats of nodes that are gone.
async fn free_abandoned(directory: &Directory) {
    loop {
        match directory.store.free_abandoned(Timestamp::now()).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(%error, "cannot free the seats of a node that is gone");
                return;
            }
        }
    }
}
