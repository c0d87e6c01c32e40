//! Images: published, replaced, renamed and removed by their owner, within its quotas.

use dos_protocol::{
    Code, ImageName, ImageNo, ImagePath, PeerId, Visibility, WireError,
    directory::{Preview, Publish, Set, Sign, Update},
    limits::ORIGINAL_BYTES_MAX,
    model::{Format, ImageInfo, PreviewSize},
    record::ImageRecord,
};

use super::{
    Owe,
    quota::{Quotas, check_rows},
    refusal::{conflict, invalid, not_found, reached},
};

/// What a publication is decided on.
#[derive(Debug)]
pub(crate) struct Publishing {
    /// The owner's image of the same name.
    pub(crate) existing: Option<ImageInfo>,
    /// How many images the owner has.
    pub(crate) images: u64,
    /// How many bytes their previews have together.
    pub(crate) preview_bytes: u64,
    /// Bytes of the owner's rows.
    pub(crate) row_bytes: u64,
    pub(crate) quotas: Quotas,
}

/// What becomes of a publication.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Published {
    /// The same sealed copy is there under this name already.
    Unchanged(ImageInfo),
    /// The image takes the place of this one and keeps its number.
    Replaced(ImageInfo),
    /// A new image.
    New,
}

/// Publishes an image, or replaces one.
pub(crate) fn publish(state: Publishing, publish: &Publish) -> Result<Published, WireError> {
    let gone = match &state.existing {
        Some(old) if old.sealed.hash == publish.sealed.hash => {
            return Ok(state.existing.map_or(Published::New, Published::Unchanged));
        }
        Some(_) if !publish.replace => return Err(name_taken(&publish.name)),
        Some(old) => u64::from(old.preview.bytes),
        None if state.images >= state.quotas.images => {
            let why = format!("a peer can publish at most {} images", state.quotas.images);
            return Err(reached("images_per_peer", &why));
        }
        None => {
            check_name(&publish.name)?;
            check_rows(state.row_bytes, &state.quotas)?;
            0
        }
    };
    let bytes = u64::from(publish.preview.info().bytes);
    check_room((state.preview_bytes, state.quotas), gone, bytes)?;
    Ok(state.existing.map_or(Published::New, Published::Replaced))
}

/// Refuses a new name that deceives; images of earlier releases keep theirs.
fn check_name(name: &ImageName) -> Result<(), WireError> {
    name.check_new().map_err(|error| invalid(error.to_string()))
}

