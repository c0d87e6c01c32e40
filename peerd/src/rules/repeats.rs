//! When a command that is given again is the same change as before, whose outcome its user has not seen, and when it is a new one.
//!
//! The same change is done once, however often its command is given. But between two equal commands their user may have moved on:
//! after "revoke", "3 views", "revoke" the last one is no repetition of the first. What always holds: a change that only sets how
//! things are to be is never taken for one that was done before something else about the same thing.

use std::time::Duration;

use dos_protocol::{
    ImageNo, PeerId, PeerRef, Timestamp,
    directory::{Op, ViewsChange},
    limits::OPERATION_REMEMBERED,
};

/// For this time the directory surely knows the ID of an operation. The hour less than it does is for clocks that differ.
pub(crate) const SURELY_KNOWN: Duration = OPERATION_REMEMBERED.saturating_sub(Duration::from_secs(3600));

/// Whether the directory surely knows an operation that was begun then, and so does it once.
pub(crate) fn is_surely_known(begun_at: Timestamp, now: Timestamp) -> bool {
    now < begun_at.after(SURELY_KNOWN)
}

/// What a change is about. Two changes about the same thing are in each other's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A grant of one's own.
    Grant(ImageNo, PeerId),
    /// An image of one's own.
    Image(ImageNo),
    /// A request, by its number.
    Request(u64),
}

/// How a change counts when it is done twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Doing it again changes nothing: each command is a change of its own.
    Same,
    /// It sets how things are to be.
    Sets,
    /// It adds to how they are.
    Adds,
}

/// A change as far as repetitions go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct About {
    /// What it is about, if another change can be about the same.
    pub(crate) subject: Option<Subject>,
    /// How it counts when it is done twice.
    pub(crate) effect: Effect,
}

impl About {
    /// Nothing that another change could be about.
    pub(crate) const ITSELF: Self = Self { subject: None, effect: Effect::Sets };

    /// A change of a grant.
    pub(crate) fn grant(image: ImageNo, viewer: PeerId, views: ViewsChange) -> Self {
        let effect = match views {
            ViewsChange::Revoke => Effect::Same,
            ViewsChange::Add(_) => Effect::Adds,
            ViewsChange::Set(_) | ViewsChange::Keep | ViewsChange::Rekey => Effect::Sets,
        };
        Self { subject: Some(Subject::Grant(image, viewer)), effect }
    }
}

/// What a change is about.
pub(crate) fn about(op: &Op) -> About {
    let sets = |subject| About { subject: Some(subject), effect: Effect::Sets };
    match op {
        Op::Share(share) => match share.viewer {
            PeerRef::Id(viewer) => About::grant(share.image, viewer, share.views),
            PeerRef::Name(_) | PeerRef::Address(_) => About::ITSELF,
        },
        Op::Remove(image) | Op::Rename { image, .. } => sets(Subject::Image(*image)),
        Op::Set(set) => sets(Subject::Image(set.image)),
        // A request is decided and withdrawn once.
        Op::Decide(decide) => sets(Subject::Request(decide.request)),
        Op::Cancel(request) => sets(Subject::Request(*request)),
        // One that waits is changed rather than made a second time, and one that was answered is asked anew.
        Op::Request(_) | Op::Block(_) | Op::Unblock(_) | Op::Name(_) => {
            About { subject: None, effect: Effect::Same }
        }
        _ => About::ITSELF,
    }
}

/// Whether a change may be taken for an earlier one of the same command, whose outcome was not shown. Of one from before this was
/// written down it is not known what it was about.
pub(crate) fn is_repetition(now: About, earlier: Option<Subject>) -> bool {
    let is_same_thing = now.subject.is_none() || earlier.is_none() || now.subject == earlier;
    now.effect != Effect::Same && is_same_thing
}

/// Whether an earlier change of another command is over once this one about the same is done: a repetition of it would be meant anew.
/// What both add is added, whichever comes first.
pub(crate) fn ends(now: Effect, earlier: Effect) -> bool {
    !(now == Effect::Adds && earlier == Effect::Adds)
}

