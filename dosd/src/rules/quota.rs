//! Room: how much one peer may keep here, how much may wait for one peer and of one peer, and how much there is in all.
//!
//! What always holds: what a peer must learn (a revocation, an answer, a receipt) and what frees room is never refused for want of
//! room, but for receipts far beyond it. Each of those rows has a cause that was admitted here before, so they are bounded too. No
//! peers together fill the inbox of another one: the fuller it is, the smaller is the share of each, and half of it is for peers
//! that its owner deals with.

use dos_protocol::{WireError, limits};

use super::refusal::reached;

/// How much there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Images of one peer.
    pub images: u64,
    /// Bytes of all previews of one peer.
    pub preview_bytes: u64,
    /// Bytes of the rows of one peer: its images, the grants that it has given, the requests that it has made.
    pub row_bytes: u64,
    /// Updates that wait for one peer.
    pub inbox_rows: u64,
    /// Of them messages and requests of one other peer.
    pub inbox_rows_per_sender: u64,
    /// Bytes that wait for one peer.
    pub inbox_bytes: u64,
    /// Bytes that one peer has waiting for all others.
    pub sent_bytes: u64,
    /// Bytes of the database; as far as the disk goes, if there is no number.
    pub database_bytes: Option<u64>,
    /// Bytes of the disk that stay free for what is never refused.
    pub disk_reserve: u64,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            images: limits::IMAGES_PER_PEER_MAX.into(),
            preview_bytes: limits::PREVIEW_BYTES_PER_PEER,
            row_bytes: limits::ROW_BYTES_PER_PEER,
            inbox_rows: limits::INBOX_ROWS_MAX.into(),
            inbox_rows_per_sender: limits::INBOX_ROWS_PER_SENDER.into(),
            inbox_bytes: limits::INBOX_BYTES_MAX,
            sent_bytes: limits::SENT_BYTES_PER_PEER,
            database_bytes: None,
            disk_reserve: limits::DISK_RESERVE_BYTES,
        }
    }
}

/// What a peer wants to add to another one's inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Adding {
    /// A message or a request of so many bytes.
    Letter(u64),
    /// A grant, or a change of one.
    Grant,
    /// What follows from a change of an image for those that have a grant for it.
    Change,
}

/// What waits for one peer and of one peer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// Messages and requests of the sender that wait for this peer.
    pub(crate) letters: u64,
    /// All updates of the sender that wait for it.
    pub(crate) of_sender: u64,
    /// Their bytes.
    pub(crate) of_sender_bytes: u64,
    /// All updates that wait for it.
    pub(crate) all: u64,
    /// Their bytes.
    pub(crate) all_bytes: u64,
    /// Bytes that the sender has waiting for all peers.
    pub(crate) sent_bytes: u64,
    /// Bytes that wait for the sender itself, which are echoes of what it does, among others.
    pub(crate) own_bytes: u64,
    /// Bytes of the sender's rows.
    pub(crate) row_bytes: u64,
    /// Whether the peer has granted something to the sender, or requested something from it.
    pub(crate) is_known: bool,
}

/// The part of the room that is left which one sender can have, if the peer deals with it ...
const PART_OF_KNOWN: u64 = 2;

/// ... and if not. Such shares are dynamic thresholds (Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory
/// packet switches", 1998): however many senders there are, some room is left, and a newcomer has as large a share as they.
const PART_OF_STRANGER: u64 = 4;

/// A sender that the peer deals with always has room for this number of updates, ...
const KNOWN_ROWS_MIN: u64 = 16;

/// ... and for this number of bytes: a few messages of the largest size.
const KNOWN_BYTES_MIN: u64 = 64 << 10;

/// Receipts are refused, with the views that they are for, only when this times the room of an inbox waits.
const RECEIPTS_FACTOR: u64 = 4;

/// How much one sender may have of `most`, of which `all` is taken.
fn share(all: u64, most: u64, is_known: bool) -> u64 {
    if is_known {
        most.saturating_sub(all).div_ceil(PART_OF_KNOWN)
    } else {
        most.div_ceil(2).saturating_sub(all).div_ceil(PART_OF_STRANGER)
    }
}

/// Refuses to have a peer owed more by a sender than is fair, and a sender more than its own room.
pub(crate) fn check_room(waiting: Waiting, adding: Adding, quotas: &Quotas) -> Result<(), WireError> {
    let (letters, bytes) = match adding {
        Adding::Letter(bytes) => (waiting.letters, bytes),
        Adding::Grant | Adding::Change => (0, 0),
    };
    let most = quotas.inbox_rows_per_sender;
    if letters >= most {
        let why = format!("{most} messages and requests of yours wait for this peer already");
        return Err(reached("inbox_rows_per_sender", &why));
    }
    check_sender(waiting, bytes, quotas)?;
    // It was given its grant within its share; changes of it need little more.
    let is_small = waiting.is_known || adding == Adding::Change;
    let is_small = is_small && waiting.of_sender < KNOWN_ROWS_MIN;
    if !is_small && waiting.of_sender >= share(waiting.all, quotas.inbox_rows, waiting.is_known) {
        return Err(reached("inbox_rows_max", "too much waits for this peer already"));
    }
    let after = waiting.of_sender_bytes.saturating_add(bytes);
    let is_small = is_small && after <= KNOWN_BYTES_MIN;
    if !is_small && after > share(waiting.all_bytes, quotas.inbox_bytes, waiting.is_known) {
        return Err(reached("inbox_bytes_max", "too much waits for this peer already"));
    }
    Ok(())
}

