//! Invitations: who is taken in as a guest, and what an inviter's answer changes.
//!
//! What always holds: one peer uses an invitation, in its time, and only with a proof that it knows the secret; what is not proved
//! changes nothing, so that the directory cannot use up an invitation. A pinned key is not replaced.

use dos_protocol::{PeerId, PublicKey, Timestamp, control::InviteState, invitation::RefusedBecause};

/// How an invitation of this peer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Made {
    /// Until when it can be used.
    pub(crate) expires_at: Timestamp,
    /// It was revoked.
    pub(crate) is_revoked: bool,
    /// Who has used it.
    pub(crate) used_by: Option<(PeerId, PublicKey)>,
}

/// A guest that wants to use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Guest {
    /// Who, as the directory says.
    pub(crate) peer: PeerId,
    /// Its key, as it says.
    pub(crate) key: PublicKey,
    /// Whether it has proved both, and to know the secret.
    pub(crate) is_proved: bool,
    /// When the directory took what it says.
    pub(crate) at: Timestamp,
    /// The key that is pinned of it.
    pub(crate) pinned: Option<PublicKey>,
}

/// What becomes of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is taken in.
    TakeIn,
    /// It was taken in before, and asks again.
    Again,
    /// It is refused.
    Refuse(RefusedBecause),
}

/// Decides on a guest.
pub(crate) fn judge(made: &Made, guest: &Guest) -> Verdict {
    if !guest.is_proved {
        return Verdict::Refuse(RefusedBecause::Keys);
    }
    match made.used_by {
        Some(used_by) if used_by == (guest.peer, guest.key) => return Verdict::Again,
        Some(_) => return Verdict::Refuse(RefusedBecause::Used),
        None => {}
    }
    if made.is_revoked {
        Verdict::Refuse(RefusedBecause::Revoked)
    } else if made.expires_at <= guest.at {
        Verdict::Refuse(RefusedBecause::Expired)
    } else if guest.pinned.is_some_and(|pinned| pinned != guest.key) {
        Verdict::Refuse(RefusedBecause::KeyChanged)
    } else {
        Verdict::TakeIn
    }
}

/// How an invitation is shown; `is_giving` tells whether something that comes with it is not decided yet.
pub(crate) fn shown(made: &Made, is_giving: bool, now: Timestamp) -> InviteState {
    match made.used_by {
        Some(_) if is_giving => InviteState::Giving,
        Some(_) => InviteState::Used,
        None if made.is_revoked => InviteState::Revoked,
        None if made.expires_at <= now => InviteState::Expired,
        None => InviteState::Open,
    }
}

/// Why a guest was refused, for the inviter.
pub(crate) fn told_inviter(why: RefusedBecause) -> &'static str {
    match why {
        RefusedBecause::Used => "someone else with the link came after it was used, and was refused",
        RefusedBecause::Expired => "someone came with the link after its time, and was refused",
        RefusedBecause::Revoked => "someone came with the link after it was revoked, and was refused",
        RefusedBecause::Keys => {
            "someone came whose keys the link does not prove, and was refused: the directory, or someone who does not have the \
             link, has meddled"
        }
        RefusedBecause::KeyChanged => {
            "the peer that came with the link is known here under another key, and was refused"
        }
    }
}

/// Why it was refused, for the guest.
pub(crate) fn told_guest(why: RefusedBecause) -> &'static str {
    match why {
        RefusedBecause::Used => "the link was used already, by another peer",
        RefusedBecause::Expired => "the link was used after its time",
        RefusedBecause::Revoked => "the link was revoked",
        RefusedBecause::Keys => "what arrived are not the keys that were sent: the directory has meddled",
        RefusedBecause::KeyChanged => "this peer is known there under another key",
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::samples::{alice, bob},
        *,
    };

    const NOW: Timestamp = Timestamp(1_000_000);

    fn key(byte: u8) -> PublicKey {
        PublicKey::from([byte; 32])
    }

    fn made() -> Made {
        Made { expires_at: Timestamp(NOW.0 + 1), is_revoked: false, used_by: None }
    }

    fn guest() -> Guest {
        Guest { peer: bob(), key: key(1), is_proved: true, at: NOW, pinned: None }
    }

    #[test]
    fn one_guest_that_proves_itself_in_time_is_taken_in() {
        let used = |peer, byte| Made { used_by: Some((peer, key(byte))), ..made() };
        let refuse = Verdict::Refuse;
        for (made, guest, expected) in [
            (made(), guest(), Verdict::TakeIn),
            (made(), Guest { pinned: Some(key(1)), ..guest() }, Verdict::TakeIn),
            (made(), Guest { pinned: Some(key(2)), ..guest() }, refuse(RefusedBecause::KeyChanged)),
            (made(), Guest { is_proved: false, ..guest() }, refuse(RefusedBecause::Keys)),
            (Made { expires_at: NOW, ..made() }, guest(), refuse(RefusedBecause::Expired)),
            (Made { is_revoked: true, ..made() }, guest(), refuse(RefusedBecause::Revoked)),
            (used(bob(), 1), guest(), Verdict::Again),
            // It was used in its time: what comes later changes nothing.
            (Made { expires_at: NOW, is_revoked: true, ..used(bob(), 1) }, guest(), Verdict::Again),
            (used(bob(), 1), Guest { is_proved: false, ..guest() }, refuse(RefusedBecause::Keys)),
            (used(bob(), 2), guest(), refuse(RefusedBecause::Used)),
            (used(alice(), 1), guest(), refuse(RefusedBecause::Used)),
        ] {
            assert_eq!(judge(&made, &guest), expected, "{made:?} {guest:?}");
        }
    }

    #[test]
    fn an_invitation_is_shown_as_it_stands() {
        let used = Made { used_by: Some((bob(), key(1))), ..made() };
        for (made, is_giving, expected) in [
            (made(), true, InviteState::Open),
            (Made { expires_at: NOW, ..made() }, true, InviteState::Expired),
            (Made { is_revoked: true, expires_at: NOW, ..made() }, true, InviteState::Revoked),
            (used, true, InviteState::Giving),
            (Made { is_revoked: true, expires_at: NOW, ..used }, false, InviteState::Used),
        ] {
            assert_eq!(shown(&made, is_giving, NOW), expected, "{made:?}");
        }
    }

    #[test]
    fn every_refusal_is_told_on_both_sides_in_words_of_its_own() {
        let all = ["used", "expired", "revoked", "keys", "key_changed"];
        let all: Vec<RefusedBecause> = all.iter().map(|text| text.parse().unwrap()).collect();
        let told: std::collections::BTreeSet<&str> =
            all.iter().flat_map(|why| [told_inviter(*why), told_guest(*why)]).collect();
        assert_eq!(told.len(), 10);
    }
}
