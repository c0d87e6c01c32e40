//! Fetching a sealed copy and the owner share of a right: block by block, each verified before it is kept.
//!
//! What always holds: a copy counts as arrived only when every block matched the hash that the directory told and the
//! file is synced under its name; a broken transfer goes on at the block where it broke; one copy is fetched by one task,
//! which lives as long as anybody waits for it. Damaged blocks are never kept.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dos_protocol::{
    Code, PeerId, SealedHash, WireError,
    directory::{Answer, Contact, Op},
    frame::{self, Reader},
    limits::FRAME_TIME_MAX,
    model::Grant,
    name::printable,
    peer::{Copy, Fetch, FromPeer, ToPeer},
};
use dos_sealed::{BLOCK_BYTES, BlockList, HASH_BYTES};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::watch,
    time::{sleep, timeout},
};
use zeroize::Zeroizing;

use super::{
    dial::dial,
    intake::{Intake, IntakeError},
    serve::short,
};
use crate::{Core, copies::blocking, keys::block_count, upstream::unexpected, vault::What};

/// Attempts in a row that bring nothing new.
const FRUITLESS_MAX: u32 = 3;

/// The pause before trying again.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// How far a fetch is, for those who wait for it.
#[derive(Debug, Clone)]
pub(crate) enum Stage {
    /// So many bytes are here and verified.
    Under(u64),
    /// It is over.
    Over(Result<(), WireError>),
}

/// The fetches under way.
#[derive(Debug, Default)]
pub(crate) struct Fetches(Mutex<HashMap<SealedHash, Arc<watch::Sender<Stage>>>>);

