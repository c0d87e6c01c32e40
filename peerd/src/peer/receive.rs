//! Receiving the bytes of a sealed copy: one task reads the network, one thread writes and hashes; buffers go round between
//! them.
//!
//! What always holds: memory is bounded by [`BUFFERS`], and what is under way by them and by TCP: when the file takes nothing, nothing
//! is read, and the owner's TCP stops. Bytes that have arrived are kept also when the connection breaks, so that a break costs what was
//! under way.

use std::{
    future::poll_fn,
    io::ErrorKind,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use dos_protocol::{
    Code, SealedHash, WireError,
    frame::Reader,
    limits::{FRAME_TIME_MAX, WAY_STALL_TIME},
};
use dos_sealed::BlockList;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{mpsc, watch},
    task::spawn_blocking,
    time::{sleep_until, timeout_at},
};

use super::Peers;
use super::{
    fetch::{Broken, Stage, lost, say},
    intake::{Intake, IntakeError},
    lines::Line,
    serve::short,
};
use crate::copies::blocking;

/// Bytes written and hashed at a time, at multiples of this: large enough for the widest hashing, small enough to be in the
/// cache still when they are hashed.
const PIECE_BYTES: usize = 128 << 10;

/// Buffers that go round: one is read into, one is written, two wait.
const BUFFERS: usize = 4;

/// Bytes that have arrived.
struct Piece {
    buffer: Box<[u8]>,
    length: usize,
}

/// A buffer that is free again.
struct Returned {
    buffer: Box<[u8]>,
    /// Everything before this is in the file.
    kept: u64,
}

/// From where a transfer goes on, who watches it, and who may be asked for behind it.
pub(super) struct Course<'a> {
    pub(super) start: u64,
    pub(super) stage: &'a watch::Sender<Stage>,
    pub(super) line: Option<&'a mut Line>,
    /// Bytes from `start` on that have come already.
    pub(super) ahead: Vec<u8>,
    /// Becomes true when nothing has come for [`WAY_STALL_TIME`] that was waited for, and false when something does.
    pub(super) stalls: watch::Sender<bool>,
    /// How far it goes on this way.
    pub(super) bound: watch::Receiver<Bound>,
}

/// How far a transfer goes on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// To its end.
    End,
    /// Nothing is read beyond this byte for now: from there on another way has been asked.
    Pause(u64),
    /// To this byte, or to where it is.
    Leave(u64),
}

impl Bound {
    fn at(self) -> u64 {
        match self {
            Self::End => u64::MAX,
            Self::Pause(at) | Self::Leave(at) => at,
        }
    }
}

/// What came of it.
#[must_use]
pub(super) enum Received {
    /// All of it.
    Whole(Box<Arrived>),
    /// It goes on on another way.
    Left,
}

/// A copy that has arrived whole.
#[must_use]
pub(super) struct Arrived {
    intake: Intake,
    hash: SealedHash,
}

impl Arrived {
    /// Puts the file in place, for good.
    pub(super) async fn finish(self, peers: &Peers) -> Result<(), Broken> {
        let copies = peers.cache.copies.clone();
        let Self { intake, hash } = self;
        blocking(move || intake.finish(&copies, &hash)).await?.map_err(|error| disk(&error))
    }
}

