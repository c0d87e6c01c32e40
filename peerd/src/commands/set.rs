//! `set`: who may see an image of one's own, which album it is in, and what is to be seen on it.

use dos_protocol::{
    AlbumName, Code, Description, ImageName, Visibility, WireError,
    control::{AlbumChange, DescriptionChange, Outcome},
    directory::{Answer, Op, Set},
    model::ImageInfo,
    record::{ImageRecord, SignedImage},
};

use super::{add::new_album, operation::Operation};
use crate::{
    directory::unexpected,
    library::{no_albums, own_info, sign_again, standing_record},
};

/// Says it to the directory, then notes it here, with what that makes due to those who get what comes into the album.
///
/// # Errors
/// `not_found`; `invalid` for what cannot be an album; `unsupported` by an earlier directory; `offline`.
pub(super) async fn run(
    change: &Operation,
    name: ImageName,
    visibility: Option<Visibility>,
    said: (Option<AlbumChange>, Option<DescriptionChange>),
) -> Result<Outcome, WireError> {
    let services = &change.services;
    let said = Said::of(said)?;
    let _busy = services.library.names_busy.claim_soon(&name).await?;
    let image = own_info(&services.library, &name).await?;
    let record = if said == Said::default() { None } else { word(change, &image, said).await? };
    let set = Set { image: image.no, visibility, record: record.clone() };
    match change.request(Op::Set(Box::new(set))).await {
        Ok(Answer::Image(info)) => {
            let record = record.or_else(|| image.record.clone());
            let info = ImageInfo { record: standing_record(&services.library, &info, record)?, ..*info };
            services.store.set_image(info.clone()).await?;
            services.albums.look();
            Ok(Outcome::Image(Box::new(info)))
        }
        Ok(_) => Err(unexpected()),
        Err(error) if error.code == Code::Unsupported => Err(no_albums()),
        Err(error) => Err(error),
    }
}

/// What is to be said anew: `None` for what stays, `Some(None)` for what is said no more.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    album: Option<Option<AlbumName>>,
    description: Option<Option<Description>>,
}

impl Said {
    fn of((album, description): (Option<AlbumChange>, Option<DescriptionChange>)) -> Result<Self, WireError> {
        Ok(Self {
            album: match album {
                None => None,
                Some(AlbumChange::Out) => Some(None),
                Some(AlbumChange::In(album)) => Some(Some(new_album(album)?)),
            },
            description: match description {
                None => None,
                Some(DescriptionChange::Out) => Some(None),
                Some(DescriptionChange::To(text)) => Some(Some(text)),
            },
        })
    }
}

/// This peer's word for the image with these labels; nothing if that is what it has said.
async fn word(change: &Operation, image: &ImageInfo, said: Said) -> Result<Option<ImageRecord>, WireError> {
    let Some(record) = &image.record else {
        let text =
            format!("\"{}\" is not signed yet, which takes a moment after the first sign-in", image.name);
        return Err(WireError::new(Code::Conflict, text).hint("dosctl list --mine"));
    };
    let mut labels = record.labels();
    labels.album = said.album.unwrap_or(labels.album);
    labels.description = said.description.unwrap_or(labels.description);
    if record.labels() == labels {
        return Ok(None);
    }
    let word = (record.preview_hash, labels);
    sign_again(&change.services.library, &SignedImage::from(image), word).await.map(Some)
}
