//! The load generator: callers with keys of their own, sessions, and storms of them.
//!
//! The same code loads dosd and the bare server; the only difference is [`Entry`]: whether a connection that has come
//! about signs in. A session answers pings and acknowledges updates as peerd would.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow, bail};
use dos_protocol::{
    Instance, PeerName, SealingKey, Seq, WireError,
    directory::{Answer, FromDirectory, Op, Register, SignIn, SignedIn, ToDirectory, Update},
    frame::{self, Reader},
    key::SecretKey,
    sealing::sealing_key,
    tls::{Alpn, ClientTls, Stream},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use crate::server::Target;

/// What a connection does once it has come about.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    /// Nothing: a handshake with the bare server.
    Bare,
    /// Registers with dosd, under this name.
    Register(Option<PeerName>),
    /// Signs in at dosd.
    SignIn,
}

/// A key and where to use it. Making one computes what need not be measured.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    tls: ClientTls,
    target: Target,
    sealing: Box<SealingKey>,
}

impl Caller {
    /// The holder of `secret`, calling `target`.
    ///
    /// # Errors
    /// If the key is none.
    pub(crate) fn new(secret: &SecretKey, target: Target) -> anyhow::Result<Self> {
        let tls = ClientTls::new(secret, target.key, Alpn::Directory)?;
        Ok(Self { tls, target, sealing: Box::new(sealing_key(secret)?) })
    }

    /// A connection, authenticated on both sides.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) async fn connect(&self) -> anyhow::Result<Stream<TcpStream>> {
        let tcp = TcpStream::connect(self.target.address).await?;
        tcp.set_nodelay(true)?;
        Ok(Box::pin(self.tls.connect(tcp)).await?)
    }

    /// A connection that has entered.
    ///
    /// # Errors
    /// If it cannot be made, or dosd refuses it.
    pub(crate) async fn open(&self, entry: &Entry) -> anyhow::Result<Session> {
        let reader = Reader::new(self.connect().await?);
        let mut session = Session { reader, signed_in: None, stored: Seq(0), next: 0 };
        let sign_in = SignIn {
            instance: Instance(1),
            port: self.target.address.port(),
            addresses: Vec::new(),
            force: true,
            stored: Seq(0),
            sealing: Some(self.sealing.clone()),
            state: None,
            rendezvous: false,
        };
        let op = match entry {
            Entry::Bare => return Ok(session),
            Entry::SignIn => Op::SignIn(sign_in),
            Entry::Register(name) => {
                Op::Register(Register { name: name.clone(), invite: None, password: None, sign_in })
            }
        };
        let Answer::SignedIn(signed_in) = session.ask(op).await? else { bail!("not signed in") };
        session.stored = signed_in.since;
        session.signed_in = Some(signed_in);
        Ok(session)
    }
}

/// Callers with fresh keys.
///
/// # Errors
/// If the system gives no randomness.
pub(crate) fn secrets(count: usize) -> anyhow::Result<Vec<SecretKey>> {
    (0..count).map(|_| SecretKey::generate().context("cannot make a key")).collect()
}

/// The holders of `secrets`, calling `target`.
///
/// # Errors
/// As [`Caller::new`].
pub(crate) fn callers(secrets: &[SecretKey], target: Target) -> anyhow::Result<Arc<[Caller]>> {
    secrets.iter().map(|secret| Caller::new(secret, target)).collect()
}

/// A connection in use.
#[derive(Debug)]
pub(crate) struct Session {
    reader: Reader<Stream<TcpStream>>,
    /// What dosd said when it signed in.
    pub(crate) signed_in: Option<SignedIn>,
    stored: Seq,
    next: u32,
}

impl Session {
    /// Asks dosd and waits for the answer.
    ///
    /// # Errors
    /// If the connection ends or dosd refuses.
    pub(crate) async fn ask(&mut self, op: Op) -> anyhow::Result<Answer> {
        self.attempt(op).await?.map_err(|error| anyhow!("dosd refused: {error}"))
    }

    /// The same, where a refusal is an answer.
    ///
    /// # Errors
    /// If the connection ends.
    pub(crate) async fn attempt(&mut self, op: Op) -> anyhow::Result<Result<Answer, WireError>> {
        self.next += 1;
        let id = self.next;
        self.send(&ToDirectory::request(id, op)).await?;
        loop {
            match self.receive().await? {
                Some(FromDirectory::Answer { id: of, answer }) if of == id => return Ok(Ok(answer)),
                Some(FromDirectory::Refused { error, .. }) => return Ok(Err(error)),
                Some(other) => bail!("an answer to another question: {other:?}"),
                None => {}
            }
        }
    }

