//! The peers that this one has blocked: a copy of what the directory knows, for what does not come through it.
//!
//! What always holds: a list of the directory's that is older than what this daemon changed last is not taken.

use std::sync::Arc;

use dos_protocol::{
    PeerId, Timestamp,
    directory::Block,
    limits::{BLOCKS_MAX, PAGE_MAX},
    model::Grant,
};
use rusqlite::{Connection, params};
use tokio::sync::watch;

use super::{
    Error, Store, execute, id, peer_of,
    stored::{self, peer_name},
};

impl Store {
    /// A page of the peers that this one has blocked, the latest last: those behind this one.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn blocked_peers(&self, after: Option<Block>) -> Result<Vec<Block>, Error> {
        self.read(move |connection| {
            let (since, peer) = after.map_or((i64::MIN, i64::MIN), |last| (last.since.0, id(last.peer)));
            let mut statement = connection.prepare_cached(
                "SELECT peer, name, since FROM blocks WHERE (since, peer) > (?1, ?2)
                 ORDER BY since, peer LIMIT ?3",
            )?;
            let mut rows = statement.query(params![since, peer, PAGE_MAX])?;
            let mut blocks = Vec::new();
            while let Some(row) = rows.next()? {
                let (peer, name) = (peer_of(row.get(0)?)?, peer_name(row.get(1)?)?);
                blocks.push(Block { peer, name, since: Timestamp(row.get(2)?) });
            }
            Ok(blocks)
        })
        .await
    }

    /// Notes a block; a pending request of that peer for contact is deleted. Returns whether there was one.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn block(&self, block: Block) -> Result<bool, Error> {
        let blocking = Arc::clone(&self.blocking);
        let work = move |connection: &Connection| {
            insert(connection, &block)?;
            changed(connection)?;
            let sql = "DELETE FROM contacts WHERE peer = ?1 AND state = 'pending'";
            Ok(execute(connection, sql, [id(block.peer)])? > 0)
        };
        self.write_counting_then(work, move |_| blocking.send_modify(|changes| *changes += 1)).await
    }

    /// Forgets a block.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn unblock(&self, peer: PeerId) -> Result<(), Error> {
        self.write_counting(move |connection| {
            execute(connection, "DELETE FROM blocks WHERE peer = ?1", [id(peer)])?;
            execute(connection, "DELETE FROM asserting WHERE kind = 'block' AND peer = ?1", [id(peer)])?;
            changed(connection)
        })
        .await
    }

    /// How often this daemon has changed its blocks.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn blocks_revision(&self) -> Result<u64, Error> {
        self.write(revision).await
    }

    /// Takes the directory's list in place of the one here, unless this daemon has changed it since it had `revision`.
    /// Returns whether it was taken.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn take_blocks(&self, since: u64, blocks: Vec<Block>) -> Result<bool, Error> {
        let blocking = Arc::clone(&self.blocking);
        let work = move |connection: &Connection| {
            if revision(connection)? != since {
                return Ok(false);
            }
            // What a directory that was restored does not know yet stays.
            let sql =
                "DELETE FROM blocks WHERE peer NOT IN (SELECT peer FROM asserting WHERE kind = 'block')";
            execute(connection, sql, [])?;
            for block in blocks.iter().take(BLOCKS_MAX) {
                insert(connection, block)?;
            }
            Ok(true)
        };
        self.write_counting_then(work, move |_| blocking.send_modify(|changes| *changes += 1)).await
    }

    /// Changes of the blocks, from now on.
    pub(crate) fn blocks_changed(&self) -> watch::Receiver<u64> {
        self.blocking.subscribe()
    }

    /// Returns when a peer is blocked.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn until_blocked(&self, peer: PeerId) -> Result<(), Error> {
        let mut changes = self.blocks_changed();
        while !self.standing(peer).await?.is_blocked {
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        Ok(())
    }

    /// Grants between this peer and those that it has blocked, of which the directory tells nothing unasked: some, if there are
    /// very many.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn grants_across_blocks(&self, me: PeerId) -> Result<Vec<Grant>, Error> {
        self.read(move |connection| {
            let sql = "SELECT body FROM (
                           SELECT grants.body FROM blocks CROSS JOIN grants
                           WHERE grants.viewer = ?1 AND grants.owner = blocks.peer AND grants.revoked = 0
                           UNION ALL
                           SELECT grants.body FROM blocks CROSS JOIN grants
                           WHERE grants.viewer = blocks.peer AND grants.owner = ?1 AND grants.revoked = 0)
                       LIMIT ?2";
            stored::all(connection, sql, params![id(me), PAGE_MAX])
        })
        .await
    }
}

fn revision(connection: &Connection) -> Result<u64, Error> {
    let sql = "SELECT blocks_revision FROM mailbox";
    let revision: i64 = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(revision.cast_unsigned())
}

fn changed(connection: &Connection) -> Result<(), Error> {
    execute(connection, "UPDATE mailbox SET blocks_revision = blocks_revision + 1", [])?;
    Ok(())
}

fn insert(connection: &Connection, block: &Block) -> Result<(), Error> {
    let sql = "INSERT INTO blocks (peer, name, since) VALUES (?1, ?2, ?3)
               ON CONFLICT (peer) DO UPDATE SET name = excluded.name";
    let name = block.name.as_ref().map(dos_protocol::PeerName::as_str);
    execute(connection, sql, params![id(block.peer), name, block.since.0])?;
    Ok(())
}

/// Whether this peer has blocked `peer`.
pub(super) fn is_blocked(connection: &Connection, peer: PeerId) -> Result<bool, Error> {
    let sql = "SELECT EXISTS (SELECT 1 FROM blocks WHERE peer = ?1)";
    Ok(connection.prepare_cached(sql)?.query_row([id(peer)], |row| row.get(0))?)
}
