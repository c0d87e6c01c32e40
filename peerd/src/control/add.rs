//! `add`: seals an image while it arrives, looks at it, and publishes it.

use std::sync::Arc;

use dos_protocol::{Code, ImageArg, ImageName, WireError, control::Outcome, directory::Publish};

use super::connection::{Finished, Input, next_piece};
use crate::{
    Core,
    keys::{ImageKeys, StoredKeys},
    library::{BusyName, finish_publication_of, publish},
    rights::quoted,
    sealing::{SealedFile, Sealing},
    store::Publication,
    upstream::unregistered,
};

/// What is to be added.
struct Addition {
    name: ImageName,
    replace: bool,
    keys: ImageKeys,
    _busy: BusyName,
}

/// Takes the image from `input` and publishes it.
///
/// # Errors
/// `conflict` if the name is taken, before anything is read; `invalid` if it is no image; `offline`.
pub(super) async fn run(
    core: &Arc<Core>,
    name: ImageName,
    replace: bool,
    input: &mut Input<'_>,
) -> Result<Finished, WireError> {
    let addition = begin(core, name, replace).await?;
    let mut sealing = Sealing::begin(core, addition.keys.content_key().clone())?;
    while let Some(piece) = next_piece(input).await? {
        sealing.push(piece).await?;
    }
    let sealed = sealing.finish().await?;
    let core = Arc::clone(core);
    // From here on it runs to its end, also if dosctl goes away.
    let task = tokio::spawn(async move { Box::pin(complete(&core, addition, sealed)).await });
    task.await.unwrap_or_else(|_| Err(WireError::new(Code::Internal, "the command failed")))
}

async fn begin(core: &Arc<Core>, name: ImageName, replace: bool) -> Result<Addition, WireError> {
    let (_, identity) = core.identity.registered().ok_or_else(unregistered)?;
    core.upstream.ready().await?;
    let busy = core.names_busy.claim(&name).ok_or_else(|| {
        WireError::new(Code::Conflict, format!("an image named \"{name}\" is being added just now"))
    })?;
    finish_publication_of(core, &busy).await?;
    let keys = match core.store.own_image(name.clone()).await? {
        Some(_) if !replace => {
            let message = format!("you have an image \"{name}\" already");
            let arg = ImageArg { owner: None, name };
            let hint = format!("dosctl add FILE --name {} --replace", quoted(&arg));
            return Err(WireError::new(Code::Conflict, message).hint(hint));
        }
        // A replaced image keeps its keys, and with them the rights to it.
        Some(image) => ImageKeys::open(&identity.vault, &image)?,
        None => ImageKeys::generate()?,
    };
    Ok(Addition { name, replace, keys, _busy: busy })
}

async fn complete(core: &Arc<Core>, addition: Addition, sealed: SealedFile) -> Result<Finished, WireError> {
    let Addition { name, replace, keys, _busy } = addition;
    let (_, identity) = core.identity.registered().ok_or_else(unregistered)?;
    let (sealed, original, preview) = sealed.preview(core).await?;
    let copy = sealed.copy();
    let StoredKeys { content_key, share_secret } = keys.store(&identity.vault, &copy.hash)?;
    let blocks = sealed.blocks();
    sealed.put_in_place(core).await?;
    let publish_op = Publish { name, original, sealed: copy, preview, replace };
    let publication = Publication { publish: publish_op, content_key, share_secret };
    core.store.begin_publication(publication.clone(), blocks).await?;
    let info = publish(core, publication).await?;
    tracing::info!(image = %info.name, bytes = info.original.bytes, "added an image");
    Ok(Outcome::Image(Box::new(info)).into())
}
