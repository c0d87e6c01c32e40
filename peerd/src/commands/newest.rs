//! `newest`: a page of images, the newest first.

use std::sync::Arc;

use dos_protocol::{
    ImageNo, PeerRef, WireError,
    control::Outcome,
    directory::{Answer, Newest, Op},
    limits::{PAGE_DEFAULT, PAGE_MAX},
};

use super::{Services, list::mark_offers};
use crate::directory::{unexpected, unregistered};

/// Whose images.
pub(super) enum Whose {
    /// One's own.
    Mine,
    /// Those of a peer.
    Theirs(PeerRef),
    /// Those of everybody.
    Everybodys,
}

impl Whose {
    pub(super) fn of(peer: Option<PeerRef>) -> Self {
        peer.map_or(Self::Everybodys, Self::Theirs)
    }
}

/// Asks the directory for a page.
///
/// # Errors
/// `not_found` for an unknown peer; `unsupported` by an earlier directory; `offline`.
pub(super) async fn run(
    services: &Arc<Services>,
    whose: Whose,
    (before, limit): (Option<ImageNo>, Option<u32>),
) -> Result<Outcome, WireError> {
    let (me, _) = services.identity.registered().ok_or_else(unregistered)?;
    let peer = match whose {
        Whose::Mine => Some(PeerRef::Id(me)),
        Whose::Theirs(peer) => Some(peer),
        Whose::Everybodys => None,
    };
    let limit = limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
    match services.upstream.request(Op::Newest(Newest { peer, before, limit })).await? {
        Answer::Newest(mut page) => {
            services.trust.judge_images(me, &mut page.peers).await?;
            mark_offers(services, &mut page.peers).await?;
            services.remembered.some_of(&page.peers, services.store.clock().now());
            Ok(Outcome::Newest { peers: page.peers, before: page.before })
        }
        _ => Err(unexpected()),
    }
}
