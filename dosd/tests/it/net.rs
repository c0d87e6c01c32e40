//! A directory in process, and clients that speak its protocol by hand.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use dos_protocol::{
    Code, Instance, PeerId, Seq, Timestamp, WireError,
    directory::{
        Answer, Changes, FromDirectory, InboxMessage, Op, Presence, Register, SignIn, SignedIn, ToDirectory,
        Update,
    },
    frame::{self, Reader},
    key::SecretKey,
    tls::{Alpn, ClientTls, Stream},
};
use dos_testing::{Postgres, wait_until_seen};
use dosd::{
    Server,
    config::{Config, FileConfig, Registration},
    live::Live,
};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

pub(crate) use dos_testing::PATIENCE;

/// A directory in process: of one server, or of nodes that its clients take in turn.
pub(crate) struct Net {
    pub(crate) address: SocketAddr,
    pub(crate) link: dos_protocol::JoinLink,
    /// Who is online, as the first server knows it.
    pub(crate) live: Arc<Live>,
    pub(crate) nodes: Vec<NodeOf>,
    /// How many clients have connected.
    clients: AtomicUsize,
}

/// A server of a directory.
pub(crate) struct NodeOf {
    pub(crate) address: SocketAddr,
    pub(crate) live: Arc<Live>,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl NodeOf {
    pub(crate) fn start(data_dir: &Path, said: FileConfig) -> (Self, dos_protocol::JoinLink) {
        let said = FileConfig {
            listen: said.listen.or_else(|| "127.0.0.1:0".parse().ok()),
            data_dir: Some(data_dir.into()),
            // Tests ask as fast as they can, unless that is what they are about.
            requests_per_second: said.requests_per_second.or(Some(1_000_000)),
            views_per_minute: said.views_per_minute.or(Some(1_000_000)),
            ..said
        };
        let server = Server::start(&Config::new(said, FileConfig::default()).unwrap()).unwrap();
        let link = server.link().clone();
        let address = link.address().parse().unwrap();
        let live = Arc::clone(&server.directory().live);
        let stop = CancellationToken::new();
        let serving = server.run(stop.clone());
        let running = tokio::spawn(async { serving.await.unwrap() });
        (Self { address, live, stop, running }, link)
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.running).await.unwrap().unwrap();
    }
}

/// With this number in the environment every directory of these tests has so many nodes, which share a database.
const NODES: &str = "DOS_TEST_NODES";

/// The database of each data directory, and the server that it is on.
type Databases = HashMap<PathBuf, (Arc<Postgres>, String)>;

/// The database of a data directory.
fn database_of(data_dir: &Path) -> String {
    static DATABASES: LazyLock<Mutex<Databases>> = LazyLock::new(Mutex::default);
    let mut databases = DATABASES.lock().unwrap();
    let (_, address) = databases.entry(data_dir.to_owned()).or_insert_with(|| {
        let server = Postgres::shared("every test of this run").expect("a database server");
        let address = server.database();
        (server, address)
    });
    address.clone()
}

impl Net {
    pub(crate) fn start(data_dir: &Path) -> Self {
        Self::start_at(data_dir, "127.0.0.1:0".parse().unwrap())
    }

    pub(crate) fn start_at(data_dir: &Path, listen: SocketAddr) -> Self {
        Self::start_with(data_dir, FileConfig { listen: Some(listen), ..open_to_all() })
    }

    pub(crate) fn start_with(data_dir: &Path, said: FileConfig) -> Self {
        let nodes = std::env::var(NODES).ok().and_then(|nodes| nodes.parse().ok());
        match nodes.filter(|_| said.store.is_none()) {
            Some(nodes) => {
                let store = Some(database_of(data_dir));
                Self::cluster(data_dir, nodes, FileConfig { store, ..said })
            }
            None => Self::of(vec![NodeOf::start(data_dir, said)]),
        }
    }

    /// A directory of so many nodes, the first one on this data directory and the others below it.
    pub(crate) fn cluster(data_dir: &Path, nodes: usize, said: FileConfig) -> Self {
        let cluster = "127.0.0.1:0".parse().ok();
        let first = NodeOf::start(data_dir, FileConfig { cluster, ..said.clone() });
        let mut all = vec![first];
        for number in 1..nodes {
            let own = data_dir.join(format!("node-{number}"));
            std::fs::create_dir_all(&own).unwrap();
            std::fs::copy(data_dir.join("server.key"), own.join("server.key")).unwrap();
            all.push(NodeOf::start(&own, FileConfig { cluster, listen: None, ..said.clone() }));
        }
        Self::of(all)
    }

    fn of(nodes: Vec<(NodeOf, dos_protocol::JoinLink)>) -> Self {
        let (nodes, mut links): (Vec<_>, Vec<_>) = nodes.into_iter().unzip();
        let live = Arc::clone(&nodes[0].live);
        Self { address: nodes[0].address, link: links.remove(0), live, nodes, clients: AtomicUsize::new(0) }
    }

