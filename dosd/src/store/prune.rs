//! Forgetting what no one needs any more: peers that were not seen for long, old receipts, dead invites.
//!
//! What always holds: what concerns other peers is owed to them (grants for the images of a forgotten peer are gone, its own
//! grants are revoked), in the same transaction; counts of views stay what they were. One call does one bounded step.

use dos_protocol::{PeerId, Timestamp, directory::PeerChange};
use dos_sql::{self as sql, Connection, params};

use super::{
    Changed, InboxRow, Refusal, Store, done, grants, images, inbox, invites, messages, peers, requests, row,
};
use crate::rules::grants::viewer_forgotten;

/// Receipts looked at in one transaction: some milliseconds, so that others need not wait.
const RECEIPTS_PER_STEP: u32 = 2_000;

/// Operation IDs forgotten in one transaction.
const OPERATIONS_PER_STEP: u32 = 2_000;

/// Peers found in one step.
const PEERS_PER_STEP: u32 = 100;

/// A step over the receipts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptsStep {
    /// Receipts that were, or would be, forgotten.
    pub forgotten: u64,
    /// Where to go on; nothing at the end.
    pub next: Option<Vec<u8>>,
}

/// What went with a peer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Images that it had published.
    pub images: u64,
    /// Grants that it had for images of others.
    pub grants: u64,
}

impl Store {
    /// Peers after this one that were last seen before that moment, as far as is written down, in the order of their IDs.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn unseen(&self, after: Option<PeerId>, before: Timestamp) -> Result<Vec<PeerId>, Refusal> {
        self.read(move |connection| {
            let sql = "SELECT id FROM peers WHERE id > ?1 AND last_seen_at < ?2 ORDER BY id LIMIT ?3";
            let mut statement = connection.prepare(sql)?;
            let key = params![after.map_or(-1, row::peer_number), before.0, PEERS_PER_STEP];
            Ok(statement.query_map(key, |row| row::peer(row, 0))?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// What would go with a peer.
    ///
    /// # Errors
    /// `not_found`; if the store fails.
    pub async fn weigh(&self, peer: PeerId) -> Result<Forgotten, Refusal> {
        self.read(move |connection| weigh(connection, peer)).await
    }

    /// Forgets a peer that was last seen before that moment: its images, its grants, its requests, its inbox, its name
    /// and its ID. `None` if it was seen again meanwhile.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn forget_peer(
        &self,
        peer: PeerId,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Forgotten>, Refusal> {
        self.change(move |connection| {
            let Some(known) = peers::by_id(connection, peer)?.filter(|known| known.last_seen < before) else {
                return Ok(None.into());
            };
            let (forgotten, rows) = forget_known(connection, known.id, now)?;
            Ok(Changed::owing(Some(forgotten), rows).telling(peer, Some(PeerChange::Left), now))
        })
        .await
    }

    /// Forgets a peer that wants it, as [`Store::forget_peer`] does. `None` if it is gone already.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn unregister(&self, peer: PeerId, now: Timestamp) -> Result<Option<Forgotten>, Refusal> {
        self.change(move |connection| {
            if peers::by_id(connection, peer)?.is_none() {
                return Ok(None.into());
            }
            let (forgotten, rows) = forget_known(connection, peer, now)?;
            Ok(Changed::owing(Some(forgotten), rows).telling(peer, Some(PeerChange::Left), now))
        })
        .await
    }

    /// Forgets receipts from before that moment, beginning behind `after`: the view IDs under which views were spent. The
    /// views stay counted. An open checkout is kept, since its unused views may still be given back. With `dry` it only
    /// counts.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn forget_receipts(
        &self,
        after: Vec<u8>,
        before: Timestamp,
        dry: bool,
    ) -> Result<ReceiptsStep, Refusal> {
        if dry {
            return self.read(move |connection| receipts(connection, &after, before, true)).await;
        }
        self.change(move |connection| receipts(connection, &after, before, false).map(Changed::from)).await
    }

    /// Forgets operation IDs whose time is over, in one step, and tells whether there may be more. Without it they go with later
    /// changes.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn forget_operations(&self, now: Timestamp) -> Result<bool, Refusal> {
        self.change(move |connection| {
            let forgotten = done::forget(connection, now, OPERATIONS_PER_STEP)?;
            Ok((forgotten == usize::try_from(OPERATIONS_PER_STEP).unwrap_or(usize::MAX)).into())
        })
        .await
    }

    /// Forgets operation IDs and messages whose time is over, in one step, and tells whether there may be more: on database servers, where
    /// later changes leave those of other peers alone.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn forget_old(&self, now: Timestamp) -> Result<bool, Refusal> {
        self.change(move |connection| {
            let operations = done::forget(connection, now, OPERATIONS_PER_STEP)?;
            let messages = messages::forget_old(connection, now, OPERATIONS_PER_STEP)?;
            let step = usize::try_from(OPERATIONS_PER_STEP).unwrap_or(usize::MAX);
            Ok((operations.max(messages) >= step).into())
        })
        .await
    }

    /// Forgets invites that are used up or have expired, without the time for which they stay in the list otherwise. With
    /// `dry` it only counts.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn forget_invites(&self, now: Timestamp, dry: bool) -> Result<u64, Refusal> {
        const DEAD: &str = "FROM invites WHERE uses_left = 0 OR expires_at <= ?1";
        if dry {
            return self
                .read(move |connection| {
                    let mut statement = connection.prepare(&format!("SELECT count(*) {DEAD}"))?;
                    Ok(statement.query_row([now.0], |row| row::unsigned(row, 0))?)
                })
                .await;
        }
        self.change(move |connection| {
            let dead = connection.execute(&format!("DELETE {DEAD}"), [now.0])?;
            Ok(u64::try_from(dead).unwrap_or(u64::MAX).into())
        })
        .await
    }
}

