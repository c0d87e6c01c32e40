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
    directory::{unexpected, unregistered},
    library::own_info,
    trust::called,
};

/// Asks the directory, and believes it only what the owner has signed.
///
/// # Errors
/// `not_found`; `offline`; `invalid` if it is not what the owner has signed.
pub(super) async fn run(services: &Arc<Services>, image: ImageArg) -> Result<Outcome, WireError> {
    let owner = match &image.owner {
        Some(owner) => Some(services.trust.who(owner).await?),
        None => None,
    };
    let asked = ImageArg { owner: owner.map(PeerRef::Id), name: image.name.clone() };
    let of = match services.upstream.request(Op::Preview(asked)).await? {
        Answer::Preview(of) => of,
        _ => return Err(unexpected()),
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
    Ok(Outcome::Preview { path: of.path, preview: of.preview, signature: Some(signature) })
}

/// What is to be thought of a preview.
async fn judge(services: &Services, asked: &ImageArg, of: &PreviewOf) -> Result<SignatureState, WireError> {
    let (me, _) = services.identity.registered().ok_or_else(unregistered)?;
    if of.path.owner == me {
        let known = own_info(&services.library, &of.path.name).await?;
        let fits = known.record.is_none_or(|record| record.preview_hash == hash(of));
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
        && image.record.is_none_or(|record| record.preview_hash == hash(of));
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
