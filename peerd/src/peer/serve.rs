//! Serving one connection of another peer: sealed copies and owner shares of one's own images, and messages.
//!
//! What always holds: before anything is answered it is known whose key the other side holds; a copy or a share goes only to a peer whose right is not revoked, under the split of that right;
//! nothing is sent beyond what the viewer takes; memory does not grow with the image. Views are not counted here: what is sent is useless without the directory's
//! share.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use dos_protocol::{
    Code, PeerId, SealedHash, WireError,
    directory::{Answer, Op},
    frame::{self, Reader},
    kind::{self, Unreadable},
    limits::{IDENTIFY_TIME_MAX, PEER_FRAME_BYTES_MAX, WRITE_STALL_MAX},
    model::Grant,
    peer::{Copy, Fetch, FromPeer, Signed, ToPeer},
};
use dos_sealed::BLOCK_BYTES;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
    task::spawn_blocking,
    time::{Instant, timeout, timeout_at},
};

use super::{
    Peers, admission,
    callers::{From, Place, identify},
    message,
};
use crate::{
    copies::Pin,
    directory::{unexpected, unregistered},
    keys::{ImageKeys, block_count},
    store::Told,
};

/// A connection without a request for this time is closed.
const IDLE_TIME_MAX: Duration = Duration::from_secs(30);
/// The same of a contact's, which keeps it for the next request for a minute: it closes it, not this side.
const CONTACT_IDLE_TIME_MAX: Duration = Duration::from_secs(75);

/// What is read from the disk at a time, as much as the other side hashes at a time.
const PIECE_BYTES: usize = 128 << 10;

/// Buffers that go round between the disk and the network.
const BUFFERS: usize = 4;

/// What a viewer is given.
struct Served {
    head: Copy,
    blocks: Vec<u8>,
    path: PathBuf,
    _pin: Pin,
}

/// A connection of which it is known whose it is, and its place.
pub(crate) struct Known<S> {
    stream: Reader<S>,
    from: From,
    is_contact: bool,
    place: Place,
}

/// Finds out whose a connection is; nothing if it is nobody's, or that of a peer with which this one does not speak, or if there is
/// no room for it, which it is told.
pub(crate) async fn identified<S>(peers: &Arc<Peers>, from: From, stream: S) -> io::Result<Option<Known<S>>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stream = Reader::bounded(stream, PEER_FRAME_BYTES_MAX);
    let caller = timeout(IDENTIFY_TIME_MAX, identify(peers, from)).await;
    let caller =
        caller.unwrap_or_else(|_| Err(WireError::new(Code::Timeout, "the directory does not answer")));
    let is_answered = match &caller {
        Ok(_) => admission::answers(peers, from).await,
        // Where strangers are refused, one that the directory cannot name now is no contact: their keys are known here.
        Err(_) => admission::answers_unknown(peers),
    };
    if !is_answered {
        return Ok(None);
    }
    match caller.and_then(|caller| Ok((peers.places.take(&caller, from.network)?, caller.is_contact))) {
        Ok((place, is_contact)) => Ok(Some(Known { stream, from, is_contact, place })),
        // A key that is no peer's learns nothing, not even that.
        Err(error) if error.code == Code::NotFound => Ok(None),
        Err(error) => refuse(&mut stream, error).await.map(|()| None),
    }
}

/// Refuses whatever the other side wants, once. A ping, which goes ahead of a fetch, is no want: an answer would only tell that
/// somebody is here.
async fn refuse<S>(stream: &mut Reader<S>, error: WireError) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let until = Instant::now() + IDENTIFY_TIME_MAX;
    let mut request = next(stream, until).await?;
    if matches!(request, Some(Ok(ToPeer::Ping))) {
        request = next(stream, until).await?;
    }
    match request {
        None | Some(Ok(ToPeer::Ping)) => Ok(()),
        Some(_) => {
            write(stream.get_mut(), &frame_of(&FromPeer::Refused(error))?).await?;
            flush(stream.get_mut()).await
        }
    }
}

/// Answers a peer until it hangs up, or is blocked.
pub(crate) async fn serve<S>(peers: &Arc<Peers>, known: Known<S>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    tokio::select! {
        biased;
        () = admission::shut_out(peers, known.from) => Ok(()),
        served = converse(peers, known) => served,
    }
}

