//! Blocks: made with everything that they take away, in one transaction, and taken back.

use dos_protocol::{
    PeerId, Reason, Seq, Timestamp,
    directory::{Block, Blocked},
    limits::{BLOCKS_MAX, PAGE_MAX},
    model::PeerRef,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Changed, Deliver, Refusal, Store, inbox, messages, peers, requests, row};
use crate::blocks::Blocking;

/// Whether `blocker` has blocked `blocked`.
pub(super) fn is_blocked(
    connection: &Connection,
    blocker: PeerId,
    blocked: PeerId,
) -> rusqlite::Result<bool> {
    let mut statement =
        connection.prepare_cached("SELECT 1 FROM blocks WHERE blocker = ?1 AND blocked = ?2")?;
    statement.exists(params![row::peer_number(blocker), row::peer_number(blocked)])
}

/// Refuses what a blocked peer wants of its blocker.
pub(super) fn check(connection: &Connection, blocker: &peers::Known, from: PeerId) -> Result<(), Refusal> {
    if is_blocked(connection, blocker.id, from)? {
        let text = match &blocker.name {
            Some(name) => format!("{name} takes nothing from you"),
            None => format!("{} takes nothing from you", blocker.id),
        };
        return Err(Refusal::denied(text, Reason::Blocked));
    }
    Ok(())
}

/// Tells all blocks that there are.
pub(super) fn tell_all(connection: &Connection, deliver: &dyn Deliver) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("SELECT blocker, blocked FROM blocks")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (blocker, blocked) = (row::peer(row, 0)?, row::peer(row, 1)?);
        deliver.blocking(Blocking { blocker, blocked, is_on: true });
    }
    Ok(())
}

impl Store {
    /// Blocks a peer: its messages beyond `stored`, the last row that the blocker is known to have stored, become nothing,
    /// and its pending requests are refused. Again it changes nothing.
    ///
    /// # Errors
    /// `not_found`; `invalid` for oneself; `denied` with too many blocks.
    pub async fn block(
        &self,
        blocker: PeerId,
        peer: PeerRef,
        stored: Seq,
        now: Timestamp,
    ) -> Result<Blocked, Refusal> {
        let blocked = self
            .change_blocks(move |connection| {
                let blocked = peers::find(connection, &peer)?;
                let mut changed = block(connection, blocker, &blocked, now)?;
                let messages_purged = inbox::purge(connection, blocker, blocked.id, stored, now)?;
                messages::forget(connection, blocked.id, blocker, stored)?;
                let (requests_purged, owed) = requests::refuse_all(connection, blocker, blocked.id, now)?;
                changed.owed = owed;
                changed.value.value = Blocked {
                    messages_purged,
                    requests_purged,
                    rights: rights(connection, blocker, blocked.id, now)?,
                    ..changed.value.value
                };
                Ok(changed)
            })
            .await?;
        Ok(blocked)
    }

    /// Takes a block back. Again it changes nothing.
    ///
    /// # Errors
    /// `not_found` if there is no such peer.
    pub async fn unblock(&self, blocker: PeerId, peer: PeerRef) -> Result<(), Refusal> {
        self.change_blocks(move |connection| {
            let blocked = peers::find(connection, &peer)?.id;
            connection
                .prepare_cached("DELETE FROM blocks WHERE blocker = ?1 AND blocked = ?2")?
                .execute(params![row::peer_number(blocker), row::peer_number(blocked)])?;
            Ok(WithBlocking { value: (), blocking: Blocking { blocker, blocked, is_on: false } }.into())
        })
        .await
    }

