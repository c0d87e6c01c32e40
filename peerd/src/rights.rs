//! What one may do with an image that a person named: it is one's own, or there is a grant, or there is a reason why not.
//!
//! What always holds: a grant that is known here and usable is taken as it is, since the directory decides again when a
//! view is spent; anything else is asked of the directory before it is reported.

use std::sync::Arc;

use dos_protocol::{
    Code, ImageArg, PeerId, PeerRef, Reason, Timestamp, WireError,
    directory::{Answer, Op},
    model::{AccessState, Grant, GrantState, ImageInfo},
};

use crate::{
    cache::Cache,
    directory::{Directory, no_image, unexpected, unregistered},
    identity::Identities,
    library::{self, Library},
    shell::quoted,
    store::{Live, OwnImage},
};

/// An image that a person named.
#[derive(Debug)]
pub(crate) enum Target {
    /// One's own.
    Own(Box<OwnImage>),
    /// Another peer's, with the grant as it is known here, if any.
    Other(Option<Box<Grant>>),
}

/// What finding and judging grants works with.
#[derive(Debug, Clone)]
pub(crate) struct Grants {
    pub(crate) library: Arc<Library>,
    pub(crate) cache: Cache,
    pub(crate) identity: Arc<Identities>,
    pub(crate) directory: Arc<dyn Directory>,
    /// Views that live commands own.
    pub(crate) live: Live,
}

/// Finds the image as far as it is known here.
///
/// # Errors
/// `not_found` for an image of one's own that does not exist; `offline` if not registered.
pub(crate) async fn find(grants: &Grants, arg: &ImageArg) -> Result<Target, WireError> {
    let (me, identity) = grants.identity.registered().ok_or_else(unregistered)?;
    let own = match &arg.owner {
        None => true,
        Some(PeerRef::Id(id)) => *id == me,
        Some(PeerRef::Name(name)) => identity.name.as_ref() == Some(name),
        Some(PeerRef::Address(_)) => false,
    };
    if own {
        return Ok(Target::Own(Box::new(library::own_image(&grants.library, &arg.name).await?)));
    }
    Ok(Target::Other(grants.cache.store.find_received(me, arg.clone()).await?.map(Box::new)))
}

/// A grant of the image that can be used now: `known`, or as the directory reports it.
///
/// # Errors
/// `denied` with the reason; `not_found`; `offline`.
pub(crate) async fn usable(
    grants: &Grants,
    arg: &ImageArg,
    known: Option<Grant>,
) -> Result<Grant, WireError> {
    let (me, _) = grants.identity.registered().ok_or_else(unregistered)?;
    if let Some(grant) = known {
        let paid = !grant.revoked && grants.cache.store.left_open(grants.live.clone(), grant.image).await?;
        // By a time that is no later than the directory's: what seems to have expired here has expired there.
        if paid || grant.state_at(grants.cache.store.clock().at_least()) == GrantState::Active {
            return Ok(grant);
        }
    }
    let info = match grants.directory.request(Op::Image(arg.clone())).await {
        Ok(Answer::Image(info)) => *info,
        Ok(_) => return Err(unexpected()),
        Err(error) => return Err(no_image(arg, error)),
    };
    allowed(arg, &info)?;
    let grant = refresh(grants, &info, me).await?;
    // Whether its time is over, the directory has just said; no clock here has a say in that.
    match reason(grant.state_at(Timestamp(i64::MIN))) {
        None => Ok(grant),
        Some(reason) => Err(denied(arg, reason)),
    }
}

/// The grant as the directory knows it.
async fn refresh(grants: &Grants, info: &ImageInfo, me: PeerId) -> Result<Grant, WireError> {
    match grants.directory.request(Op::Grant { image: info.no, viewer: me }).await? {
        Answer::Grant(grant) => {
            grants.cache.take_grant((*grant).clone()).await?;
            Ok(*grant)
        }
        _ => Err(unexpected()),
    }
}

fn allowed(arg: &ImageArg, info: &ImageInfo) -> Result<(), WireError> {
    let Some(access) = info.access else { return Ok(()) };
    match access.state {
        AccessState::Granted => Ok(()),
        AccessState::None => Err(denied(arg, Reason::NeverGranted)),
        AccessState::Requested => Err(WireError::new(
            Code::Denied,
            format!("access to {arg} is requested; the owner has not answered"),
        )
        .because(Reason::NeverGranted)
        .hint("dosctl requests --outgoing")),
        AccessState::Denied => {
            let text = format!("the owner has denied access to {arg}");
            Err(WireError { message: text.into(), ..denied(arg, Reason::NeverGranted) })
        }
        AccessState::Revoked => Err(denied(arg, Reason::Revoked)),
        AccessState::Expired => Err(denied(arg, Reason::Expired)),
        AccessState::UsedUp => Err(denied(arg, Reason::UsedUp)),
    }
}

fn reason(state: GrantState) -> Option<Reason> {
    match state {
        GrantState::Active => None,
        GrantState::UsedUp => Some(Reason::UsedUp),
        GrantState::Expired => Some(Reason::Expired),
        GrantState::Revoked => Some(Reason::Revoked),
    }
}

/// There is no grant of the image, and why.
pub(crate) fn denied(arg: &ImageArg, reason: Reason) -> WireError {
    let message = match reason {
        Reason::UsedUp => format!("all views of {arg} are used up"),
        Reason::Revoked => format!("the right to {arg} was revoked"),
        Reason::Expired => format!("the right to {arg} has expired"),
        Reason::NotOffline => format!("the owner does not allow checkouts of {arg}"),
        _ => format!("access to {arg} was never granted"),
    };
    let wanted = match reason {
        Reason::UsedUp => " --views 1",
        Reason::NotOffline => " --offline",
        _ => "",
    };
    WireError::new(Code::Denied, message)
        .because(reason)
        .hint(format!("dosctl request {}{wanted}", quoted(arg)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_is_a_command_that_a_shell_takes() {
        let arg: ImageArg = "alice/it's a sea".parse().unwrap();
        let error = denied(&arg, Reason::UsedUp);
        assert_eq!(error.hint.as_deref(), Some(r"dosctl request 'alice/it'\''s a sea' --views 1"));
        assert_eq!(error.reason, Some(Reason::UsedUp));
        let hint = |reason| denied(&"alice/sea".parse().unwrap(), reason).hint.unwrap();
        assert_eq!(&*hint(Reason::NeverGranted), "dosctl request alice/sea");
        assert_eq!(&*hint(Reason::NotOffline), "dosctl request alice/sea --offline");
    }
}