/// Takes what follows, up to the end of the copy.
pub(super) async fn receive<S>(
    peers: &Arc<Peers>,
    stream: &mut Reader<S>,
    list: BlockList,
    course: Course<'_>,
) -> Result<Received, Broken>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Course { start, stage, line, ahead, stalls, bound } = course;
    let hash = SealedHash::from(*list.root());
    let partial = peers.cache.copies.partial_path(&hash);
    let total = list.total_len();
    let opened = blocking(move || Intake::open(&partial, list, start)).await?;
    let intake = opened.map_err(|error| match error.kind() {
        ErrorKind::ResourceBusy => lost(error),
        _ => disk(&error),
    })?;
    stage.send_replace(Stage::Under(intake.bytes()));
    if intake.bytes() != start {
        // What was here is damaged from an earlier block on: ask again from there.
        tracing::warn!(
            copy = short(&hash),
            from = intake.bytes(),
            "a part of a sealed copy is damaged; fetching it again"
        );
        return Err(lost("the part that is here is damaged"));
    }
    let (pieces, waiting) = mpsc::channel(BUFFERS);
    let (returning, returned) = mpsc::channel(BUFFERS);
    let writing = spawn_blocking(move || keep(intake, waiting, &returning));
    let transfer = Transfer {
        peers,
        stream,
        stage,
        line,
        pieces,
        returned,
        free: (0..BUFFERS).map(|_| vec![0; PIECE_BYTES].into_boxed_slice()).collect(),
        arrived: start,
        total,
        stalls,
        bound,
    };
    let read = transfer.run(ahead).await;
    // The writer has the last word: it keeps what arrived before the connection broke, and knows what is damaged.
    let (intake, kept) = writing.await.map_err(|_| WireError::new(Code::Internal, "the work was cut off"))?;
    stage.send_replace(Stage::Under(intake.bytes()));
    match kept {
        Ok(()) if read? == Read::Left => return Ok(Received::Left),
        Ok(()) => {}
        Err(IntakeError::Damaged(index)) => {
            tracing::warn!(copy = short(&hash), block = index, "a block arrived damaged; fetching it again");
            let error = WireError::new(Code::Invalid, format!("block {index} arrived damaged"));
            return Err(Broken::Again(error));
        }
        Err(IntakeError::Excess) => return Err(lost("it sent too much")),
        Err(IntakeError::Disk(error)) => return Err(disk(&error)),
    }
    Ok(Received::Whole(Box::new(Arrived { intake, hash })))
}

fn disk(error: &std::io::Error) -> Broken {
    Broken::Final(crate::copies::disk_error("cannot write a sealed copy", error))
}

/// Writes pieces until there are no more or one is not taken.
fn keep(
    mut intake: Intake,
    mut pieces: mpsc::Receiver<Piece>,
    returning: &mpsc::Sender<Returned>,
) -> (Intake, Result<(), IntakeError>) {
    while let Some(Piece { buffer, length }) = pieces.blocking_recv() {
        if let Err(error) = intake.take(buffer.get(..length).unwrap_or_default()) {
            return (intake, Err(error));
        }
        // If nobody reads any more, what has arrived is kept all the same.
        drop(returning.blocking_send(Returned { buffer, kept: intake.bytes() }));
    }
    (intake, Ok(()))
}

/// The reading half.
struct Transfer<'a, S> {
    peers: &'a Peers,
    stream: &'a mut Reader<S>,
    stage: &'a watch::Sender<Stage>,
    line: Option<&'a mut Line>,
    pieces: mpsc::Sender<Piece>,
    returned: mpsc::Receiver<Returned>,
    free: Vec<Box<[u8]>>,
    /// Everything before this has arrived.
    arrived: u64,
    total: u64,
    stalls: watch::Sender<bool>,
    bound: watch::Receiver<Bound>,
}

