//! A live session: one task reads, one writes, one applies updates, so that none waits for another's socket or disk; one
//! sees whether the directory still answers.
//!
//! What always holds: every request gets exactly one outcome, also when the connection is lost; every queue has a bound;
//! a connection of which nothing is heard is given up. The end of any of the tasks is the session's end.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dos_protocol::{
    Code, OperationId, PeerId, Timestamp, WireError,
    control::EventKind,
    directory::{
        Answer, FromDirectory, Incoming, Notice, NoticeKind, Op, PeerNews, ToDirectory, read_message,
    },
    frame,
    limits::{
        ANSWER_TIME_MAX, REQUESTS_IN_FLIGHT_MAX, SESSION_QUEUE_MAX, SILENCE_MAX, UPDATES_UNACKED_MAX,
        WRITE_STALL_MAX,
    },
    link::HostPort,
};
use tokio::{
    io::AsyncWriteExt,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    task::JoinSet,
    time::{Instant, timeout},
};
use zeroize::Zeroizing;

use super::{
    Local, Summons,
    connection::{Established, FIRST_REQUEST, Input, Output},
    silence::Silence,
    ways::know_nodes,
};
use crate::{
    copies::blocking,
    feed::Feed,
    identity::Identities,
    inbox::{self, Inbox},
    rules::trust::Proof,
    store::{self, Arrival},
};

/// The directory gives up a silent peer a little earlier.
const SILENCE_PATIENCE: Duration = Duration::from_secs(5);

/// What is gathered for one write.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// Why a request has no answer.
#[derive(Debug)]
pub(super) enum AskError {
    /// The connection was lost; the request may have been done.
    Lost,
    /// No answer in time; likewise.
    Slow,
    /// Refused.
    Refused(WireError),
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// Another daemon has taken over.
    TakenOver(Box<str>),
    /// The operator has ended the session.
    Kicked(Box<str>),
    /// Nothing was asked for too long.
    Idle(Box<str>),
    /// The connection failed, or the directory closed it.
    Lost(Box<str>),
}

pub(super) type Outcome = Result<Answer, AskError>;
pub(super) type Pending = Arc<Mutex<HashMap<u32, oneshot::Sender<Outcome>>>>;

/// What is requested.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) op: Op,
    /// Of a change.
    pub(super) operation: Option<OperationId>,
}

struct Call {
    request: Request,
    answer: oneshot::Sender<Outcome>,
}

/// Makes requests of a session.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    calls: mpsc::Sender<Call>,
    places: Arc<Semaphore>,
    /// Whether the directory recognises a repeated change by its operation ID.
    operations: bool,
}

impl Handle {
    /// Whether a change can be asked again without being done again.
    pub(super) fn knows_operations(&self) -> bool {
        self.operations
    }

    /// Whether both are of one session.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.calls.same_channel(&other.calls)
    }

    pub(super) async fn ask(&self, request: Request) -> Outcome {
        let asked = async {
            let place: Result<OwnedSemaphorePermit, _> = Arc::clone(&self.places).acquire_owned().await;
            let _place = place.map_err(|_| AskError::Lost)?;
            let (answer, answered) = oneshot::channel();
            self.calls.send(Call { request, answer }).await.map_err(|_| AskError::Lost)?;
            answered.await.unwrap_or(Err(AskError::Lost))
        };
        timeout(ANSWER_TIME_MAX, asked).await.unwrap_or(Err(AskError::Slow))
    }
}

/// A session, over when its tasks are. Dropping it closes the connection.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) handle: Handle,
    pub(super) since: Instant,
    tasks: JoinSet<Ending>,
}

