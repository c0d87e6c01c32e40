//! Messages through the directory: which are taken, how long they are kept, and when a text sent again is the same message.

use dos_protocol::{
    PeerId, Timestamp,
    limits::{MESSAGE_AGAIN_MAX, MESSAGE_BYTES_MAX, MESSAGES_KEPT_BYTES_MAX, MESSAGES_KEPT_MAX},
};

/// Whether a message of this length through the directory is taken. No honest directory passes on a longer one, of which a page
/// would fit no frame, or one's own.
pub(crate) fn is_taken(me: PeerId, from: PeerId, text_bytes: usize, is_blocked: bool) -> bool {
    from != me && !is_blocked && text_bytes <= MESSAGE_BYTES_MAX
}

/// What the messages that are here come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    /// How many.
    pub(crate) count: u64,
    /// The bytes of their texts.
    pub(crate) bytes: u64,
}

/// What may be kept.
pub(crate) const KEPT_MAX: Kept = Kept { count: MESSAGES_KEPT_MAX, bytes: MESSAGES_KEPT_BYTES_MAX };

impl Kept {
    /// Whether an old one must go.
    pub(crate) fn exceeds(self, max: Self) -> bool {
        self.count > max.count || self.bytes > max.bytes
    }
}

/// The earliest and the latest beginning of an unanswered message that the same text, sent `now`, still means. The latest one
/// is ahead of now: a clock that was set back must not make another message of it, nor keep it for ever.
pub(crate) fn same_message(now: Timestamp) -> (Timestamp, Timestamp) {
    (now.before(MESSAGE_AGAIN_MAX), now.after(MESSAGE_AGAIN_MAX))
}

#[cfg(test)]
mod tests {
    use super::{
        super::samples::{alice, bob},
        *,
    };

    #[test]
    fn only_messages_of_others_that_are_short_and_not_blocked_are_taken() {
        for (from, bytes, blocked, taken) in [
            (bob(), 16_384, false, true),
            (bob(), 16_385, false, false),
            (bob(), 0, false, true),
            (bob(), 1, true, false),
            (alice(), 1, false, false),
        ] {
            assert_eq!(is_taken(alice(), from, bytes, blocked), taken, "{from} {bytes} {blocked}");
        }
    }

    #[test]
    fn old_messages_go_when_there_are_too_many_or_too_large_ones() {
        for (count, bytes, exceeds) in [(2, 10, false), (3, 10, true), (2, 11, true), (0, 0, false)] {
            assert_eq!(Kept { count, bytes }.exceeds(Kept { count: 2, bytes: 10 }), exceeds);
        }
        assert_eq!(KEPT_MAX, Kept { count: 100_000, bytes: 268_435_456 });
    }

    #[test]
    fn the_same_text_is_the_same_message_for_an_hour_either_way() {
        let now = Timestamp(10_000_000);
        assert_eq!(same_message(now), (Timestamp(6_400_000), Timestamp(13_600_000)));
    }
}