/// How the reading half has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    /// At the end of the copy, or with the writer.
    End,
    /// Before, to go on on another way.
    Left,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Transfer<'_, S> {
    /// Reads to the end of the copy, or to where it leaves this way. Returns early, and well, if the writer has ended.
    async fn run(mut self, ahead: Vec<u8>) -> Result<Read, Broken> {
        self.take_ahead(&ahead).await;
        let mut silent_since = Instant::now();
        while self.arrived < self.total {
            let bound = *self.bound.borrow_and_update();
            if matches!(bound, Bound::Leave(at) if at <= self.arrived) {
                return Ok(Read::Left);
            }
            let Some(mut buffer) = self.free.pop() else {
                let Some(returned) = self.returned.recv().await else { return Ok(Read::End) };
                self.kept(returned);
                silent_since = Instant::now();
                continue;
            };
            let want = self.peers.downloads.turn(self.want(buffer.len(), bound));
            let room = buffer.get_mut(..want).unwrap_or_default();
            let deadline = (silent_since + FRAME_TIME_MAX).into();
            let is_waiting = want > 0 && !*self.stalls.borrow();
            tokio::select! {
                biased;
                returned = self.returned.recv() => {
                    self.free.push(buffer);
                    let Some(returned) = returned else { return Ok(Read::End) };
                    self.kept(returned);
                }
                // Without whoever set the bound it stays where it is.
                Ok(()) = self.bound.changed() => {
                    self.free.push(buffer);
                    silent_since = Instant::now();
                }
                () = sleep_until((silent_since + WAY_STALL_TIME).into()), if is_waiting => {
                    self.free.push(buffer);
                    self.stalls.send_replace(true);
                }
                // At a bound there is nothing to read, and nothing to wait for but another one.
                () = sleep_until(deadline), if want == 0 => return Err(lost("no other way has led on")),
                read = timeout_at(deadline, read_ready(self.stream.get_mut(), room)), if want > 0 => {
                    let length = read.map_err(|_| lost("it sends nothing"))?.map_err(lost)?;
                    if length == 0 {
                        return Err(lost("it closed the connection"));
                    }
                    self.stalls.send_if_modified(std::mem::take);
                    self.take(Piece { buffer, length }).await;
                    self.ask_next().await?;
                    silent_since = Instant::now();
                }
            }
        }
        Ok(Read::End)
    }

    /// Takes what has come before the transfer began.
    async fn take_ahead(&mut self, mut ahead: &[u8]) {
        while let Some(mut buffer) = self.free.pop_if(|_| !ahead.is_empty()) {
            let length = ahead.len().min(self.want(buffer.len(), Bound::End));
            let (piece, rest) = ahead.split_at(length);
            buffer.get_mut(..length).unwrap_or_default().copy_from_slice(piece);
            ahead = rest;
            self.take(Piece { buffer, length }).await;
        }
    }

    /// How much to read: to the next multiple of the buffer's size, as hashing is fastest there, and not beyond a bound.
    fn want(&self, buffer: usize, bound: Bound) -> usize {
        let size = u64::try_from(buffer).unwrap_or(u64::MAX);
        let want = (size - self.arrived % size).min(self.total.min(bound.at()).saturating_sub(self.arrived));
        usize::try_from(want).map_or(buffer, |want| want.min(buffer))
    }

    async fn take(&mut self, piece: Piece) {
        let length = u64::try_from(piece.length).unwrap_or(u64::MAX);
        self.arrived += length;
        // If the writer has ended, the returned buffers tell.
        drop(self.pieces.send(piece).await);
        self.peers.downloads.pass(length).await;
    }

    /// Asks for what is to come behind this copy.
    async fn ask_next(&mut self) -> Result<(), Broken> {
        let requests = self.line.as_mut().map(|line| line.next_requests()).unwrap_or_default();
        if requests.is_empty() { Ok(()) } else { say(self.stream, &requests).await }
    }

    fn kept(&mut self, Returned { buffer, kept }: Returned) {
        self.free.push(buffer);
        self.stage.send_replace(Stage::Under(kept));
    }
}

/// Reads until the buffer is full or nothing is there just now; waits for the first byte. 0 at the end.
async fn read_ready<S: AsyncRead + Unpin>(stream: &mut S, room: &mut [u8]) -> std::io::Result<usize> {
    let mut room = ReadBuf::new(room);
    poll_fn(|context| poll_fill(stream, context, &mut room)).await
}

fn poll_fill<S: AsyncRead + Unpin>(
    stream: &mut S,
    context: &mut Context<'_>,
    room: &mut ReadBuf<'_>,
) -> Poll<std::io::Result<usize>> {
    while room.remaining() > 0 {
        let before = room.filled().len();
        match Pin::new(&mut *stream).poll_read(context, room) {
            Poll::Pending if before > 0 => break,
            // What has come counts; the error comes again.
            Poll::Ready(Err(_)) if before > 0 => break,
            read => ready!(read)?,
        }
        if room.filled().len() == before {
            break;
        }
    }
    Poll::Ready(Ok(room.filled().len()))
}
