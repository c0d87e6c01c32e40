//! Invitations: those that this peer has made, and those that it has used.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    id::PeerId,
    invitation::InvitationId,
    model::Allowance,
    name::{ImageName, PeerName},
    time::Timestamp,
};

/// What is wanted of an invitation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewInvite {
    /// By which name the guest is called.
    pub guest: PeerName,
    /// An invite that the operator has given; if nothing, the directory is asked for one.
    pub code: Option<Box<str>>,
    /// The images that the guest may view as soon as it is here, at most [`crate::limits::INVITE_GRANTS_MAX`].
    pub images: Vec<ImageName>,
    /// How often, each.
    pub views: Allowance,
    /// For how long, from the moment at which it is given.
    pub expires: Option<Duration>,
    /// Whether it may check views out.
    pub allow_offline: bool,
}

/// An invitation, on either side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// Which.
    pub id: InvitationId,
    /// Whether this peer has made it; else it has used it.
    pub made: bool,
    /// The name by which the inviter calls its guest; of one that was used here, the inviter's name.
    pub name: Option<PeerName>,
    /// The other peer, as soon as it is known.
    pub peer: Option<PeerId>,
    /// The other peer's name at the directory.
    pub peer_name: Option<PeerName>,
    /// How it stands.
    pub state: InviteState,
    /// When it was made or used here.
    pub since: Timestamp,
    /// Until when it can be used; nothing of one that was used here.
    pub expires_at: Option<Timestamp>,
    /// When it was used by the other peer.
    pub used_at: Option<Timestamp>,
    /// What comes with it; only on the inviter's side.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<InviteGrant>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Box<str>>,
}

/// How an invitation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum InviteState {
    /// Nobody has used it yet.
    Open,
    /// It was used, and what comes with it is being given.
    Giving,
    /// It was used; each of the two has the other's key as verified.
    Used,
    /// It was not used in time.
    Expired,
    /// It was revoked before it was used.
    Revoked,
    /// Used here; the inviter has not answered yet.
    Waiting,
    /// Used here; the inviter has proved that it has this peer's key.
    Welcome,
    /// Used here; the inviter has refused it.
    Refused,
}

impl InviteState {
    /// As in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A grant that comes with an invitation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteGrant {
    /// To which image; its name when the invitation was made.
    pub image: ImageName,
    /// How many views.
    pub views: Allowance,
    /// Whether it was given.
    pub given: bool,
    /// Why it cannot be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Box<str>>,
}
