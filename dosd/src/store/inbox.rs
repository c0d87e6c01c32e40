//! What is owed to each peer: rows with gapless numbers, written with the change that causes them, deleted when the peer
//! has stored them.

use dos_protocol::{
    PeerId, PublicKey, Seq, Timestamp,
    directory::{FromDirectory, Update},
    frame,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Owed, Quotas, Refusal, Store, peers, row};
use crate::limits::reached;

/// Rows of one page of a replay; most are frames of a few hundred bytes ...
pub(super) const REPLAY_ROWS: u32 = 64;

/// ... and a page of long messages ends with the row that makes it so long.
const REPLAY_BYTES: usize = 256 << 10;

/// What a peer did that a row is about, where a block of that peer takes the row away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// It sent a message.
    Message,
    /// It made a request, or changed one: superseded by the refusal that comes with the block.
    Request,
}

impl Cause {
    fn number(self) -> i64 {
        match self {
            Self::Message => 1,
            Self::Request => 2,
        }
    }
}

/// Adds a row to a peer's inbox, in the transaction that is under way.
pub(super) fn owe(
    connection: &Connection,
    peer: PeerId,
    at: Timestamp,
    update: Update,
) -> Result<Owed, Refusal> {
    add(connection, peer, at, update, None)
}

/// The same for a row that a block of `sender` takes away.
pub(super) fn owe_because(
    connection: &Connection,
    peer: PeerId,
    at: Timestamp,
    update: Update,
    (sender, cause): (PeerId, Cause),
) -> Result<Owed, Refusal> {
    add(connection, peer, at, update, Some((sender, cause)))
}

fn add(
    connection: &Connection,
    peer: PeerId,
    at: Timestamp,
    update: Update,
    cause: Option<(PeerId, Cause)>,
) -> Result<Owed, Refusal> {
    let mut head = connection.prepare_cached(
        "INSERT INTO inbox_heads(peer, latest) VALUES(?1, 1)
         ON CONFLICT(peer) DO UPDATE SET latest = latest + 1 RETURNING latest",
    )?;
    let seq = Seq(head.query_row([row::peer_number(peer)], |row| row::unsigned(row, 0))?);
    let message = FromDirectory::Update { seq, at, update };
    let bytes = frame::to_frame(&message).map_err(|error| Refusal::invalid(error.to_string()))?;
    connection
        .prepare_cached("INSERT INTO inbox(peer, seq, frame, sender, kind) VALUES(?1, ?2, ?3, ?4, ?5)")?
        .execute(params![
            row::peer_number(peer),
            row::number(seq.0),
            bytes,
            cause.map(|(sender, _)| row::peer_number(sender)),
            cause.map(|(_, cause)| cause.number()),
        ])?;
    Ok(Owed { peer, seq, frame: bytes.into() })
}

/// Makes the rows beyond `stored` that `sender` has caused say nothing, and tells how many of them were messages. Their
/// numbers stay, so that there is no gap.
pub(super) fn purge(
    connection: &Connection,
    peer: PeerId,
    sender: PeerId,
    stored: Seq,
    now: Timestamp,
) -> Result<u64, Refusal> {
    let mut caused = connection
        .prepare_cached("SELECT seq, kind FROM inbox WHERE peer = ?1 AND sender = ?2 AND seq > ?3")?;
    let key = params![row::peer_number(peer), row::peer_number(sender), row::number(stored.0)];
    let rows: Vec<(u64, i64)> = caused
        .query_map(key, |row| Ok((row::unsigned(row, 0)?, row.get(1)?)))?
        .collect::<Result<_, rusqlite::Error>>()?;
    let mut empty = connection.prepare_cached(
        "UPDATE inbox SET frame = ?3, sender = NULL, kind = NULL WHERE peer = ?1 AND seq = ?2",
    )?;
    let mut messages = 0;
    for (seq, kind) in rows {
        let void = FromDirectory::Update { seq: Seq(seq), at: now, update: Update::Void };
        let bytes = frame::to_frame(&void).map_err(|error| Refusal::invalid(error.to_string()))?;
        empty.execute(params![row::peer_number(peer), row::number(seq), bytes])?;
        messages += u64::from(kind == Cause::Message.number());
    }
    Ok(messages)
}

