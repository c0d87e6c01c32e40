//! The links that other nodes make to this one: on them they tell and ask, and this node answers.
//!
//! What always holds: a link is taken only from who proves the directory's own key, and for this run of this node alone. What cannot
//! be read, of a node of a later version, is looked for in the store.

use std::{io, sync::Arc, time::Duration};

use dos_protocol::{
    frame::{self, Reader},
    limits::{HANDSHAKE_TIME_MAX, WRITE_STALL_MAX},
    node::{FromNode, NodeId, Resident, ToNode, Told, asked},
    tls::{ServerTls, Stream},
};
use tokio::{
    io::{AsyncWriteExt as _, ReadHalf, WriteHalf, split},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::Shared;

/// After a failure to accept: time for others to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that have not proved a key.
const STRANGERS_MAX: usize = 64;

/// Of one link, what is being answered together.
const ANSWERS_MAX: usize = 4096;

/// Peers at one node, of whom is told in parts: as many as have room in a server's memory.
const RESIDENTS_MAX: usize = 2_000_000;

/// A node that says nothing for so long is gone: it asks every second.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// Accepts links until the task ends.
pub(super) async fn listen(listener: TcpListener, tls: ServerTls, shared: Arc<Shared>) {
    let strangers = Arc::new(Semaphore::new(STRANGERS_MAX));
    let mut links = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&strangers).acquire_owned().await else { return };
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, from)) => {
                    let (tls, shared) = (tls.clone(), Arc::clone(&shared));
                    links.spawn(async move {
                        let opened = timeout(HANDSHAKE_TIME_MAX, open(&tls, &shared, socket)).await;
                        drop(place);
                        match opened {
                            Ok(Ok((node, stream))) => serve(shared, node, stream).await,
                            Ok(Err(error)) => tracing::warn!(%from, %error, "refused a link"),
                            Err(_) => tracing::debug!(%from, "a link said nothing"),
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a link");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = links.join_next(), if !links.is_empty() => {}
        }
    }
}

async fn open(
    tls: &ServerTls,
    shared: &Shared,
    socket: TcpStream,
) -> io::Result<(NodeId, Stream<TcpStream>)> {
    let refused = |why: &str| io::Error::new(io::ErrorKind::PermissionDenied, why.to_owned());
    socket.set_nodelay(true)?;
    let (key, stream) = tls.accept(socket).await.map_err(io::Error::other)?;
    if key != shared.directory.key {
        return Err(refused("it does not prove the directory's key"));
    }
    let mut reader = Reader::new(stream);
    let body = reader.next().await.map_err(io::Error::other)?;
    let Some(Ok(ToNode::Hello { from, to })) = body.map(|body| frame::decode(&body)) else {
        return Err(refused("it does not say which node it is"));
    };
    if shared.directory.store.node() != Some(to) {
        return Err(refused("it means another run of this node"));
    }
    let mut stream = reader.into_inner();
    stream.write_all(&frame::to_frame(&FromNode::Welcome).map_err(io::Error::other)?).await?;
    stream.flush().await?;
    Ok((from, stream))
}

async fn serve(shared: Arc<Shared>, node: NodeId, stream: Stream<TcpStream>) {
    shared.heard.send_modify(|heard| *heard.entry(node).or_default() += 1);
    // What was told while there was no link is read.
    shared.missed.notify_one();
    let (input, output) = split(stream);
    let (answers, waiting) = mpsc::channel(ANSWERS_MAX);
    let mut tasks = JoinSet::new();
    tasks.spawn(write(output, waiting));
    tasks.spawn(read_blocks(Arc::clone(&shared)));
    let heard = Heard { shared: Arc::clone(&shared), node, answers, residents: Vec::new() };
    let why = heard.read(Reader::new(input), &mut tasks).await;
    tracing::info!(%node, why, "the link of a node ended");
    shared.heard.send_modify(|heard| {
        let links = heard.entry(node).or_default();
        *links = links.saturating_sub(1);
        if *links == 0 {
            heard.remove(&node);
        }
    });
}

/// Reads all blocks; what changes meanwhile is not lost by that.
async fn read_blocks(shared: Arc<Shared>) {
    let live = &shared.directory.live;
    live.begin_reading_blocks();
    let read = shared.directory.store.all_blocks().await;
    live.end_reading_blocks(read.inspect_err(|error| tracing::warn!(%error, "cannot read the blocks")).ok());
}

async fn write(mut output: WriteHalf<Stream<TcpStream>>, mut waiting: mpsc::Receiver<FromNode>) {
    let mut out = Vec::new();
    while let Some(answer) = waiting.recv().await {
        out.clear();
        let mut next = Some(answer);
        while let Some(answer) = next {
            if frame::encode(&answer, &mut out).is_err() {
                return;
            }
            next = waiting.try_recv().ok();
        }
        let writing = async {
            output.write_all(&out).await?;
            output.flush().await
        };
        if !matches!(timeout(WRITE_STALL_MAX, writing).await, Ok(Ok(()))) {
            return;
        }
    }
}

/// A link on which another node is heard.
struct Heard {
    shared: Arc<Shared>,
    node: NodeId,
    answers: mpsc::Sender<FromNode>,
    /// The parts that have come of all who are online there.
    residents: Vec<Resident>,
}

impl Heard {
    async fn read(
        mut self,
        mut reader: Reader<ReadHalf<Stream<TcpStream>>>,
        tasks: &mut JoinSet<()>,
    ) -> &'static str {
        loop {
            let body = match timeout(SILENCE_MAX, reader.next()).await {
                Ok(Ok(Some(body))) => body,
                Ok(Ok(None)) => return "it closed it",
                Ok(Err(_)) => return "it broke",
                Err(_) => return "it is silent",
            };
            if self.answers.is_closed() {
                return "it takes no answers";
            }
            while tasks.try_join_next().is_some() {}
            match frame::decode(&body) {
                Ok(ToNode::Ask { id, ask }) => {
                    let (shared, answers) = (Arc::clone(&self.shared), self.answers.clone());
                    let answering = async move {
                        let answer = shared.directory.live.answer(ask).await;
                        // Without a writer nobody waits.
                        drop(answers.send(FromNode::Answer { id, answer }).await);
                    };
                    if tasks.len() < ANSWERS_MAX {
                        tasks.spawn(answering);
                    } else {
                        // To wait here would keep the rows back that come behind it.
                        self.answer(id, Told::Unknown).await;
                    }
                }
                Ok(ToNode::Missed) => self.missed(tasks),
                Ok(message) => self.told(message),
                Err(error) => {
                    tracing::debug!(%error, "a node says something that this one does not know");
                    match asked(&body) {
                        Some(id) => self.answer(id, Told::Unknown).await,
                        None => self.missed(tasks),
                    }
                }
            }
        }
    }

    async fn answer(&self, id: u32, answer: Told) {
        // Without a writer nobody waits.
        drop(self.answers.send(FromNode::Answer { id, answer }).await);
    }

    /// What was told and has not come is in the store.
    fn missed(&self, tasks: &mut JoinSet<()>) {
        self.shared.missed.notify_one();
        tasks.spawn(read_blocks(Arc::clone(&self.shared)));
    }

    fn told(&mut self, message: ToNode) {
        let live = &self.shared.directory.live;
        match message {
            ToNode::All { peers, is_last } => {
                if self.residents.len() < RESIDENTS_MAX {
                    self.residents.extend(peers);
                }
                if is_last {
                    live.all_at(self.node, std::mem::take(&mut self.residents));
                }
            }
            ToNode::Arrived(resident) => live.arrived_at(self.node, *resident),
            ToNode::Left { peer, session, at, end } => live.left_at(self.node, (peer, session), (at, end)),
            ToNode::Update(owed) => live.push_here(*owed),
            ToNode::Block(blocking) => live.block_from(blocking),
            ToNode::News { news, except } => live.tell_news_here(&news, &except),
            ToNode::Hello { .. } | ToNode::Ask { .. } | ToNode::Missed => {}
        }
    }
}
