//! `add`: seals an image while it arrives, looks at it, and publishes it: at once, or when the caller says that it is its turn.

use std::sync::Arc;

use dos_protocol::{
    AlbumName, Code, Description, ImageArg, ImageName, Visibility, WireError,
    control::{AddOptions, Command, Outcome},
    directory::Publish,
    model::ImageInfo,
    record::{Labels, SignedImage},
};

use super::{Finished, Piece, Sink, Upload, operation::Operation, to_its_end};
use crate::{
    copies::blocking,
    directory::{unexpected, unregistered},
    keys::{ImageKeys, StoredKeys},
    library::{BusyName, finish_publication_of, publish, sign},
    rules::names::numbered,
    sealing::{Looked, SealedFile, Sealing, Subject},
    shell::quoted,
    store::Publication,
};

/// What the caller wants.
struct Wanted {
    name: ImageName,
    /// Takes the place of an image of the same name.
    replace: bool,
    /// `None` of an older caller.
    options: Option<AddOptions>,
    /// Who is to see it, if that is said.
    visibility: Option<Visibility>,
    /// The album that it is to be in. One that takes the place of another stays where that is, if nothing is said.
    album: Option<AlbumName>,
    /// What is to be seen on it. That of another picture does not stay.
    description: Option<Description>,
}

impl Wanted {
    fn of(command: Command) -> Option<Self> {
        match command {
            Command::Add { name, replace, options } => {
                Some(Self { name, replace, options, visibility: None, album: None, description: None })
            }
            Command::AddAs { name, replace, options, visibility, album, description } => {
                Some(Self { name, replace, options: Some(options), visibility, album, description })
            }
            _ => None,
        }
    }
}

/// What is to be added.
struct Addition {
    wanted: Wanted,
    keys: ImageKeys,
    _busy: BusyName,
}

impl Addition {
    fn waits_for_its_turn(&self) -> bool {
        self.wanted.options.is_some_and(|options| options.in_turn)
    }
}

/// An image that can be published.
struct Seen {
    addition: Addition,
    looked: Looked,
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
    command: Command,
    upload: &mut dyn Upload,
    sink: &Sink,
) -> Result<Finished, WireError> {
    let wanted = Wanted::of(command).ok_or_else(unexpected)?;
    match receive(&change, wanted, upload).await {
        Ok(Received::Sealed(received)) if received.0.waits_for_its_turn() => {
            match ready(&change, *received, upload, sink).await {
                Ok(seen) => publish_at_once(change, Box::new(seen)).await,
                Err(error) => change.conclude(Err(error)).await,
            }
        }
        Ok(Received::Sealed(received)) => look_and_publish(change, received).await,
        Ok(Received::Known(info)) => change.conclude(Ok(Outcome::Image(info).into())).await,
        Err(error) => change.conclude(Err(error)).await,
    }
}

/// Runs to its end, also if the caller goes away.
async fn look_and_publish(
    change: Arc<Operation>,
    received: Box<(Addition, SealedFile)>,
) -> Result<Finished, WireError> {
    to_its_end(async move {
        let outcome = match look(&change, *received).await {
            Ok(seen) => Box::pin(complete(&change, seen)).await,
            Err(error) => Err(error),
        };
        change.conclude(outcome.map(Finished::from)).await
    })
    .await
}

/// Runs to its end, also if the caller goes away.
async fn publish_at_once(change: Arc<Operation>, seen: Box<Seen>) -> Result<Finished, WireError> {
    to_its_end(async move {
        let outcome = Box::pin(complete(&change, *seen)).await;
        change.conclude(outcome.map(Finished::from)).await
    })
    .await
}

/// Does all but the publication, and waits for the turn of that. When the caller goes away, nothing has been published.
async fn ready(
    change: &Operation,
    received: (Addition, SealedFile),
    upload: &mut dyn Upload,
    sink: &Sink,
) -> Result<Seen, WireError> {
    let seen = look(change, received).await?;
    // So that the disk has little left to do when the turn comes.
    let seen = blocking(move || seen.looked.sealed.sync().map(|()| seen)).await??;
    sink.give(Piece::Ready(seen.looked.original.bytes, None)).await?;
    upload.turn().await?;
    Ok(seen)
}