impl Fetches {
    /// Brings the copy and the share of `grant` here, or waits for whoever does so; `progress` hears how far it is.
    ///
    /// # Errors
    /// `offline` if the owner is; `stale` if the right has changed meanwhile; what the owner says.
    pub(crate) async fn fetch(
        &self,
        core: &Arc<Core>,
        grant: &Grant,
        mut progress: impl FnMut(u64),
    ) -> Result<(), WireError> {
        let mut stage = self.join(core, grant);
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

    fn join(&self, core: &Arc<Core>, grant: &Grant) -> watch::Receiver<Stage> {
        let hash = grant.sealed.hash;
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(publisher) = under_way.get(&hash) {
            return publisher.subscribe();
        }
        let (publisher, stage) = watch::channel(Stage::Under(0));
        let publisher = Arc::new(publisher);
        under_way.insert(hash, Arc::clone(&publisher));
        let (core, grant) = (Arc::clone(core), grant.clone());
        tokio::spawn(async move {
            let work = Box::pin(run(&core, &grant, &publisher));
            let outcome = tokio::select! {
                outcome = work => Some(outcome),
                () = nobody_waits(&core.fetches, hash, &publisher) => None,
            };
            core.fetches.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&hash);
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
#[derive(Debug)]
pub(super) enum Broken {
    /// Trying again may help.
    Again(WireError),
    /// It does not.
    Final(WireError),
}

impl<E: Into<WireError>> From<E> for Broken {
    fn from(error: E) -> Self {
        Self::Final(error.into())
    }
}

async fn run(core: &Arc<Core>, grant: &Grant, stage: &watch::Sender<Stage>) -> Result<(), WireError> {
    let _pin = core.copies.pin(grant.sealed.hash);
    core.chores.make_room(core, grant.sealed).await?;
    let mut fruitless = 0;
    loop {
        let here = |stage: &Stage| if let Stage::Under(bytes) = stage { *bytes } else { 0 };
        let before = here(&stage.borrow());
        match attempt(core, grant, stage).await {
            Ok(()) => return Ok(()),
            Err(Broken::Final(error)) => return Err(error),
            Err(Broken::Again(error)) => {
                fruitless = if here(&stage.borrow()) > before { 0 } else { fruitless + 1 };
                tracing::debug!(error = %error.message, copy = short(&grant.sealed.hash), "a transfer broke");
                if fruitless >= FRUITLESS_MAX {
                    return Err(error);
                }
                sleep(AGAIN_AFTER).await;
            }
        }
    }
}

async fn attempt(core: &Arc<Core>, grant: &Grant, stage: &watch::Sender<Stage>) -> Result<(), Broken> {
    let sealed = grant.sealed;
    let blocks = block_count(&sealed);
    let partial = core.copies.partial_path(&sealed.hash);
    let whole = core.store.has_copy(sealed.hash).await?;
    let from =
        if whole { blocks } else { blocking(move || Intake::blocks_at(&partial)).await?.min(blocks - 1) };
    let (_, identity) = core.identity.registered().ok_or_else(crate::upstream::unregistered)?;
    let contact = contact(core, grant.path.owner).await?;
    if contact.addresses.is_empty() {
        let owner = grant.owner_name.as_ref().map_or_else(|| contact.id.to_string(), ToString::to_string);
        return Err(Broken::Final(WireError::new(Code::Offline, format!("{owner} is offline"))));
    }
    let mut stream = Reader::new(dial(&identity, &contact).await.map_err(Broken::Again)?);
    let fetch = Fetch { image: grant.image, sealed: sealed.hash, split: grant.split, from };
    let (share, list) = ask(&mut stream, grant, fetch).await?;
    let row = grant.split;
    let share = identity.vault.seal(What::OwnerShare, row.as_bytes(), &share)?;
    let list_bytes = (!whole).then(|| list.to_bytes());
    if !whole {
        receive(core, &mut stream, list, from, stage).await?;
    }
    if !core.store.copy_arrived(grant.clone(), share, list_bytes).await? {
        if !whole {
            core.copies.remove(vec![sealed.hash]).await;
        }
        return Err(Broken::Final(WireError::new(Code::Stale, "the right has changed meanwhile")));
    }
    Ok(())
}

async fn contact(core: &Core, owner: PeerId) -> Result<Contact, WireError> {
    match core.upstream.request(Op::Contact(owner)).await? {
        Answer::Contact(contact) => Ok(contact),
        _ => Err(unexpected()),
    }
}

type Secret = Zeroizing<[u8; 32]>;

fn lost(what: impl std::fmt::Display) -> Broken {
    let error = WireError::new(Code::Offline, "the connection to the owner was lost");
    Broken::Again(error.caused_by(what.to_string()))
}

fn dishonest(what: &str) -> Broken {
    Broken::Final(WireError::new(Code::Invalid, format!("the owner sent {what}")))
}

/// Asks for the copy; answers the owner share and the verified list of blocks.
pub(super) async fn ask<S>(
    stream: &mut Reader<S>,
    grant: &Grant,
    fetch: Fetch,
) -> Result<(Secret, BlockList), Broken>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let frame = frame::to_frame(&ToPeer::Fetch(fetch)).map_err(lost)?;
    let asked = async {
        stream.get_mut().write_all(&frame).await.map_err(lost)?;
        stream.get_mut().flush().await.map_err(lost)?;
        stream.next().await.map_err(lost)?.ok_or_else(|| lost("it closed the connection"))
    };
    let body = timeout(FRAME_TIME_MAX, asked).await.map_err(|_| lost("no answer in time"))??;
    let head: Copy = match frame::decode(&body).map_err(lost)? {
        FromPeer::Copy(head) => head,
        FromPeer::Refused(error) => return Err(refused(error)),
        FromPeer::Stored | FromPeer::Pong => return Err(dishonest("something else than the image")),
    };
    let sealed = grant.sealed;
    let share = Zeroizing::new(head.share);
    if head.bytes != sealed.bytes || head.blocks != block_count(&sealed) {
        return Err(dishonest("another image"));
    }
    let mut list = vec![0; usize::try_from(head.blocks).unwrap_or(0).saturating_mul(HASH_BYTES)];
    let read = timeout(FRAME_TIME_MAX, stream.get_mut().read_exact(&mut list)).await;
    read.map_err(|_| lost("it sends nothing"))?.map_err(lost)?;
    let list = BlockList::from_bytes(sealed.bytes, &list, sealed.hash.as_bytes())
        .map_err(|_| dishonest("a list of blocks that is not the image's"))?;
    Ok((share, list))
}

fn refused(error: WireError) -> Broken {
    let message: Box<str> = printable(&error.message).into_owned().into();
    let error = WireError { message, ..error };
    match error.code {
        Code::Offline | Code::Timeout => Broken::Again(error),
        Code::Internal | Code::NotFound | Code::Invalid | Code::Unsupported => Broken::Final(
            WireError::new(Code::Invalid, "the owner cannot serve the image").caused_by(error.message),
        ),
        _ => Broken::Final(error),
    }
}

/// Takes the blocks from `from` on, and puts the file in place.
pub(super) async fn receive<S: AsyncRead + Unpin>(
    core: &Arc<Core>,
    stream: &mut Reader<S>,
    list: BlockList,
    from: u32,
    stage: &watch::Sender<Stage>,
) -> Result<(), Broken> {
    let hash = SealedHash::from(*list.root());
    let lengths: Vec<usize> = (0..list.len()).filter_map(|index| list.block_len(index)).collect();
    let start = usize::try_from(from).unwrap_or(usize::MAX);
    let partial = core.copies.partial_path(&hash);
    let mut intake = blocking(move || Intake::open(&partial, list, start)).await?.map_err(disk)?;
    if intake.blocks() != start {
        // What was here is damaged from an earlier block on: ask again from there.
        return Err(lost("the part that is here is damaged"));
    }
    stage.send_replace(Stage::Under(intake.bytes()));
    for length in lengths.into_iter().skip(start) {
        let mut block = vec![0; length];
        read_block(stream, &mut block).await?;
        intake = blocking(move || intake.take(&block)).await?.map_err(|error| match error {
            IntakeError::Damaged(index) => {
                tracing::warn!(copy = short(&hash), block = index, "the owner sent a damaged block");
                Broken::Again(WireError::new(Code::Invalid, format!("block {index} arrived damaged")))
            }
            IntakeError::Disk(error) => disk(error),
        })?;
        stage.send_replace(Stage::Under(intake.bytes()));
    }
    let copies = core.copies.clone();
    blocking(move || intake.finish(&copies, &hash)).await?.map_err(disk)
}

fn disk(error: std::io::Error) -> Broken {
    Broken::Final(crate::copies::disk_error("cannot write a sealed copy", &error))
}

async fn read_block<S: AsyncRead + Unpin>(stream: &mut Reader<S>, block: &mut [u8]) -> Result<(), Broken> {
    // Bytes that trickle in keep the transfer alive, silence does not.
    for piece in block.chunks_mut(BLOCK_BYTES / 16) {
        let read = timeout(FRAME_TIME_MAX, stream.get_mut().read_exact(piece)).await;
        read.map_err(|_| lost("it sends nothing"))?.map_err(lost)?;
    }
    Ok(())
}
