//! `remove`: withdraws an image of one's own, and with it every right to it.

use std::sync::Arc;

use dos_protocol::{
    Code, ImageName, ImagePath, WireError,
    control::Outcome,
    directory::{Answer, Op},
};

use crate::{Core, library::own_info, upstream::unexpected};

/// Has the directory forget the image, then forgets it here.
///
/// # Errors
/// `not_found`; `offline`.
pub(super) async fn run(core: &Arc<Core>, name: ImageName) -> Result<Outcome, WireError> {
    let image = own_info(core, &name).await?;
    match core.upstream.request_again(Op::Remove(image.no)).await {
        Ok(Answer::Done) => {}
        Ok(_) => return Err(unexpected()),
        // An earlier answer was lost: it is gone already.
        Err(error) if error.code == Code::NotFound => {}
        Err(error) => return Err(error),
    }
    let free = core.store.remove_image(image.no).await?;
    core.copies.remove(free).await;
    core.recount_requests().await?;
    Ok(Outcome::Removed(ImagePath { owner: image.owner, name: image.name }))
}