/// Refuses a sender that has too much waiting, for itself or for others.
fn check_sender(waiting: Waiting, bytes: u64, quotas: &Quotas) -> Result<(), WireError> {
    if waiting.own_bytes >= quotas.inbox_bytes.saturating_mul(2) {
        let why = "too much waits for yourself: store and acknowledge that first";
        return Err(reached("inbox_bytes_max", why));
    }
    if waiting.sent_bytes.saturating_add(bytes) > quotas.sent_bytes {
        let why = format!("{} bytes of yours wait for other peers already", waiting.sent_bytes);
        return Err(reached("sent_bytes_per_peer", &why));
    }
    Ok(())
}

/// Refuses another row to a peer that has too many bytes of them.
pub(crate) fn check_rows(row_bytes: u64, quotas: &Quotas) -> Result<(), WireError> {
    let most = quotas.row_bytes;
    if row_bytes >= most {
        let why = format!("the images, grants and requests of a peer have at most {most} bytes together");
        return Err(reached("row_bytes_per_peer", &why));
    }
    Ok(())
}

/// Refuses a new view whose receipt would wait behind far too much. Those of an owner that comes now and then never do.
pub(crate) fn check_receipt(owner_bytes: u64, quotas: &Quotas) -> Result<(), WireError> {
    if owner_bytes >= quotas.inbox_bytes.saturating_mul(RECEIPTS_FACTOR) {
        return Err(reached("inbox_bytes_max", "far too many receipts wait for the owner of the image"));
    }
    Ok(())
}

/// Whether some of the answers that are kept for a peer's changes are to be forgotten before their time.
pub(crate) fn are_too_many(answer_bytes: u64) -> bool {
    answer_bytes > limits::OPERATION_BYTES_PER_PEER
}

/// What there is of the directory's disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Space {
    /// Bytes of the database that are in use.
    pub database: u64,
    /// Bytes that it can still grow by: what is free on the disk, and in its file.
    pub available: u64,
    /// Bytes of the file system.
    pub disk: u64,
}

/// What bounds the directory as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// The setting for the database.
    Database,
    /// The disk, with the reserve that stays.
    Disk,
}

impl Bound {
    /// The name of its setting.
    #[must_use]
    pub fn limit(self) -> &'static str {
        match self {
            Self::Database => "database_bytes_max",
            Self::Disk => "disk_reserve_bytes",
        }
    }
}

/// How much room the directory has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Level {
    /// Enough.
    #[default]
    Ample,
    /// It ends soon.
    Low(Bound),
    /// Nothing may be added.
    Full(Bound),
}

/// The reserve on a disk of this size: a small disk cannot spare more than a part of it.
pub(crate) fn reserve(disk: u64, quotas: &Quotas) -> u64 {
    quotas.disk_reserve.min(disk / 16)
}

/// By how much the data can grow before the level is full.
pub(crate) fn room(space: Space, quotas: &Quotas) -> u64 {
    let disk = space.available.saturating_sub(reserve(space.disk, quotas));
    quotas.database_bytes.map_or(disk, |most| disk.min(most.saturating_sub(space.database)))
}

/// The level, given the one before: what was full has room again when some more than the bound is free, so that it does not
/// change from moment to moment.
pub(crate) fn level(space: Space, quotas: &Quotas, before: Level) -> Level {
    let reserve = reserve(space.disk, quotas);
    let most = quotas.database_bytes.unwrap_or(u64::MAX);
    let margin = |bound, of: u64| if before == Level::Full(bound) { of / 8 } else { 0 };
    if space.available < reserve.saturating_add(margin(Bound::Disk, reserve)) {
        Level::Full(Bound::Disk)
    } else if space.database >= most - margin(Bound::Database, most / 4) {
        Level::Full(Bound::Database)
    } else if space.available < reserve.saturating_mul(2) {
        Level::Low(Bound::Disk)
    } else if space.database >= most - most / 8 {
        Level::Low(Bound::Database)
    } else {
        Level::Ample
    }
}

/// Refuses what makes the directory's data grow, where there is no room for it.
pub(crate) fn admit(level: Level) -> Result<(), WireError> {
    let Level::Full(bound) = level else { return Ok(()) };
    let why = match bound {
        Bound::Disk => "the directory's disk is nearly full",
        Bound::Database => "the directory has no room for more",
    };
    Err(reached(bound.limit(), why).retry_after(limits::ROOM_PAUSE))
}

#[cfg(test)]
mod tests;
