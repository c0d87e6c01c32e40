//! The link that this node makes to another one: on it this node tells and asks.
//!
//! After everything that was told before is gone with a broken link, a new one begins with all who are online here. The link is asked
//! every second whether it is there: a stopped node takes what comes for a long while.

use std::{collections::HashMap, sync::Arc, time::Duration};

use dos_protocol::{
    frame::{self, FrameError, Reader},
    limits::{CONNECT_TIME_MAX, WRITE_STALL_MAX},
    node::{Ask, FromNode, NodeId, ToNode, Told},
    tls::{ClientTls, Stream, TlsError},
};
use tokio::{
    io::{AsyncWriteExt as _, ReadHalf, WriteHalf, split},
    net::TcpStream,
    sync::oneshot,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

use super::Shared;
use crate::live::{Live, Parcel, WayEnd};

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// A node that lives says so within this time.
const SILENCE_MAX: Duration = Duration::from_secs(3);

/// How often it is asked whether it is there.
const READY_PAUSE: Duration = Duration::from_secs(1);

/// Peers in one frame: some 200 bytes each.
const RESIDENTS: usize = 1000;

/// Frames of this size together are written at once.
const WRITE_AT_BYTES: usize = 64 << 10;

/// What waits for answers of one node.
const PENDING_MAX: usize = 65_536;

/// Why a link ended.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("cannot connect")]
    Connect(#[from] std::io::Error),
    #[error("the node does not prove to be of this directory")]
    Tls(#[from] TlsError),
    #[error("the link broke")]
    Frame(#[from] FrameError),
    #[error("the node is silent")]
    Silent,
    #[error("another node answers there")]
    Stranger,
}

/// Keeps a link to a node until the task is aborted.
pub(super) async fn keep(
    shared: Arc<Shared>,
    calls: ClientTls,
    (own, node): (NodeId, NodeId),
    address: Box<str>,
) {
    let mut was_up = true;
    loop {
        let end = match open(&calls, (own, node), &address).await {
            Ok(stream) => {
                tracing::info!(%node, %address, "linked to a node");
                was_up = true;
                let way = shared.directory.live.open_way(node);
                let end = serve(&shared.directory.live, stream, way).await;
                shared.directory.live.close_way(node);
                end
            }
            Err(broken) => broken,
        };
        if std::mem::take(&mut was_up) {
            let error: &dyn std::error::Error = &end;
            tracing::warn!(%node, %address, error, "no link to a node");
        }
        sleep(PAUSE).await;
    }
}

async fn open(
    calls: &ClientTls,
    (own, node): (NodeId, NodeId),
    address: &str,
) -> Result<Stream<TcpStream>, Broken> {
    let socket =
        timeout(CONNECT_TIME_MAX, TcpStream::connect(address)).await.map_err(|_| Broken::Silent)??;
    socket.set_nodelay(true)?;
    let opening = async {
        let mut stream = calls.connect(socket).await?;
        stream.write_all(&frame::to_frame(&ToNode::Hello { from: own, to: node })?).await?;
        stream.flush().await?;
        let mut reader = Reader::new(stream);
        match reader.next().await?.map(|body| frame::decode(&body)) {
            Some(Ok(FromNode::Welcome)) => Ok(reader.into_inner()),
            _ => Err(Broken::Stranger),
        }
    };
    timeout(CONNECT_TIME_MAX, opening).await.map_err(|_| Broken::Silent)?
}

/// A link in use.
struct Link<'a> {
    live: &'a Live,
    output: WriteHalf<Stream<TcpStream>>,
    way: WayEnd,
    pending: HashMap<u32, oneshot::Sender<Told>>,
    asked: u32,
    out: Vec<u8>,
}

async fn serve(live: &Live, stream: Stream<TcpStream>, way: WayEnd) -> Broken {
    let (input, output) = split(stream);
    let mut link = Link { live, output, way, pending: HashMap::new(), asked: 0, out: Vec::new() };
    match link.run(Reader::new(input)).await {
        Ok(()) => Broken::Frame(FrameError::Cut),
        Err(broken) => broken,
    }
}

impl Link<'_> {
    async fn run(&mut self, mut answers: Reader<ReadHalf<Stream<TcpStream>>>) -> Result<(), Broken> {
        self.tell_all().await?;
        let mut ready = interval(READY_PAUSE);
        ready.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                answer = answers.next() => {
                    heard = Instant::now();
                    let Some(body) = answer? else { return Ok(()) };
                    // An answer of a later version that is not known here is none.
                    if let Ok(FromNode::Answer { id, answer }) = frame::decode(&body)
                        && let Some(asked) = self.pending.remove(&id)
                    {
                        // Whoever asked may not wait any more.
                        let _ = asked.send(answer);
                    }
                }
                Some(parcel) = self.way.parcels.recv() => {
                    self.take(parcel)?;
                    while self.out.len() < WRITE_AT_BYTES
                        && let Ok(parcel) = self.way.parcels.try_recv()
                    {
                        self.take(parcel)?;
                    }
                    self.flush().await?;
                }
                _ = ready.tick() => {
                    if heard.elapsed() > SILENCE_MAX {
                        return Err(Broken::Silent);
                    }
                    self.pending.retain(|_, asked| !asked.is_closed());
                    self.make_up().await?;
                    self.ask(Ask::Ready, oneshot::channel().0)?;
                    self.flush().await?;
                }
            }
        }
    }

    fn take(&mut self, parcel: Parcel) -> Result<(), Broken> {
        match parcel {
            Parcel::Tell(message) => Ok(frame::encode(&message, &mut self.out)?),
            Parcel::Ask(ask, answer) => self.ask(ask, answer),
        }
    }

    fn ask(&mut self, ask: Ask, answer: oneshot::Sender<Told>) -> Result<(), Broken> {
        if self.pending.len() >= PENDING_MAX {
            // Nobody answers it.
            return Ok(());
        }
        self.asked = self.asked.wrapping_add(1);
        frame::encode(&ToNode::Ask { id: self.asked, ask }, &mut self.out)?;
        self.pending.insert(self.asked, answer);
        Ok(())
    }

    /// Makes up for what did not fit into the queue.
    async fn make_up(&mut self) -> Result<(), Broken> {
        if self.way.lost.stored() {
            frame::encode(&ToNode::Missed, &mut self.out)?;
        }
        if self.way.lost.presence() {
            self.tell_all().await?;
        }
        Ok(())
    }

    /// Tells of all who are online here. What comes and goes meanwhile waits in the queue.
    async fn tell_all(&mut self) -> Result<(), Broken> {
        let residents = self.live.residents();
        let mut parts = residents.chunks(RESIDENTS).peekable();
        if parts.peek().is_none() {
            frame::encode(&ToNode::All { peers: Vec::new(), is_last: true }, &mut self.out)?;
        }
        while let Some(part) = parts.next() {
            let message = ToNode::All { peers: part.to_vec(), is_last: parts.peek().is_none() };
            frame::encode(&message, &mut self.out)?;
            self.flush().await?;
        }
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), Broken> {
        if self.out.is_empty() {
            return Ok(());
        }
        let writing = async {
            self.output.write_all(&self.out).await?;
            self.output.flush().await
        };
        timeout(WRITE_STALL_MAX, writing).await.map_err(|_| Broken::Silent)??;
        self.out.clear();
        Ok(())
    }
}
