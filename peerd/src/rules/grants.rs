//! Grants: which of two states is the newer, and what a new state takes away from what a viewer has for it.

use std::cmp::Reverse;

use dos_protocol::{
    Allowance, ImageName, PeerId, PeerRef, Revision, SealedHash, SplitId,
    model::{Grant, GrantState},
};

/// What a newer state of a grant does to what is stored for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// The owner share, the held views and the open views end.
    pub(crate) ends: bool,
    /// The owner share is of no use any more unless it is of this split.
    pub(crate) split: Option<SplitId>,
    /// This grant does not need these sealed copies any more; something else may.
    pub(crate) superfluous: Vec<SealedHash>,
    /// The sealed copy may be fetched now.
    pub(crate) usable: bool,
}

/// Receives a state of a grant, as `me`; `None` if the state known is as new or newer.
///
/// An owner stores nothing else for a grant, so for it a new state changes nothing else.
pub(crate) fn receive(me: Option<PeerId>, known: Option<&Grant>, new: &Grant) -> Option<Change> {
    if known.is_some_and(|known| known.revision >= new.revision) {
        return None;
    }
    if me != Some(new.viewer) {
        return Some(Change::default());
    }
    let mut superfluous = Vec::new();
    if let Some(known) = known
        && known.sealed.hash != new.sealed.hash
    {
        superfluous.push(known.sealed.hash);
    }
    if new.revoked {
        superfluous.push(new.sealed.hash);
    }
    let split = known.is_some_and(|known| known.split != new.split).then_some(new.split);
    Some(Change { ends: new.revoked, split, superfluous, usable: !new.revoked })
}

/// That the image of a received grant has another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Renamed {
    /// As it was called.
    pub(crate) was: ImageName,
    /// Nothing else has changed.
    pub(crate) alone: bool,
}

/// Whether the image of a grant that `me` holds is called otherwise than it was known.
pub(crate) fn renamed(me: Option<PeerId>, known: Option<&Grant>, new: &Grant) -> Option<Renamed> {
    let known = known.filter(|known| me == Some(new.viewer) && known.path.name != new.path.name)?;
    let (owner_name, viewer_name) = (new.owner_name.clone(), new.viewer_name.clone());
    let same =
        Grant { path: new.path.clone(), revision: new.revision, owner_name, viewer_name, ..known.clone() };
    Some(Renamed { was: known.path.name.clone(), alone: same == *new })
}

/// Ends a grant that the directory does not know any more, or whose image is gone. It keeps its revision, so that a state that
/// the directory reports later is still the newer one.
pub(crate) fn end(me: Option<PeerId>, grant: Grant) -> (Grant, Change) {
    let change = if me == Some(grant.viewer) {
        Change { ends: true, superfluous: vec![grant.sealed.hash], ..Change::default() }
    } else {
        Change::default()
    };
    (Grant { revoked: true, allow_offline: false, views_left: Allowance::Views(0), ..grant }, change)
}

/// Whether a state that the directory did not report is still the one that was known before it was asked. An update that came
/// in meanwhile is newer than the directory's report and stays.
pub(crate) fn is_unchanged(before: Revision, now: Revision) -> bool {
    now == before
}

/// Whether what was fetched for a grant is still what the grant, as it is now, needs.
pub(crate) fn needs(now: Option<&Grant>, fetched: &Grant) -> bool {
    now.is_some_and(|now| {
        !now.revoked && now.sealed.hash == fetched.sealed.hash && now.split == fetched.split
    })
}

/// Of a viewer's grants to images of one name, the one that a person means: of the owner named, one that is not revoked before
/// one that is, then the one to the newest image.
pub(crate) fn choose(grants: Vec<Grant>, owner: Option<&PeerRef>) -> Option<Grant> {
    let named = |grant: &Grant| match owner {
        Some(PeerRef::Id(owner)) => grant.path.owner == *owner,
        Some(PeerRef::Name(name)) => grant.owner_name.as_ref() == Some(name),
        Some(PeerRef::Address(_)) | None => false,
    };
    choose_any(grants.into_iter().filter(named).collect())
}

