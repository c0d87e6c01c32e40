//! Updates from the directory, applied in one transaction together with the number of the last one.
//!
//! What always holds: an update takes effect exactly once, however often it comes, and never before the one with the
//! number before it. One of an unknown kind takes its place in the order like any other.

use std::sync::{Arc, atomic::Ordering};

use dos_protocol::{
    PeerId, SealedHash, SealingKey, Seq, Timestamp,
    control::{Contact, EventKind, ImageChange, ImageChanged, Invite},
    directory::{InboxMessage, Notice, NoticeKind, UnknownUpdate, Update, Viewed},
    invitation::{InvitationId, Join, RefusedBecause},
    model::Grant,
    text::printable,
};
use rusqlite::{Connection, params};

use super::{
    Error, Mail, Store, contacted, execute, followed, grants, invitations, joined, library, messages,
    messages::Taken, news, requests, sending, unknown,
};
use crate::rules::{
    strangers::{Shown, Strangers, is_told},
    trust::Proof,
    updates::{Position, position},
};

/// An update as it came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Incoming {
    /// Its number.
    pub seq: Seq,
    /// When it came about.
    pub at: Timestamp,
    /// What has changed.
    pub update: Update,
    /// What it proves of its sender, of a message that was opened.
    pub proof: Proof,
}

/// What the directory sends unasked and what is kept here.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Arrival {
    /// It comes until it is acknowledged.
    Update(Incoming),
    /// Likewise, of a kind that this version does not know.
    Unknown(UnknownUpdate),
    /// It comes once; with what it proves of its sender.
    Broadcast(Box<InboxMessage>, Proof),
    /// An update with a greeting in it that was read, and its proof verified.
    Greeting {
        /// Its number.
        seq: Seq,
        /// When the directory took it.
        at: Timestamp,
        /// What it says.
        heard: Heard,
    },
}

/// What a greeting comes to, before it is known how its invitation stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Heard {
    /// Nothing that concerns this peer.
    Nothing,
    /// A guest comes with an invitation of this peer.
    Guest {
        /// Who, as the directory says.
        from: PeerId,
        /// What it says.
        join: Box<Join>,
        /// Whether that is proved.
        is_proved: bool,
    },
    /// The inviter's answer: its sealing key, or why it refuses.
    Answer {
        /// To which invitation.
        invitation: InvitationId,
        /// What it says.
        verdict: Result<SealingKey, RefusedBecause>,
        /// Whether that is proved.
        is_proved: bool,
    },
}

impl Arrival {
    /// When it came about at the directory.
    pub(crate) fn at(&self) -> Option<Timestamp> {
        match self {
            Self::Update(incoming) => Some(incoming.at),
            Self::Unknown(update) => Some(update.at),
            Self::Greeting { at, .. } => Some(*at),
            Self::Broadcast(..) => None,
        }
    }
}

/// The outcome of a batch of updates.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Applied {
    /// The last update that is stored.
    pub stored: Seq,
    /// What people may want to see.
    pub events: Vec<(Timestamp, EventKind)>,
    /// Sealed copies that are superfluous.
    pub free: Vec<SealedHash>,
    /// Received grants that are new or changed, and not revoked.
    pub received: Vec<Grant>,
    /// Requests of others that wait for an answer.
    pub requests: u64,
    /// What the messages come to.
    pub mail: Mail,
    /// What kinds of updates took effect.
    pub kinds: Vec<&'static str>,
    /// Updates of kinds that this version does not know, with those of earlier batches.
    pub unknown: u64,
    /// Whether one of them is new.
    pub unknown_came: bool,
    /// Messages that were refused, with those of earlier batches.
    pub refused: u64,
    /// Contacts that appear with another key, which is news.
    pub changed: Vec<Contact>,
    /// Why messages were refused.
    pub refusals: Vec<Box<str>>,
    /// Whether a guest, or an inviter, has said something: there may be something to do.
    pub greeted: bool,
}

/// What stands for the kind of an update that this version does not know, where kinds are counted: a newer directory must not
/// make up names without end.
const UNKNOWN_KIND: &str = "unknown";

