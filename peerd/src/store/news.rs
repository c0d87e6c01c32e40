//! What has happened, for a user who was not watching: the last of it, and what was shown.
//!
//! What always holds: a piece of news is written down in the transaction of its cause; at most [`KEPT_MAX`] are kept. Messages,
//! invitations, requests for contact and keys stay where they are, and news refer to them; what is not there any more is no news.

use std::sync::atomic::Ordering;

use dos_protocol::{
    PeerId, Timestamp,
    control::{Event, EventKind},
    directory::{Notice, NoticeKind},
    limits::PAGE_MAX,
    model::Grant,
};
use rusqlite::{Connection, params};

use super::{
    Error, Store, contacts, execute, invitations, joined, messages,
    messages::Me,
    page, pins,
    stored::{self, Item, encode},
};
use crate::rules::{
    news::{KEPT_MAX, is_news},
    strangers::Strangers,
};

impl Store {
    /// How many events `news` has not shown yet.
    pub(crate) fn unseen(&self) -> u64 {
        self.news.load(Ordering::Relaxed)
    }

    /// Keeps an event, if it is news.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn note_news(&self, event: Event) -> Result<(), Error> {
        self.write_counting(move |connection| {
            let me = super::own(connection)?.peer;
            me.map_or(Ok(()), |me| note(connection, (me, Strangers::Offer), (event.at, &event.what)))
        })
        .await
    }

    /// A page of news behind the number `after`, the oldest first, each with whether it was shown; whether there are more, and the
    /// number of the last one that was looked at.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn news(&self, me: Me, all: bool, after: u64) -> Result<(Vec<Event>, bool, u64), Error> {
        self.read(move |connection| {
            let unseen = if all { "" } else { "AND seen = 0" };
            let sql = format!(
                "SELECT body, number, at, seen FROM news WHERE number > ?1 {unseen} ORDER BY number LIMIT ?2"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query(params![after.cast_signed(), page::rows_max(PAGE_MAX)])?;
            let mut last = after;
            let (found, more) = page::read(&mut rows, PAGE_MAX, |row| {
                let (item, bytes) = stored::column::<Item>(row)?;
                last = row.get::<_, i64>(1)?.cast_unsigned();
                Ok(((item, Timestamp(row.get(2)?), row.get::<_, bool>(3)?), bytes))
            })?;
            let mut events = Vec::new();
            for (item, at, seen) in found {
                if let Some(what) = resolved(connection, &me, item, at)? {
                    events.push(Event { at, what, seen: Some(seen) });
                }
            }
            Ok((events, more, last))
        })
        .await
    }

    /// Everything up to this number was shown.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn news_shown(&self, last: u64) -> Result<(), Error> {
        self.write_counting(move |connection| {
            execute(
                connection,
                "UPDATE news SET seen = 1 WHERE seen = 0 AND number <= ?1",
                [last.cast_signed()],
            )?;
            Ok(())
        })
        .await
    }
}

/// How many were not shown.
pub(super) fn count(connection: &Connection) -> Result<u64, Error> {
    let sql = "SELECT count(*) FROM news WHERE seen = 0";
    let count: i64 = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(count.cast_unsigned())
}

/// The message at this place was read: it is no news any more.
pub(super) fn message_read(connection: &Connection, place: u64) -> Result<(), Error> {
    let sql = "UPDATE news SET seen = 1 WHERE place = ?1 AND seen = 0";
    execute(connection, sql, [place.cast_signed()])?;
    Ok(())
}

/// Keeps an event, if it is news to `me`, and forgets the oldest ones.
pub(super) fn note(
    connection: &Connection,
    (me, strangers): (PeerId, Strangers),
    (at, what): (Timestamp, &EventKind),
) -> Result<(), Error> {
    if !is_news(me, strangers, what) {
        return Ok(());
    }
    let Some(item) = item(what) else { return Ok(()) };
    let place = match item {
        Item::Message(place) => Some(place.cast_signed()),
        _ => None,
    };
    let sql = "INSERT INTO news (at, body, place) VALUES (?1, ?2, ?3)";
    execute(connection, sql, params![at.0, encode(&item)?, place])?;
    let oldest = connection.last_insert_rowid() - i64::from(KEPT_MAX);
    execute(connection, "DELETE FROM news WHERE number <= ?1", [oldest])?;
    Ok(())
}

/// What is stored of an event.
fn item(what: &EventKind) -> Option<Item> {
    Some(match what.clone() {
        EventKind::Grant(grant) => Item::Grant(Box::new(Grant { offer: false, ..*grant }), grant.offer),
        EventKind::Viewed { views, kind, grant } => Item::Viewed { views, kind, grant },
        EventKind::Removed(path) => Item::Removed(path),
        EventKind::Renamed { path, was, owner_name } => Item::Renamed { path, was, owner_name },
        EventKind::Image(image) => Item::Image(image),
        EventKind::Named { id, name, was } => Item::Named { id, name, was },
        EventKind::Left { id, name } => Item::Left { id, name },
        EventKind::Request(request) => Item::Request(request),
        EventKind::Decision(request) => Item::Decision(request),
        EventKind::Notice(notice) => Item::Notice(notice.text),
        EventKind::Message(message) => Item::Message(message.place),
        EventKind::Contact(contact) => Item::Contact(contact.number),
        EventKind::KeyChange(contact) => Item::KeyChange(contact.id),
        EventKind::Invite(invite) => Item::Invite(invite.id, invite.made),
        EventKind::Session(_) | EventKind::Presence(_) | EventKind::Fetched(_) => return None,
    })
}

/// The event of a stored one, with what it refers to as that is now; nothing if that is gone.
fn resolved(connection: &Connection, me: &Me, item: Item, at: Timestamp) -> Result<Option<EventKind>, Error> {
    Ok(Some(match item {
        Item::Grant(grant, offer) => EventKind::Grant(Box::new(Grant { offer, ..*grant })),
        Item::Viewed { views, kind, grant } => EventKind::Viewed { views, kind, grant },
        Item::Removed(path) => EventKind::Removed(path),
        Item::Renamed { path, was, owner_name } => EventKind::Renamed { path, was, owner_name },
        Item::Image(image) => EventKind::Image(image),
        Item::Named { id, name, was } => EventKind::Named { id, name, was },
        Item::Left { id, name } => EventKind::Left { id, name },
        Item::Request(request) => EventKind::Request(request),
        Item::Decision(request) => EventKind::Decision(request),
        Item::Notice(text) => EventKind::Notice(Notice { kind: NoticeKind::Announcement, text }),
        Item::Message(place) => {
            return Ok(messages::at(connection, me, place)?.map(Box::new).map(EventKind::Message));
        }
        Item::Contact(number) => {
            let found = contacts::numbered(connection, number)?;
            return Ok(found.map(Box::new).map(EventKind::Contact));
        }
        Item::KeyChange(peer) => {
            let found = pins::find(connection, peer)?;
            return Ok(found.map(|pin| EventKind::KeyChange(Box::new(pin.contact))));
        }
        Item::Invite(id, made) => {
            let found =
                if made { invitations::one(connection, &id, at)? } else { joined::one(connection, &id)? };
            return Ok(found.map(Box::new).map(EventKind::Invite));
        }
    }))
}