    /// The next update, which is acknowledged.
    ///
    /// # Errors
    /// If the connection ends.
    pub(crate) async fn update(&mut self) -> anyhow::Result<Update> {
        let update = self.received().await?;
        self.acknowledge().await?;
        Ok(update)
    }

    /// The next update.
    ///
    /// # Errors
    /// If the connection ends.
    pub(crate) async fn received(&mut self) -> anyhow::Result<Update> {
        loop {
            let body = self.reader.next().await?.context("the connection has ended")?;
            match frame::decode(&body)? {
                FromDirectory::Update { seq, update, .. } => {
                    self.stored = seq;
                    return Ok(update);
                }
                FromDirectory::Ping(number) => self.send(&ToDirectory::Pong(number)).await?,
                _ => {}
            }
        }
    }

    /// Acknowledges the last one.
    ///
    /// # Errors
    /// If the connection ends.
    pub(crate) async fn acknowledge(&mut self) -> anyhow::Result<()> {
        self.send(&ToDirectory::Ack(self.stored)).await
    }

    /// One small echo on the bare server.
    ///
    /// # Errors
    /// If the connection ends.
    pub(crate) async fn echo(&mut self, message: &[u8]) -> anyhow::Result<()> {
        let stream = self.reader.get_mut();
        stream.write_all(message).await?;
        stream.flush().await?;
        let mut answer = vec![0; message.len()];
        stream.read_exact(&mut answer).await?;
        Ok(())
    }

    /// Stays, answering what has to be answered, until the connection ends.
    pub(crate) async fn idle(mut self) {
        while self.receive().await.is_ok() {}
    }

    /// As [`Session::idle`], and counts the changes of presence that it receives.
    pub(crate) async fn count(mut self, told: Arc<Told>) {
        while let Ok(Some(body)) = self.reader.next().await {
            if is_presence(&body) {
                told.pushes.fetch_add(1, Ordering::Relaxed);
                told.bytes.fetch_add(u64::try_from(body.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
            } else if self.take(&body).await.is_err() {
                return;
            }
        }
    }

    async fn send(&mut self, message: &ToDirectory) -> anyhow::Result<()> {
        let stream = self.reader.get_mut();
        stream.write_all(&frame::to_frame(message)?).await?;
        stream.flush().await?;
        Ok(())
    }

    /// The next message; pings and updates are dealt with here.
    async fn receive(&mut self) -> anyhow::Result<Option<FromDirectory>> {
        let body = self.reader.next().await?.context("the connection has ended")?;
        self.take(&body).await
    }

    async fn take(&mut self, body: &[u8]) -> anyhow::Result<Option<FromDirectory>> {
        match frame::decode(body)? {
            FromDirectory::Ping(number) => self.send(&ToDirectory::Pong(number)).await?,
            FromDirectory::Update { seq, .. } => {
                self.stored = seq;
                self.send(&ToDirectory::Ack(seq)).await?;
            }
            other => return Ok(Some(other)),
        }
        Ok(None)
    }
}

/// Whether a message tells of presence, known from its first bytes (a map of one entry, RFC 8949): the load generator has
/// better things to do than to decode it.
fn is_presence(body: &[u8]) -> bool {
    body.starts_with(b"\xa1\x68presence")
}

/// What subscribers were told of the presence of others, all together.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pushes: AtomicU64,
    bytes: AtomicU64,
}

impl Told {
    /// How many pushes, and how many bytes.
    pub(crate) fn so_far(&self) -> (u64, u64) {
        (self.pushes.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}

/// Connections under way together in a storm: enough to keep both sides busy.
const UNDER_WAY: usize = 64;

/// Opens a session for each caller, many at a time, and tells how long that took.
///
/// # Errors
/// If one of them cannot be opened.
pub(crate) async fn storm(
    callers: &Arc<[Caller]>,
    entry: &Entry,
) -> anyhow::Result<(Duration, Vec<Session>)> {
    let turn = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    let start = Instant::now();
    for _ in 0..UNDER_WAY.min(callers.len()) {
        let (turn, callers, entry) = (Arc::clone(&turn), Arc::clone(callers), entry.clone());
        workers.spawn(async move {
            let mut opened = Vec::new();
            while let Some(caller) = callers.get(turn.fetch_add(1, Ordering::Relaxed)) {
                opened.push(caller.open(&entry).await?);
            }
            anyhow::Ok(opened)
        });
    }
    let mut sessions = Vec::with_capacity(callers.len());
    while let Some(done) = workers.join_next().await {
        sessions.extend(done??);
    }
    Ok((start.elapsed(), sessions))
}

/// Lets sessions stay in the background until they end or the set is dropped.
pub(crate) fn stay(sessions: Vec<Session>) -> JoinSet<()> {
    sessions.into_iter().map(Session::idle).collect()
}
