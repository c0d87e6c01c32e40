//! `invite`: an invitation for a person, in one link.

use std::sync::Arc;

use dos_protocol::{
    Code, Invitation, InviteCode, JoinLink, PeerName, Timestamp, WireError,
    control::{Contact, NewInvite, Outcome},
    directory::{Answer, Invite, Invited, Op},
    invitation::InviteSecret,
    key::SecretError,
    limits::{INVITATIONS_OPEN_MAX, INVITE_GRANTS_MAX, INVITE_TIME},
};

use super::{Services, card::own};
use crate::{
    directory::{unexpected, unregistered},
    identity::IdentityError,
    library::own_image,
    store::{NewGrant, NewInvitation, NotMade},
    vault::EventKind,
};

/// How often a code is drawn: one in a thousand begins like another one that the directory keeps.
const DRAWS: usize = 8;

/// Makes the invitation, and the invite at the directory that belongs to it.
///
/// # Errors
/// `conflict` if the name is that of a contact, or of a guest who is invited already; `not_found` for an unknown image; `denied` if
/// the operator does not let peers invite, and no code of the operator's is given.
pub(super) async fn run(services: &Arc<Services>, new: NewInvite) -> Result<Outcome, WireError> {
    let (_, identity) = services.identity.registered().ok_or_else(unregistered)?;
    if new.images.len() > INVITE_GRANTS_MAX {
        let text = format!("at most {INVITE_GRANTS_MAX} images come with one invitation");
        return Err(WireError::new(Code::Invalid, text));
    }
    if let Some(pin) = services.store.pin_by_name(new.guest.clone()).await? {
        return Err(known(&pin.contact, &new.guest));
    }
    services.store.may_invite(new.guest.clone()).await?.map_err(|why| not_made(why, &new.guest))?;
    services.upstream.ready().await?;
    let grants = grants(services, &new).await?;
    let secret = InviteSecret::generate().map_err(IdentityError::from)?;
    let key = secret.master();
    let sealed = identity.vault.seal(EventKind::InviteKey, key.id().as_bytes(), key.as_bytes())?;
    let Admission { code, hash, expires_at } = admission(services, new.code).await?;
    let invitation = NewInvitation {
        id: key.id(),
        guest: new.guest.clone(),
        secret: sealed,
        code: hash,
        expires_at,
        grants,
    };
    let made = services.store.invite(invitation).await?;
    let invite = made.map_err(|why| not_made(why, &new.guest))?;
    let invitation = Invitation { from: own(services)?, guest: new.guest, secret };
    let link = JoinLink { invite: code, invitation: Some(Box::new(invitation)), ..identity.server.clone() };
    Ok(Outcome::Invitation { link, invite: Box::new(invite) })
}

async fn grants(services: &Services, new: &NewInvite) -> Result<Vec<NewGrant>, WireError> {
    let lasts_ms = new.expires.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    let mut grants: Vec<NewGrant> = Vec::with_capacity(new.images.len());
    for name in &new.images {
        let image = own_image(&services.library, name).await?.info.no;
        if grants.iter().any(|grant| grant.image == image) {
            continue;
        }
        let (name, views, allow_offline) = (name.clone(), new.views, new.allow_offline);
        grants.push(NewGrant { image, name, views, lasts_ms, allow_offline });
    }
    Ok(grants)
}

/// What lets the guest in, and until when.
struct Admission {
    /// Nothing where everybody may register.
    code: Option<Box<str>>,
    /// Of a code that was drawn here.
    hash: Option<[u8; 32]>,
    expires_at: Timestamp,
}

async fn admission(services: &Services, given: Option<Box<str>>) -> Result<Admission, WireError> {
    if let Some(code) = given {
        let expires_at = services.store.clock().now().after(INVITE_TIME);
        return Ok(Admission { code: Some(code), hash: None, expires_at });
    }
    let lasts_ms = u64::try_from(INVITE_TIME.as_millis()).unwrap_or(u64::MAX);
    let mut draws = 0;
    loop {
        let code = InviteCode::generate().map_err(|error: SecretError| IdentityError::from(error))?;
        let hash = code.hash();
        let invite = Invite { hash, prefix: code.prefix().into(), lasts_ms };
        draws += 1;
        // The same hash again is the same invite: nothing is lost with an answer.
        match services.upstream.request_tracked(Op::Invite(invite)).await.map_err(|failed| failed.error) {
            Ok(Answer::Invited(Invited { needed: true, expires_at })) => {
                return Ok(Admission { code: Some(code.as_str().into()), hash: Some(hash), expires_at });
            }
            Ok(Answer::Invited(Invited { needed: false, expires_at })) => {
                return Ok(Admission { code: None, hash: None, expires_at });
            }
            Ok(_) => return Err(unexpected()),
            Err(error) if error.code == Code::Conflict && draws < DRAWS => {}
            Err(error) => return Err(error),
        }
    }
}

fn known(contact: &Contact, guest: &PeerName) -> WireError {
    let text = format!("you know a peer as {guest} already ({}), who needs no invitation", contact.id);
    WireError::new(Code::Conflict, text).hint(format!("dosctl share NAME {guest} --views N"))
}

fn not_made(why: NotMade, guest: &PeerName) -> WireError {
    match why {
        NotMade::Open(until) => {
            let text = format!("there is an invitation for {guest} already, until {until}");
            WireError::new(Code::Conflict, text)
                .caused_by("its link is shown once, when it is made")
                .hint(format!("dosctl invites --revoke {guest}"))
        }
        NotMade::TooMany => {
            let text = format!("{INVITATIONS_OPEN_MAX} invitations are open already");
            WireError::new(Code::Denied, text).hint("dosctl invites")
        }
    }
}