impl Session {
    /// Begins it on a connection that has signed in.
    pub(super) fn begin(local: &Local, me: PeerId, established: Established) -> Self {
        let operations = established.signed_in.operations;
        let (calls, calls_waiting) = mpsc::channel(REQUESTS_IN_FLIGHT_MAX);
        let (replies, replies_waiting) = mpsc::channel(SESSION_QUEUE_MAX);
        let (arrivals, arrivals_waiting) = mpsc::channel(UPDATES_UNACKED_MAX);
        let pending = Pending::default();
        let silence = Arc::new(Silence::new(established.signed_in.nodes.len()));
        let mut tasks = JoinSet::new();
        let reading = Reading {
            feed: Arc::clone(&local.feed),
            calls: local.calls.clone(),
            peer_news: local.peer_news.clone(),
            pending: Pending::clone(&pending),
            replies: replies.clone(),
            arrivals,
            notice: None,
            identity: Arc::clone(&local.identity),
            at: established.at.clone(),
            silence: Arc::clone(&silence),
        };
        tasks.spawn(reading.run(established.input));
        tasks.spawn(Arc::clone(&silence).lasts_too_long(Pending::clone(&pending), replies.clone()));
        tasks.spawn(write(established.output, (calls_waiting, replies_waiting), pending, silence));
        let inbox: Arc<Inbox> = Arc::clone(&local.inbox);
        tasks.spawn(async move { Ending::Lost(inbox::run(&inbox, me, arrivals_waiting, replies).await) });
        // One less than what the directory reads: it goes on reading, and answers a ping.
        let places = Arc::new(Semaphore::new(REQUESTS_IN_FLIGHT_MAX - 1));
        Self { handle: Handle { calls, places, operations }, since: Instant::now(), tasks }
    }

    /// Waits for its end.
    pub(super) async fn ended(&mut self) -> Ending {
        match self.tasks.join_next().await {
            Some(Ok(ending)) => ending,
            Some(Err(_)) | None => Ending::Lost("a task of the session failed".into()),
        }
    }
}

struct Reading {
    feed: Arc<Feed>,
    calls: mpsc::Sender<Summons>,
    peer_news: mpsc::Sender<PeerNews>,
    pending: Pending,
    replies: mpsc::Sender<ToDirectory>,
    arrivals: mpsc::Sender<Arrival>,
    notice: Option<Notice>,
    identity: Arc<Identities>,
    /// Of the addresses of the directory the one that has led here.
    at: HostPort,
    silence: Arc<Silence>,
}

impl Reading {
    /// Writes down where the nodes of the directory are now. What comes behind it waits: however often that is told, the disk sets the pace.
    async fn know_nodes(&self, nodes: Vec<HostPort>) {
        self.silence.know_nodes(nodes.len());
        let (identity, at) = (Arc::clone(&self.identity), self.at.clone());
        match blocking(move || know_nodes(&identity, &at, &nodes)).await {
            Ok(Ok(())) => {}
            // The next sign-in tells it again.
            Ok(Err(error)) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "cannot write down where the directory is");
            }
            Err(error) => tracing::warn!(%error, "cannot write down where the directory is"),
        }
    }

    async fn run(mut self, mut input: Input) -> Ending {
        let why: Box<str> = loop {
            let body = match timeout(SILENCE_MAX + SILENCE_PATIENCE, input.next()).await {
                Err(_) => break "the directory is silent".into(),
                Ok(Err(error)) => break error.to_string().into(),
                Ok(Ok(None)) => break "the directory closed the connection".into(),
                // The directory's share of a key may be in it.
                Ok(Ok(Some(body))) => Zeroizing::new(body),
            };
            self.silence.note_heard();
            match read_message(&body) {
                Err(error) => break error.to_string().into(),
                Ok(message) => {
                    if !self.take(message).await {
                        break "the session is over".into();
                    }
                }
            }
        };
        match self.notice {
            // Another daemon is this peer now, and stays it until this one is told to take over again.
            Some(Notice { kind: NoticeKind::TakenOver, text }) => {
                Ending::TakenOver(format!("taken over: {text}; to come back: dosctl login --force").into())
            }
            // Of a directory of the first release: this key is of no use any more.
            Some(Notice { kind: NoticeKind::Replaced, text }) => Ending::TakenOver(text),
            Some(Notice { kind: NoticeKind::Idle, text }) => Ending::Idle(text),
            Some(Notice { kind: NoticeKind::Kicked, text }) => Ending::Kicked(text),
            Some(Notice { text, .. }) => Ending::Lost(text),
            None => Ending::Lost(why),
        }
    }

    /// Handles one message. False if a task beside this one has ended.
    async fn take(&mut self, incoming: Incoming) -> bool {
        match incoming {
            Incoming::Message(message) => return self.take_message(message).await,
            // It has its place among the others, whatever it says.
            Incoming::UnknownUpdate(update) => {
                return self.arrivals.send(Arrival::Unknown(update)).await.is_ok();
            }
            Incoming::UnknownAnswer { id } => {
                let text = "the directory is newer: its answer cannot be read";
                let error = WireError::new(Code::Unsupported, text).hint("update peerd");
                self.answer(id, Err(AskError::Refused(error)));
            }
            Incoming::Unknown(unreadable) => {
                tracing::debug!(error = &unreadable as &dyn std::error::Error, "ignored a message");
            }
        }
        true
    }

    async fn take_message(&mut self, message: FromDirectory) -> bool {
        match message {
            FromDirectory::Answer { id, answer } => self.answer(id, Ok(answer)),
            FromDirectory::Refused { id: Some(id), error } => self.answer(id, Err(AskError::Refused(error))),
            FromDirectory::Refused { id: None, error } => {
                tracing::warn!(error = %error.message, "the directory did not understand a message");
            }
            FromDirectory::Update { seq, at, update } => {
                return self
                    .arrivals
                    .send(Arrival::Update(store::Incoming { seq, at, update, proof: Proof::None }))
                    .await
                    .is_ok();
            }
            // That something came is all that counts.
            FromDirectory::Pong(_) => {}
            FromDirectory::Ping(number) => return self.replies.send(ToDirectory::Pong(number)).await.is_ok(),
            FromDirectory::Presence(changes) => self.feed.presence(changes),
            FromDirectory::Broadcast(letter) => {
                return self.arrivals.send(Arrival::Broadcast(letter, Proof::None)).await.is_ok();
            }
            FromDirectory::Nodes(nodes) => self.know_nodes(nodes).await,
            FromDirectory::Call(call) => self.summon(Summons::Relayed(call)),
            FromDirectory::Rendezvous(call) => self.summon(Summons::Rendezvous(call)),
            FromDirectory::PeerNews(news) => {
                // What is lost so is not told, except of new images, which the next look finds.
                if self.peer_news.try_send(*news).is_err() {
                    tracing::debug!("contacts do more than can be taken over");
                }
            }
            FromDirectory::Notice(notice) => {
                tracing::info!(kind = ?notice.kind, "notice of the directory");
                self.feed.events.tell(Timestamp::now(), EventKind::Notice(notice.clone()));
                // An announcement says nothing about the session.
                if notice.kind != NoticeKind::Announcement {
                    self.notice = Some(notice);
                }
            }
        }
        true
    }

    /// If the queue is full, this one would be too late: its caller gets no answer and gives up.
    fn summon(&self, summons: Summons) {
        if self.calls.try_send(summons).is_err() {
            tracing::debug!("a call too many");
        }
    }

    fn answer(&self, id: u32, outcome: Outcome) {
        let asker = self.pending.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        match asker {
            // Whoever asked may have gone away.
            Some(asker) => drop(asker.send(outcome)),
            None => tracing::debug!(id, "an answer to no request"),
        }
    }
}

