//! Strangers: peers that this one has not dealt with, and what they may do until it has.
//!
//! What always holds: what a peer sends never makes it a contact; only what this peer does makes one of it. What strangers and
//! blocked peers send moves this daemon to nothing that they could notice.

use dos_protocol::model::{Access, AccessState, Allowance, Grant};
use serde::Deserialize;

/// What becomes of the shares and the connections of strangers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Strangers {
    /// List their shares as offers, and answer their connections
    #[default]
    Offer,
    /// List none of their shares, and answer no connection of theirs
    Refuse,
}

/// How this peer stands to another one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// This peer has granted to it, requested from it, messaged it, fetched from it, or confirmed it.
    pub(crate) is_contact: bool,
    /// This peer has blocked it.
    pub(crate) is_blocked: bool,
}

/// How a grant that came from another peer is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// As one of a contact.
    Grant,
    /// As the offer of a stranger.
    Offer,
    /// Not at all.
    Hidden,
}

impl Strangers {
    /// How a received grant is listed.
    pub(crate) fn lists(self, owner: Standing, grant: &Grant) -> Shown {
        match self {
            _ if owner.is_contact => Shown::Grant,
            Self::Refuse => Shown::Hidden,
            // A revoked grant offers nothing, and what a blocked peer offers is not wanted.
            Self::Offer if grant.revoked || owner.is_blocked => Shown::Grant,
            Self::Offer => Shown::Offer,
        }
    }

    /// How access to an image of this owner is listed. What the directory says of offers does not count.
    pub(crate) fn shows(self, owner: Standing, access: Access) -> Access {
        let is_given =
            !matches!(access.state, AccessState::None | AccessState::Requested | AccessState::Denied);
        if owner.is_contact || !is_given {
            return Access { offer: false, ..access };
        }
        match self {
            Self::Offer => {
                let offer = access.state == AccessState::Granted && !owner.is_blocked;
                Access { offer, ..access }
            }
            Self::Refuse => Access {
                state: AccessState::None,
                views_left: Allowance::Views(0),
                expires_at: None,
                offer: false,
            },
        }
    }

    /// Whether a connection of a peer is answered; nothing is known of one that cannot be identified.
    pub(crate) fn answers(self, caller: Option<Standing>) -> bool {
        match (self, caller) {
            (_, Some(caller)) if caller.is_blocked => false,
            (Self::Refuse, caller) => caller.is_some_and(|caller| caller.is_contact),
            (Self::Offer, _) => true,
        }
    }
}

/// Whether what a peer has shared or done is told to those who watch: a blocked one has no way to be heard.
pub(crate) fn is_told(other: Standing) -> bool {
    !other.is_blocked
}

#[cfg(test)]
mod tests {
    use super::{super::samples::grant, *};

    const STRANGER: Standing = Standing { is_contact: false, is_blocked: false };
    const CONTACT: Standing = Standing { is_contact: true, is_blocked: false };
    const BLOCKED: Standing = Standing { is_contact: false, is_blocked: true };
    const BLOCKED_CONTACT: Standing = Standing { is_contact: true, is_blocked: true };

    #[test]
    fn a_share_of_a_stranger_is_an_offer_or_is_not_listed() {
        let revoked = Grant { revoked: true, ..grant(1) };
        for (owner, live, ended, refusing) in [
            (STRANGER, Shown::Offer, Shown::Grant, Shown::Hidden),
            (CONTACT, Shown::Grant, Shown::Grant, Shown::Grant),
            (BLOCKED, Shown::Grant, Shown::Grant, Shown::Hidden),
            (BLOCKED_CONTACT, Shown::Grant, Shown::Grant, Shown::Grant),
        ] {
            assert_eq!(Strangers::Offer.lists(owner, &grant(1)), live, "{owner:?}");
            assert_eq!(Strangers::Offer.lists(owner, &revoked), ended, "{owner:?}");
            assert_eq!(Strangers::Refuse.lists(owner, &grant(1)), refusing, "{owner:?}");
            assert_eq!(Strangers::Refuse.lists(owner, &revoked), refusing, "{owner:?}");
        }
    }

    #[test]
    fn access_to_an_image_of_a_stranger_is_an_offer_or_as_if_nothing_was_granted() {
        let access =
            |state, offer| Access { state, views_left: Allowance::Views(2), expires_at: None, offer };
        let nothing = Access { views_left: Allowance::Views(0), ..access(AccessState::None, false) };
        for (state, is_offer, is_given) in [
            (AccessState::Granted, true, true),
            (AccessState::UsedUp, false, true),
            (AccessState::Expired, false, true),
            (AccessState::Revoked, false, true),
            (AccessState::None, false, false),
            (AccessState::Requested, false, false),
            (AccessState::Denied, false, false),
        ] {
            let (told, plain) = (access(state, true), access(state, false));
            assert_eq!(Strangers::Offer.shows(STRANGER, told), access(state, is_offer), "{state:?}");
            let refused = if is_given { nothing } else { plain };
            assert_eq!(Strangers::Refuse.shows(STRANGER, told), refused, "{state:?}");
            for known in [CONTACT, BLOCKED_CONTACT] {
                assert_eq!(Strangers::Offer.shows(known, told), plain, "{state:?} {known:?}");
                assert_eq!(Strangers::Refuse.shows(known, told), plain, "{state:?} {known:?}");
            }
            assert_eq!(Strangers::Offer.shows(BLOCKED, told), plain, "{state:?}");
            assert_eq!(Strangers::Refuse.shows(BLOCKED, told), refused, "{state:?}");
        }
    }

    #[test]
    fn strangers_and_blocked_peers_are_answered_as_it_is_set() {
        for (caller, offering, refusing) in [
            (None, true, false),
            (Some(STRANGER), true, false),
            (Some(CONTACT), true, true),
            (Some(BLOCKED), false, false),
            (Some(BLOCKED_CONTACT), false, false),
        ] {
            assert_eq!(Strangers::Offer.answers(caller), offering, "{caller:?}");
            assert_eq!(Strangers::Refuse.answers(caller), refusing, "{caller:?}");
        }
    }

    #[test]
    fn nothing_is_told_of_a_blocked_peer() {
        let told = [STRANGER, CONTACT, BLOCKED, BLOCKED_CONTACT].map(is_told);
        assert_eq!(told, [true, true, false, false]);
    }
}
