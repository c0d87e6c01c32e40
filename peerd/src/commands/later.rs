//! `share --later`: a peer gets every image of an album, also those that come into it later.

use std::sync::Arc;

use dos_protocol::{
    AlbumName, Code, PeerRef, WireError,
    control::{Outcome, Terms},
    limits::ALBUM_RULES_MAX,
};

use super::{Services, add::new_album};
use crate::{directory::unregistered, store::RuleSet};

/// Sets the rule and gives what is due by it now, or, without terms, ends it.
///
/// # Errors
/// `not_found` for an unknown peer, or a rule that is to be ended and is not there; `denied` with too many; `offline`.
pub(super) async fn run(
    services: &Arc<Services>,
    album: AlbumName,
    (viewer, terms): (PeerRef, Option<Terms>),
) -> Result<Outcome, WireError> {
    let (me, _) = services.identity.registered().ok_or_else(unregistered)?;
    let viewer_id = match services.trust.who(&viewer).await {
        Ok(id) => id,
        Err(error) => return Err(services.trust.missing(&viewer, error).await),
    };
    let Some(terms) = terms else {
        // Nothing is given by it while it ends, nor afterwards.
        let _applying = services.albums.still().await;
        let ended = services.store.end_rule(album.clone(), viewer_id).await?;
        return match ended {
            Some(rule) => Ok(Outcome::Rule(Box::new(rule))),
            None => Err(WireError::new(
                Code::NotFound,
                format!("{viewer} does not get what comes into \"{album}\""),
            )
            .hint("dosctl albums")),
        };
    };
    if viewer_id == me {
        return Err(WireError::new(Code::Invalid, "an owner's own views are free and need no grant"));
    }
    let album = new_album(album)?;
    services.upstream.ready().await?;
    // Only to a key that is known: whoever is to get what is not there yet is pinned now.
    services.trust.contact(viewer_id).await?;
    let set = {
        let _applying = services.albums.still().await;
        services.store.set_rule(album.clone(), viewer_id, terms).await?
    };
    if set == RuleSet::TooMany {
        let text = format!("there are at most {ALBUM_RULES_MAX} of these rules");
        return Err(WireError::new(Code::Denied, text).hint("dosctl albums"));
    }
    // What cannot be given now is given later; the rule stands.
    let applied = services.albums.apply().await;
    let rule = services.store.rule(album, viewer_id).await?;
    match (rule, applied) {
        (Some(rule), _) => Ok(Outcome::Rule(Box::new(rule))),
        (None, Err(error)) => Err(error),
        (None, Ok(())) => Err(WireError::new(Code::Conflict, "the rule was ended at the same time")),
    }
}
