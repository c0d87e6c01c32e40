//! One's own images: finding them, publishing them, and finishing what a lost reply left open.
//!
//! What always holds: a sealed copy is in place and noted before the image is published; the publication stays
//! noted until the directory's answer is, and telling it twice changes nothing there.

mod busy;

use std::sync::Arc;

use dos_protocol::{
    Code, ImageArg, ImageName, OperationId, PeerRef, SealedHash, WireError,
    directory::{Answer, ExpiryChange, Op, Preview, PublishAs, Share, Sign, ViewsChange},
    limits::PAGE_MAX,
    model::ImageInfo,
    record::{ImageRecord, Labels, SignedImage},
};
use tokio::sync::Semaphore;

pub(crate) use self::busy::{BusyName, BusyNames};
use crate::{
    cache::Cache,
    directory::{Directory, Repeat, unexpected, unregistered},
    grant_pages::GrantPages,
    identity::Identities,
    keys::ImageKeys,
    sealing::{self, Remade},
    shell::quoted,
    store::{OwnImage, Publication},
    trust::Trust,
};

/// What one's own images are kept and published with.
#[derive(Debug)]
pub(crate) struct Library {
    pub(crate) cache: Cache,
    pub(crate) identity: Arc<Identities>,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) trust: Arc<Trust>,
    pub(crate) names_busy: BusyNames,
    /// Decoding an image takes a processor, and memory: as many at once as there are processors.
    pub(crate) previews: Semaphore,
}

impl Library {
    pub(crate) fn new(
        cache: Cache,
        identity: Arc<Identities>,
        directory: Arc<dyn Directory>,
        trust: Arc<Trust>,
    ) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let names_busy = BusyNames::default();
        Self { cache, identity, directory, trust, names_busy, previews: Semaphore::new(threads) }
    }
}

/// The image of one's own with this name, also if the directory alone knows that it is called so now.
///
/// # Errors
/// `not_found` if there is none, or if its original is not here.
pub(crate) async fn own_image(library: &Library, name: &ImageName) -> Result<OwnImage, WireError> {
    if let Some(image) = library.cache.store.own_image(name.clone()).await? {
        return Ok(image);
    }
    own_info(library, name).await?;
    library.cache.store.own_image(name.clone()).await?.ok_or_else(|| elsewhere(name))
}

/// The directory knows the image as one's own, but its original and its keys are not on this machine.
pub(crate) fn elsewhere(name: &ImageName) -> WireError {
    let arg = quoted(&ImageArg { owner: None, name: name.clone() });
    WireError::new(Code::NotFound, format!("the original of \"{name}\" is not on this machine"))
        .caused_by("originals and their keys stay where they were added; this key came here with its password, or from a backup")
        .hint(format!("dosctl add FILE --name {arg} --replace"))
}

/// What is known of the image of one's own with this name, also if its original is not here.
///
/// # Errors
/// `not_found` if there is none.
pub(crate) async fn own_info(library: &Library, name: &ImageName) -> Result<ImageInfo, WireError> {
    let missing =
        || WireError::new(Code::NotFound, format!("you have no image \"{name}\"")).hint("dosctl list --mine");
    let (me, _) = library.identity.registered().ok_or_else(unregistered)?;
    if let Some(image) = library.cache.store.own_image(name.clone()).await? {
        return Ok(image.info);
    }
    if !library.directory.is_online() {
        return Err(missing());
    }
    // The answer to a renaming may have been lost.
    let arg = ImageArg { owner: Some(PeerRef::Id(me)), name: name.clone() };
    match library.directory.request(Op::Image(arg)).await {
        Ok(Answer::Image(info)) => {
            library.cache.store.rename_image((*info).clone()).await?;
            Ok(*info)
        }
        Ok(_) => Err(unexpected()),
        Err(error) if error.code == Code::NotFound => Err(missing()),
        Err(error) => Err(error),
    }
}

/// Tells the directory of an image that is noted as a publication, and notes its answer.
///
/// # Errors
/// What the directory says; the publication is dropped if it refuses, and kept if the answer is unknown.
pub(crate) async fn publish(library: &Library, publication: Publication) -> Result<ImageInfo, WireError> {
    let hash = publication.publish.sealed.hash;
    let record = publication.publish.record.clone();
    let arg = quoted(&ImageArg { owner: None, name: publication.publish.name.clone() });
    if publication.publish.replace {
        Box::pin(rekey(library, &publication)).await?;
    }
    let (publish, visibility) = (publication.publish, publication.visibility);
    let in_album = record.as_ref().is_some_and(|record| record.album.is_some());
    let op = if visibility.is_some() || in_album {
        Op::PublishAs(Box::new(PublishAs { publish, visibility }))
    } else {
        Op::Publish(Box::new(publish))
    };
    // A request that a server of the directory has accepted and not answered may come to it after later ones: without an ID it would publish
    // once more what has been renamed or removed since. Every publication has a sealed copy of its own.
    let repeat = Repeat::Under(operation_of(hash));
    match library.directory.send(op, repeat).await.map_err(|failed| failed.error) {
        Ok(Answer::Image(info)) => {
            // What was signed is known here, whatever the directory answers; but for what it does not keep.
            let info = ImageInfo { record: record.map(|record| as_kept(record, &info)), ..*info };
            let free = library.cache.store.finish_publication(info.clone()).await?;
            library.cache.copies.remove(free).await;
            Ok(info)
        }
        Ok(_) => Err(unexpected()),
        Err(error) if matches!(error.code, Code::Offline | Code::Timeout | Code::Internal) => {
            Err(error.hint("dosctl list --mine"))
        }
        Err(error) => {
            let free = library.cache.store.drop_publication(hash).await?;
            library.cache.copies.remove(free).await;
            if error.code == Code::Unsupported {
                return Err(no_albums());
            }
            // The image is known to the directory alone.
            let taken = error.code == Code::Conflict && error.hint.is_none();
            Err(if taken { error.hint(format!("dosctl add FILE --name {arg} --replace")) } else { error })
        }
    }
}