    /// A directory that runs in another process.
    pub(crate) fn elsewhere(link: dos_protocol::JoinLink) -> Self {
        let address = link.address().parse().unwrap();
        Self { address, link, live: Arc::default(), nodes: Vec::new(), clients: AtomicUsize::new(0) }
    }

    /// Where the next client connects: the nodes in turn, as soon as all are linked.
    async fn next_address(&self) -> SocketAddr {
        let turn = self.clients.fetch_add(1, Ordering::Relaxed);
        if self.nodes.len() > 1 {
            let others = self.nodes.len() - 1;
            let linked = || self.nodes.iter().all(|node| node.live.ways() == others);
            wait_until_seen("the nodes are linked", linked).await;
        }
        self.nodes.get(turn % self.nodes.len().max(1)).map_or(self.address, |node| node.address)
    }

    fn lives(&self) -> Vec<Arc<Live>> {
        self.nodes.iter().map(|node| Arc::clone(&node.live)).collect()
    }

    pub(crate) async fn stop(self) {
        for node in self.nodes {
            node.stop().await;
        }
    }

    /// A new peer, signed in.
    pub(crate) async fn peer(&self, name: &str) -> Client {
        self.newcomer(name, None).await.unwrap()
    }

    /// A new peer with this invite, if it is let in.
    pub(crate) async fn newcomer(&self, name: &str, invite: Option<&str>) -> Result<Client, WireError> {
        let mut client = Client::connect(self, SecretKey::generate().unwrap()).await;
        client.enter(register(name, invite)).await?;
        Ok(client)
    }

    /// Waits for the server to end by itself.
    pub(crate) async fn ended(self) {
        for node in self.nodes {
            timeout(PATIENCE, node.running).await.unwrap().unwrap();
        }
    }

    /// The same peer again.
    pub(crate) async fn again(&self, client: &Client) -> Client {
        let mut again = Client::connect(self, client.secret.clone()).await;
        again.enter(Op::SignIn(sign_in(1, client.stored))).await.unwrap();
        again
    }
}

/// The settings of a directory that everybody may join.
pub(crate) fn open_to_all() -> FileConfig {
    FileConfig {
        registration: Some(Registration::Open),
        registrations_per_minute: Some(1_000_000),
        ..FileConfig::default()
    }
}

pub(crate) fn register(name: &str, invite: Option<&str>) -> Op {
    let (name, invite) = (Some(name.parse().unwrap()), invite.map(Into::into));
    Op::Register(Register { name, invite, password: None, sign_in: sign_in(1, Seq(0)) })
}

pub(crate) fn sign_in(instance: u64, stored: Seq) -> SignIn {
    SignIn {
        instance: Instance(instance),
        port: 4000,
        addresses: Vec::new(),
        force: false,
        stored,
        sealing: None,
        state: None,
        rendezvous: false,
    }
}

/// A peer's connection, driven by hand.
pub(crate) struct Client {
    pub(crate) secret: SecretKey,
    pub(crate) id: Option<PeerId>,
    pub(crate) signed_in: Option<SignedIn>,
    /// The last update that came.
    pub(crate) stored: Seq,
    /// When that came about.
    pub(crate) stored_at: Option<Timestamp>,
    updates: VecDeque<(Seq, Update)>,
    /// Messages that came while something else was waited for.
    pub(crate) read: Vec<InboxMessage>,
    /// The pushes of presence that came, each with its size.
    pub(crate) pushes: VecDeque<(Changes, usize)>,
    changed: VecDeque<Presence>,
    pub(crate) reader: Reader<Stream<TcpStream>>,
    next: u32,
    /// Of every node: what one tells another is there a moment later.
    lives: Vec<Arc<Live>>,
}

impl Client {
    pub(crate) async fn connect(net: &Net, secret: SecretKey) -> Self {
        Self::connect_at(net, net.next_address().await, secret).await
    }

    /// Connects to the directory by another address, behind which it is.
    pub(crate) async fn connect_at(net: &Net, address: SocketAddr, secret: SecretKey) -> Self {
        Self::try_connect(net, address, secret).await.unwrap()
    }

    /// The same, if the directory takes the connection.
    pub(crate) async fn try_connect(
        net: &Net,
        address: SocketAddr,
        secret: SecretKey,
    ) -> Result<Self, Box<dyn std::error::Error + std::marker::Send + Sync>> {
        let tls = ClientTls::new(&secret, net.link.key, Alpn::Directory)?;
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let reader = Reader::new(tls.connect(tcp).await?);
        Ok(Self {
            secret,
            id: None,
            signed_in: None,
            stored: Seq(0),
            stored_at: None,
            updates: VecDeque::new(),
            read: Vec::new(),
            pushes: VecDeque::new(),
            changed: VecDeque::new(),
            reader,
            next: 0,
            lives: net.lives(),
        })
    }

