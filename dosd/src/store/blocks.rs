//! Blocks: made with everything that they take away, in one transaction, and lifted.

use dos_protocol::{
    PeerId, Seq, Timestamp,
    directory::{Block, Blocked},
    limits::PAGE_MAX,
    model::PeerRef,
};
use dos_sql::{self as sql, Connection, Row, params};

use super::{Change, Changed, Deliver, Refusal, Store, inbox, messages, peers, requests, row, withheld};
use crate::rules::{
    Act, Owe,
    blocks::{
        self, BlockChange, Blocking, Purged,
        across::{self, Between, Passage},
    },
};

/// Whether `blocker` has blocked `blocked`.
pub(super) fn is_blocked(connection: &Connection, blocker: PeerId, blocked: PeerId) -> sql::Result<bool> {
    let mut statement = connection.prepare("SELECT 1 FROM blocks WHERE blocker = ?1 AND blocked = ?2")?;
    statement.exists(params![row::peer_number(blocker), row::peer_number(blocked)])
}

/// The blocks between a peer that acts and another one.
pub(super) fn between(connection: &Connection, actor: PeerId, other: PeerId) -> sql::Result<Between> {
    Ok(Between {
        by_other: is_blocked(connection, other, actor)?,
        by_actor: is_blocked(connection, actor, other)?,
    })
}

/// Of what a peer's act makes the directory owe to peers, that which is owed now. The rest comes to nothing, or its subject is
/// noted until the block is lifted.
pub(super) fn passing(
    connection: &Connection,
    (actor, act): (PeerId, Act),
    owed: Vec<Owe>,
) -> sql::Result<Vec<Owe>> {
    let mut passing = Vec::with_capacity(owed.len());
    let mut statement = connection.prepare(
        "SELECT EXISTS(SELECT 1 FROM blocks WHERE blocker = ?1) OR EXISTS(SELECT 1 FROM blocks WHERE blocked = ?1)",
    )?;
    if !statement.query_row([row::peer_number(actor)], |row| row.get::<bool>(0))? {
        return Ok(owed);
    }
    for owe in owed {
        if owe.peer == actor {
            passing.push(owe);
            continue;
        }
        match across::passage(act, between(connection, actor, owe.peer)?, &owe.update) {
            Passage::Owed => passing.push(owe),
            Passage::Withheld => withheld::note(connection, (owe.peer, actor), &owe.update)?,
            Passage::Dropped => {}
        }
    }
    Ok(passing)
}

/// Delivers all blocks that there are.
pub(super) fn deliver_all(connection: &Connection, deliver: &dyn Deliver) -> sql::Result<()> {
    for block in all(connection)? {
        deliver.blocking(block);
    }
    Ok(())
}

fn all(connection: &Connection) -> sql::Result<Vec<BlockChange>> {
    let mut statement = connection.prepare("SELECT blocker, blocked FROM blocks")?;
    let read = |row: Row<'_>| {
        Ok(BlockChange { blocker: row::peer(row, 0)?, blocked: row::peer(row, 1)?, is_on: true })
    };
    statement.query_map((), read)?.collect()
}