/// The same whenever it is asked again, also after a restart.
fn operation_of(hash: SealedHash) -> OperationId {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(hash.as_bytes().get(..16).unwrap_or(&[0; 16]));
    bytes.into()
}

/// What was signed, without what the directory has not with it: one of an earlier release drops what it does not know.
fn as_kept(record: ImageRecord, kept: &ImageInfo) -> ImageRecord {
    let Some(kept) = kept.record.as_ref().filter(|kept| kept.revision == record.revision) else {
        return record;
    };
    ImageRecord {
        description: record.description.filter(|_| kept.description.is_some()),
        thumbhash: record.thumbhash.filter(|_| kept.thumbhash.is_some()),
        taken: record.taken.filter(|_| kept.taken.is_some()),
        ..record
    }
}

/// The directory is of a release that knows neither private images nor albums.
pub(crate) fn no_albums() -> WireError {
    WireError::new(
        Code::Unsupported,
        "this directory knows no private images and no albums: nothing was changed",
    )
    .caused_by("its dosd is of an earlier release")
}

/// Puts every right to the image that is about to be replaced under the new image's key, if the old one is not here: else
/// views would be spent on keys that open nothing. Until the image is replaced nobody can use these rights.
///
/// # Errors
/// If the directory cannot be asked.
async fn rekey(library: &Library, publication: &Publication) -> Result<(), WireError> {
    let (me, identity) = library.identity.registered().ok_or_else(unregistered)?;
    let name = publication.publish.name.clone();
    if library.cache.store.own_image(name.clone()).await?.is_some() {
        return Ok(());
    }
    let image = match library
        .directory
        .request_again(Op::Image(ImageArg { owner: Some(PeerRef::Id(me)), name }))
        .await
    {
        // Published already; only the answer was lost.
        Ok(Answer::Image(info)) if info.sealed == publication.publish.sealed => return Ok(()),
        Ok(Answer::Image(info)) => info.no,
        Ok(_) => return Err(unexpected()),
        Err(error) if error.code == Code::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let keys = ImageKeys::open_publication(&identity.vault, publication)?;
    let mut rights = GrantPages::of(image);
    while let Some(page) = rights.next(&*library.directory).await? {
        for grant in page.into_iter().filter(|grant| !grant.revoked) {
            let held = library.trust.key(grant.viewer).await?;
            let share = Share {
                image,
                viewer: PeerRef::Id(grant.viewer),
                views: ViewsChange::Rekey,
                expiry: ExpiryChange::Keep,
                key: Some(keys.key_share(image, (grant.viewer, &held))?),
                lasts_ms: None,
                allow_offline: None,
            };
            match library.directory.request_once(Op::Share(share)).await? {
                Answer::Grant(grant) => library.cache.take_grant(*grant).await?,
                _ => return Err(unexpected()),
            }
        }
    }
    Ok(())
}

/// Tells the directory of every image whose publication is open, save those being added just now.
///
/// # Errors
/// If the directory cannot be asked; one refusal does not hinder the others.
pub(crate) async fn finish_publications(library: &Library) -> Result<(), WireError> {
    for publication in library.cache.store.publications().await? {
        let Some(_busy) = library.names_busy.claim(&publication.publish.name) else { continue };
        finish(library, publication).await?;
    }
    Ok(())
}

/// As [`finish_publications`], for the one of a name that the caller has claimed.
///
/// # Errors
/// If the directory cannot be asked.
pub(crate) async fn finish_publication_of(library: &Library, claimed: &BusyName) -> Result<(), WireError> {
    for publication in library.cache.store.publications().await? {
        if publication.publish.name == claimed.name {
            finish(library, publication).await?;
        }
    }
    Ok(())
}

async fn finish(library: &Library, publication: Publication) -> Result<(), WireError> {
    let name = publication.publish.name.clone();
    match Box::pin(publish(library, publication)).await {
        Ok(_) => tracing::info!(image = %name, "finished a publication"),
        Err(error) if matches!(error.code, Code::Offline | Code::Timeout | Code::Internal) => {
            return Err(error);
        }
        Err(error) => tracing::warn!(image = %name, error = %error.message, "a publication was refused"),
    }
    Ok(())
}

/// This peer's word for an image with this preview, newer than all before.
///
/// # Errors
/// If the store fails, or not registered.
pub(crate) async fn sign(
    library: &Library,
    image: &SignedImage,
    (preview, labels): (&Preview, Labels),
) -> Result<ImageRecord, WireError> {
    sign_again(library, image, (*blake3::hash(&preview.data).as_bytes(), labels)).await
}

/// As [`sign`], by the preview's hash.
///
/// # Errors
/// As [`sign`].
pub(crate) async fn sign_again(
    library: &Library,
    image: &SignedImage,
    word: ([u8; 32], Labels),
) -> Result<ImageRecord, WireError> {
    let (_, identity) = library.identity.registered().ok_or_else(unregistered)?;
    let revision = library.cache.store.next_revision().await?;
    let signed = image.sign(&identity.secret, revision, word);
    signed.map_err(|error| WireError::new(Code::Internal, error.to_string()))
}

/// This peer's word for an image of its own under another name, if it has signed it under this one.
///
/// # Errors
/// As [`sign`].
pub(crate) async fn sign_renamed(
    library: &Library,
    image: &ImageInfo,
    name: &ImageName,
) -> Result<Option<ImageRecord>, WireError> {
    let Some(record) = &image.record else { return Ok(None) };
    let renamed = SignedImage { name: name.clone(), ..SignedImage::from(image) };
    sign_again(library, &renamed, (record.preview_hash, record.labels())).await.map(Some)
}

/// This peer's word that stands at the directory for an image of its own: the one in the answer, or, if the directory answers without
/// one, `sent`. An answer may be that to an earlier attempt, which had a word of its own; a word that is here alone would
/// make the directory's look old to every viewer that got it from here.
///
/// # Errors
/// If not registered.
pub(crate) fn standing_record(
    library: &Library,
    stands: &ImageInfo,
    sent: Option<ImageRecord>,
) -> Result<Option<ImageRecord>, WireError> {
    let (_, identity) = library.identity.registered().ok_or_else(unregistered)?;
    let key = identity.secret.public().map_err(|error| WireError::new(Code::Internal, error.to_string()))?;
    let signed = SignedImage::from(stands);
    Ok(stands.record.clone().filter(|record| signed.verify(&key, record).is_ok()).or(sent))
}

/// Signs the images that were published without: by an earlier release, or renamed by one. The preview is made anew from the
/// sealed copy, since the one at the directory is not this peer's word.
///
/// # Errors
/// If the directory cannot be asked; one refusal does not hinder the others.
pub(crate) async fn sign_unsigned(library: &Library) -> Result<(), WireError> {
    let mut after = None;
    loop {
        let page = library.cache.store.unsigned_images(after, PAGE_MAX).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.info.no);
        for image in page {
            let name = image.info.name.clone();
            match Box::pin(sign_one(library, image)).await {
                Ok(()) => tracing::info!(image = %name, "signed an image"),
                Err(error) if matches!(error.code, Code::Offline | Code::Timeout) => return Err(error),
                Err(error) => {
                    tracing::warn!(image = %name, error = %error.message, "an image stays unsigned")
                }
            }
        }
    }
}