impl Store {
    /// Applies what came for `me` in the order given, and keeps what is news of it, for which `strangers` counts; right after the commit `then` gets the outcome, on the writer's thread.
    ///
    /// # Errors
    /// [`Error::Gap`] if an update is missing; nothing of the batch is applied then.
    pub(crate) async fn apply_updates(
        &self,
        (me, strangers): (PeerId, Strangers),
        arrivals: Vec<Arrival>,
        then: impl FnOnce(&mut Applied) + Send + 'static,
    ) -> Result<Applied, Error> {
        let count = Arc::clone(&self.unknown);
        let then = move |applied: &mut Applied| {
            // On the writer's thread, so that an older number never takes the place of a newer one.
            count.store(applied.unknown, Ordering::Relaxed);
            then(applied);
        };
        let work = move |connection: &Connection| {
            let applied = apply(connection, me, &arrivals)?;
            for (at, what) in &applied.events {
                news::note(connection, (me, strangers), (*at, what))?;
            }
            Ok(applied)
        };
        self.write_counting_then(work, then).await
    }
}

fn apply(connection: &Connection, me: PeerId, arrivals: &[Arrival]) -> Result<Applied, Error> {
    let before = super::own(connection)?;
    let mut applied = Applied { stored: before.stored, ..Applied::default() };
    let mut last = None;
    for arrival in arrivals {
        match arrival {
            Arrival::Broadcast(incoming, proof) => {
                message(connection, (me, incoming.sent_at), (incoming, *proof, true), &mut applied)?;
            }
            Arrival::Update(Incoming { seq, at, update: Update::Message(incoming), proof }) => {
                if is_next(*seq, &mut applied)? {
                    last = Some(*at);
                    message(connection, (me, *at), (incoming, *proof, false), &mut applied)?;
                    applied.kinds.push(Update::Message(incoming.clone()).kind());
                }
            }
            Arrival::Update(Incoming { seq, at, update, .. }) => {
                if is_next(*seq, &mut applied)? {
                    last = Some(*at);
                    one(connection, me, (*at, update), &mut applied)?;
                    applied.kinds.push(update.kind());
                }
            }
            Arrival::Greeting { seq, at, heard } => {
                if is_next(*seq, &mut applied)? {
                    last = Some(*at);
                    let news = greeting(connection, *at, heard)?;
                    applied.events.extend(news.map(|invite| (*at, EventKind::Invite(Box::new(invite)))));
                    applied.greeted |= *heard != Heard::Nothing;
                    applied.kinds.push(GREETING_KIND);
                }
            }
            Arrival::Unknown(update) => {
                if is_next(update.seq, &mut applied)? {
                    last = Some(update.at);
                    unknown::keep(connection, update)?;
                    applied.unknown_came = true;
                    applied.kinds.push(UNKNOWN_KIND);
                }
            }
        }
    }
    if applied.stored != before.stored {
        let sql = "UPDATE self SET stored_seq = ?1, stored_at = ?2";
        execute(connection, sql, params![applied.stored.0.cast_signed(), last.map(|at| at.0)])?;
    }
    if !applied.refusals.is_empty() {
        let refused = i64::try_from(applied.refusals.len()).unwrap_or(i64::MAX);
        execute(connection, "UPDATE self SET refused = refused + ?1", [refused])?;
    }
    applied.refused = super::own(connection)?.refused;
    applied.requests = super::waiting(connection)?;
    applied.mail = messages::mail(connection)?;
    applied.unknown = unknown::count(connection)?;
    Ok(applied)
}

/// As in [`Update::kind`].
const GREETING_KIND: &str = "greeting";

fn greeting(connection: &Connection, at: Timestamp, heard: &Heard) -> Result<Option<Invite>, Error> {
    match heard {
        Heard::Nothing => Ok(None),
        Heard::Guest { from, join, is_proved } => {
            invitations::guest_came(connection, (*from, at), (join, *is_proved))
        }
        Heard::Answer { invitation, verdict, is_proved } => {
            joined::answered(connection, invitation, (verdict, *is_proved))
        }
    }
}

