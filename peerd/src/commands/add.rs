//! `add`: seals an image while it arrives, looks at it, and publishes it.

use std::sync::Arc;

use dos_protocol::{
    Code, ImageArg, ImageName, WireError,
    control::{AddOptions, Outcome},
    directory::Publish,
    model::ImageInfo,
    record::SignedImage,
};

use super::{Finished, Upload, operation::Operation, to_its_end};
use crate::{
    directory::unregistered,
    keys::{ImageKeys, StoredKeys},
    library::{BusyName, finish_publication_of, publish, sign},
    rules::names::numbered,
    sealing::{Looked, SealedFile, Sealing, Subject},
    shell::quoted,
    store::Publication,
};

/// What the caller wants.
pub(super) struct Wanted {
    pub(super) name: ImageName,
    /// Takes the place of an image of the same name.
    pub(super) replace: bool,
    /// `None` of an older caller.
    pub(super) options: Option<AddOptions>,
}

/// What is to be added.
struct Addition {
    wanted: Wanted,
    keys: ImageKeys,
    _busy: BusyName,
}

/// What came.
enum Received {
    /// An image that is to be published.
    Sealed(Box<(Addition, SealedFile)>),
    /// The image that a command whose outcome was not shown has added under this name.
    Known(Box<ImageInfo>),
}

/// Takes the image from `upload` and publishes it.
///
/// # Errors
/// `conflict` if the name is taken, before anything is read; `invalid` if it is no image; `offline`.
pub(super) async fn run(
    change: Arc<Operation>,
    wanted: Wanted,
    upload: &mut dyn Upload,
) -> Result<Finished, WireError> {
    match receive(&change, wanted, upload).await {
        // From here on it runs to its end, also if the caller goes away.
        Ok(Received::Sealed(received)) => {
            to_its_end(async move {
                let (addition, sealed) = *received;
                let outcome = Box::pin(complete(&change, addition, sealed)).await;
                change.conclude(outcome.map(Finished::from)).await
            })
            .await
        }
        Ok(Received::Known(info)) => change.conclude(Ok(Outcome::Image(info).into())).await,
        Err(error) => change.conclude(Err(error)).await,
    }
}

async fn receive(change: &Operation, wanted: Wanted, upload: &mut dyn Upload) -> Result<Received, WireError> {
    let Wanted { name, replace, options } = wanted;
    let services = &change.services;
    let (_, identity) = services.identity.registered().ok_or_else(unregistered)?;
    services.upstream.ready().await?;
    let found = services.store.own_image(name.clone()).await?;
    // What is there keeps its spelling; what is new has the one that all others have.
    let name = match &found {
        Some(image) => image.info.name.clone(),
        None => new_name(&name)?,
    };
    let busy = services.library.names_busy.claim_soon(&name).await?;
    finish_publication_of(&services.library, &busy).await?;
    let keys = match services.store.own_image(name.clone()).await? {
        Some(image) if !replace => return compare(change, image.info, upload).await,
        // A replaced image keeps its keys, and with them the grants to it.
        Some(image) => ImageKeys::open(&identity.vault, &image)?,
        None => ImageKeys::generate()?,
    };
    let any = options.is_some_and(|options| options.any);
    let mut sealing = Sealing::begin(&services.cache.copies, keys.content_key().clone(), any)?;
    while let Some(piece) = upload.next().await? {
        sealing.push(piece).await?;
    }
    let addition = Addition { wanted: Wanted { name, replace, options }, keys, _busy: busy };
    Ok(Received::Sealed(Box::new((addition, sealing.finish().await?))))
}

/// The name under which something new is stored, if it may be.
fn new_name(name: &ImageName) -> Result<ImageName, WireError> {
    let name = name.composed().and_then(|name| name.check_new().map(|()| name));
    name.map_err(|error| WireError::new(Code::Invalid, error.to_string()).hint("dosctl add FILE --name NAME"))
}

/// There is an image of this name: it is the same one if the command is repeated and brings the same bytes.
async fn compare(
    change: &Operation,
    info: ImageInfo,
    upload: &mut dyn Upload,
) -> Result<Received, WireError> {
    if change.is_repeated().await? {
        let mut hasher = blake3::Hasher::new();
        while let Some(piece) = upload.next().await? {
            hasher.update(&piece);
        }
        if info.original.image_id == (*hasher.finalize().as_bytes()).into() {
            return Ok(Received::Known(Box::new(info)));
        }
    }
    let message = format!("you have an image \"{}\" already", info.name);
    let arg = ImageArg { owner: None, name: free_name(change, &info.name).await? };
    let hint = format!("dosctl add FILE --name {}", quoted(&arg));
    let cause = "with --replace the new one would take its place, also for those who may view it";
    Err(WireError::new(Code::Conflict, message).caused_by(cause).hint(hint))
}

/// A name like this one under which there is no image.
async fn free_name(change: &Operation, name: &ImageName) -> Result<ImageName, WireError> {
    for number in 2..100 {
        if let Some(other) = numbered(name, number)
            && change.services.store.own_image(other.clone()).await?.is_none()
        {
            return Ok(other);
        }
    }
    Ok(name.clone())
}

async fn complete(change: &Operation, addition: Addition, sealed: SealedFile) -> Result<Outcome, WireError> {
    let Addition { wanted: Wanted { name, replace, options }, keys, _busy } = addition;
    let services = &change.services;
    let (me, identity) = services.identity.registered().ok_or_else(unregistered)?;
    let subject = Subject { name: name.to_string(), any: options.is_some_and(|options| options.any) };
    let Looked { sealed, original, preview, warning } =
        sealed.preview(&services.library.previews, subject).await?;
    if let (Some(warning), Some(AddOptions { strict: true, .. })) = (&warning, options) {
        return Err(WireError::new(Code::Invalid, warning.clone()));
    }
    let copy = sealed.copy();
    let StoredKeys { content_key, share_secret } = keys.store(&identity.vault, &copy.hash)?;
    let blocks = sealed.blocks();
    sealed.put_in_place(&services.cache.copies).await?;
    let image = SignedImage { owner: me, name, original, sealed: copy, preview: preview.info() };
    let record = sign(&services.library, &image, &preview).await?;
    let name = image.name;
    let publish_op = Publish { name, original, sealed: copy, preview, replace, record: Some(record) };
    let publication = Publication { publish: publish_op, content_key, share_secret };
    // The same command again finds the image and knows that it is its own.
    change.begun_at().await?;
    services.store.begin_publication(publication.clone(), blocks).await?;
    let info = publish(&services.library, publication).await.inspect_err(|error| {
        // The publication stays open and is finished later.
        if matches!(error.code, Code::Offline | Code::Timeout | Code::Internal) {
            change.outcome_is_unknown();
        }
    })?;
    tracing::info!(image = %info.name, bytes = info.original.bytes, "added an image");
    let image = Box::new(info);
    Ok(match warning {
        // An older caller would not understand it.
        Some(warning) if options.is_some() => Outcome::Added { image, warning: warning.into() },
        _ => Outcome::Image(image),
    })
}
