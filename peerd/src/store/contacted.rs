//! The peers with which this one has dealt: its contacts. All others are strangers, and what they share are offers.
//!
//! What always holds: a peer is written down in the transaction of what makes it a contact (a grant given, a request made, a
//! message sent, a share fetched, a key confirmed), never for what it has sent; and it stays one.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use dos_protocol::{PeerId, Timestamp, model::Grant};
use rusqlite::{Connection, params};
use tokio::sync::Notify;

use super::{Error, Store, blocks, execute, id, news};
use crate::rules::strangers::{Shown, Standing, Strangers};

/// What strangers offer, kept up by the writer: `status` is answered without reading the database.
#[derive(Debug, Default)]
pub(crate) struct Offers {
    count: AtomicU64,
    fewer: Notify,
    contacts: AtomicU64,
    others: Notify,
}

impl Offers {
    /// How many images strangers have shared.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Returns when a stranger may have become a contact, whose copies may be fetched.
    pub(crate) async fn fewer(&self) {
        self.fewer.notified().await;
    }

    /// Returns when there are other contacts, which are followed.
    pub(crate) fn others(&self) -> &Notify {
        &self.others
    }

    fn set(&self, (count, contacts): (u64, u64)) {
        if self.contacts.swap(contacts, Ordering::Relaxed) != contacts {
            self.others.notify_one();
        }
        if count < self.count.swap(count, Ordering::Relaxed) {
            self.fewer.notify_one();
        }
    }
}

impl Store {
    /// What strangers offer.
    pub(crate) fn offers(&self) -> &Arc<Offers> {
        &self.offers
    }

    /// Counts what strangers offer, and what is news, for the first time.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn count_offers(&self) -> Result<(), Error> {
        self.write_counting(|_| Ok(())).await
    }

    /// As [`Store::write`], of what may change who is a stranger, what strangers offer, or what is news.
    pub(super) async fn write_counting<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.write_counting_then(work, |_| ()).await
    }

    /// The same; right after the commit `then` sees what came of it, on the writer's thread.
    pub(super) async fn write_counting_then<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
        then: impl FnOnce(&mut T) + Send + 'static,
    ) -> Result<T, Error> {
        let (offers, unseen) = (Arc::clone(&self.offers), Arc::clone(&self.news));
        let work = move |connection: &Connection| {
            let value = work(connection)?;
            let counts = (count(connection)?, contacts(connection)?);
            Ok::<_, Error>((value, counts, news::count(connection)?))
        };
        let then = move |(value, counts, news): &mut (T, (u64, u64), u64)| {
            offers.set(*counts);
            unseen.store(*news, Ordering::Relaxed);
            then(value);
        };
        Ok(self.writer.call_then(work, then).await?.0)
    }

    /// How this peer stands to another one.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn standing(&self, peer: PeerId) -> Result<Standing, Error> {
        self.read(move |connection| standing(connection, peer)).await
    }

    /// How this peer stands to each of these.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn standings(&self, peers: Vec<PeerId>) -> Result<HashMap<PeerId, Standing>, Error> {
        self.read(move |connection| {
            let peers: BTreeSet<PeerId> = peers.into_iter().collect();
            peers.into_iter().map(|peer| Ok((peer, standing(connection, peer)?))).collect()
        })
        .await
    }

    /// Received grants as they are listed: offers are marked, and what is not listed is left out.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn listed(&self, grants: Vec<Grant>, strangers: Strangers) -> Result<Vec<Grant>, Error> {
        let owners = grants.iter().map(|grant| grant.path.owner).collect();
        let standings = self.standings(owners).await?;
        let mut listed = Vec::with_capacity(grants.len());
        for grant in grants {
            let owner = standings.get(&grant.path.owner).copied().unwrap_or_default();
            match strangers.lists(owner, &grant) {
                Shown::Hidden => {}
                shown => listed.push(Grant { offer: shown == Shown::Offer, ..grant }),
            }
        }
        Ok(listed)
    }
}

/// How this peer stands to another one.
pub(super) fn standing(connection: &Connection, peer: PeerId) -> Result<Standing, Error> {
    let sql = "SELECT EXISTS (SELECT 1 FROM contacted WHERE peer = ?1)";
    Ok(Standing {
        is_contact: connection.prepare_cached(sql)?.query_row([id(peer)], |row| row.get(0))?,
        is_blocked: blocks::is_blocked(connection, peer)?,
    })
}

/// This peer has dealt with that one.
pub(super) fn note(connection: &Connection, peer: PeerId) -> Result<(), Error> {
    let sql = "INSERT OR IGNORE INTO contacted (peer, since) VALUES (?1, ?2)";
    execute(connection, sql, params![id(peer), Timestamp::now().0])?;
    Ok(())
}

/// The owners of the grants that this peer has received are taken one after the other by the index, so that it costs little
/// however many grants a contact has given.
const COUNT: &str = "
    WITH RECURSIVE
        me(peer) AS (SELECT peer FROM self WHERE peer IS NOT NULL),
        owners(owner) AS (
            SELECT (SELECT min(owner) FROM grants WHERE viewer = me.peer AND revoked = 0) FROM me
            UNION ALL
            SELECT (SELECT min(grants.owner) FROM grants, me
                    WHERE viewer = me.peer AND revoked = 0 AND grants.owner > owners.owner)
            FROM owners WHERE owners.owner IS NOT NULL)
    SELECT coalesce(sum((SELECT count(*) FROM grants, me
                         WHERE viewer = me.peer AND revoked = 0 AND grants.owner = owners.owner)), 0)
    FROM owners
    WHERE owners.owner IS NOT NULL AND owners.owner NOT IN (SELECT peer FROM contacted)
      AND owners.owner NOT IN (SELECT peer FROM blocks)";

/// How many peers are followed, or would be if there were room for all.
fn contacts(connection: &Connection) -> Result<u64, Error> {
    let sql = "SELECT count(*) FROM contacted WHERE peer NOT IN (SELECT peer FROM blocks)";
    let count: i64 = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(count.cast_unsigned())
}

fn count(connection: &Connection) -> Result<u64, Error> {
    let count: i64 = connection.prepare_cached(COUNT)?.query_row([], |row| row.get(0))?;
    Ok(count.cast_unsigned())
}