async fn receive(change: &Operation, wanted: Wanted, upload: &mut dyn Upload) -> Result<Received, WireError> {
    let Wanted { name, replace, options, visibility, album, description } = wanted;
    let album = album.map(new_album).transpose()?;
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
    let (keys, album) = match services.store.own_image(name.clone()).await? {
        Some(image) if !replace => return compare(change, image.info, upload).await,
        // A replaced image keeps its keys, and with them the grants to it.
        Some(image) => {
            let keys = ImageKeys::open(&identity.vault, &image)?;
            (keys, album.or(services.store.album_of(image.info.no).await?))
        }
        None => (ImageKeys::generate()?, album),
    };
    let any = options.is_some_and(|options| options.any);
    let mut sealing = Sealing::begin(&services.cache.copies, keys.content_key().clone(), any)?;
    while let Some(piece) = upload.next().await? {
        sealing.push(piece).await?;
    }
    let wanted = Wanted { name, replace, options, visibility, album, description };
    let addition = Addition { wanted, keys, _busy: busy };
    Ok(Received::Sealed(Box::new((addition, sealing.finish().await?))))
}

/// The name of an album, if it may be called so.
///
/// # Errors
/// `invalid` if not.
pub(super) fn new_album(album: AlbumName) -> Result<AlbumName, WireError> {
    album.new_name().map_err(|error| {
        WireError::new(Code::Invalid, format!("\"{album}\" cannot be an album: {error}"))
            .hint("dosctl albums")
    })
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

/// Makes the preview.
async fn look(change: &Operation, (addition, sealed): (Addition, SealedFile)) -> Result<Seen, WireError> {
    let library = &change.services.library;
    let asked = addition.wanted.options.unwrap_or_default();
    let subject = Subject {
        name: addition.wanted.name.to_string(),
        any: asked.any,
        size: library.directory.preview_size(),
        dated: asked.keep_date,
    };
    let looked = sealed.preview(&library.previews, subject).await?;
    match &looked.warning {
        Some(warning) if asked.strict => Err(WireError::new(Code::Invalid, warning.clone())),
        _ => Ok(Seen { addition, looked }),
    }
}

async fn complete(change: &Operation, seen: Seen) -> Result<Outcome, WireError> {
    let Seen { addition, looked } = seen;
    let Addition { wanted, keys, _busy } = addition;
    let Wanted { name, replace, options, visibility, album, description } = wanted;
    let Looked { sealed, original, preview, thumbhash, taken, warning } = looked;
    let services = &change.services;
    let (me, identity) = services.identity.registered().ok_or_else(unregistered)?;
    let copy = sealed.copy();
    let StoredKeys { content_key, share_secret } = keys.store(&identity.vault, &copy.hash)?;
    let blocks = sealed.blocks();
    sealed.put_in_place(&services.cache.copies).await?;
    let image = SignedImage { owner: me, name, original, sealed: copy, preview: preview.info() };
    let labels = Labels { album, description, thumbhash, taken };
    let record = sign(&services.library, &image, (&preview, labels)).await?;
    let name = image.name;
    let publish_op = Publish { name, original, sealed: copy, preview, replace, record: Some(record) };
    let publication = Publication { publish: publish_op, visibility, content_key, share_secret };
    // The same command again finds the image and knows that it is its own.
    change.begun_at().await?;
    services.store.begin_publication(publication.clone(), blocks).await?;
    let info = publish(&services.library, publication).await.inspect_err(|error| {
        // The publication stays open and is finished later.
        if matches!(error.code, Code::Offline | Code::Timeout | Code::Internal) {
            change.outcome_is_unknown();
        }
    })?;
    services.albums.look();
    tracing::info!(image = %info.name, bytes = info.original.bytes, "added an image");
    let image = Box::new(info);
    Ok(match warning {
        // An older caller would not understand it.
        Some(warning) if options.is_some() => Outcome::Added { image, warning: warning.into() },
        _ => Outcome::Image(image),
    })
}