async fn converse<S>(peers: &Arc<Peers>, known: Known<S>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Known { mut stream, from, is_contact, place } = known;
    let stream = &mut stream;
    let begun = Instant::now();
    loop {
        // Whatever a stranger says, it does not keep its place by that.
        let until = if is_contact { Instant::now() + CONTACT_IDLE_TIME_MAX } else { begun + IDLE_TIME_MAX };
        let closed = place.rests();
        let request = tokio::select! {
            biased;
            request = next(stream, until) => request?,
            () = closed.cancelled() => None,
        };
        let Some(request) = request.filter(|_| place.works()) else { return Ok(()) };
        if !admission::answers(peers, from).await {
            return Ok(());
        }
        let outcome = match request {
            Ok(ToPeer::Fetch(fetch)) => answer(peers, from, stream, fetch).await?,
            // One that was on its way when the copy had been sent.
            Ok(ToPeer::More { .. }) => Ok(()),
            Ok(ToPeer::Message(brought)) => {
                write(stream.get_mut(), &frame_of(&message::take(peers, from, brought).await)?).await?;
                flush(stream.get_mut()).await?;
                continue;
            }
            Ok(ToPeer::Ping) => {
                write(stream.get_mut(), &frame_of(&FromPeer::Pong)?).await?;
                flush(stream.get_mut()).await?;
                continue;
            }
            // A newer peer may go on with something else.
            Err(unreadable) => Err(unreadable.refusal()),
        };
        if let Err(error) = outcome {
            tracing::debug!(error = %error.message, "refused a sealed copy");
            write(stream.get_mut(), &frame_of(&FromPeer::Refused(error))?).await?;
            flush(stream.get_mut()).await?;
        }
    }
}

/// What the viewer says next; nothing if it hangs up or is silent for long.
async fn next<S>(stream: &mut Reader<S>, until: Instant) -> io::Result<Option<Result<ToPeer, Unreadable>>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match timeout_at(until, stream.next()).await {
        Err(_) | Ok(Ok(None)) => Ok(None),
        Ok(Ok(Some(body))) => Ok(Some(kind::read(&body))),
        Ok(Err(error)) => Err(io::Error::other(error)),
    }
}

/// Sends a copy, or says why not.
async fn answer<S>(
    peers: &Arc<Peers>,
    from: From,
    stream: &mut Reader<S>,
    fetch: Fetch,
) -> io::Result<Result<(), WireError>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (viewer, served) = match prepare(peers, from, &fetch).await {
        Ok(prepared) => prepared,
        Err(error) => return Ok(Err(error)),
    };
    let mut head = frame_of(&FromPeer::Copy(served.head.clone()))?;
    head.extend_from_slice(&served.blocks);
    let total = served.head.bytes;
    let start = block_start(fetch.from).saturating_add(fetch.skip.into()).min(total);
    if start == total {
        write(stream.get_mut(), &head).await?;
        flush(stream.get_mut()).await?;
    } else {
        let _place = match peers.uploads.place_soon().await {
            Ok(place) => place,
            Err(error) => return Ok(Err(error)),
        };
        write(stream.get_mut(), &head).await?;
        let span = Span { at: start, upto: fetch.upto.map_or(total, |upto| upto.min(total)), total };
        send(peers, stream, span, served.path.clone()).await?;
    }
    tracing::info!(%viewer, image = %fetch.image, from_byte = start, "served a sealed copy");
    Ok(Ok(()))
}

fn block_start(index: u32) -> u64 {
    u64::from(index).saturating_mul(u64::try_from(BLOCK_BYTES).unwrap_or(u64::MAX))
}

fn frame_of(message: &FromPeer) -> io::Result<Vec<u8>> {
    frame::to_frame(message).map_err(io::Error::other)
}