/// What an image that its owner asserts from an earlier incarnation is decided on.
#[derive(Debug)]
pub(crate) struct Remembered {
    /// The image of this number.
    pub(crate) known: Option<ImageInfo>,
    /// The owner's image of this name.
    pub(crate) named: Option<ImageInfo>,
    /// The last number that may have been given.
    pub(crate) last: u64,
    /// As in [`Publishing`].
    pub(crate) images: u64,
    /// As in [`Publishing`].
    pub(crate) preview_bytes: u64,
    pub(crate) quotas: Quotas,
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kept {
    /// It is there as it is asserted.
    Unchanged,
    /// It is written, in place of what has its number.
    Written {
        /// Another image of the owner has its name, and is called otherwise until its owner asserts how.
        displaced: Option<(ImageNo, ImageName)>,
    },
    /// The number is another owner's, was never given, or there is no room.
    Refused,
}

/// Whether the owner's word for the first is later than that for the second.
fn is_newer(image: &ImageInfo, known: &ImageInfo) -> bool {
    let revision = |image: &ImageInfo| image.record.as_ref().map(|record| record.revision);
    revision(image) > revision(known)
}

/// Decides on an image that its owner asserts. The owner's word counts: what the directory has is from before.
///
/// A number that is free may be asserted by another peer than the one that had it; then that one is refused, and told. Numbers that are given
/// from now on are beyond all of these.
pub(crate) fn assert(state: &Remembered, image: &ImageInfo) -> Kept {
    let is_alien = state.known.as_ref().is_some_and(|known| known.owner != image.owner);
    if is_alien || image.no.0 == 0 || image.no.0 > state.last {
        return Kept::Refused;
    }
    let gone = match &state.known {
        Some(known)
            if known.sealed == image.sealed
                && known.name == image.name
                && known.visibility == image.visibility
                && !is_newer(image, known) =>
        {
            return Kept::Unchanged;
        }
        Some(known) => u64::from(known.preview.bytes),
        None if state.images >= state.quotas.images => return Kept::Refused,
        None => 0,
    };
    let bytes = state.preview_bytes.saturating_sub(gone).saturating_add(image.preview.bytes.into());
    if bytes > state.quotas.preview_bytes {
        return Kept::Refused;
    }
    let other = state.named.as_ref().filter(|named| named.no != image.no);
    let displaced = match other.map(|other| (other.no, format!("{}~displaced", other.no).parse())) {
        None => None,
        Some((no, Ok(name))) => Some((no, name)),
        Some((_, Err(_))) => return Kept::Refused,
    };
    Kept::Written { displaced }
}

/// The image as it is listed once it is published.
pub(crate) fn published(
    owner: PeerId,
    (no, visibility): (ImageNo, Visibility),
    publish: &Publish,
) -> ImageInfo {
    ImageInfo {
        no,
        owner,
        name: publish.name.clone(),
        original: publish.original,
        sealed: publish.sealed,
        preview: publish.preview.info(),
        access: None,
        record: publish.record.clone(),
        signature: None,
        visibility,
        added_at: None,
    }
}

/// The image with the owner's word for it and the preview that it speaks of; nothing if a word of the same or a later revision is
/// there. `previews` are the bytes that the owner's previews have together.
pub(crate) fn sign(
    image: &ImageInfo,
    sign: &Sign,
    (previews, quotas): (u64, Quotas),
) -> Result<Option<ImageInfo>, WireError> {
    if image.sealed.hash != sign.sealed {
        return Err(WireError::new(Code::Stale, "the image has another sealed copy"));
    }
    if is_known(image, &sign.record) {
        return Ok(None);
    }
    let preview = sign.preview.info();
    check_room((previews, quotas), image.preview.bytes.into(), preview.bytes.into())?;
    Ok(Some(ImageInfo { preview, record: Some(sign.record.clone()), ..image.clone() }))
}

/// Whether a word of the same or a later revision is there.
fn is_known(image: &ImageInfo, record: &ImageRecord) -> bool {
    image.record.as_ref().is_some_and(|known| known.revision >= record.revision)
}

/// The image as its owner wants it seen, with the album and the description that its word names; nothing if it is so already.
/// `row_bytes` are those of the owner's rows.
pub(crate) fn set(
    image: &ImageInfo,
    set: &Set,
    (row_bytes, quotas): (u64, Quotas),
) -> Result<Option<ImageInfo>, WireError> {
    let mut changed = image.clone();
    changed.visibility = set.visibility.unwrap_or(image.visibility);
    if let Some(record) = set.record.as_ref().filter(|record| !is_known(image, record)) {
        changed.record = Some(record.clone());
        if described(&changed) > described(image) {
            check_rows(row_bytes, &quotas)?;
        }
    }
    Ok((changed != *image).then_some(changed))
}

/// The bytes of the description.
fn described(image: &ImageInfo) -> usize {
    image.record.as_ref().and_then(ImageRecord::description).map_or(0, |text| text.as_str().len())
}

/// Refuses a preview that would make those of its owner too large together; `gone` are the bytes of the one that it replaces.
fn check_room((previews, quotas): (u64, Quotas), gone: u64, bytes: u64) -> Result<(), WireError> {
    if previews.saturating_sub(gone).saturating_add(bytes) > quotas.preview_bytes {
        let why = format!("the previews of a peer have at most {} bytes together", quotas.preview_bytes);
        return Err(reached("preview_bytes_per_peer", &why));
    }
    Ok(())
}

/// The image, if it is the caller's. That another peer has one of this number is not told.
pub(crate) fn own(image: Option<ImageInfo>, owner: PeerId) -> Result<ImageInfo, WireError> {
    image.filter(|image| image.owner == owner).ok_or_else(|| not_found("you have no such image"))
}

/// The image under its new name with what is owed to its owner; nothing if that is its name already. `taken` says whether the
/// owner has an image of that name.
pub(crate) fn rename(
    image: &ImageInfo,
    (name, record): (ImageName, Option<ImageRecord>),
    taken: bool,
) -> Result<Option<(ImageInfo, Owe)>, WireError> {
    if image.name == name {
        return Ok(None);
    }
    check_name(&name)?;
    if taken {
        return Err(name_taken(&name));
    }
    let path = ImagePath { owner: image.owner, name: name.clone() };
    let owe = Owe::to(image.owner, Update::Renamed { image: image.no, path });
    Ok(Some((ImageInfo { name, record, ..image.clone() }, owe)))
}

/// Owes the removal of an image to its owner and to all that had a grant for it or a pending request: once to each.
pub(crate) fn removed(image: &ImageInfo, mut concerned: Vec<PeerId>) -> Vec<Owe> {
    concerned.push(image.owner);
    concerned.sort_unstable();
    concerned.dedup();
    let path = ImagePath { owner: image.owner, name: image.name.clone() };
    let update = || Update::Removed { image: image.no, path: path.clone() };
    concerned.into_iter().map(|peer| Owe::to(peer, update())).collect()
}

pub(crate) fn no_image(owner: PeerId, name: &ImageName) -> WireError {
    not_found(format!("there is no image {owner}/{name}"))
}

fn name_taken(name: &ImageName) -> WireError {
    conflict(format!("you have an image named {name} already"))
}

/// Whether an image that is kept can have been published.
pub(crate) fn is_possible(image: &ImageInfo) -> bool {
    let (original, preview) = (&image.original, &image.preview);
    let has_pixels = |width: u32, height: u32| width > 0 && height > 0;
    is_size(original.width, original.height)
        && has_pixels(preview.width, preview.height)
        && preview.bytes > 0
        && original.bytes > 0
        && image.sealed.bytes > original.bytes
}

/// Whether an original can have this size: none is known of what its owner's daemon does not decode.
fn is_size(width: u32, height: u32) -> bool {
    (width == 0) == (height == 0)
}

const UNKNOWN_FORMAT: &str = "the directory does not know this format";

/// Refuses a preview of impossible sizes, and one above the `size` that is kept.
pub(crate) fn check_preview(preview: &Preview, size: PreviewSize) -> Result<(), WireError> {
    let (pixels, bytes_max) = (size.pixels(), size.bytes_max());
    let why = if preview.format == Format::Unknown {
        UNKNOWN_FORMAT.into()
    } else if preview.data.is_empty() || preview.data.len() > bytes_max {
        format!("a preview has 1 to {bytes_max} bytes")
    } else if !(1..=pixels).contains(&preview.width) || !(1..=pixels).contains(&preview.height) {
        format!("a preview fits in {pixels}x{pixels} pixels")
    } else {
        return Ok(());
    };
    Err(invalid(why))
}

/// Refuses a publication of impossible sizes: what an owner's daemon sends is hostile until it is checked.
pub(crate) fn check(publish: &Publish, size: PreviewSize) -> Result<(), WireError> {
    let (original, sealed) = (&publish.original, publish.sealed.bytes);
    check_preview(&publish.preview, size)?;
    let why = if original.format == Format::Unknown {
        UNKNOWN_FORMAT.into()
    } else if original.bytes == 0 || original.bytes > ORIGINAL_BYTES_MAX {
        format!("an original has 1 to {ORIGINAL_BYTES_MAX} bytes")
    } else if !is_size(original.width, original.height) {
        "an original has at least one pixel, if its size is known".into()
    } else if sealed <= original.bytes || sealed > original.bytes * 2 + (1 << 20) {
        "a sealed copy is a little larger than its original".into()
    } else {
        return Ok(());
    };
    Err(invalid(why))
}

#[cfg(test)]
mod tests;
