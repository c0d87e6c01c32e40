//! `preview`: the small picture of an image; free.

use std::sync::Arc;

use dos_protocol::{
    Code, ImageArg, PeerRef, WireError,
    control::Outcome,
    directory::{Answer, Op, PreviewOf},
    record::SignatureState,
};

use super::Services;
use crate::{
    directory::{no_image, unexpected, unregistered},
    library::own_info,
    remembered::SeenPreview,
    trust::called,
};

/// Asks the directory, and believes it only what the owner has signed.
///
/// # Errors
/// `not_found`; `offline`; `invalid` if it is not what the owner has signed.
pub(super) async fn run(services: &Arc<Services>, image: ImageArg) -> Result<Outcome, WireError> {
    if services.upstream.is_out_of_reach()
        && let Some(outcome) = remembered(services, &image).await?
    {
        return Ok(outcome);
    }
    let owner = match &image.owner {
        Some(owner) => Some(services.trust.who(owner).await?),
        None => None,
    };
    let asked = ImageArg { owner: owner.map(PeerRef::Id), name: image.name.clone() };
    let of = match services.upstream.request(Op::Preview(asked)).await {
        Ok(Answer::Preview(of)) => of,
        Ok(_) => return Err(unexpected()),
        Err(error) => return Err(no_image(&image, error)),
    };
    let signature = judge(services, &image, &of).await?;
    if signature.is_bad() || owner.is_some_and(|owner| owner != of.path.owner) {
        let who = image.owner.as_ref().map_or_else(|| called(of.path.owner, None), ToString::to_string);
        let what = match signature {
            SignatureState::Old => "an old preview: the owner has signed a newer one",
            SignatureState::Missing => "a preview that is not signed, although its owner signs",
            _ => "another preview than the one that its owner has signed",
        };
        let message = format!("the directory shows {what}");
        return Err(WireError::new(Code::Invalid, message).caused_by(format!("the owner is {who}")));
    }
    let PreviewOf { path, preview, .. } = of;
    let seen = SeenPreview { path: path.clone(), preview: preview.clone(), signature };
    services.remembered.preview(seen, services.store.clock().now());
    Ok(Outcome::Preview { path, preview, signature: Some(signature), as_of: None })
}

/// The preview as it was shown last, if it was.
async fn remembered(services: &Services, image: &ImageArg) -> Result<Option<Outcome>, WireError> {
    let owner = match &image.owner {
        None => services.identity.registered().map(|(me, _)| me),
        Some(PeerRef::Id(id)) => Some(*id),
        Some(PeerRef::Address(_)) => None,
        // A name leads to the contact that is known by it, here as everywhere.
        Some(PeerRef::Name(name)) => match services.store.pin_by_name(name.clone()).await? {
            Some(pin) => Some(pin.contact.id),
            None => {
                let named = services.remembered.peers(image.owner.as_ref());
                named.and_then(|(peers, _)| peers.first().map(|peer| peer.id))
            }
        },
    };
    let seen = owner.and_then(|owner| services.remembered.seen_preview(owner, &image.name));
    Ok(seen.map(|(SeenPreview { path, preview, signature }, at)| Outcome::Preview {
        path,
        preview,
        signature: Some(signature),
        as_of: Some(at),
    }))
}

/// What is to be thought of a preview.
async fn judge(services: &Services, asked: &ImageArg, of: &PreviewOf) -> Result<SignatureState, WireError> {
    let (me, _) = services.identity.registered().ok_or_else(unregistered)?;
    if of.path.owner == me {
        let known = own_info(&services.library, &of.path.name).await?;
        let fits = known.record.as_ref().is_none_or(|record| record.preview_hash == hash(of));
        return Ok(if fits { SignatureState::Valid } else { SignatureState::Wrong });
    }
    let Some(image) = &of.image else {
        let unsigned = services.trust.judge_unsigned(of.path.owner, &of.path.name).await?;
        return Ok(unsigned);
    };
    let described = image.owner == of.path.owner
        && image.name == of.path.name
        && image.name == asked.name
        && image.preview == of.preview.info()
        && image.record.as_ref().is_none_or(|record| record.preview_hash == hash(of));
    let told = match services.trust.pinned(of.path.owner).await? {
        Some(_) => None,
        None => Some(services.trust.look(of.path.owner).await?.key),
    };
    let state = services.trust.judge_image(told, image).await?;
    Ok(if described || state.is_bad() { state } else { SignatureState::Wrong })
}

fn hash(of: &PreviewOf) -> [u8; 32] {
    *blake3::hash(&of.preview.data).as_bytes()
}
