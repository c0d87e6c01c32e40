//! Fetching a sealed copy and the owner share of a right.
//!
//! What always holds: a copy counts as arrived only when every block matched the hash that the directory told and the
//! file is synced under its name; a broken transfer goes on at the byte where it broke, and one that takes another way where it left; one copy is fetched by one task,
//! which lives as long as anybody waits for it. Damaged blocks are never kept. An owner that is busy is left alone for as
//! long as it asks.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dos_protocol::{
    Code, SealedHash, WireError,
    frame::{self, Reader},
    limits::{FRAME_TIME_MAX, WRITE_STALL_MAX},
    model::Grant,
    name::printable,
    peer::{Copy, Fetch, FromPeer, Signed, ToPeer},
};
use dos_sealed::{BLOCK_BYTES, BlockList, HASH_BYTES, OwnerShare};
use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::watch,
    time::{Instant, sleep, timeout},
};
use zeroize::Zeroizing;

use super::Peers;
use super::{
    carry::{Called, Carried, Search, carry, has_led, here, unless_stalled},
    dial::Dialed,
    intake::Intake,
    known::reach,
    lines::{Joined, Open, To, Turn, keep_swept},
    serve::short,
};
use crate::{
    copies::blocking,
    directory::unregistered,
    identity::Identity,
    keys::{block_count, is_share_of},
    random::jitter,
    rules::retry::{Attempts, Failure, Refusal, refusal},
    source::{Came, OnBytes, Source},
    vault::EventKind,
};

/// How far a fetch is, for those who wait for it.
#[derive(Debug, Clone)]
pub(crate) enum Stage {
    /// So many bytes are here.
    Under(u64),
    /// It is over: how the last of it came.
    Over(Result<Came, WireError>),
}

/// Fetches from other peers, for the parts that need copies.
#[derive(Debug)]
pub(crate) struct Owners(pub(crate) Arc<Peers>);

impl Source for Owners {
    fn fetch<'a>(
        &'a self,
        grant: &'a Grant,
        progress: OnBytes<'a>,
    ) -> BoxFuture<'a, Result<Came, WireError>> {
        Box::pin(self.0.fetches.fetch(&self.0, grant, progress))
    }
}

/// The fetches in flight, each with those who wait for it.
#[derive(Debug, Default)]
pub(crate) struct Fetches(Mutex<HashMap<SealedHash, Arc<watch::Sender<Stage>>>>);

impl Fetches {
    /// Brings the copy and the share of `grant` here, or waits for the task that does so; `progress` receives its progress.
    ///
    /// # Errors
    /// `offline` if the owner is; `stale` if the right has changed meanwhile; what the owner says.
    pub(crate) async fn fetch(
        &self,
        peers: &Arc<Peers>,
        grant: &Grant,
        progress: OnBytes<'_>,
    ) -> Result<Came, WireError> {
        let mut stage = self.join(peers, grant);
        loop {
            let now = stage.borrow_and_update().clone();
            match now {
                Stage::Under(bytes) => progress(bytes),
                Stage::Over(outcome) => return outcome,
            }
            if stage.changed().await.is_err() {
                return Err(WireError::new(Code::Internal, "the fetch was cut off"));
            }
        }
    }

    fn join(&self, peers: &Arc<Peers>, grant: &Grant) -> watch::Receiver<Stage> {
        let hash = grant.sealed.hash;
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(publisher) = under_way.get(&hash) {
            return publisher.subscribe();
        }
        let (publisher, stage) = watch::channel(Stage::Under(0));
        let publisher = Arc::new(publisher);
        under_way.insert(hash, Arc::clone(&publisher));
        let (peers, grant) = (Arc::clone(peers), grant.clone());
        tokio::spawn(async move {
            let work = Box::pin(run(&peers, &grant, &publisher));
            let outcome = tokio::select! {
                outcome = work => Some(outcome),
                () = nobody_waits(&peers.fetches, hash, &publisher) => None,
            };
            peers.fetches.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&hash);
            publisher.send_replace(Stage::Over(
                outcome.unwrap_or_else(|| Err(WireError::new(Code::Offline, "the fetch was given up"))),
            ));
        });
        stage
    }
}

/// Returns when nobody waits for a fetch any more; from then on nobody can join it.
async fn nobody_waits(fetches: &Fetches, hash: SealedHash, publisher: &watch::Sender<Stage>) {
    loop {
        publisher.closed().await;
        let mut under_way = fetches.0.lock().unwrap_or_else(PoisonError::into_inner);
        if publisher.receiver_count() == 0 {
            under_way.remove(&hash);
            return;
        }
    }
}

