//! One's own images, as a person names them: `NAME`, or `OWNER/NAME` with oneself for the owner.

use dos_protocol::{
    Code, ImageArg, ImageName, PeerRef, WireError,
    control::{Command, Outcome},
};

use crate::{
    context::{Context, unexpected},
    error::Error,
};

/// The name of an image of one's own.
///
/// # Errors
/// `invalid` if it is another peer's.
pub(crate) fn name_of(image: ImageArg, context: &Context) -> Result<ImageName, Error> {
    let Some(owner) = &image.owner else { return Ok(image.name) };
    let Outcome::Status(status) = context.ask(Command::Status)? else { return Err(unexpected()) };
    let is_own = match owner {
        PeerRef::Id(id) => status.id == Some(*id),
        PeerRef::Name(name) => status.name.as_ref() == Some(name),
        PeerRef::Address(address) => status.address == Some(*address),
    };
    if is_own {
        return Ok(image.name);
    }
    let error = WireError::new(Code::Invalid, format!("{image} is not yours"));
    Err(error.hint("dosctl list --mine").into())
}
