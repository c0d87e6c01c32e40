//! Who sees an image: everybody, or, of a private one, its owner and the peers that have a grant for it.
//!
//! What always holds: for a peer that does not see an image, every operation comes to what it comes to for an image that is not
//! there. A grant that is used up or has expired is one; one that was revoked is not.

use dos_protocol::{
    ImagePath, PeerId, Visibility,
    directory::{PeerChange, Request, Update},
    model::ImageInfo,
};

use super::{
    Owe,
    grants::{GrantRecord, ImageRef, Scope},
};

/// An image and a viewer, with the viewer's grant.
pub(crate) type Standing = Option<(Scope, Option<GrantRecord>)>;

/// Who is to see an image that its owner publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// These, whatever stands there.
    These(Visibility),
    /// Its owner has not said: these if it is new, and the same as before if it takes the place of another.
    Unsaid(Visibility),
}

impl Default for Wanted {
    fn default() -> Self {
        Self::Unsaid(Visibility::default())
    }
}

impl Wanted {
    /// Who sees it, given who saw the image whose place it takes.
    pub(crate) fn instead_of(self, before: Option<Visibility>) -> Visibility {
        match self {
            Self::These(visibility) => visibility,
            Self::Unsaid(visibility) => before.unwrap_or(visibility),
        }
    }
}

/// What those who follow its owner get of an image that was so and is so now: as much as everybody sees.
pub(crate) fn change(before: Option<&ImageInfo>, now: Option<&ImageInfo>) -> Option<PeerChange> {
    let seen = |image: &&ImageInfo| image.visibility == Visibility::Listed;
    match (before.filter(seen), now.filter(seen)) {
        (None, None) => None,
        (None, Some(now)) => Some(PeerChange::Added { image: now.no, name: now.name.clone() }),
        (Some(was), None) => Some(PeerChange::Removed { image: was.no, name: was.name.clone() }),
        (Some(was), Some(now)) if was.name != now.name => {
            Some(PeerChange::Renamed { image: now.no, name: now.name.clone(), was: was.name.clone() })
        }
        (Some(was), Some(now)) if was.sealed != now.sealed => {
            Some(PeerChange::Replaced { image: now.no, name: now.name.clone() })
        }
        (Some(_), Some(_)) => None,
    }
}

fn is_held(grant: Option<&GrantRecord>) -> bool {
    grant.is_some_and(GrantRecord::is_live)
}

/// The image, if `caller`, which has this grant for it, sees it.
pub(crate) fn image(
    found: Option<ImageInfo>,
    caller: PeerId,
    grant: Option<&GrantRecord>,
) -> Option<ImageInfo> {
    found.filter(|image| image.visibility == Visibility::Listed || image.owner == caller || is_held(grant))
}

/// The same of an image that a grant or a request is about, whose viewer has this grant.
pub(crate) fn sees(scope: &Scope, caller: PeerId, grant: Option<&GrantRecord>) -> bool {
    scope.image.visibility == Visibility::Listed
        || scope.owner() == caller
        || (scope.viewer == caller && is_held(grant))
}

/// What there is between an image and a viewer, as far as `caller` may know.
pub(crate) fn standing(found: Standing, caller: PeerId) -> Standing {
    found.filter(|(scope, grant)| sees(scope, caller, grant.as_ref()))
}

/// Of grants for one image those whose viewers are still told what becomes of it.
pub(crate) fn told(grants: Vec<(Scope, GrantRecord)>) -> Vec<(Scope, GrantRecord)> {
    grants.into_iter().filter(|(scope, grant)| sees(scope, scope.viewer, Some(grant))).collect()
}