/// Forgets a peer that is there.
pub(super) fn forget_known(
    connection: &Connection,
    peer: PeerId,
    now: Timestamp,
) -> Result<(Forgotten, Vec<InboxRow>), Refusal> {
    let forgotten = weigh(connection, peer)?;
    let mut rows = Vec::new();
    for image in images::all_of(connection, peer)? {
        rows.extend(images::remove(connection, &image, now)?);
    }
    rows.extend(requests::withdraw_all(connection, peer, now)?);
    let revoked = viewer_forgotten(grants::of_viewer(connection, peer)?);
    rows.extend(inbox::owe(connection, revoked, now)?);
    invites::forget_of(connection, peer)?;
    erase(connection, peer)?;
    // Its own inbox has gone with it.
    rows.retain(|row| row.peer != peer);
    Ok((forgotten, rows))
}

fn weigh(connection: &Connection, peer: PeerId) -> Result<Forgotten, Refusal> {
    let count = |sql: &str| -> sql::Result<u64> {
        connection.prepare(sql)?.query_row([row::peer_number(peer)], |row| row::unsigned(row, 0))
    };
    Ok(Forgotten {
        images: count("SELECT count(*) FROM images WHERE owner = ?1")?,
        grants: count("SELECT count(*) FROM grants WHERE viewer = ?1 AND share IS NOT NULL")?,
    })
}

/// Deletes every row of a peer.
fn erase(connection: &Connection, peer: PeerId) -> sql::Result<()> {
    for sql in [
        "DELETE FROM grants WHERE viewer = ?1",
        "DELETE FROM views WHERE viewer = ?1",
        "DELETE FROM views_forgotten WHERE viewer = ?1",
        "DELETE FROM forks WHERE viewer = ?1",
        "DELETE FROM requests WHERE viewer = ?1 OR owner = ?1",
        "DELETE FROM inbox WHERE peer = ?1",
        "DELETE FROM inbox_heads WHERE peer = ?1",
        "DELETE FROM inbox_shares WHERE peer = ?1",
        "DELETE FROM messages WHERE sender = ?1 OR recipient = ?1",
        "DELETE FROM blocks WHERE blocker = ?1 OR blocked = ?1",
        "DELETE FROM withheld WHERE peer = ?1 OR other = ?1",
        "DELETE FROM done WHERE peer = ?1",
        "DELETE FROM passwords WHERE peer = ?1",
        "DELETE FROM peers WHERE id = ?1",
    ] {
        connection.prepare(sql)?.execute([row::peer_number(peer)])?;
    }
    Ok(())
}

/// A receipt: its view ID, its image, its viewer, and the views that it counts.
type Receipt = (Vec<u8>, i64, i64, i64);

/// In the order of the view IDs, so that a step costs the same wherever it begins.
fn receipts(
    connection: &Connection,
    after: &[u8],
    before: Timestamp,
    dry: bool,
) -> Result<ReceiptsStep, Refusal> {
    let sql =
        "SELECT view, image, viewer, views - coalesce(returned, 0), spent_at, kind = 1 AND returned IS NULL
               FROM views WHERE view > ?1 ORDER BY view LIMIT ?2";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query(params![after, RECEIPTS_PER_STEP])?;
    let (mut seen, mut last) = (0, None);
    let mut old: Vec<Receipt> = Vec::new();
    while let Some(row) = rows.next()? {
        seen += 1;
        let view: Vec<u8> = row.get(0)?;
        last = Some(view.clone());
        if row::time(row, 4)? < before && !row.get::<bool>(5)? {
            old.push((view, row.get(1)?, row.get(2)?, row.get(3)?));
        }
    }
    let forgotten = u64::try_from(old.len()).unwrap_or(u64::MAX);
    if !dry {
        forget(connection, &old)?;
    }
    Ok(ReceiptsStep { forgotten, next: last.filter(|_| seen == RECEIPTS_PER_STEP) })
}

/// What a grant counts stays accounted for, in one number for all of its forgotten receipts.
fn forget(connection: &Connection, old: &[Receipt]) -> sql::Result<()> {
    let mut count = connection.prepare(
        "INSERT INTO views_forgotten(image, viewer, views)
         SELECT CAST(?1 AS bigint), CAST(?2 AS bigint), CAST(?3 AS bigint)
         WHERE EXISTS(SELECT 1 FROM grants WHERE image = ?1 AND viewer = ?2)
         ON CONFLICT(image, viewer) DO UPDATE SET views = views_forgotten.views + excluded.views",
    )?;
    let mut delete = connection.prepare("DELETE FROM views WHERE view = ?1")?;
    for (view, image, viewer, views) in old {
        count.execute(params![image, viewer, views])?;
        delete.execute([view])?;
    }
    Ok(())
}
