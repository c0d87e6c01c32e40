//! Images: published, looked at, renamed, removed.

use dos_protocol::{
    ImageArg, ImageName, ImageNo, ImagePath, PeerId, Visibility,
    directory::{Answer, Preview, PreviewOf, Publish, Set, Sign},
    record::ImageRecord,
};

use super::Directory;
use crate::{
    rules::publish::{check, check_preview},
    store::{Change, Refusal, Wanted},
};

impl Directory {
    pub(super) async fn publish(
        &self,
        change: Change,
        publish: Publish,
        visibility: Option<Visibility>,
    ) -> Result<Answer, Refusal> {
        check(&publish, self.preview_size)?;
        let wanted = match visibility {
            Some(visibility) => Wanted::These(visibility),
            None => Wanted::Unsaid(self.settings().default_visibility),
        };
        let image = self.store.publish(change, (publish, wanted)).await?;
        Ok(Answer::Image(Box::new(image)))
    }

    pub(super) async fn image(&self, caller: PeerId, image: ImageArg) -> Result<Answer, Refusal> {
        let owner = self.owner_of(caller, &image).await?;
        Ok(Answer::Image(Box::new(self.store.image(caller, owner, image.name).await?)))
    }

    pub(super) async fn preview(&self, caller: PeerId, image: ImageArg) -> Result<Answer, Refusal> {
        let owner = self.owner_of(caller, &image).await?;
        let (image, data) = self.store.preview(caller, owner, image.name).await?;
        let info = image.preview;
        Ok(Answer::Preview(PreviewOf {
            path: ImagePath { owner, name: image.name.clone() },
            image_id: image.original.image_id,
            preview: Preview { format: info.format, width: info.width, height: info.height, data },
            image: image.record.is_some().then(|| Box::new(image)),
        }))
    }

    pub(super) async fn sign_image(&self, change: Change, sign: Sign) -> Result<Answer, Refusal> {
        check_preview(&sign.preview, self.preview_size)?;
        Ok(Answer::Image(Box::new(self.store.sign_image(change, sign).await?)))
    }

    pub(super) async fn set_image(&self, change: Change, set: Set) -> Result<Answer, Refusal> {
        Ok(Answer::Image(Box::new(self.store.set_image(change, set).await?)))
    }

    pub(super) async fn remove(&self, change: Change, image: ImageNo) -> Result<Answer, Refusal> {
        self.store.remove_image(change, image).await?;
        Ok(Answer::Done)
    }

    pub(super) async fn rename(
        &self,
        change: Change,
        image: ImageNo,
        renamed: (ImageName, Option<ImageRecord>),
    ) -> Result<Answer, Refusal> {
        let image = self.store.rename_image(change, image, renamed).await?;
        Ok(Answer::Image(Box::new(image)))
    }

    async fn owner_of(&self, caller: PeerId, image: &ImageArg) -> Result<PeerId, Refusal> {
        match &image.owner {
            None => Ok(caller),
            Some(owner) => Ok(self.find(Some(caller), owner).await?.id),
        }
    }
}