async fn sign_one(library: &Library, image: OwnImage) -> Result<(), WireError> {
    let (_, identity) = library.identity.registered().ok_or_else(unregistered)?;
    let Some(_busy) = library.names_busy.claim(&image.info.name) else { return Ok(()) };
    let keys = ImageKeys::open(&identity.vault, &image)?;
    let Remade { preview, thumbhash } = preview_again(library, &image, &keys).await?;
    let signed = SignedImage { preview: preview.info(), ..SignedImage::from(&image.info) };
    let album = library.cache.store.album_of(image.info.no).await?;
    // What has no record has no description, and no moment of capture.
    let labels = Labels { album, thumbhash, ..Labels::default() };
    let record = sign(library, &signed, (&preview, labels)).await?;
    let sign = Sign { image: image.info.no, sealed: image.info.sealed.hash, preview, record: record.clone() };
    match library.directory.request_again(Op::Sign(Box::new(sign))).await? {
        Answer::Image(stands) => {
            let info = ImageInfo { preview: signed.preview, record: Some(record), ..image.info };
            let info = ImageInfo { record: standing_record(library, &stands, info.record)?, ..info };
            Ok(library.cache.store.set_record(info).await?)
        }
        _ => Err(unexpected()),
    }
}

/// The preview of an image of one's own, made from its sealed copy.
async fn preview_again(library: &Library, image: &OwnImage, keys: &ImageKeys) -> Result<Remade, WireError> {
    let _place =
        library.previews.acquire().await.map_err(|_| WireError::new(Code::Internal, "the daemon stops"))?;
    let _pin = library.cache.copies.pin(image.info.sealed.hash);
    let wanted = (&image.info, library.directory.preview_size());
    sealing::preview_of(&library.cache.copies, wanted, keys.content_key().clone()).await
}