/// Why an attempt did not bring the copy.
pub(super) enum Broken {
    /// Trying again may help.
    Again(WireError),
    /// The owner is busy and says when to try again.
    Later(WireError, Duration),
    /// It does not.
    Final(WireError),
    /// Another way has led on.
    Moved(Box<Called>),
}

impl std::fmt::Debug for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Again(error) => f.debug_tuple("Again").field(error).finish(),
            Self::Later(error, wait) => f.debug_tuple("Later").field(error).field(wait).finish(),
            Self::Final(error) => f.debug_tuple("Final").field(error).finish(),
            Self::Moved(called) => f.debug_tuple("Moved").field(&called.route).finish(),
        }
    }
}

impl<E: Into<WireError>> From<E> for Broken {
    fn from(error: E) -> Self {
        Self::Final(error.into())
    }
}

async fn run(peers: &Arc<Peers>, grant: &Grant, stage: &watch::Sender<Stage>) -> Result<Came, WireError> {
    let _pin = peers.cache.copies.pin(grant.sealed.hash);
    peers.cache.make_room(grant.sealed).await?;
    let mut attempts = Attempts::default();
    let mut next = None;
    loop {
        let here = |stage: &Stage| if let Stage::Under(bytes) = stage { *bytes } else { 0 };
        let before = here(&stage.borrow());
        let outcome = {
            // Not kept while it waits to try again.
            let _place = peers.downloads.place().await?;
            attempt(peers, grant, stage, next.take()).await
        };
        let (error, failure) = match outcome {
            Ok(came) => return Ok(came),
            Err(Broken::Final(error)) => return Err(error),
            Err(Broken::Moved(called)) => {
                next = Some(called);
                continue;
            }
            Err(Broken::Later(error, wait)) => (error, Failure::Busy(wait)),
            Err(Broken::Again(error)) => {
                (error, Failure::Broken { progress: here(&stage.borrow()) > before })
            }
        };
        let Some(wait) = attempts.failed(failure, jitter()) else { return Err(error) };
        tracing::debug!(
            error = %error.message,
            wait_ms = wait.as_millis(),
            copy = short(&grant.sealed.hash),
            "a transfer is taken up again"
        );
        sleep(wait).await;
    }
}

async fn attempt(
    peers: &Arc<Peers>,
    grant: &Grant,
    stage: &watch::Sender<Stage>,
    next: Option<Box<Called>>,
) -> Result<Came, Broken> {
    let sealed = grant.sealed;
    let partial = peers.cache.copies.partial_path(&sealed.hash);
    let whole = peers.store.has_copy(sealed.hash).await?;
    let have = if whole { sealed.bytes } else { blocking(move || Intake::bytes_at(&partial)).await? };
    let start = have.min(sealed.bytes);
    let (_, identity) = peers.identity.registered().ok_or_else(unregistered)?;
    // What has come on the way that was left may be damaged.
    let mut called = match next.filter(|next| next.start <= start) {
        Some(next) => *next,
        None => call((peers, &identity), grant, start, stage).await?,
    };
    let Asked { share, list, signed, round_trip } = &mut called.asked;
    let (signed, round_trip) = (signed.take(), *round_trip);
    if let Some(signed) = signed {
        describes(grant, &signed)?;
        peers.trust.note_word(&called.to.key, &signed.image, &signed.record).await?;
    }
    let row = grant.split;
    let share = identity.vault.seal(EventKind::OwnerShare, row.as_bytes(), share)?;
    let list_bytes = list.as_ref().filter(|_| !whole).map(BlockList::to_bytes);
    let mut arrived = None;
    if !whole {
        let (start, route, here) = (called.start, called.route, here(&mut called.stream));
        let search = Search { peers, identity: &identity, grant, stage, start, route, here };
        match carry(search, &mut called).await? {
            Carried::Whole(whole) => arrived = Some(whole),
            Carried::Elsewhere(next) => return Err(Broken::Moved(next)),
        }
        has_led(peers, called.to.peer, route);
    }
    let Called { line, stream, route, .. } = called;
    line.leave(Open { stream: stream.into_inner(), route });
    keep_swept(peers);
    if let Some(arrived) = arrived {
        arrived.finish(peers).await?;
    }
    if !peers.store.copy_arrived(grant.clone(), share, list_bytes).await? {
        if !whole {
            peers.cache.copies.remove(vec![sealed.hash]).await;
        }
        return Err(Broken::Final(WireError::new(Code::Stale, "the right has changed meanwhile")));
    }
    Ok(Came { way: route.way(), round_trip })
}

