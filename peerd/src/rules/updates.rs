//! The order of updates, and updates of kinds that this version does not know.

use dos_protocol::{Seq, directory::Update};

/// Updates of unknown kinds that are stored whole: an inbox of a newer directory has a few between an upgrade of the directory
/// and that of its peers.
pub(crate) const UNKNOWN_MAX: u64 = 1_000;

/// The bytes of their bodies together; one has at most a frame's, so at least 16 are stored.
pub(crate) const UNKNOWN_BYTES_MAX: u64 = 16 << 20;

/// Where an update stands in relation to those that are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    /// It is stored.
    Stored,
    /// It is the next one.
    Next,
    /// This one is missing before it.
    Gap(Seq),
}

/// Where the update `seq` stands when everything up to `stored` is stored.
pub(crate) fn position(stored: Seq, seq: Seq) -> Position {
    if seq <= stored {
        return Position::Stored;
    }
    let due = stored.next();
    if seq == due { Position::Next } else { Position::Gap(due) }
}

/// What is done with an update that was of an unknown kind when it came, and is known to this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Late {
    /// It is applied: its revision, or its ID, tells whether it is still news; or what it reports is final.
    Apply,
    /// Updates behind it may have changed the same, and nothing in it tells: the directory is asked how things are now.
    Relearn,
}

/// What is done with `update`, which was stored as an unknown one and is followed by others that took effect.
pub(crate) fn late(update: &Update) -> Late {
    match update {
        // A name has no revision.
        Update::Renamed { .. } => Late::Relearn,
        Update::Grant(_)
        | Update::Viewed(_)
        | Update::Removed { .. }
        | Update::Request(_)
        | Update::Decision(_)
        | Update::Message(_)
        | Update::Void
        | Update::Delivered(_)
        | Update::Operator(_)
        // Its guest says it again, whatever becomes of it.
        | Update::Greeting(_) => Late::Apply,
    }
}

/// What is stored of updates of unknown kinds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Unknown {
    /// How many.
    pub(crate) count: u64,
    /// The bytes of their bodies.
    pub(crate) bytes: u64,
}

impl Unknown {
    /// Whether one with a body of `bytes` has room beside them; else the oldest one goes.
    pub(crate) fn has_room(self, bytes: u64) -> bool {
        self.count < UNKNOWN_MAX && self.bytes.saturating_add(bytes) <= UNKNOWN_BYTES_MAX
    }
}

#[cfg(test)]
mod tests {
    use dos_protocol::{
        ImageNo, MessageId, Timestamp, ViewId,
        directory::{Delivered, InboxMessage, RequestState, Viewed, ViewedKind},
    };

    use super::{
        super::samples::{alice, grant, request},
        *,
    };

    #[test]
    fn updates_are_taken_in_order_and_once() {
        for (stored, seq, expected) in [
            (0, 0, Position::Stored),
            (0, 1, Position::Next),
            (0, 2, Position::Gap(Seq(1))),
            (7, 6, Position::Stored),
            (7, 7, Position::Stored),
            (7, 8, Position::Next),
            (7, 9, Position::Gap(Seq(8))),
            (u64::MAX, u64::MAX, Position::Stored),
            (u64::MAX - 1, u64::MAX, Position::Next),
        ] {
            assert_eq!(position(Seq(stored), Seq(seq)), expected, "{seq} after {stored}");
        }
    }

    #[test]
    fn only_what_tells_its_age_is_applied_late() {
        let path = grant(1).path;
        let image = ImageNo(1);
        let viewed = Viewed { view: ViewId::generate(), views: 1, kind: ViewedKind::View, grant: grant(1) };
        let letter = InboxMessage {
            message: MessageId::generate(),
            from: alice(),
            from_name: None,
            sent_at: Timestamp(1),
            text: "tea".into(),
            from_key: None,
            sealed: None,
            signature: None,
        };
        for (update, expected) in [
            (Update::Grant(Box::new(grant(1))), Late::Apply),
            (Update::Viewed(Box::new(viewed)), Late::Apply),
            (Update::Removed { image, path: path.clone() }, Late::Apply),
            (Update::Renamed { image, path }, Late::Relearn),
            (Update::Request(Box::new(request(1, RequestState::Pending))), Late::Apply),
            (Update::Decision(Box::new(request(1, RequestState::Denied))), Late::Apply),
            (Update::Message(Box::new(letter)), Late::Apply),
            (Update::Void, Late::Apply),
            (
                Update::Delivered(Box::new(Delivered { message: MessageId::generate(), to: alice() })),
                Late::Apply,
            ),
        ] {
            assert_eq!(late(&update), expected, "{}", update.kind());
        }
    }

    #[test]
    fn unknown_updates_are_bounded_in_number_and_in_bytes() {
        for (count, bytes, more, room) in [
            (0, 0, 0, true),
            (999, 0, 1, true),
            (1_000, 0, 1, false),
            (1, 16_777_215, 1, true),
            (1, 16_777_216, 0, true),
            (1, 16_777_216, 1, false),
            (1, u64::MAX, 1, false),
        ] {
            assert_eq!(Unknown { count, bytes }.has_room(more), room, "{count} of {bytes}, {more} more");
        }
    }
}