/// Refuses to owe a peer more than it has room for. What it must learn (a right that is taken back, an answer, a receipt) is
/// owed without asking here.
pub(super) fn check_room(
    connection: &Connection,
    peer: PeerId,
    sender: PeerId,
    quotas: Quotas,
) -> Result<(), Refusal> {
    let mut statement = connection.prepare_cached(COUNT_SENDER)?;
    let most = quotas.inbox_rows_per_sender;
    let key = params![row::peer_number(peer), row::peer_number(sender), row::number(most)];
    if statement.query_row(key, |row| row::unsigned(row, 0))? >= most {
        let why = format!("{most} messages and requests of yours wait for this peer already");
        return Err(reached("inbox_rows_per_sender", &why).into());
    }
    let mut statement = connection.prepare_cached(SPAN)?;
    if statement.query_row([row::peer_number(peer)], |row| row::unsigned(row, 0))? >= quotas.inbox_rows {
        return Err(reached("inbox_rows_max", "too much waits for this peer already").into());
    }
    Ok(())
}

pub(super) const COUNT_SENDER: &str =
    "SELECT count(*) FROM (SELECT 1 FROM inbox WHERE peer = ?1 AND sender = ?2 LIMIT ?3)";

/// Rows have no gaps between them, so their number need not be counted.
pub(super) const SPAN: &str = "SELECT coalesce(
    (SELECT max(seq) FROM inbox WHERE peer = ?1) - (SELECT min(seq) FROM inbox WHERE peer = ?1) + 1, 0)";

pub(super) fn latest(connection: &Connection, peer: PeerId) -> rusqlite::Result<Seq> {
    let mut statement = connection.prepare_cached("SELECT latest FROM inbox_heads WHERE peer = ?1")?;
    let latest = statement.query_row([row::peer_number(peer)], |row| row::unsigned(row, 0)).optional()?;
    Ok(Seq(latest.unwrap_or(0)))
}

impl Store {
    /// The rows after `after`, in order: at least one, if there are any, and some 256 KiB at most.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn replay(&self, peer: PeerId, after: Seq) -> Result<Vec<(Seq, Vec<u8>)>, Refusal> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT seq, frame FROM inbox WHERE peer = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
            )?;
            let mut rows =
                statement.query(params![row::peer_number(peer), row::number(after.0), REPLAY_ROWS])?;
            let (mut page, mut bytes) = (Vec::new(), 0);
            while bytes < REPLAY_BYTES
                && let Some(row) = rows.next()?
            {
                let frame: Vec<u8> = row.get(1)?;
                bytes += frame.len();
                page.push((Seq(row::unsigned(row, 0)?), frame));
            }
            Ok(page)
        })
        .await
    }

    /// Where a peer that has stored everything up to `stored` goes on, and the number of the last row ever added. The
    /// first is `stored`, unless later rows were acknowledged and are gone.
    ///
    /// # Errors
    /// `not_found` if the peer's key is not `key` any more.
    pub async fn inbox_span(&self, peer: PeerId, key: PublicKey, stored: Seq) -> Result<(Seq, Seq), Refusal> {
        self.read_brief(move |connection| {
            if peers::by_key(connection, &key)?.is_none_or(|known| known.id != peer) {
                return Err(peers::unknown_key().into());
            }
            let latest = latest(connection, peer)?;
            let mut statement = connection.prepare_cached("SELECT min(seq) FROM inbox WHERE peer = ?1")?;
            let first: Option<i64> = statement.query_row([row::peer_number(peer)], |row| row.get(0))?;
            let gone = first.map_or(latest.0, |first| u64::try_from(first).unwrap_or(1).saturating_sub(1));
            Ok((Seq(gone.max(stored.0)), latest))
        })
        .await
    }

    /// Forgets the rows up to `stored`, which the peer has stored.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn acknowledge(&self, peer: PeerId, stored: Seq) -> Result<(), Refusal> {
        self.change(move |connection| {
            connection
                .prepare_cached("DELETE FROM inbox WHERE peer = ?1 AND seq <= ?2")?
                .execute(params![row::peer_number(peer), row::number(stored.0)])?;
            Ok(().into())
        })
        .await
    }

    /// Makes the numbers go on after `stored`, if the peer has stored more than we ever sent: the directory was restored
    /// from a backup, and numbers that the peer knows must not be given again.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn advance_inbox(&self, peer: PeerId, stored: Seq) -> Result<(), Refusal> {
        self.change(move |connection| {
            connection.execute(
                "INSERT INTO inbox_heads(peer, latest) VALUES(?1, ?2)
                 ON CONFLICT(peer) DO UPDATE SET latest = max(latest, excluded.latest)",
                params![row::peer_number(peer), row::number(stored.0)],
            )?;
            // What the peer has stored under other meanings is never sent; without it the rows have no gap.
            connection.execute(
                "DELETE FROM inbox WHERE peer = ?1 AND seq <= ?2",
                params![row::peer_number(peer), row::number(stored.0)],
            )?;
            Ok(().into())
        })
        .await
    }
}
