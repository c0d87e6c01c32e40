//! Calling a peer where it was the last time, while the directory is asked where it is: on a long path that question costs a round trip, and mostly
//! its answer is the one that is known.
//!
//! What always holds: who answers holds the pinned key. What the directory says counts as soon as it is there: where that is something else, the call
//! begins anew with it.

use std::{pin::pin, sync::Arc, time::Duration};

use dos_protocol::{Code, WireError, directory::Contact};
use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::{
    Peers,
    dial::{Dialed, dial},
    lines::To,
};
use crate::identity::Identity;

/// What is known of a peer, and what came of the call.
pub(super) type Reached = (Contact, Result<Dialed, WireError>);

/// Connects to the holder of the pinned key `to`, as `identity`. `told` is what the directory has just said, and when it was asked.
///
/// # Errors
/// Of the directory, as [`crate::trust::Trust::contact`]; `denied` if the key was replaced meanwhile. What comes of the call is in the answer:
/// `offline` if no way leads there.
pub(super) async fn reach(
    peers: &Arc<Peers>,
    identity: &Identity,
    to: To,
    told: Option<(Contact, Instant)>,
) -> Result<Reached, WireError> {
    if let Some((told, asked)) = told {
        return Ok(call(peers, identity, told, asked.elapsed()).await);
    }
    let asked = Instant::now();
    let known = peers.trust.known(to.peer).filter(|known| known.online && known.key == to.key);
    let mut told = pin!(ask(peers, to));
    let Some(known) = known else {
        return Ok(call(peers, identity, told.await?, asked.elapsed()).await);
    };
    let mut early = Box::pin(call(peers, identity, known.clone(), Duration::ZERO).fuse());
    let mut failed = None;
    let contact = tokio::select! {
        biased;
        contact = &mut told => contact?,
        (contact, outcome) = &mut early => match outcome {
            Ok(dialed) => return Ok((contact, Ok(dialed))),
            Err(error) => {
                failed = Some(error);
                told.await?
            }
        }
    };
    if contact != known {
        // Its attempts count, as long as they are there.
        drop(early);
        return Ok(call(peers, identity, contact, asked.elapsed()).await);
    }
    match failed {
        Some(error) => Ok((contact, Err(error))),
        None => Ok(early.await),
    }
}

async fn ask(peers: &Peers, to: To) -> Result<Contact, WireError> {
    let contact = peers.trust.contact(to.peer).await?;
    if contact.key == to.key {
        return Ok(contact);
    }
    Err(WireError::new(Code::Denied, format!("the key of peer {} was replaced just now", to.peer)))
}

async fn call(peers: &Arc<Peers>, identity: &Identity, contact: Contact, passed: Duration) -> Reached {
    let dialed = Box::pin(dial(peers, identity, (&contact, passed))).await;
    (contact, dialed)
}
