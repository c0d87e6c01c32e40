//! Updates from the directory, applied in one transaction together with the number of the last one.
//!
//! What always holds: an update takes effect exactly once, however often it comes, and never before the one with the
//! number before it.

use dos_protocol::{
    PeerId, SealedHash, Seq, Timestamp,
    control::What,
    directory::{Update, Viewed},
    model::Grant,
};
use rusqlite::{Connection, params};

use super::{Error, Store, asks, execute, library, rights};

/// An update as it came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Incoming {
    /// Its number.
    pub seq: Seq,
    /// When it came about.
    pub at: Timestamp,
    /// What it says.
    pub update: Update,
}

/// What came of a batch of updates.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Applied {
    /// The last update that is stored.
    pub stored: Seq,
    /// What people may want to see.
    pub events: Vec<(Timestamp, What)>,
    /// Sealed copies that are superfluous.
    pub free: Vec<SealedHash>,
    /// Received rights that are new or changed, and not revoked.
    pub received: Vec<Grant>,
    /// Requests of others that wait for an answer.
    pub requests: u64,
}

impl Store {
    /// Applies updates of `me` in the order given; right after the commit `then` sees what came of it, on the writer's
    /// thread.
    ///
    /// # Errors
    /// [`Error::Gap`] if one is missing; nothing of the batch is applied then.
    pub(crate) async fn apply_updates(
        &self,
        me: PeerId,
        updates: Vec<Incoming>,
        then: impl FnOnce(&mut Applied) + Send + 'static,
    ) -> Result<Applied, Error> {
        self.writer.call_then(move |connection| apply(connection, me, &updates), then).await
    }
}

fn apply(connection: &Connection, me: PeerId, updates: &[Incoming]) -> Result<Applied, Error> {
    let before = super::own(connection)?;
    let mut applied = Applied { stored: before.stored, requests: before.requests, ..Applied::default() };
    for Incoming { seq, at, update } in updates {
        if *seq <= applied.stored {
            continue;
        }
        let expected = applied.stored.next();
        if *seq != expected {
            return Err(Error::Gap { got: *seq, expected });
        }
        one(connection, me, *at, update, &mut applied)?;
        applied.stored = *seq;
    }
    if applied.stored != before.stored {
        execute(connection, "UPDATE self SET stored_seq = ?1", params![applied.stored.0.cast_signed()])?;
        applied.requests = asks::count_pending(connection)?;
    }
    Ok(applied)
}

fn one(
    connection: &Connection,
    me: PeerId,
    at: Timestamp,
    update: &Update,
    applied: &mut Applied,
) -> Result<(), Error> {
    match update {
        Update::Grant(grant) => {
            let (newer, free) = rights::apply(connection, Some(me), grant)?;
            applied.free.extend(free);
            if newer && grant.viewer == me && !grant.revoked {
                applied.received.push((**grant).clone());
            }
            // An older state than the one known says nothing new.
            if newer {
                applied.events.push((at, What::Grant(grant.clone())));
            }
        }
        Update::Viewed(viewed) => {
            let Viewed { views, kind, grant, .. } = &**viewed;
            applied.free.extend(rights::apply(connection, Some(me), grant)?.1);
            let grant = Box::new(grant.clone());
            applied.events.push((at, What::Viewed { views: *views, kind: *kind, grant }));
        }
        Update::Removed { image, path } => {
            applied.free.extend(library::remove(connection, *image)?);
            applied.events.push((at, What::Removed(path.clone())));
        }
        Update::Renamed { image, path } => library::rename(connection, *image, &path.name)?,
        Update::Request(asked) => {
            if asks::apply(connection, Some(me), asked)? {
                applied.events.push((at, What::Request(asked.clone())));
            }
        }
        Update::Message(_) | Update::Void => {}
        Update::Decision(asked) => {
            if asks::apply(connection, Some(me), asked)? {
                applied.events.push((at, What::Decision(asked.clone())));
            }
        }
    }
    Ok(())
}
