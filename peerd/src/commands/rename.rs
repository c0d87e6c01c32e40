//! `rename`: gives an image of one's own another name.

use dos_protocol::{
    Code, ImageName, WireError,
    control::Outcome,
    directory::{Answer, Op},
    model::ImageInfo,
    name::NameError,
};

use super::operation::Operation;
use crate::{
    directory::unexpected,
    library::{own_info, sign_renamed, standing_record},
};

/// Renames it at the directory, then here.
///
/// # Errors
/// `not_found`; `conflict` if the new name is taken; `offline`.
pub(super) async fn run(change: &Operation, name: ImageName, new: ImageName) -> Result<Outcome, WireError> {
    let services = &change.services;
    let new = new.composed().map_err(bad_name)?;
    let _busy = services.library.names_busy.claim_soon(&new).await?;
    let image = match own_info(&services.library, &name).await {
        // It has its new name already.
        Err(error) if error.code == Code::NotFound && change.is_repeated().await? => {
            return match own_info(&services.library, &new).await {
                Ok(info) => Ok(Outcome::Image(Box::new(info))),
                Err(_) => Err(error),
            };
        }
        other => other?,
    };
    if new == image.name {
        return Ok(Outcome::Image(Box::new(image)));
    }
    new.check_new().map_err(bad_name)?;
    let record = sign_renamed(&services.library, &image, &new).await?;
    match change
        .request(Op::Rename { image: image.no, name: new, record: record.clone().map(Box::new) })
        .await?
    {
        Answer::Image(info) => {
            let info = ImageInfo { record: standing_record(&services.library, &info, record)?, ..*info };
            services.store.rename_image(info.clone()).await?;
            Ok(Outcome::Image(Box::new(info)))
        }
        _ => Err(unexpected()),
    }
}

fn bad_name(error: NameError) -> WireError {
    WireError::new(Code::Invalid, error.to_string())
}
