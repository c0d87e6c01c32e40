//! The documents of invitations.

use dos_protocol::{
    Allowance, ImageName, JoinLink, PeerId, PeerName,
    control::{self, InviteGrant},
};
use serde::Serialize;

use super::Moment;

/// INVITE.
#[derive(Debug, Serialize)]
pub(crate) struct Invite<'a> {
    made: bool,
    name: Option<&'a PeerName>,
    peer: Option<PeerId>,
    peer_name: Option<&'a PeerName>,
    state: &'static str,
    since: Moment,
    expires_at: Option<Moment>,
    used_at: Option<Moment>,
    grants: Vec<Grant<'a>>,
    trouble: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Grant<'a> {
    image: &'a ImageName,
    views: Option<u32>,
    given: bool,
    trouble: Option<&'a str>,
}

impl<'a> From<&'a InviteGrant> for Grant<'a> {
    fn from(grant: &'a InviteGrant) -> Self {
        let views = match grant.views {
            Allowance::Unlimited => None,
            Allowance::Views(views) => Some(views),
        };
        Self { image: &grant.image, views, given: grant.given, trouble: grant.why.as_deref() }
    }
}

impl<'a> From<&'a control::Invite> for Invite<'a> {
    fn from(invite: &'a control::Invite) -> Self {
        Self {
            made: invite.made,
            name: invite.name.as_ref(),
            peer: invite.peer,
            peer_name: invite.peer_name.as_ref(),
            state: invite.state.as_str(),
            since: Moment(invite.since),
            expires_at: invite.expires_at.map(Moment),
            used_at: invite.used_at.map(Moment),
            grants: invite.grants.iter().map(Into::into).collect(),
            trouble: invite.trouble.as_deref(),
        }
    }
}

/// Of `invite`.
#[derive(Debug, Serialize)]
pub(crate) struct Invitation<'a> {
    link: String,
    invite: Invite<'a>,
}

impl<'a> Invitation<'a> {
    pub(crate) fn new(link: &JoinLink, invite: &'a control::Invite) -> Self {
        Self { link: link.to_string(), invite: invite.into() }
    }
}

/// Of `invites`.
#[derive(Debug, Serialize)]
pub(crate) struct Invites<'a> {
    invites: Vec<Invite<'a>>,
}

impl<'a> Invites<'a> {
    pub(crate) fn new(invites: &'a [control::Invite]) -> Self {
        Self { invites: invites.iter().map(Into::into).collect() }
    }
}
