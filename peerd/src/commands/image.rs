//! One image and its owner, for whoever shows it alone: no command of its own, but what `list` would show of it.

use std::sync::Arc;

use dos_protocol::{
    Code, ImageArg, PeerRef, WireError,
    directory::{Answer, Op},
    model::{ImageInfo, ImagePath, PeerInfo},
};

use super::{Services, list::mark_offers};
use crate::directory::{unexpected, unregistered};

/// An image with its owner, whose other images are left out. What was shown last, if the directory is out of reach.
///
/// # Errors
/// `not_found`; `offline`.
pub(crate) async fn image(
    services: &Arc<Services>,
    path: &ImagePath,
) -> Result<(PeerInfo, ImageInfo), WireError> {
    let (me, _) = services.identity.registered().ok_or_else(unregistered)?;
    let owner = PeerRef::Id(path.owner);
    if services.upstream.is_out_of_reach()
        && let Some((peers, _)) = services.remembered.peers(Some(&owner))
    {
        return peers.into_iter().find_map(|peer| taken_out(peer, path)).ok_or_else(|| missing(path));
    }
    let arg = ImageArg { owner: Some(owner.clone()), name: path.name.clone() };
    let (image, peer) = futures_util::future::join(
        services.upstream.request(Op::Image(arg)),
        services.upstream.request(Op::Resolve(owner)),
    )
    .await;
    let image = match image {
        Ok(Answer::Image(image)) => *image,
        Ok(_) => return Err(unexpected()),
        Err(error) if error.code == Code::NotFound => return Err(missing(path)),
        Err(error) => return Err(error),
    };
    // What the directory shows under another name is not what was asked for.
    if image.owner != path.owner || image.name != path.name {
        return Err(missing(path));
    }
    let Answer::Peer(peer) = peer? else { return Err(unexpected()) };
    let mut peers = [PeerInfo { images: vec![image], ..*peer }];
    services.trust.judge_images(me, &mut peers).await?;
    mark_offers(services, &mut peers).await?;
    services.remembered.some_of(&peers, services.store.clock().now());
    let [peer] = peers;
    taken_out(peer, path).ok_or_else(|| missing(path))
}

fn taken_out(mut peer: PeerInfo, path: &ImagePath) -> Option<(PeerInfo, ImageInfo)> {
    let image = std::mem::take(&mut peer.images).into_iter().find(|image| image.name == path.name)?;
    Some((peer, image))
}

fn missing(path: &ImagePath) -> WireError {
    WireError::new(Code::NotFound, format!("there is no picture \"{}\" of this peer", path.name))
}