/// What hiding an image from these peers makes the directory owe: for each of them the image is gone; of their pending requests its
/// owner learns that they are over.
pub(crate) fn hidden(image: &ImageRef, from: Vec<PeerId>, ended: Vec<Request>) -> Vec<Owe> {
    let owner = image.path.owner;
    let over = ended.into_iter().map(|request| Owe::to(owner, Update::Request(Box::new(request))));
    let path = ImagePath { owner, name: image.path.name.clone() };
    let gone =
        from.into_iter().map(|peer| Owe::to(peer, Update::Removed { image: image.no, path: path.clone() }));
    over.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use dos_protocol::model::SealedCopy;

    use super::{
        super::samples::{alice, bob, carol, grant, image as sea, scope},
        *,
    };

    fn private() -> ImageInfo {
        ImageInfo { visibility: Visibility::Private, ..sea() }
    }

    fn standing_of(image: ImageInfo, grant: Option<GrantRecord>) -> Standing {
        Some((Scope { image: image.into(), ..scope() }, grant))
    }

    #[test]
    fn a_private_image_is_seen_by_its_owner_and_by_holders_of_grants() {
        let (live, revoked) = (grant(), grant().revoked());
        for (image_of, grant, caller, expected) in [
            (sea(), None, carol(), true),
            (sea(), Some(&revoked), bob(), true),
            (private(), None, alice(), true),
            (private(), None, bob(), false),
            (private(), Some(&live), bob(), true),
            (private(), Some(&revoked), bob(), false),
        ] {
            assert_eq!(image(Some(image_of.clone()), caller, grant).is_some(), expected);
            let found = standing_of(image_of, grant.cloned());
            assert_eq!(standing(found, caller).is_some(), expected);
        }
        assert!(standing(standing_of(private(), Some(live)), carol()).is_none(), "another peer's grant");
        assert!(image(None, alice(), None).is_none() && standing(None, alice()).is_none());
    }

    #[test]
    fn followers_are_told_of_what_everybody_sees_and_of_nothing_else() {
        let (no, name) = (sea().no, sea().name);
        let called = |name: &str, image: ImageInfo| ImageInfo { name: name.parse().unwrap(), ..image };
        let other = |image: ImageInfo| ImageInfo {
            sealed: SealedCopy { hash: [77; 32].into(), ..image.sealed },
            ..image
        };
        let added = PeerChange::Added { image: no, name: name.clone() };
        let removed = PeerChange::Removed { image: no, name: name.clone() };
        let renamed = PeerChange::Renamed { image: no, name: "dune".parse().unwrap(), was: name.clone() };
        for (before, now, expected) in [
            (None, Some(sea()), Some(added.clone())),
            (None, Some(private()), None),
            (Some(private()), Some(sea()), Some(added)),
            (Some(sea()), Some(private()), Some(removed.clone())),
            (Some(sea()), None, Some(removed)),
            (Some(private()), None, None),
            (Some(sea()), Some(called("dune", other(sea()))), Some(renamed)),
            (Some(private()), Some(called("dune", private())), None),
            (Some(sea()), Some(other(sea())), Some(PeerChange::Replaced { image: no, name })),
            (Some(private()), Some(other(private())), None),
            (Some(sea()), Some(sea()), None),
            (None, None, None),
        ] {
            assert_eq!(change(before.as_ref(), now.as_ref()), expected);
        }
    }

    #[test]
    fn what_its_owner_does_not_say_stays_or_is_the_default() {
        use Visibility::{Listed, Private};
        for (wanted, before, expected) in [
            (Wanted::These(Private), Some(Listed), Private),
            (Wanted::These(Listed), None, Listed),
            (Wanted::Unsaid(Private), None, Private),
            (Wanted::Unsaid(Listed), Some(Private), Private),
            (Wanted::Unsaid(Private), Some(Listed), Listed),
        ] {
            assert_eq!(wanted.instead_of(before), expected, "{wanted:?} {before:?}");
        }
    }

    #[test]
    fn of_a_private_image_only_those_who_see_it_are_told() {
        let of = |image: ImageInfo, grant: GrantRecord| {
            standing_of(image, Some(grant)).map(|(scope, grant)| (scope, grant.unwrap()))
        };
        let live = of(private(), grant());
        let revoked = of(private(), grant().revoked());
        let both: Vec<_> = live.clone().into_iter().chain(revoked).collect();
        assert_eq!(told(both), live.into_iter().collect::<Vec<_>>());
        let listed: Vec<_> = of(sea(), grant().revoked()).into_iter().collect();
        assert_eq!(told(listed.clone()), listed);
    }

    #[test]
    fn for_those_from_whom_it_is_hidden_it_is_gone() {
        let image = ImageRef::from(private());
        let path = image.path.clone();
        let owed = hidden(&image, vec![bob(), carol()], Vec::new());
        let gone = |peer| Owe::to(peer, Update::Removed { image: image.no, path: path.clone() });
        assert_eq!(owed, vec![gone(bob()), gone(carol())]);
    }
}