/// Takes a message, unless it is not what its sender has signed.
fn message(
    connection: &Connection,
    (me, at): (PeerId, Timestamp),
    (incoming, proof, broadcast): (&InboxMessage, Proof, bool),
    applied: &mut Applied,
) -> Result<(), Error> {
    match messages::receive(connection, me, incoming, (broadcast, proof))? {
        Taken::Stored(message) => applied.events.push((at, EventKind::Message(message))),
        Taken::Passed => {}
        Taken::Refused { why, changed } => {
            applied.refusals.push(why);
            applied.changed.extend(changed.map(|contact| *contact));
        }
    }
    Ok(())
}

/// Whether the update is the next one; it counts as stored then.
fn is_next(seq: Seq, applied: &mut Applied) -> Result<bool, Error> {
    match position(applied.stored, seq) {
        Position::Stored => Ok(false),
        Position::Gap(expected) => Err(Error::Gap { got: seq, expected }),
        Position::Next => {
            applied.stored = seq;
            Ok(true)
        }
    }
}

/// Applies one update.
pub(super) fn one(
    connection: &Connection,
    me: PeerId,
    (at, update): (Timestamp, &Update),
    applied: &mut Applied,
) -> Result<(), Error> {
    match update {
        Update::Grant(grant) => {
            // An older state than the one known is no news.
            if let Some(received) = grants::receive(connection, Some(me), grant)? {
                applied.free.extend(received.free);
                if received.usable {
                    applied.received.push((**grant).clone());
                }
                let other = if grant.viewer == me { grant.path.owner } else { grant.viewer };
                let standing = contacted::standing(connection, other)?;
                let offer = grant.viewer == me && Strangers::Offer.lists(standing, grant) == Shown::Offer;
                if is_told(standing) {
                    let alone = received.renamed.as_ref().is_some_and(|renamed| renamed.alone);
                    applied.events.extend(received.renamed.map(|renamed| {
                        (at, {
                            let owner_name = grant.owner_name.clone();
                            EventKind::Renamed { path: grant.path.clone(), was: renamed.was, owner_name }
                        })
                    }));
                    if alone {
                        return Ok(());
                    }
                    let grant = Grant { offer, ..(**grant).clone() };
                    applied.events.push((at, EventKind::Grant(Box::new(grant))));
                }
            }
        }
        Update::Viewed(viewed) => {
            let Viewed { views, kind, grant, .. } = &**viewed;
            let received = grants::receive(connection, Some(me), grant)?;
            applied.free.extend(received.into_iter().flat_map(|received| received.free));
            if !is_told(contacted::standing(connection, grant.viewer)?) {
                return Ok(());
            }
            // A receipt is news whatever revision is known: each view is reported once.
            let grant = Box::new(Grant { offer: false, ..grant.clone() });
            applied.events.push((at, EventKind::Viewed { views: *views, kind: *kind, grant }));
        }
        Update::Removed { image, path } => {
            let owner_name = followed::name_of(connection, path.owner, *image)?;
            applied.free.extend(library::remove(connection, *image)?);
            if is_told(contacted::standing(connection, path.owner)?) {
                let (path, change) = (path.clone(), ImageChanged::Removed);
                let image = ImageChange { path, owner_name, change, was: None };
                applied.events.push((at, EventKind::Image(Box::new(image))));
            }
        }
        Update::Renamed { image, path } => library::rename(connection, *image, &path.name, None)?,
        Update::Request(request) => {
            let is_news = requests::receive(connection, Some(me), request)?;
            let other = if request.from == me { request.path.owner } else { request.from };
            if is_news && is_told(contacted::standing(connection, other)?) {
                applied.events.push((at, EventKind::Request(request.clone())));
            }
        }
        // One that this version did not know when it came.
        Update::Message(incoming) => {
            message(connection, (me, at), (incoming, Proof::None, false), applied)?;
        }
        // A guest says again what came before this version was there.
        Update::Void | Update::Greeting(_) => {}
        Update::Delivered(delivered) => sending::stored(connection, me, delivered.message)?,
        Update::Operator(text) => {
            let notice = Notice { kind: NoticeKind::Announcement, text: printable(text).into() };
            applied.events.push((at, EventKind::Notice(notice)));
        }
        Update::Decision(request) => {
            if requests::receive(connection, Some(me), request)? {
                applied.events.push((at, EventKind::Decision(request.clone())));
            }
        }
    }
    Ok(())
}
