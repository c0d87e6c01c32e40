//! Images: published, looked at, renamed, removed.

use dos_protocol::{
    Code, ImageArg, ImageName, ImageNo, ImagePath, PeerId, Timestamp, WireError,
    directory::{Answer, Preview, PreviewOf, Publish},
    limits::{ORIGINAL_BYTES_MAX, PREVIEW_BYTES_MAX, PREVIEW_PIXELS_MAX},
};

use super::Directory;
use crate::store::Refusal;

impl Directory {
    pub(super) async fn publish(&self, owner: PeerId, publish: Publish) -> Result<Answer, Refusal> {
        check(&publish)?;
        let image = self.store.publish(owner, publish, Timestamp::now()).await?;
        Ok(Answer::Image(Box::new(image)))
    }

    pub(super) async fn image(&self, asker: PeerId, image: ImageArg) -> Result<Answer, Refusal> {
        let owner = self.owner_of(asker, &image).await?;
        Ok(Answer::Image(Box::new(self.store.image(asker, owner, image.name).await?)))
    }

    pub(super) async fn preview(&self, asker: PeerId, image: ImageArg) -> Result<Answer, Refusal> {
        let owner = self.owner_of(asker, &image).await?;
        let (image, data) = self.store.preview(owner, image.name).await?;
        let info = image.preview;
        Ok(Answer::Preview(PreviewOf {
            path: ImagePath { owner, name: image.name },
            image_id: image.original.image_id,
            preview: Preview { format: info.format, width: info.width, height: info.height, data },
        }))
    }

    pub(super) async fn remove(&self, owner: PeerId, image: ImageNo) -> Result<Answer, Refusal> {
        self.store.remove_image(owner, image, Timestamp::now()).await?;
        Ok(Answer::Done)
    }

    pub(super) async fn rename(
        &self,
        owner: PeerId,
        image: ImageNo,
        name: ImageName,
    ) -> Result<Answer, Refusal> {
        let image = self.store.rename_image(owner, image, name, Timestamp::now()).await?;
        Ok(Answer::Image(Box::new(image)))
    }

    pub(super) async fn owner_of(&self, asker: PeerId, image: &ImageArg) -> Result<PeerId, Refusal> {
        match &image.owner {
            None => Ok(asker),
            Some(owner) => Ok(self.find(Some(asker), owner).await?.id),
        }
    }
}

/// What an owner's daemon sends is hostile until it is checked.
fn check(publish: &Publish) -> Result<(), Refusal> {
    let (original, preview) = (&publish.original, &publish.preview);
    let why = if preview.data.is_empty() || preview.data.len() > PREVIEW_BYTES_MAX {
        format!("a preview has 1 to {PREVIEW_BYTES_MAX} bytes")
    } else if !(1..=PREVIEW_PIXELS_MAX).contains(&preview.width)
        || !(1..=PREVIEW_PIXELS_MAX).contains(&preview.height)
    {
        format!("a preview fits in {PREVIEW_PIXELS_MAX}x{PREVIEW_PIXELS_MAX} pixels")
    } else if original.bytes == 0 || original.bytes > ORIGINAL_BYTES_MAX {
        format!("an original has 1 to {ORIGINAL_BYTES_MAX} bytes")
    } else if original.width == 0 || original.height == 0 {
        "an original has at least one pixel".into()
    } else if publish.sealed.bytes <= original.bytes || publish.sealed.bytes > original.bytes * 2 + (1 << 20)
    {
        "a sealed copy is a little larger than its original".into()
    } else {
        return Ok(());
    };
    Err(WireError::new(Code::Invalid, why).into())
}
