//! Albums of one's own: which images are in one.

use dos_protocol::{
    AlbumName, ImageName,
    control::{Command, Outcome, Rule},
};

use crate::{
    context::{Context, unexpected},
    error::Error,
    pieces::ENTRIES_MAX,
};

/// What is in an album, and who gets what comes into it.
///
/// # Errors
/// `not_found` if there is no such album; what peerd reports.
pub(crate) fn of(name: &AlbumName, context: &Context) -> Result<(Vec<ImageName>, Vec<Rule>), Error> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let Outcome::Album { images, more, rules } =
            context.ask(Command::Album { name: name.clone(), after })?
        else {
            return Err(unexpected());
        };
        all.extend(images);
        after = all.last().cloned();
        if !more || all.len() > ENTRIES_MAX {
            return Ok((all, rules));
        }
    }
}