/// As [`choose`], of whichever owner.
pub(crate) fn choose_any(grants: Vec<Grant>) -> Option<Grant> {
    grants.into_iter().min_by_key(|grant| (grant.revoked, Reverse(grant.image)))
}

/// Whether views that are held under a grant in this state must not be shown. They are kept: only a revocation of the directory
/// ends them.
pub(crate) fn bars_held(state: GrantState) -> bool {
    matches!(state, GrantState::Expired | GrantState::Revoked)
}

/// What needs a sealed copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Needs {
    /// An image of one's own.
    pub(crate) image: bool,
    /// An image on its way to the directory.
    pub(crate) publication: bool,
    /// Views held for use without the directory.
    pub(crate) held: bool,
    /// A received grant that is not revoked.
    pub(crate) grant: bool,
}

impl Needs {
    /// Whether nothing does.
    pub(crate) fn none(self) -> bool {
        !(self.image || self.publication || self.held || self.grant)
    }
}

#[cfg(test)]
mod tests {
    use dos_protocol::{ImageNo, ImagePath, model::SealedCopy};

    use super::{
        super::samples::{alice, bob, grant, hash},
        *,
    };

    fn split(byte: u8) -> SplitId {
        SplitId::from([byte; 16])
    }

    fn with(revision: u64, copy: u8, splitting: u8, revoked: bool) -> Grant {
        let sealed = SealedCopy { hash: hash(copy), bytes: 100 };
        Grant { sealed, split: split(splitting), revoked, ..grant(revision) }
    }

    fn change(ends: bool, split: Option<SplitId>, superfluous: &[u8]) -> Option<Change> {
        let superfluous = superfluous.iter().map(|byte| hash(*byte)).collect();
        Some(Change { ends, split, superfluous, usable: !ends })
    }

    #[test]
    fn a_grant_tells_its_holder_of_another_name() {
        let known = grant(1);
        let other = |name: &str, revision| {
            let path = ImagePath { name: name.parse().unwrap(), ..known.path.clone() };
            Grant { path, ..grant(revision) }
        };
        let seen = |new: &Grant| renamed(Some(bob()), Some(&known), new);
        let was: ImageName = "sea".parse().unwrap();
        assert_eq!(seen(&other("sea", 2)), None);
        assert_eq!(seen(&other("dawn", 2)), Some(Renamed { was: was.clone(), alone: true }));
        let also = Grant { views_left: Allowance::Views(9), ..other("dawn", 2) };
        assert_eq!(seen(&also), Some(Renamed { was, alone: false }));
        assert_eq!(renamed(Some(alice()), Some(&known), &other("dawn", 2)), None, "she has renamed it");
        assert_eq!(renamed(Some(bob()), None, &other("dawn", 2)), None);
    }

    #[test]
    fn a_state_counts_only_if_its_revision_is_higher() {
        for (known, new, newer) in
            [(None, 0, true), (Some(4), 5, true), (Some(5), 5, false), (Some(6), 5, false)]
        {
            let known = known.map(grant);
            for me in [None, Some(alice()), Some(bob())] {
                assert_eq!(receive(me, known.as_ref(), &grant(new)).is_some(), newer, "{known:?} {new}");
            }
        }
    }

    #[test]
    fn a_viewer_loses_what_the_new_state_does_not_need() {
        let known = with(1, 1, 1, false);
        for (new, expected) in [
            (with(2, 1, 1, false), change(false, None, &[])),
            (with(2, 2, 1, false), change(false, None, &[1])),
            (with(2, 1, 2, false), change(false, Some(split(2)), &[])),
            (with(2, 2, 2, false), change(false, Some(split(2)), &[1])),
            (with(2, 1, 1, true), change(true, None, &[1])),
            (with(2, 2, 1, true), change(true, None, &[1, 2])),
        ] {
            assert_eq!(receive(Some(bob()), Some(&known), &new), expected, "{new:?}");
        }
        assert_eq!(receive(Some(bob()), None, &with(1, 1, 1, false)), change(false, None, &[]));
        assert_eq!(receive(Some(bob()), None, &with(1, 1, 1, true)), change(true, None, &[1]));
    }

