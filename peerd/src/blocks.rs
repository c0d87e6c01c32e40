//! The list of blocked peers here, kept like the directory's.

use dos_protocol::{
    Code, PeerId, PeerName, Reason, WireError,
    directory::{Answer, Block, Op},
    limits::BLOCKS_MAX,
};

use crate::{
    directory::{Directory, unexpected},
    store::Store,
};

/// How often the directory's list is requested while this daemon changes its own.
const TRIES_MAX: u32 = 3;

/// Takes over the directory's list: another daemon may have changed it under the same ID, or this one may have lost its
/// state.
///
/// # Errors
/// What the directory refuses; `offline`.
pub(crate) async fn refresh(store: &Store, directory: &dyn Directory) -> Result<(), WireError> {
    for _ in 0..TRIES_MAX {
        let revision = store.blocks_revision().await?;
        let blocks = all(directory).await?;
        if store.take_blocks(revision, blocks).await? {
            break;
        }
    }
    Ok(())
}

/// Refuses what would go to a peer that is blocked here.
///
/// # Errors
/// `denied`.
pub(crate) async fn check(store: &Store, peer: PeerId, name: Option<&PeerName>) -> Result<(), WireError> {
    if !store.standing(peer).await?.is_blocked {
        return Ok(());
    }
    let who = name.map_or_else(|| peer.to_string(), ToString::to_string);
    let error = WireError::new(Code::Denied, format!("you have blocked {who}")).because(Reason::Blocked);
    Err(error.hint(format!("dosctl unblock {who}")))
}

/// The directory's list, page by page; in one answer from a directory that is older than the pages.
///
/// # Errors
/// What the directory refuses; `offline`.
pub(crate) async fn all(directory: &dyn Directory) -> Result<Vec<Block>, WireError> {
    let (mut blocks, mut after) = (Vec::new(), None);
    loop {
        match directory.request(Op::BlocksPage { after }).await {
            Ok(Answer::BlocksPage { blocks: page, more }) => {
                after = page.last().map(|block| block.peer);
                blocks.extend(page);
                if !more || after.is_none() || blocks.len() >= BLOCKS_MAX {
                    return Ok(blocks);
                }
            }
            Err(error) if error.code == Code::Unsupported => break,
            Ok(_) => return Err(unexpected()),
            Err(error) => return Err(error),
        }
    }
    match directory.request(Op::Blocks).await? {
        Answer::Blocks(blocks) => Ok(blocks),
        _ => Err(unexpected()),
    }
}