/// Asks the owner, on a connection that is there or on one of its own.
async fn call(
    (peers, identity): (&Arc<Peers>, &Identity),
    grant: &Grant,
    start: u64,
    stage: &watch::Sender<Stage>,
) -> Result<Called, Broken> {
    let owner = grant.path.owner;
    let request = request_of(&fetch_of(grant, start))?;
    let search = |route, here| Search { peers, identity, grant, stage, start, route, here };
    let ahead = Vec::new();
    let bytes = grant.sealed.bytes.saturating_sub(start);
    let begun = Instant::now();
    let (key, told) = match peers.store.pin(owner).await? {
        Some(pin) => (pin.contact.key, None),
        None => {
            let told = peers.trust.contact(owner).await?;
            (told.key, Some((told, begun)))
        }
    };
    let to = To { peer: owner, key };
    let (turn, line) = match peers.lines.join(to, bytes, request.clone()) {
        Joined::Kept(line, open) => (Some(Turn { line, open, is_asked: false }), None),
        // What it waited for may have failed.
        Joined::Waits(turn) => (turn.await.ok(), None),
        Joined::Alone(line) => (None, Some(line)),
    };
    if let Some(Turn { mut line, open: Open { stream, route }, is_asked }) = turn {
        let mut stream = Reader::new(stream);
        let own: &[u8] = if is_asked { &[] } else { &request };
        let requests = [own, &line.next_requests()].concat();
        let search = search(route, here(&mut stream));
        match unless_stalled(search, ask(&mut stream, grant, &requests)).await {
            // How long one took that was asked for before tells nothing.
            Ok(asked) if is_asked => {
                let asked = Asked { round_trip: None, ..asked };
                return Ok(Called { line, stream, route, to, asked, start, ahead });
            }
            Ok(asked) => return Ok(Called { line, stream, route, to, asked, start, ahead }),
            // The owner may have closed it just then.
            Err(Broken::Again(error)) => {
                tracing::debug!(error = %error.message, "a connection that was kept is of no use");
            }
            Err(error) => return Err(error),
        }
    }
    let told = told.filter(|_| line.is_some());
    let mut line = line.unwrap_or_else(|| peers.lines.begin(to, bytes));
    let (contact, dialed) = Box::pin(reach(peers, identity, to, told)).await?;
    if contact.addresses.is_empty() && !contact.online {
        let owner = grant.owner_name.as_ref().map_or_else(|| contact.id.to_string(), ToString::to_string);
        return Err(Broken::Final(WireError::new(Code::Offline, format!("{owner} is offline"))));
    }
    let Dialed { stream, route } = dialed.map_err(Broken::Again)?;
    let mut stream = Reader::new(stream);
    let requests = [request, line.next_requests()].concat();
    let search = search(route, here(&mut stream));
    let asked = unless_stalled(search, ask(&mut stream, grant, &requests)).await?;
    Ok(Called { line, stream, route, to, asked, start, ahead })
}

/// What to ask for, to go on at `start`: everything from there on. What is under way is bounded by TCP and by the buffers of
/// [`super::receive`].
pub(super) fn fetch_of(grant: &Grant, start: u64) -> Fetch {
    let Grant { image, sealed, split, .. } = *grant;
    let block = u64::try_from(BLOCK_BYTES).unwrap_or(u64::MAX);
    let (from, skip) = if start >= sealed.bytes {
        (block_count(&sealed), 0)
    } else {
        (narrow(start / block), narrow(start % block))
    };
    Fetch { image, sealed: sealed.hash, split, from, skip, upto: None }
}

/// Of a number that a copy's size bounds.
fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

type Secret = Zeroizing<[u8; 32]>;

pub(super) fn lost(what: impl std::fmt::Display) -> Broken {
    let error = WireError::new(Code::Offline, "the connection to the owner was lost");
    Broken::Again(error.caused_by(what.to_string()))
}

fn dishonest(what: &str) -> Broken {
    Broken::Final(WireError::new(Code::Invalid, format!("the owner sent {what}")))
}

