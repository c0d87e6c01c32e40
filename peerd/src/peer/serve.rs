//! Serving one connection of a viewer: sealed copies and owner shares of one's own images.
//!
//! What always holds: a copy or a share goes only to a peer whose right is not revoked, under the split of that right;
//! memory does not grow with the image. Views are not counted here: what is sent is useless without the directory's
//! share.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use dos_protocol::{
    Code, PeerId, PublicKey, SealedHash, WireError,
    directory::{Answer, Op},
    frame::{self, Reader},
    limits::WRITE_STALL_MAX,
    model::Grant,
    peer::{Copy, Fetch, FromPeer, ToPeer},
};
use dos_sealed::BLOCK_BYTES;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
    task::spawn_blocking,
    time::timeout,
};

use crate::{
    Core,
    copies::Pin,
    keys::{ImageKeys, block_count},
    upstream::unexpected,
};

/// A connection on which nothing is asked for so long is closed.
const IDLE_TIME_MAX: Duration = Duration::from_secs(30);

/// What is read from the disk at a time.
const PIECE_BYTES: usize = 256 << 10;

/// Pieces read ahead of the network.
const PIECES_AHEAD: usize = 4;

/// What a viewer is given.
struct Served {
    head: Copy,
    blocks: Vec<u8>,
    path: PathBuf,
    _pin: Pin,
}

/// Answers the holder of `key` until it hangs up.
pub(crate) async fn serve<S>(core: &Arc<Core>, key: PublicKey, stream: S) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stream = Reader::new(stream);
    loop {
        let body = match timeout(IDLE_TIME_MAX, stream.next()).await {
            Err(_) | Ok(Ok(None)) => return Ok(()),
            Ok(Ok(Some(body))) => body,
            Ok(Err(error)) => return Err(io::Error::other(error)),
        };
        let request = frame::decode::<ToPeer>(&body);
        let outcome = match request {
            Ok(ToPeer::Fetch(fetch)) => prepare(core, key, &fetch).await.map(|served| (fetch, served)),
            Ok(ToPeer::Message(_) | ToPeer::Ping) => {
                Err(WireError::new(Code::Unsupported, "this peer does not know that request"))
            }
            Err(error) => Err(WireError::new(Code::Unsupported, error.to_string())),
        };
        match outcome {
            Ok((fetch, (viewer, served))) => {
                send(stream.get_mut(), fetch.from, served).await?;
                tracing::info!(%viewer, image = %fetch.image, from_block = fetch.from, "served a sealed copy");
            }
            Err(error) => {
                tracing::debug!(error = %error.message, "refused a sealed copy");
                write(stream.get_mut(), &frame_of(&FromPeer::Refused(error))?).await?;
            }
        }
    }
}

fn frame_of(message: &FromPeer) -> io::Result<Vec<u8>> {
    frame::to_frame(message).map_err(io::Error::other)
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        // Each piece has its own time, so that a slow reader is served and a dead one is not.
        let (piece, rest) = bytes.split_at(bytes.len().min(PIECE_BYTES));
        let written = timeout(WRITE_STALL_MAX, stream.write_all(piece)).await;
        written.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        bytes = rest;
    }
    timeout(WRITE_STALL_MAX, stream.flush()).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

async fn prepare(core: &Arc<Core>, key: PublicKey, fetch: &Fetch) -> Result<(PeerId, Served), WireError> {
    let stale = || WireError::new(Code::Stale, "the right or the sealed copy has changed");
    let (_, identity) = core.identity.registered().ok_or_else(crate::upstream::unregistered)?;
    let viewer = identify(core, key).await?;
    let own = core.store.own_image_no(fetch.image).await?;
    let image =
        own.ok_or_else(|| WireError::new(Code::NotFound, "its owner's machine does not have the image"))?;
    let sealed = image.info.sealed;
    if sealed.hash != fetch.sealed {
        return Err(stale());
    }
    let pin = core.copies.pin(sealed.hash);
    let fits = |grant: &Grant| !grant.revoked && grant.split == fetch.split;
    let known = core.store.grant(fetch.image, viewer).await?;
    if !known.as_ref().is_some_and(fits) {
        // The viewer may have heard of its right before our own inbox did.
        let grant = ask_right(core, fetch, viewer).await?;
        let revoked = grant.revoked;
        let fitting = fits(&grant);
        core.take_grant(grant).await?;
        if revoked {
            return Err(WireError::new(Code::Denied, "the right was taken back"));
        }
        if !fitting {
            return Err(stale());
        }
    }
    let keys = ImageKeys::open(&identity.vault, &image)?;
    let share = *keys.owner_share(fetch.image, viewer, fetch.split)?.as_bytes();
    let blocks = core.store.blocks(sealed.hash).await?;
    let blocks = blocks.ok_or_else(|| WireError::new(Code::Internal, "the sealed copy is missing"))?;
    let head = Copy { bytes: sealed.bytes, blocks: block_count(&sealed), share };
    Ok((viewer, Served { head, blocks, path: core.copies.path(&sealed.hash), _pin: pin }))
}