async fn write(
    mut output: Output,
    (mut calls, mut replies): (mpsc::Receiver<Call>, mpsc::Receiver<ToDirectory>),
    pending: Pending,
    silence: Arc<Silence>,
) -> Ending {
    let mut next = FIRST_REQUEST;
    let mut buffer = Vec::new();
    let mut add_call = |call: Call, buffer: &mut Vec<u8>| {
        next = next.wrapping_add(1);
        let Request { op, operation } = call.request;
        let request = ToDirectory::Request { id: next, op, operation };
        let mut pending = pending.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever gave up waiting frees its place; its answer is expected by nobody.
        pending.retain(|_, asker| !asker.is_closed());
        if let Err(error) = frame::encode(&request, buffer) {
            let error = WireError::new(Code::Invalid, error.to_string());
            drop(call.answer.send(Err(AskError::Refused(error))));
        } else {
            pending.insert(next, call.answer);
            silence.note_asked();
        }
    };
    loop {
        buffer.clear();
        tokio::select! {
            biased;
            Some(reply) = replies.recv() => drop(frame::encode(&reply, &mut buffer)),
            Some(call) = calls.recv() => add_call(call, &mut buffer),
            else => return Ending::Lost("the session is over".into()),
        }
        while buffer.len() < WRITE_BYTES_MAX {
            if let Ok(reply) = replies.try_recv() {
                drop(frame::encode(&reply, &mut buffer));
            } else if let Ok(call) = calls.try_recv() {
                add_call(call, &mut buffer);
            } else {
                break;
            }
        }
        let written = timeout(WRITE_STALL_MAX, async {
            output.write_all(&buffer).await?;
            output.flush().await
        });
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Ending::Lost(error.to_string().into()),
            Err(_) => return Ending::Lost("the directory takes nothing".into()),
        }
    }
}