    /// Whom a peer has blocked, in the order of the IDs: at most [`BLOCKS_MAX`].
    ///
    /// # Errors
    /// If the store fails.
    pub async fn blocks(&self, blocker: PeerId) -> Result<Vec<Block>, Refusal> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT b.blocked, p.name, b.since FROM blocks b LEFT JOIN peers p ON p.id = b.blocked
                 WHERE b.blocker = ?1 ORDER BY b.blocked",
            )?;
            let block = |row: &rusqlite::Row<'_>| {
                Ok(Block {
                    peer: row::peer(row, 0)?,
                    name: row::peer_name(row, 1)?,
                    since: row::time(row, 2)?,
                })
            };
            Ok(statement.query_map([row::peer_number(blocker)], block)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The peers that a peer has blocked, after this one, in the order of their IDs; and whether there are more.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn blocks_page(
        &self,
        blocker: PeerId,
        after: Option<PeerId>,
    ) -> Result<(Vec<Block>, bool), Refusal> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT b.blocked, p.name, b.since FROM blocks b LEFT JOIN peers p ON p.id = b.blocked
                 WHERE b.blocker = ?1 AND b.blocked > ?2 ORDER BY b.blocked LIMIT ?3",
            )?;
            let block = |row: &rusqlite::Row<'_>| {
                Ok(Block {
                    peer: row::peer(row, 0)?,
                    name: row::peer_name(row, 1)?,
                    since: row::time(row, 2)?,
                })
            };
            let after = after.map_or(-1, row::peer_number);
            let key = params![row::peer_number(blocker), after, PAGE_MAX + 1];
            let mut blocks: Vec<Block> = statement.query_map(key, block)?.collect::<Result<_, _>>()?;
            let page = usize::try_from(PAGE_MAX).unwrap_or(usize::MAX);
            let more = blocks.len() > page;
            blocks.truncate(page);
            Ok((blocks, more))
        })
        .await
    }

    /// A change of a block, which is told after its commit: first that, then what is owed.
    async fn change_blocks<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<Changed<WithBlocking<T>>, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let deliver = std::sync::Arc::clone(&self.deliver);
        let then = move |changed: &mut Changed<WithBlocking<T>>| {
            deliver.blocking(changed.value.blocking);
            deliver.deliver(std::mem::take(&mut changed.owed));
        };
        self.writer.call_then(work, then).await.map(|changed| changed.value.value)
    }
}

struct WithBlocking<T> {
    value: T,
    blocking: Blocking,
}

/// Writes the block down, unless it stands already.
fn block(
    connection: &Connection,
    blocker: PeerId,
    blocked: &peers::Known,
    now: Timestamp,
) -> Result<Changed<WithBlocking<Blocked>>, Refusal> {
    if blocked.id == blocker {
        return Err(Refusal::invalid("nobody blocks oneself"));
    }
    if !is_blocked(connection, blocker, blocked.id)? {
        let mut count = connection.prepare_cached("SELECT count(*) FROM blocks WHERE blocker = ?1")?;
        let count = count.query_row([row::peer_number(blocker)], |row| row::unsigned(row, 0))?;
        if usize::try_from(count).map_or(true, |count| count >= BLOCKS_MAX) {
            let why = format!("a peer can block at most {BLOCKS_MAX} others");
            return Err(Refusal::denied(why, Reason::Limit));
        }
        connection
            .prepare_cached("INSERT INTO blocks(blocker, blocked, since) VALUES(?1, ?2, ?3)")?
            .execute(params![row::peer_number(blocker), row::peer_number(blocked.id), now.0])?;
    }
    let value = Blocked {
        peer: blocked.id,
        name: blocked.name.clone(),
        messages_purged: 0,
        requests_purged: 0,
        rights: 0,
    };
    Ok(WithBlocking { value, blocking: Blocking { blocker, blocked: blocked.id, is_on: true } }.into())
}

/// How many rights of `viewer` to images of `owner` can still be used.
fn rights(connection: &Connection, owner: PeerId, viewer: PeerId, now: Timestamp) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached(
        "SELECT count(*) FROM grants WHERE viewer = ?1 AND owner = ?2 AND share IS NOT NULL
             AND (views_left IS NULL OR views_left > 0) AND (expires_at IS NULL OR expires_at > ?3)",
    )?;
    let key = params![row::peer_number(viewer), row::peer_number(owner), now.0];
    Ok(statement.query_row(key, |row| row::unsigned(row, 0)).optional()?.unwrap_or(0))
}