impl Store {
    /// All blocks that stand.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn all_blocks(&self) -> Result<Vec<BlockChange>, Refusal> {
        self.read(|connection| Ok(all(connection)?)).await
    }

    /// Blocks a peer: its messages beyond `stored`, the last row that the blocker is known to have stored, become nothing,
    /// its pending requests are denied, and those of the blocker to it are withdrawn. Again it changes nothing.
    ///
    /// # Errors
    /// `not_found`; `invalid` for oneself; `denied` with too many blocks.
    pub async fn block(&self, change: Change, peer: PeerRef, stored: Seq) -> Result<Blocked, Refusal> {
        self.change_once(change, move |connection| {
            let (blocker, now) = (change.peer, change.now);
            let blocked = peers::find(connection, &peer)?;
            let state = Blocking {
                blocker,
                stands: is_blocked(connection, blocker, blocked.id)?,
                count: count(connection, blocker)?,
                blocked: blocked.clone(),
            };
            if blocks::block(&state)? {
                insert(connection, blocker, blocked.id, now)?;
            }
            let messages = inbox::void(connection, blocker, (blocked.id, stored), now)?;
            messages::forget(connection, blocked.id, blocker, stored)?;
            let (requests, mut rows) = requests::deny_all(connection, (blocker, blocked.id), now)?;
            rows.extend(requests::cancel_all(connection, (blocked.id, blocker), now)?);
            let grants = usable_grants(connection, blocker, blocked.id, now)?;
            let block = Some(BlockChange { blocker, blocked: blocked.id, is_on: true });
            let value = blocks::answer(blocked, Purged { messages, requests, grants });
            Ok(Changed { block, ..Changed::owing(value, rows) })
        })
        .await
    }

    /// Lifts a block: what it has kept back of grants is owed now. Again it changes nothing.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn unblock(&self, change: Change, peer: PeerRef) -> Result<(), Refusal> {
        self.change_once(change, move |connection| {
            let blocker = change.peer;
            let blocked = peers::find(connection, &peer)?.id;
            connection
                .prepare("DELETE FROM blocks WHERE blocker = ?1 AND blocked = ?2")?
                .execute(params![row::peer_number(blocker), row::peer_number(blocked)])?;
            let block = Some(BlockChange { blocker, blocked, is_on: false });
            let rows = if between(connection, blocker, blocked)?.is_open() {
                withheld::release(connection, (blocker, blocked), change.now)?
            } else {
                Vec::new()
            };
            Ok(Changed { block, ..Changed::owing((), rows) })
        })
        .await
    }

    /// The peers that a peer has blocked, in the order of their IDs: at most [`dos_protocol::limits::BLOCKS_MAX`].
    ///
    /// # Errors
    /// If the store fails.
    pub async fn blocks(&self, blocker: PeerId) -> Result<Vec<Block>, Refusal> {
        self.read(move |connection| {
            let mut statement = connection.prepare(
                "SELECT b.blocked, p.name, b.since FROM blocks b LEFT JOIN peers p ON p.id = b.blocked
                 WHERE b.blocker = ?1 ORDER BY b.blocked",
            )?;
            Ok(statement.query_map([row::peer_number(blocker)], record)?.collect::<Result<_, _>>()?)
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
            let mut statement = connection.prepare(
                "SELECT b.blocked, p.name, b.since FROM blocks b LEFT JOIN peers p ON p.id = b.blocked
                 WHERE b.blocker = ?1 AND b.blocked > ?2 ORDER BY b.blocked LIMIT ?3",
            )?;
            let after = after.map_or(-1, row::peer_number);
            let key = params![row::peer_number(blocker), after, PAGE_MAX + 1];
            let mut blocks: Vec<Block> = statement.query_map(key, record)?.collect::<Result<_, _>>()?;
            let more = row::cut(&mut blocks, PAGE_MAX);
            Ok((blocks, more))
        })
        .await
    }
}

fn record(row: Row<'_>) -> sql::Result<Block> {
    Ok(Block { peer: row::peer(row, 0)?, name: row::peer_name(row, 1)?, since: row::time(row, 2)? })
}

fn count(connection: &Connection, blocker: PeerId) -> sql::Result<u64> {
    let mut statement = connection.prepare("SELECT count(*) FROM blocks WHERE blocker = ?1")?;
    statement.query_row([row::peer_number(blocker)], |row| row::unsigned(row, 0))
}

fn insert(connection: &Connection, blocker: PeerId, blocked: PeerId, now: Timestamp) -> sql::Result<()> {
    connection
        .prepare("INSERT INTO blocks(blocker, blocked, since) VALUES(?1, ?2, ?3)")?
        .execute(params![row::peer_number(blocker), row::peer_number(blocked), now.0])
        .map(drop)
}

/// How many grants of `viewer` for images of `owner` can still be used.
fn usable_grants(connection: &Connection, owner: PeerId, viewer: PeerId, now: Timestamp) -> sql::Result<u64> {
    let mut statement = connection.prepare(
        "SELECT count(*) FROM grants WHERE viewer = ?1 AND owner = ?2 AND share IS NOT NULL
             AND (views_left IS NULL OR views_left > 0) AND (expires_at IS NULL OR expires_at > ?3)",
    )?;
    let key = params![row::peer_number(viewer), row::peer_number(owner), now.0];
    statement.query_row(key, |row| row::unsigned(row, 0))
}
