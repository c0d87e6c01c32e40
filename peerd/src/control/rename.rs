//! `rename`: gives an image of one's own another name.

use std::sync::Arc;

use dos_protocol::{
    Code, ImageName, WireError,
    control::Outcome,
    directory::{Answer, Op},
};

use crate::{Core, library::own_info, upstream::unexpected};

/// Renames it at the directory, then here.
///
/// # Errors
/// `not_found`; `conflict` if the new name is taken; `offline`.
pub(super) async fn run(core: &Arc<Core>, name: ImageName, new: ImageName) -> Result<Outcome, WireError> {
    let Some(_busy) = core.names_busy.claim(&new) else {
        return Err(WireError::new(
            Code::Conflict,
            format!("an image named \"{new}\" is being added just now"),
        ));
    };
    let image = own_info(core, &name).await?;
    match core.upstream.request_again(Op::Rename { image: image.no, name: new }).await? {
        Answer::Image(info) => {
            core.store.rename_image((*info).clone()).await?;
            Ok(Outcome::Image(info))
        }
        _ => Err(unexpected()),
    }
}