    #[test]
    fn an_owner_and_a_stranger_lose_nothing() {
        let known = with(1, 1, 1, false);
        for me in [None, Some(alice())] {
            let changed = receive(me, Some(&known), &with(2, 2, 2, true));
            assert_eq!(changed, Some(Change::default()));
        }
    }

    #[test]
    fn an_ended_grant_keeps_its_revision_and_frees_its_viewer_s_copy() {
        let live = || Grant { allow_offline: true, ..grant(7) };
        let ended = Grant { revoked: true, views_left: Allowance::Views(0), ..grant(7) };
        let gone = Change { ends: true, superfluous: vec![hash(1)], ..Change::default() };
        assert_eq!(end(Some(bob()), live()), (ended.clone(), gone));
        assert_eq!(end(Some(alice()), live()), (ended.clone(), Change::default()));
        assert_eq!(end(None, live()), (ended, Change::default()));
    }

    #[test]
    fn only_what_did_not_change_meanwhile_is_given_up() {
        assert!(is_unchanged(Revision(3), Revision(3)));
        assert!(!is_unchanged(Revision(3), Revision(4)));
    }

    #[test]
    fn what_was_fetched_counts_if_the_grant_still_needs_it() {
        let fetched = with(1, 1, 1, false);
        for (now, needed) in [
            (with(9, 1, 1, false), true),
            (with(9, 1, 1, true), false),
            (with(9, 2, 1, false), false),
            (with(9, 1, 2, false), false),
        ] {
            assert_eq!(needs(Some(&now), &fetched), needed, "{now:?}");
        }
        assert!(!needs(None, &fetched));
    }

    #[test]
    fn a_person_means_the_newest_image_of_that_owner_and_a_live_grant_first() {
        let of = |image, revoked| Grant { image: ImageNo(image), revoked, ..grant(1) };
        let by_id = PeerRef::Id(alice());
        let by_name = PeerRef::Name("alice".parse().unwrap());
        let chosen = |grants: Vec<Grant>, owner: Option<&PeerRef>| choose(grants, owner).map(|g| g.image.0);
        let all = || vec![of(2, false), of(3, false), of(9, true)];
        assert_eq!(chosen(all(), Some(&by_id)), Some(3));
        assert_eq!(chosen(all(), Some(&by_name)), Some(3));
        assert_eq!(chosen(vec![of(4, true), of(9, true)], Some(&by_id)), Some(9));
        assert_eq!(chosen(all(), Some(&PeerRef::Id(bob()))), None);
        assert_eq!(chosen(all(), Some(&PeerRef::Name("bob".parse().unwrap()))), None);
        assert_eq!(chosen(all(), Some(&"127.0.0.1:5001".parse().unwrap())), None);
        assert_eq!(chosen(all(), None), None);
        let nameless = Grant { owner_name: None, ..of(2, false) };
        assert_eq!(chosen(vec![nameless], Some(&by_name)), None);
    }

    #[test]
    fn held_views_are_shown_under_a_grant_that_is_used_up() {
        for (state, bars) in [
            (GrantState::Active, false),
            (GrantState::UsedUp, false),
            (GrantState::Expired, true),
            (GrantState::Revoked, true),
        ] {
            assert_eq!(bars_held(state), bars, "{state:?}");
        }
    }

    #[test]
    fn a_copy_goes_when_nothing_needs_it() {
        let none = Needs { image: false, publication: false, held: false, grant: false };
        assert!(none.none());
        for needed in [
            Needs { image: true, ..none },
            Needs { publication: true, ..none },
            Needs { held: true, ..none },
            Needs { grant: true, ..none },
        ] {
            assert!(!needed.none(), "{needed:?}");
        }
    }
}