/// Writes everything. A slow reader is served, one that takes nothing for long is not.
async fn write<S: AsyncWrite + Unpin>(stream: &mut S, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = timeout(WRITE_STALL_MAX, stream.write(bytes)).await.map_err(|_| stalled())??;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

async fn flush<S: AsyncWrite + Unpin>(stream: &mut S) -> io::Result<()> {
    timeout(WRITE_STALL_MAX, stream.flush()).await.map_err(|_| stalled())?
}

fn stalled() -> io::Error {
    io::ErrorKind::TimedOut.into()
}

async fn prepare(peers: &Arc<Peers>, from: From, fetch: &Fetch) -> Result<(PeerId, Served), WireError> {
    let stale = || WireError::new(Code::Stale, "the right or the sealed copy has changed");
    let (_, identity) = peers.identity.registered().ok_or_else(unregistered)?;
    let (caller, key) = (identify(peers, from).await?, from.key);
    let viewer = caller.id;
    let own = peers.store.own_image_no(fetch.image).await?;
    let image =
        own.ok_or_else(|| WireError::new(Code::NotFound, "its owner's machine does not have the image"))?;
    let sealed = image.info.sealed;
    if sealed.hash != fetch.sealed {
        return Err(stale());
    }
    let pin = peers.cache.copies.pin(sealed.hash);
    let fits = |grant: &Grant| !grant.revoked && grant.split == fetch.split;
    let known = peers.store.grant(fetch.image, viewer).await?;
    if !known.as_ref().is_some_and(fits) {
        // The viewer may have heard of its right before our own inbox did.
        let grant = ask_right(peers, fetch, viewer).await?;
        let revoked = grant.revoked;
        let fitting = fits(&grant);
        peers.cache.take_grant(grant).await?;
        if revoked {
            return Err(WireError::new(Code::Denied, "the grant was revoked"));
        }
        if !fitting {
            return Err(stale());
        }
    }
    // It has a grant: from now on the viewer is the holder of this key, and no other.
    peers.trust.meet(Told { peer: viewer, key, sealing: None, name: caller.name }).await?;
    let keys = ImageKeys::open(&identity.vault, &image)?;
    let share = *keys.owner_share(fetch.image, (viewer, &key), fetch.split)?.as_bytes();
    let blocks = peers.store.blocks(sealed.hash).await?;
    let blocks = blocks.ok_or_else(|| WireError::new(Code::Internal, "the sealed copy is missing"))?;
    let record = image.info.record.clone();
    let signed = record.map(|record| Box::new(Signed { image: (&image.info).into(), record }));
    let head = Copy { bytes: sealed.bytes, blocks: block_count(&sealed), share, image: signed };
    Ok((viewer, Served { head, blocks, path: peers.cache.copies.path(&sealed.hash), _pin: pin }))
}

async fn ask_right(peers: &Peers, fetch: &Fetch, viewer: PeerId) -> Result<Grant, WireError> {
    peers.inquiries.about_grant(viewer)?;
    match peers.upstream.request(Op::Grant { image: fetch.image, viewer }).await {
        Ok(Answer::Grant(grant)) => Ok(*grant),
        Ok(_) => Err(unexpected()),
        Err(error) if error.code == Code::NotFound => {
            Err(WireError::new(Code::Denied, "there is no such right"))
        }
        Err(error) => Err(error),
    }
}

/// The part of a file that is on its way.
#[derive(Debug)]
struct Span {
    /// The next byte.
    at: u64,
    /// How far the viewer takes it.
    upto: u64,
    total: u64,
}

/// Bytes of the file in a buffer that goes round.
struct Piece {
    buffer: Box<[u8]>,
    length: usize,
}

async fn send<S>(peers: &Peers, stream: &mut Reader<S>, mut span: Span, path: PathBuf) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (pieces, mut ready) = mpsc::channel::<io::Result<Piece>>(BUFFERS);
    let (returning, empty) = mpsc::channel::<Box<[u8]>>(BUFFERS);
    for _ in 0..BUFFERS {
        drop(returning.try_send(vec![0; PIECE_BYTES].into_boxed_slice()));
    }
    let from = span.at;
    let reading = spawn_blocking(move || {
        if let Err(error) = read(&path, from, (empty, &pieces)) {
            // The other end may be gone, which ends the reading too.
            drop(pieces.blocking_send(Err(error)));
        }
    });
    while span.at < span.total {
        let Some(Piece { buffer, length }) = ready.recv().await.transpose()? else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        send_piece(peers, stream, &mut span, buffer.get(..length).unwrap_or_default()).await?;
        // At the end nobody takes it.
        drop(returning.try_send(buffer));
    }
    drop((ready, returning));
    flush(stream.get_mut()).await?;
    reading.await.map_err(io::Error::other)
}

async fn send_piece<S>(
    peers: &Peers,
    stream: &mut Reader<S>,
    span: &mut Span,
    mut piece: &[u8],
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while !piece.is_empty() && span.at < span.total {
        if span.at >= span.upto {
            flush(stream.get_mut()).await?;
            span.upto = more(stream, span).await?;
        }
        let open = usize::try_from(span.upto.saturating_sub(span.at)).unwrap_or(usize::MAX);
        let (turn, rest) = piece.split_at(peers.uploads.turn(piece.len().min(open)));
        let length = u64::try_from(turn.len()).map_err(io::Error::other)?;
        peers.uploads.pass(length).await;
        write(stream.get_mut(), turn).await?;
        span.at += length;
        piece = rest;
    }
    Ok(())
}

/// Waits until the viewer takes more, and tells up to where.
async fn more<S>(stream: &mut Reader<S>, span: &Span) -> io::Result<u64>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match next(stream, Instant::now() + IDLE_TIME_MAX).await? {
        Some(Ok(ToPeer::More { upto })) if upto > span.upto => Ok(upto.min(span.total)),
        Some(_) => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the viewer does not say how far it takes the copy",
        )),
        None => Err(stalled()),
    }
}

/// Reads the file from `start` on into the buffers that come, until nobody takes them any more.
fn read(
    path: &Path,
    start: u64,
    (mut empty, pieces): (mpsc::Receiver<Box<[u8]>>, &mpsc::Sender<io::Result<Piece>>),
) -> io::Result<()> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    while let Some(mut buffer) = empty.blocking_recv() {
        let length = file.read(&mut buffer)?;
        if length == 0 || pieces.blocking_send(Ok(Piece { buffer, length })).is_err() {
            break;
        }
    }
    Ok(())
}

/// The name under which a copy is logged.
#[must_use]
pub(crate) fn short(hash: &SealedHash) -> String {
    hash.to_string().chars().take(16).collect()
}