async fn ask_right(core: &Core, fetch: &Fetch, viewer: PeerId) -> Result<Grant, WireError> {
    match core.upstream.request(Op::Right { image: fetch.image, viewer }).await {
        Ok(Answer::Grant(grant)) => Ok(*grant),
        Ok(_) => Err(unexpected()),
        Err(error) if error.code == Code::NotFound => {
            Err(WireError::new(Code::Denied, "there is no such right"))
        }
        Err(error) => Err(error),
    }
}

/// Who holds the key: from memory, or from the directory.
async fn identify(core: &Core, key: PublicKey) -> Result<PeerId, WireError> {
    if let Some(id) = core.known_keys.get(&key) {
        return Ok(id);
    }
    match core.upstream.request(Op::Identify(key)).await? {
        Answer::Peer(peer) => {
            core.known_keys.put(key, peer.id);
            Ok(peer.id)
        }
        _ => Err(unexpected()),
    }
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, from: u32, served: Served) -> io::Result<()> {
    let mut head = frame_of(&FromPeer::Copy(served.head.clone()))?;
    head.extend_from_slice(&served.blocks);
    write(stream, &head).await?;
    if from >= served.head.blocks {
        return Ok(());
    }
    let (pieces, mut ready) = mpsc::channel::<io::Result<Vec<u8>>>(PIECES_AHEAD);
    let path = served.path.clone();
    let reading = spawn_blocking(move || {
        if let Err(error) = read(&path, from, &pieces) {
            // The other end may be gone, which ends the reading too.
            drop(pieces.blocking_send(Err(error)));
        }
    });
    while let Some(piece) = ready.recv().await {
        write(stream, &piece?).await?;
    }
    reading.await.map_err(io::Error::other)
}

fn read(path: &std::path::Path, from: u32, pieces: &mpsc::Sender<io::Result<Vec<u8>>>) -> io::Result<()> {
    let mut file = File::open(path)?;
    let offset = u64::from(from).saturating_mul(u64::try_from(BLOCK_BYTES).map_err(io::Error::other)?);
    file.seek(SeekFrom::Start(offset))?;
    loop {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let limit = u64::try_from(PIECE_BYTES).map_err(io::Error::other)?;
        if (&mut file).take(limit).read_to_end(&mut piece)? == 0 || pieces.blocking_send(Ok(piece)).is_err() {
            return Ok(());
        }
    }
}

/// The IDs of keys, as the directory told them a moment ago: a key that was replaced is nobody's any more. Bounded; when
/// full, it starts anew.
#[derive(Debug, Default)]
pub(crate) struct KnownKeys(std::sync::Mutex<std::collections::HashMap<PublicKey, (PeerId, Instant)>>);

/// For how long what the directory told of a key is believed.
const KNOWN_KEY_TIME: Duration = Duration::from_secs(60);

/// Keys remembered.
const KNOWN_KEYS_MAX: usize = 4096;

impl KnownKeys {
    fn get(&self, key: &PublicKey) -> Option<PeerId> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .get(key)
            .filter(|(_, told)| told.elapsed() < KNOWN_KEY_TIME)
            .map(|(id, _)| *id)
    }

    /// Remembers whose a key is.
    pub(crate) fn put(&self, key: PublicKey, id: PeerId) {
        let mut keys = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if keys.len() >= KNOWN_KEYS_MAX {
            keys.clear();
        }
        keys.insert(key, (id, Instant::now()));
    }
}

/// The name under which a copy is logged.
#[must_use]
pub(crate) fn short(hash: &SealedHash) -> String {
    hash.to_string().chars().take(16).collect()
}
