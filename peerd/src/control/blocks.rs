//! `blocks`: who is blocked.

use std::sync::Arc;

use dos_protocol::{
    WireError,
    control::Outcome,
    directory::{Answer, Op},
};

use crate::{
    Core,
    upstream::{unexpected, unregistered},
};

/// How often the directory's list is asked for while this daemon changes its own.
const TRIES_MAX: u32 = 3;

/// Reads the store.
///
/// # Errors
/// `offline` if not registered.
pub(super) async fn run(core: &Arc<Core>) -> Result<Outcome, WireError> {
    core.identity.registered().ok_or_else(unregistered)?;
    let (mut blocks, mut after) = (Vec::new(), None);
    loop {
        let page = core.store.blocked_peers(after).await?;
        let Some(last) = page.last() else { return Ok(Outcome::Blocks(blocks)) };
        after = Some(last.clone());
        blocks.extend(page);
    }
}

/// Takes over the directory's list: another daemon may have changed it under the same ID, or this one may have lost its
/// state.
///
/// # Errors
/// What the directory says; `offline`.
pub(crate) async fn refresh(core: &Core) -> Result<(), WireError> {
    for _ in 0..TRIES_MAX {
        let revision = core.store.blocks_revision().await?;
        let blocks = match core.upstream.request(Op::Blocks).await? {
            Answer::Blocks(blocks) => blocks,
            _ => return Err(unexpected()),
        };
        if core.store.take_blocks(revision, blocks).await? {
            break;
        }
    }
    Ok(())
}