#[cfg(test)]
mod tests {
    use dos_protocol::{
        Allowance,
        directory::{Decide, Decision, ExpiryChange, RequestAccess, Share},
    };

    use super::{
        super::samples::{alice, bob},
        *,
    };

    fn share(views: ViewsChange) -> About {
        about(&Op::Share(Share {
            image: ImageNo(7),
            viewer: PeerRef::Id(bob()),
            views,
            expiry: ExpiryChange::Keep,
            key: None,
            lasts_ms: None,
            allow_offline: None,
        }))
    }

    #[test]
    fn a_grant_is_asked_for_again_only_while_the_directory_knows_the_operation() {
        let now = Timestamp(1_000_000);
        let begun = |hours: i64| Timestamp(now.0 - hours * 3_600_000);
        assert!(is_surely_known(begun(0), now) && is_surely_known(begun(22), now));
        assert!(!is_surely_known(begun(23), now) && !is_surely_known(begun(48), now));
    }

    #[test]
    fn changes_are_about_a_grant_an_image_or_a_request() {
        let grant = Some(Subject::Grant(ImageNo(7), bob()));
        for (views, effect) in [
            (ViewsChange::Revoke, Effect::Same),
            (ViewsChange::Add(2), Effect::Adds),
            (ViewsChange::Set(Allowance::Views(2)), Effect::Sets),
            (ViewsChange::Keep, Effect::Sets),
        ] {
            assert_eq!(share(views), About { subject: grant, effect }, "{views:?}");
        }
        let image = About { subject: Some(Subject::Image(ImageNo(7))), effect: Effect::Sets };
        assert_eq!(about(&Op::Remove(ImageNo(7))), image);
        let rename = Op::Rename { image: ImageNo(7), name: "sea".parse().unwrap(), record: None };
        assert_eq!(about(&rename), image);
        let request = About { subject: Some(Subject::Request(3)), effect: Effect::Sets };
        assert_eq!(about(&Op::Cancel(3)), request);
        let decide = Decide { request: 3, decision: Decision::Deny { reason: None } };
        assert_eq!(about(&Op::Decide(decide)), request);
        let again = About { subject: None, effect: Effect::Same };
        assert_eq!(about(&Op::Block(PeerRef::Id(alice()))), again);
        assert_eq!(about(&Op::Unblock(PeerRef::Id(alice()))), again);
        let access =
            RequestAccess { image: "alice/sea".parse().unwrap(), views: 1, note: None, offline: false };
        assert_eq!(about(&Op::Request(access)), again);
        assert_eq!(about(&Op::PasswordRemove), About::ITSELF);
    }

    #[test]
    fn a_repetition_is_about_the_same_thing_and_makes_a_difference() {
        let grant = Subject::Grant(ImageNo(7), bob());
        let set = share(ViewsChange::Set(Allowance::Views(2)));
        assert!(is_repetition(set, Some(grant)));
        assert!(!is_repetition(set, Some(Subject::Grant(ImageNo(8), bob()))), "another image of that name");
        assert!(is_repetition(set, None));
        assert!(is_repetition(share(ViewsChange::Add(1)), Some(grant)));
        assert!(!is_repetition(share(ViewsChange::Revoke), Some(grant)));
        assert!(is_repetition(About::ITSELF, None) && is_repetition(About::ITSELF, Some(grant)));
    }

    #[test]
    fn what_is_added_ends_nothing_that_was_added() {
        assert!(!ends(Effect::Adds, Effect::Adds));
        for (now, earlier) in [
            (Effect::Adds, Effect::Sets),
            (Effect::Sets, Effect::Adds),
            (Effect::Sets, Effect::Sets),
            (Effect::Same, Effect::Adds),
            (Effect::Same, Effect::Sets),
        ] {
            assert!(ends(now, earlier), "{now:?} after {earlier:?}");
        }
    }
}
