//! What a sign-in tells about the age of this state and of the directory's data, and what follows from it.

use std::time::Duration;

use dos_protocol::{ImageNo, Incarnation, Seq, Timestamp, directory::DataState, limits::MESSAGE_REMEMBERED};

/// How long what one knows from an earlier incarnation is asserted: who can confirm it may be away that long.
pub(crate) const ASSERTED_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long the number of a removed image is remembered: a directory that is restored from a backup that is older has the image
/// again, and its owner removes it once more.
pub(crate) const REMOVED_FOR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The most removed images that are remembered: as many as a peer can have.
pub(crate) const REMOVED_MAX: u32 = dos_protocol::limits::IMAGES_PER_PEER_MAX;

/// What is known here when the directory answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    /// Whether this state has belonged to a peer before.
    pub(crate) registered: bool,
    /// The last update that is stored.
    pub(crate) stored: Seq,
    /// The incarnation that was met last.
    pub(crate) incarnation: Option<Incarnation>,
}

/// What follows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Meeting {
    /// This state is older than what the directory has seen of it: what it holds may have been used since and is given up, and what
    /// it has missed is learned again.
    pub(crate) is_old: bool,
    /// The directory's data is in another incarnation: what is known here is asserted.
    pub(crate) asserts: bool,
}

/// Decides what a sign-in tells.
pub(crate) fn meet(known: Known, since: Seq, data: Option<&DataState>) -> Meeting {
    let is_old = since > known.stored || data.is_some_and(|data| data.restored);
    let asserts = data.is_some_and(|data| match known.incarnation {
        Some(met) => met != data.incarnation,
        // Of a state of an earlier release: what it knows is of the first incarnation, which is this one unless it was renewed.
        None => data.renewed,
    });
    Meeting { is_old, asserts: asserts && known.registered }
}

/// From when on messages of which it is not known that they arrived are sent again. An earlier release did not learn that they
/// did, so that of its messages only those are sent again that the directory would recognise.
pub(crate) fn resent_since(met: Option<Incarnation>, now: Timestamp) -> Timestamp {
    now.before(if met.is_some() { ASSERTED_FOR } else { MESSAGE_REMEMBERED })
}

/// What a user is told about views that a state gives up because it was put back from a copy.
pub(crate) fn given_up_text(path: Option<String>, image: ImageNo, given_up: u32) -> String {
    let path = path.unwrap_or_else(|| format!("image {image}"));
    let (views, were) = if given_up == 1 { ("view", "was") } else { ("views", "were") };
    format!("{given_up} held {views} of {path} {were} given up: this state was put back from a copy")
}

#[cfg(test)]
mod tests {
    use dos_protocol::directory::Proof;

    use super::*;

    fn data(incarnation: u8, restored: bool, renewed: bool) -> DataState {
        let incarnation = Incarnation::from([incarnation; 16]);
        DataState { incarnation, renewed, restored, attempts: 1, proof: Proof::from([0; 32]) }
    }

    #[test]
    fn a_state_is_old_if_the_directory_has_seen_more_of_it() {
        let known = Known { registered: true, stored: Seq(5), incarnation: Some([1; 16].into()) };
        for (since, told, is_old) in [
            (5, None, false),
            (4, None, false),
            (6, None, true),
            (5, Some(data(1, false, false)), false),
            (5, Some(data(1, true, false)), true),
            (6, Some(data(1, false, false)), true),
        ] {
            let meeting = meet(known, Seq(since), told.as_ref());
            assert_eq!(meeting, Meeting { is_old, asserts: false }, "{since} {told:?}");
        }
    }

    #[test]
    fn a_peer_asserts_what_it_knows_in_an_incarnation_that_is_new_to_it() {
        for (registered, met, told, asserts) in [
            (true, Some(1), Some(data(1, false, true)), false),
            (true, Some(1), Some(data(2, false, true)), true),
            (true, Some(1), Some(data(2, false, false)), true),
            (true, None, Some(data(2, false, true)), true),
            (true, None, Some(data(2, false, false)), false),
            (true, Some(1), None, false),
            (false, Some(1), Some(data(2, false, true)), false),
            (false, None, Some(data(2, false, true)), false),
        ] {
            let incarnation = met.map(|byte: u8| Incarnation::from([byte; 16]));
            let known = Known { registered, stored: Seq(5), incarnation };
            let meeting = meet(known, Seq(5), told.as_ref());
            assert_eq!(meeting, Meeting { is_old: false, asserts }, "{registered} {met:?} {told:?}");
        }
    }

    #[test]
    fn who_loses_held_views_is_told_how_many_of_what() {
        let text = |path: Option<&str>, views| given_up_text(path.map(str::to_owned), ImageNo(7), views);
        let why = "given up: this state was put back from a copy";
        assert_eq!(text(Some("alice/sea"), 1), format!("1 held view of alice/sea was {why}"));
        assert_eq!(text(None, 2), format!("2 held views of image 7 were {why}"));
    }

    #[test]
    fn messages_of_a_month_are_sent_again_and_those_of_an_earlier_release_of_a_day() {
        let (now, day) = (Timestamp(10_000_000_000), 24 * 3600 * 1000);
        assert_eq!(resent_since(Some([1; 16].into()), now), Timestamp(now.0 - 30 * day));
        assert_eq!(resent_since(None, now), Timestamp(now.0 - day));
    }
}