/// What an owner answers before the bytes.
pub(super) struct Asked {
    /// The owner share.
    pub(super) share: Secret,
    /// The list of blocks, verified, until the transfer takes it.
    pub(super) list: Option<BlockList>,
    /// What the owner has signed of the image.
    pub(super) signed: Option<Box<Signed>>,
    /// How long it took to the owner and back, unless it is an older one that answers no pings.
    pub(super) round_trip: Option<Duration>,
}

/// Refuses a description of something else than the image of the grant. Its name may have changed since.
fn describes(grant: &Grant, signed: &Signed) -> Result<(), Broken> {
    if signed.image.owner == grant.path.owner && signed.image.sealed == grant.sealed {
        Ok(())
    } else {
        Err(dishonest("a description of another image"))
    }
}

/// What asks for a copy. A ping goes ahead in the same write, so that the round trip is measured without costing one.
pub(super) fn request_of(fetch: &Fetch) -> Result<Vec<u8>, Broken> {
    let mut frames = frame::to_frame(&ToPeer::Ping).map_err(lost)?;
    frames.extend(frame::to_frame(&ToPeer::Fetch(fetch.clone())).map_err(lost)?);
    Ok(frames)
}

/// Says something to the owner.
pub(super) async fn say<S>(stream: &mut Reader<S>, frames: &[u8]) -> Result<(), Broken>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let written = async {
        stream.get_mut().write_all(frames).await?;
        stream.get_mut().flush().await
    };
    timeout(WRITE_STALL_MAX, written).await.map_err(|_| lost("it takes nothing"))?.map_err(lost)
}

/// Says what asks for the copy, unless that was done before, and for what is to follow; answers the owner share, which is the grant's,
/// and the verified list of blocks.
pub(super) async fn ask<S>(stream: &mut Reader<S>, grant: &Grant, requests: &[u8]) -> Result<Asked, Broken>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let begun = Instant::now();
    if !requests.is_empty() {
        say(stream, requests).await?;
    }
    let round_trip = match answer(stream).await? {
        FromPeer::Pong => Some(begun.elapsed()),
        FromPeer::Refused(error) if error.code == Code::Unsupported => None,
        FromPeer::Refused(error) => return Err(refused(error)),
        FromPeer::Stored | FromPeer::Copy(_) => return Err(dishonest("something else than an answer")),
    };
    let head: Copy = match answer(stream).await? {
        FromPeer::Copy(head) => head,
        FromPeer::Refused(error) => return Err(refused(error)),
        FromPeer::Stored | FromPeer::Pong => return Err(dishonest("something else than the image")),
    };
    let sealed = grant.sealed;
    let share = Zeroizing::new(head.share);
    if !is_share_of(grant, &OwnerShare::from_bytes(*share)) {
        return Err(dishonest("a share that is not the grant's"));
    }
    if head.bytes != sealed.bytes || head.blocks != block_count(&sealed) {
        return Err(dishonest("another image"));
    }
    let mut list = vec![0; usize::try_from(head.blocks).unwrap_or(0).saturating_mul(HASH_BYTES)];
    let read = timeout(FRAME_TIME_MAX, stream.get_mut().read_exact(&mut list)).await;
    read.map_err(|_| lost("it sends nothing"))?.map_err(lost)?;
    let list = BlockList::from_bytes(sealed.bytes, &list, sealed.hash.as_bytes())
        .map_err(|_| dishonest("a list of blocks that is not the image's"))?;
    Ok(Asked { share, list: Some(list), signed: head.image, round_trip })
}

/// The owner's next answer.
async fn answer<S>(stream: &mut Reader<S>) -> Result<FromPeer, Broken>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let body = timeout(FRAME_TIME_MAX, stream.next()).await.map_err(|_| lost("no answer in time"))?;
    // The owner's share may be in it.
    let body = Zeroizing::new(body.map_err(lost)?.ok_or_else(|| lost("it closed the connection"))?);
    frame::decode(&body).map_err(lost)
}

fn refused(error: WireError) -> Broken {
    let message: Box<str> = printable(&error.message).into_owned().into();
    let error = WireError { message, ..error };
    match refusal(error.code, error.reason, error.retry_after_ms) {
        Refusal::Busy(wait) => Broken::Later(error, wait),
        Refusal::Again => Broken::Again(error),
        Refusal::Final => Broken::Final(error),
        Refusal::Unable => Broken::Final(
            WireError::new(Code::Invalid, "the owner cannot serve the image").caused_by(error.message),
        ),
    }
}
