//! Updates from the directory, applied in one transaction together with the number of the last one.
//!
//! What always holds: an update takes effect exactly once, however often it comes, and never before the one with the
//! number before it.

use dos_protocol::{
    PeerId, SealedHash, Seq, Timestamp,
    control::EventKind,
    directory::{InboxMessage, UnknownUpdate, Update, Viewed},
    model::Grant,
};
use rusqlite::{Connection, params};

use super::{Error, Mail, Store, asks, execute, library, messages, rights, unknown};

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

/// What the directory brings unasked and what is kept here.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Arrival {
    /// It comes until it is acknowledged.
    Update(Incoming),
    /// One of a kind that this version does not know. It comes until it is acknowledged, too.
    Unknown(UnknownUpdate),
    /// It comes once.
    Broadcast(Box<InboxMessage>),
}

/// What came of a batch of updates.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Applied {
    /// The last update that is stored.
    pub stored: Seq,
    /// What people may want to see.
    pub events: Vec<(Timestamp, EventKind)>,
    /// Sealed copies that are superfluous.
    pub free: Vec<SealedHash>,
    /// Received rights that are new or changed, and not revoked.
    pub received: Vec<Grant>,
    /// Requests of others that wait for an answer.
    pub requests: u64,
    /// What the messages come to.
    pub mail: Mail,
    /// What kinds of updates took effect.
    pub kinds: Vec<&'static str>,
    /// Updates of kinds that this version does not know, in all.
    pub unknown: u64,
    /// Whether one of them is new.
    pub unknown_came: bool,
}

impl Store {
    /// Applies what came for `me` in the order given; right after the commit `then` sees what came of it, on the writer's
    /// thread.
    ///
    /// # Errors
    /// [`Error::Gap`] if an update is missing; nothing of the batch is applied then.
    pub(crate) async fn apply_updates(
        &self,
        me: PeerId,
        arrivals: Vec<Arrival>,
        then: impl FnOnce(&mut Applied) + Send + 'static,
    ) -> Result<Applied, Error> {
        self.writer.call_then(move |connection| apply(connection, me, &arrivals), then).await
    }
}

fn apply(connection: &Connection, me: PeerId, arrivals: &[Arrival]) -> Result<Applied, Error> {
    let before = super::own(connection)?;
    let mut applied = Applied { stored: before.stored, ..Applied::default() };
    for arrival in arrivals {
        let seq = match arrival {
            Arrival::Update(incoming) => incoming.seq,
            Arrival::Unknown(update) => update.seq,
            Arrival::Broadcast(letter) => {
                if let Some(message) = messages::receive(connection, me, letter, true)? {
                    applied.events.push((letter.sent_at, EventKind::Message(Box::new(message))));
                }
                continue;
            }
        };
        if seq <= applied.stored {
            continue;
        }
        let expected = applied.stored.next();
        if seq != expected {
            return Err(Error::Gap { got: seq, expected });
        }
        match arrival {
            Arrival::Update(incoming) => one(connection, me, incoming, &mut applied)?,
            Arrival::Unknown(update) => {
                unknown::keep(connection, update)?;
                applied.unknown_came = true;
            }
            Arrival::Broadcast(_) => {}
        }
        applied.stored = seq;
    }
    if applied.stored != before.stored {
        execute(connection, "UPDATE self SET stored_seq = ?1", params![applied.stored.0.cast_signed()])?;
    }
    applied.requests = super::waiting(connection)?;
    applied.mail = messages::mail(connection)?;
    applied.unknown = unknown::count(connection)?;
    Ok(applied)
}

/// Applies one update.
pub(super) fn one(
    connection: &Connection,
    me: PeerId,
    Incoming { at, update, .. }: &Incoming,
    applied: &mut Applied,
) -> Result<(), Error> {
    let at = *at;
    applied.kinds.push(update.kind());
    match update {
        Update::Grant(grant) => {
            let (newer, free) = rights::apply(connection, Some(me), grant)?;
            applied.free.extend(free);
            if newer && grant.viewer == me && !grant.revoked {
                applied.received.push((**grant).clone());
            }
            // An older state than the one known says nothing new.
            if newer {
                applied.events.push((at, EventKind::Grant(grant.clone())));
            }
        }
        Update::Viewed(viewed) => {
            let Viewed { views, kind, grant, .. } = &**viewed;
            applied.free.extend(rights::apply(connection, Some(me), grant)?.1);
            let grant = Box::new(grant.clone());
            applied.events.push((at, EventKind::Viewed { views: *views, kind: *kind, grant }));
        }
        Update::Removed { image, path } => {
            applied.free.extend(library::remove(connection, *image)?);
            applied.events.push((at, EventKind::Removed(path.clone())));
        }
        Update::Renamed { image, path } => library::rename(connection, *image, &path.name)?,
        Update::Request(asked) => {
            if asks::apply(connection, Some(me), asked)? {
                applied.events.push((at, EventKind::Request(asked.clone())));
            }
        }
        Update::Message(letter) => {
            if let Some(message) = messages::receive(connection, me, letter, false)? {
                applied.events.push((at, EventKind::Message(Box::new(message))));
            }
        }
        Update::Void => {}
        Update::Decision(asked) => {
            if asks::apply(connection, Some(me), asked)? {
                applied.events.push((at, EventKind::Decision(asked.clone())));
            }
        }
    }
    Ok(())
}