    /// Whether the directory shakes hands.
    pub(crate) async fn can_connect(net: &Net) -> bool {
        let tls = ClientTls::new(&SecretKey::generate().unwrap(), net.link.key, Alpn::Directory).unwrap();
        let tcp = TcpStream::connect(net.address).await.unwrap();
        tls.connect(tcp).await.is_ok()
    }

    /// Where the directory sees it.
    pub(crate) fn address(&mut self) -> SocketAddr {
        self.reader.get_mut().get_ref().0.local_addr().unwrap()
    }

    pub(crate) fn id(&self) -> PeerId {
        self.id.unwrap()
    }

    pub(crate) async fn enter(&mut self, op: Op) -> Result<(), WireError> {
        let Answer::SignedIn(signed_in) = self.ask(op).await? else { panic!("not signed in") };
        self.id = Some(signed_in.id);
        self.stored = signed_in.since;
        self.signed_in = Some(signed_in);
        self.is_everywhere(true).await;
        Ok(())
    }

    /// Waits until every node knows that the peer is online, or that it is not.
    async fn is_everywhere(&self, online: bool) {
        if self.lives.len() > 1 {
            let peer = self.id();
            let known = || self.lives.iter().all(|live| live.is_online(peer) == online);
            wait_until_seen("every node knows", known).await;
        }
    }

    pub(crate) async fn send(&mut self, message: &ToDirectory) {
        self.send_bytes(&frame::to_frame(message).unwrap()).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).await.unwrap();
        self.reader.get_mut().flush().await.unwrap();
    }

    /// The next message that is neither a ping nor an update nor presence; those are dealt with.
    pub(crate) async fn next(&mut self) -> Option<FromDirectory> {
        loop {
            let body = timeout(PATIENCE, self.reader.next()).await.expect("nothing came").ok().flatten()?;
            if let Some(other) = self.deal_with(&body).await {
                return Some(other);
            }
        }
    }

    async fn deal_with(&mut self, body: &[u8]) -> Option<FromDirectory> {
        match frame::decode(body).unwrap() {
            FromDirectory::Update { seq, update, at } => {
                self.stored_at = Some(at);
                self.take(seq, update);
            }
            FromDirectory::Ping(number) => self.send(&ToDirectory::Pong(number)).await,
            // Told whenever a node has heard of another one, which may be while anything is waited for.
            FromDirectory::Nodes(_) => {}
            FromDirectory::Presence(changes) => {
                self.changed.extend(changes.peers.iter().cloned());
                self.pushes.push_back((changes, body.len()));
            }
            other => return Some(other),
        }
        None
    }

    /// The next change of presence; waits for it.
    pub(crate) async fn presence(&mut self, patience: Duration) -> Presence {
        while self.changed.is_empty() {
            let body = timeout(patience, self.reader.next()).await.expect("nobody came or went").unwrap();
            if let Some(other) = self.deal_with(&body.unwrap()).await {
                panic!("unexpected: {other:?}");
            }
        }
        self.changed.pop_front().unwrap()
    }

    fn take(&mut self, seq: Seq, update: Update) {
        assert_eq!(seq, self.stored.next(), "a gap or a repetition");
        self.stored = seq;
        self.updates.push_back((seq, update));
    }

    pub(crate) async fn ask(&mut self, op: Op) -> Result<Answer, WireError> {
        self.next += 1;
        let id = self.next;
        self.send(&ToDirectory::request(id, op)).await;
        match self.next().await.expect("the connection ended") {
            FromDirectory::Answer { id: of, answer } if of == id => Ok(answer),
            FromDirectory::Refused { id: Some(of), error } if of == id => Err(error),
            other => panic!("unexpected: {other:?}"),
        }
    }

    /// What the directory refuses an operation with.
    pub(crate) async fn refusal(&mut self, op: Op) -> (Code, String) {
        let error = self.ask(op).await.unwrap_err();
        (error.code, error.message.into())
    }

    /// The next update; waits for it.
    pub(crate) async fn update(&mut self) -> Update {
        while self.updates.is_empty() {
            let body = timeout(PATIENCE, self.reader.next()).await.expect("no update came").unwrap().unwrap();
            if let Some(other) = self.deal_with(&body).await {
                panic!("unexpected: {other:?}");
            }
        }
        self.updates.pop_front().unwrap().1
    }

    /// Acknowledges every update that came.
    pub(crate) async fn acknowledge(&mut self) {
        self.send(&ToDirectory::Ack(self.stored)).await;
    }

    /// Signs out and waits for the end of the connection.
    pub(crate) async fn sign_out(&mut self) {
        assert_eq!(self.ask(Op::SignOut).await, Ok(Answer::Done));
        assert_eq!(self.next().await, None);
        self.is_everywhere(false).await;
    }
}
