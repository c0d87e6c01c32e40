//! How many connections there may be: what the open files that the system allows are used for.
//!
//! What always holds: with all of them in use there are descriptors left for the store and the operator, so that no connection of
//! a stranger costs the directory more than itself.

use dos_protocol::limits::UNSIGNED_MAX;

/// The store's files and readers, the operator's commands, monitoring, the log.
const OTHERS: u64 = 256;

/// How many connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// That have not signed in.
    pub(crate) unsigned: usize,
    /// Of these, from one address. Three quarters: a crowd that comes back finds room, and other addresses too; if they come in
    /// numbers, those of the largest crowd make room.
    pub(crate) unsigned_per_address: usize,
    /// Sessions.
    pub(crate) sessions: u64,
}

/// With so many open files in all, of which relayed calls may use `relayed`.
pub(crate) fn room(files: u64, relayed: u64) -> Room {
    let unsigned = usize::try_from(files / 4).unwrap_or(UNSIGNED_MAX).clamp(4, UNSIGNED_MAX);
    let taken = u64::try_from(unsigned).unwrap_or(u64::MAX).saturating_add(OTHERS).saturating_add(relayed);
    Room {
        unsigned,
        unsigned_per_address: unsigned * 3 / 4,
        // With few files the relay is unlikely to be busy, too.
        sessions: files.saturating_sub(taken).max(files / 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_shared_among_strangers_sessions_and_the_rest() {
        for (files, relayed, unsigned, unsigned_per_address, sessions) in [
            (131_072, 512, 16_384, 12_288, 113_920),
            (1 << 20, 512, 16_384, 12_288, (1 << 20) - 16_384 - 768),
            (20_000, 512, 5_000, 3_750, 14_232),
            (1_024, 512, 256, 192, 256),
            (1_024, 0, 256, 192, 512),
            (0, 0, 4, 3, 0),
            (u64::MAX, u64::MAX, 16_384, 12_288, u64::MAX / 4),
        ] {
            assert_eq!(room(files, relayed), Room { unsigned, unsigned_per_address, sessions }, "{files}");
        }
    }
}
