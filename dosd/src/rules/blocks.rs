//! Blocks: who takes nothing from whom. What that means for each operation is in [`across`].

pub(crate) mod across;

use dos_protocol::{PeerId, Reason, WireError, directory::Blocked, limits::BLOCKS_MAX};

use super::{
    names::PeerRecord,
    refusal::{denied, invalid},
};

/// A block that was made or lifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockChange {
    /// The peer that blocks.
    pub blocker: PeerId,
    /// The peer that is blocked.
    pub blocked: PeerId,
    /// Whether the block stands from now on.
    pub is_on: bool,
}

/// What a block is decided on.
#[derive(Debug)]
pub(crate) struct Blocking {
    pub(crate) blocker: PeerId,
    pub(crate) blocked: PeerRecord,
    /// Whether the block stands already.
    pub(crate) stands: bool,
    /// How many peers the blocker has blocked.
    pub(crate) count: u64,
}

/// What a block takes away with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Purged {
    pub(crate) messages: u64,
    pub(crate) requests: u64,
    /// Grants of the blocked peer that can still be used.
    pub(crate) grants: u64,
}

/// Whether the block is to be written down; it is not if it stands already.
pub(crate) fn block(state: &Blocking) -> Result<bool, WireError> {
    if state.blocked.id == state.blocker {
        return Err(invalid("a peer does not block itself"));
    }
    if state.stands {
        return Ok(false);
    }
    if usize::try_from(state.count).map_or(true, |count| count >= BLOCKS_MAX) {
        let why = format!("a peer can block at most {BLOCKS_MAX} others");
        return Err(denied(why, Reason::Limit));
    }
    Ok(true)
}

/// The answer to a block.
pub(crate) fn answer(blocked: PeerRecord, purged: Purged) -> Blocked {
    Blocked {
        peer: blocked.id,
        name: blocked.name,
        messages_purged: purged.messages,
        requests_purged: purged.requests,
        rights: purged.grants,
    }
}

#[cfg(test)]
mod tests {
    use dos_protocol::Code;

    use super::{super::samples::*, *};

    fn state(blocked: PeerId, stands: bool, count: u64) -> Blocking {
        let blocked = PeerRecord { id: blocked, ..record() };
        Blocking { blocker: alice(), blocked, stands, count }
    }

    #[test]
    fn a_block_is_written_down_once_and_up_to_the_limit() {
        for (blocked, stands, count, expected) in [
            (bob(), false, 0, Ok(true)),
            (bob(), false, 9_999, Ok(true)),
            (bob(), true, 10_000, Ok(false)),
            (bob(), false, 10_000, Err((Code::Denied, Some(Reason::Limit)))),
            (bob(), false, u64::MAX, Err((Code::Denied, Some(Reason::Limit)))),
            (alice(), false, 0, Err((Code::Invalid, None))),
            (alice(), true, 0, Err((Code::Invalid, None))),
        ] {
            let result = block(&state(blocked, stands, count)).map_err(|error| (error.code, error.reason));
            assert_eq!(result, expected, "{blocked} {stands} {count}");
        }
        let error = block(&state(bob(), false, 10_000)).unwrap_err();
        assert_eq!(&*error.message, "a peer can block at most 10000 others");
    }

    #[test]
    fn the_answer_tells_what_went() {
        let blocked = answer(record(), Purged { messages: 1, requests: 2, grants: 3 });
        let expected = Blocked {
            peer: bob(),
            name: Some("bob".parse().unwrap()),
            messages_purged: 1,
            requests_purged: 2,
            rights: 3,
        };
        assert_eq!(blocked, expected);
    }
}
