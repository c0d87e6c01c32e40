//! Messages that were sent and received, in the order in which they came to be here.
//!
//! What always holds: a sender's message is here once, however often it comes; the number and the size of what is kept are
//! bounded, and the oldest read ones go first. What one sent oneself counts as read.

use dos_protocol::{
    MessageId, PeerId, PeerName, Timestamp,
    control::{Contact, Message},
    directory::{Delivery, InboxMessage},
    limits::PAGE_MAX,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    Compared, Error, Pin, Store, Told, execute, id, news, page, peer_of, pins,
    stored::{delivery, delivery_text, peer_name},
};
use crate::rules::{
    messages::{KEPT_MAX, Kept, is_taken},
    trust::{self, Credit, Distrust, Proof},
};

/// What the messages come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mail {
    /// How many are unread.
    pub unread: u64,
    /// The place of the last one.
    pub last: u64,
}

/// This peer, as messages name it.
#[derive(Debug, Clone)]
pub(crate) struct Me {
    /// Its ID.
    pub id: PeerId,
    /// Its name.
    pub name: Option<PeerName>,
}

/// Which messages.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted {
    /// Only unread ones.
    pub unread: bool,
    /// Only those from and to this peer.
    pub with: Option<PeerId>,
    /// Only later ones than this, by its place.
    pub after: Option<u64>,
    /// Of these, this number of the last ones, and everything behind them.
    pub limit: Option<u32>,
    /// No more than this; in any case no more than a page.
    pub most: Option<u32>,
}

/// A message to be kept.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) sender: PeerId,
    pub(super) message: MessageId,
    pub(super) other: Option<(PeerId, Option<&'a PeerName>)>,
    pub(super) kind: Kind,
    pub(super) sent_at: Timestamp,
    pub(super) text: &'a str,
    /// Whether its sender has signed it, or brought it itself.
    pub(super) signed: bool,
}

/// What became of a message of the directory's.
#[derive(Debug)]
pub(super) enum Taken {
    /// It is here.
    Stored(Box<Message>),
    /// It was here already, or is not taken.
    Passed,
    /// It is not what its sender has signed.
    Refused {
        /// For people.
        why: Box<str>,
        /// The sender, if that it has another key is news.
        changed: Option<Box<Contact>>,
    },
}

/// How a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It came through the directory.
    Received,
    /// It came peer to peer.
    ReceivedDirect,
    /// It came to everybody.
    ReceivedBroadcast,
    /// It was sent through the directory.
    Sent(Delivery),
    /// It was sent peer to peer.
    SentDirect,
    /// It was sent to everybody.
    SentBroadcast,
}

impl Kind {
    fn outgoing(self) -> bool {
        matches!(self, Self::Sent(_) | Self::SentDirect | Self::SentBroadcast)
    }

    fn delivery(self) -> Option<&'static str> {
        match self {
            Self::Sent(delivery) => Some(delivery_text(delivery)),
            Self::SentDirect | Self::SentBroadcast => Some(delivery_text(Delivery::Delivered)),
            _ => None,
        }
    }
}

impl Store {
    /// A page of messages, oldest first, and whether there are later ones.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn messages(&self, me: Me, wanted: Wanted) -> Result<(Vec<Message>, bool), Error> {
        self.read(move |connection| read_page(connection, &me, wanted)).await
    }

    /// The ID of the peer of this name, if messages were exchanged with it.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn correspondent(&self, name: PeerName) -> Result<Option<PeerId>, Error> {
        self.read(move |connection| {
            let sql = "SELECT other FROM messages WHERE other_name = ?1 AND other IS NOT NULL LIMIT 1";
            let found: Option<i64> =
                connection.prepare_cached(sql)?.query_row([name.as_str()], |row| row.get(0)).optional()?;
            found.map(peer_of).transpose()
        })
        .await
    }

    /// The messages at these places were read. `then` gets what the messages come to, right after the commit.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn mark_read(
        &self,
        places: Vec<u64>,
        then: impl FnOnce(Mail) + Send + 'static,
    ) -> Result<(), Error> {
        let work = move |connection: &Connection| {
            for place in places {
                let sql = "UPDATE messages SET read = 1 WHERE place = ?1 AND read = 0";
                execute(connection, sql, [place.cast_signed()])?;
                news::message_read(connection, place)?;
            }
            mail(connection)
        };
        self.write_counting_then(work, |mail: &mut Mail| then(*mail)).await.map(drop)
    }

    /// Keeps a broadcast that this peer has sent.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn keep_broadcast(
        &self,
        me: PeerId,
        message: MessageId,
        text: Box<str>,
        then: impl FnOnce(Mail) + Send + 'static,
    ) -> Result<(), Error> {
        let work = move |connection: &Connection| {
            let (kind, sent_at) = (Kind::SentBroadcast, Timestamp::now());
            let entry = Entry { sender: me, message, other: None, kind, sent_at, text: &text, signed: true };
            keep(connection, &entry)?;
            mail(connection)
        };
        self.writer.call_then(work, |mail: &mut Mail| then(*mail)).await.map(drop)
    }
}

/// What the messages come to.
pub(super) fn mail(connection: &Connection) -> Result<Mail, Error> {
    let sql = "SELECT unread, (SELECT coalesce(max(place), 0) FROM messages) FROM mailbox";
    let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    let (unread, last) = connection.prepare_cached(sql)?.query_row([], read)?;
    Ok(Mail { unread: unread.cast_unsigned(), last: last.cast_unsigned() })
}

/// Takes a message of the directory's, which was opened before.
pub(super) fn receive(
    connection: &Connection,
    me: PeerId,
    incoming: &InboxMessage,
    (broadcast, proof): (bool, Proof),
) -> Result<Taken, Error> {
    let blocked = super::blocks::is_blocked(connection, incoming.from)?;
    if !is_taken(me, incoming.from, incoming.text.len(), blocked)
        || is_here(connection, incoming.from, incoming.message)?
    {
        return Ok(Taken::Passed);
    }
    let pin = pins::find(connection, incoming.from)?;
    let signed = match trust::message(pin.as_ref().map(Pin::pinned).as_ref(), proof) {
        Credit::Signed => true,
        // A broadcast is heard by everybody: it makes nobody a contact.
        Credit::First(key) if !broadcast => {
            let name = incoming.from_name.clone();
            pins::compare(connection, &Told { peer: incoming.from, key, sealing: None, name })?;
            true
        }
        Credit::First(_) => true,
        Credit::Unsigned => false,
        Credit::Refused(why) => return refuse(connection, incoming, why),
    };
    let kind = if broadcast { Kind::ReceivedBroadcast } else { Kind::Received };
    let entry = Entry {
        sender: incoming.from,
        message: incoming.message,
        other: Some((incoming.from, incoming.from_name.as_ref())),
        kind,
        sent_at: incoming.sent_at,
        text: &incoming.text,
        signed,
    };
    let Some(place) = keep(connection, &entry)? else { return Ok(Taken::Passed) };
    Ok(Taken::Stored(Box::new(Message {
        place,
        message: incoming.message,
        from: incoming.from,
        from_name: incoming.from_name.clone(),
        to: (!broadcast).then_some(me),
        to_name: None,
        sent_at: incoming.sent_at,
        read: false,
        direct: false,
        delivery: None,
        text: incoming.text.clone(),
        signed,
    })))
}

/// Says why a message is not believed, and notes the key with which it was signed if that is another one.
fn refuse(connection: &Connection, incoming: &InboxMessage, why: Distrust) -> Result<Taken, Error> {
    let who = incoming.from_name.as_ref().map_or_else(|| incoming.from.to_string(), ToString::to_string);
    let (why, changed) = match why {
        Distrust::Wrong => (format!("a message from {who} was refused: {who} has not signed it"), None),
        Distrust::NotSigned => (
            format!("a message from {who} was refused: {who} signs messages, and this one is not signed"),
            None,
        ),
        Distrust::KeyChanged(key) => {
            let told = Told { peer: incoming.from, key, sealing: None, name: None };
            let changed = match pins::compare(connection, &told)? {
                Compared::Changed { contact, news: true } => Some(contact),
                Compared::Changed { .. } | Compared::Known(_) => None,
            };
            let text =
                format!("a message from {who} was refused: it is signed with another key than that of {who}");
            (text, changed)
        }
    };
    Ok(Taken::Refused { why: why.into(), changed })
}

/// Whether this message of `sender` is here.
pub(super) fn is_here(connection: &Connection, sender: PeerId, message: MessageId) -> Result<bool, Error> {
    let sql = "SELECT EXISTS (SELECT 1 FROM messages WHERE sender = ?1 AND id = ?2)";
    Ok(connection
        .prepare_cached(sql)?
        .query_row(params![id(sender), message.as_bytes()], |row| row.get(0))?)
}

/// A message that this peer has sent was stored by its recipient.
pub(super) fn delivered(connection: &Connection, me: PeerId, message: MessageId) -> Result<(), Error> {
    let sql = "UPDATE messages SET delivery = ?3 WHERE sender = ?1 AND id = ?2 AND outgoing = 1";
    execute(connection, sql, params![id(me), message.as_bytes(), delivery_text(Delivery::Delivered)])?;
    Ok(())
}

/// Keeps a message at the next place. Nothing if it was here already; then only how far it got is noted.
pub(super) fn keep(connection: &Connection, entry: &Entry<'_>) -> Result<Option<u64>, Error> {
    if is_here(connection, entry.sender, entry.message)? {
        let sql = "UPDATE messages SET delivery = ?3 WHERE sender = ?1 AND id = ?2 AND outgoing = 1";
        let delivery = entry.kind.delivery();
        execute(connection, sql, params![id(entry.sender), entry.message.as_bytes(), delivery])?;
        return Ok(None);
    }
    let outgoing = entry.kind.outgoing();
    execute(
        connection,
        "INSERT INTO messages
             (sender, id, other, other_name, outgoing, direct, broadcast, sent_at, read, delivery, text, signed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?5, ?9, ?10, ?11)",
        params![
            id(entry.sender),
            entry.message.as_bytes(),
            entry.other.map(|(other, _)| id(other)),
            entry.other.and_then(|(_, name)| name).map(PeerName::as_str),
            outgoing,
            matches!(entry.kind, Kind::ReceivedDirect | Kind::SentDirect),
            matches!(entry.kind, Kind::ReceivedBroadcast | Kind::SentBroadcast),
            entry.sent_at.0,
            entry.kind.delivery(),
            entry.text,
            entry.signed,
        ],
    )?;
    let place = connection.last_insert_rowid().cast_unsigned();
    make_room(connection, place, KEPT_MAX)?;
    Ok(Some(place))
}

/// Deletes old messages, but not the one at `newest`, until there are at most `max`.
pub(super) fn make_room(connection: &Connection, newest: u64, max: Kept) -> Result<(), Error> {
    loop {
        let kept = connection
            .prepare_cached("SELECT messages, bytes FROM mailbox")?
            .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
        let kept = Kept { count: kept.0.cast_unsigned(), bytes: kept.1.cast_unsigned() };
        if !kept.exceeds(max) {
            return Ok(());
        }
        // Read ones, then unread ones; each time the index leads to the oldest at once.
        let sql = "DELETE FROM messages WHERE place =
                       (SELECT place FROM messages WHERE read = ?2 AND place <> ?1 ORDER BY place LIMIT 1)";
        let newest = newest.cast_signed();
        if execute(connection, sql, params![newest, true])? == 0
            && execute(connection, sql, params![newest, false])? == 0
        {
            return Ok(());
        }
    }
}

const COLUMNS: &str =
    "place, id, other, other_name, outgoing, direct, broadcast, sent_at, read, delivery, text, signed";

fn read_page(connection: &Connection, me: &Me, wanted: Wanted) -> Result<(Vec<Message>, bool), Error> {
    let unread = if wanted.unread { "AND read = 0" } else { "" };
    let with = if wanted.with.is_some() { "AND other = ?2" } else { "AND ?2 IS NULL" };
    let mut after = wanted.after.unwrap_or(0).min(u64::try_from(i64::MAX).unwrap_or(0));
    let with_id = wanted.with.map(id);
    if let Some(limit) = wanted.limit {
        let sql = format!(
            "SELECT place FROM messages WHERE place > ?1 {with} {unread} ORDER BY place DESC LIMIT 1 OFFSET ?3"
        );
        let first: Option<i64> = connection
            .prepare_cached(&sql)?
            .query_row(params![after.cast_signed(), with_id, limit.saturating_sub(1)], |row| row.get(0))
            .optional()?;
        after = first.map_or(after, |first| first.cast_unsigned().saturating_sub(1));
    }
    let sql =
        format!("SELECT {COLUMNS} FROM messages WHERE place > ?1 {with} {unread} ORDER BY place LIMIT ?3");
    let most = wanted.most.unwrap_or(PAGE_MAX);
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![after.cast_signed(), with_id, page::rows_max(most)])?;
    page::read(&mut rows, most, |row| {
        let message = of_row(row, me)?;
        let bytes = message.text.len();
        Ok((message, bytes))
    })
}

/// The message at this place.
pub(super) fn at(connection: &Connection, me: &Me, place: u64) -> Result<Option<Message>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM messages WHERE place = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_row([place.cast_signed()], |row| Ok(of_row(row, me))).optional()?.transpose()
}

/// A row of [`COLUMNS`].
fn of_row(row: &Row<'_>, me: &Me) -> Result<Message, Error> {
    let damaged = || Error::Damaged("message");
    let other: Option<i64> = row.get(2)?;
    let other = other.map(peer_of).transpose()?;
    let other_name = peer_name(row.get(3)?)?;
    let (outgoing, broadcast): (bool, bool) = (row.get(4)?, row.get(6)?);
    let delivered: Option<String> = row.get(9)?;
    let delivered = delivered.map(|text| delivery(&text)).transpose()?;
    let mine = (Some(me.id), me.name.clone());
    let (from, to) = if outgoing { (mine, (other, other_name)) } else { ((other, other_name), mine) };
    let to = if broadcast { (None, None) } else { to };
    Ok(Message {
        place: row.get::<_, i64>(0)?.cast_unsigned(),
        message: MessageId::from(row.get::<_, [u8; 16]>(1)?),
        from: from.0.ok_or_else(damaged)?,
        from_name: from.1,
        to: to.0,
        to_name: to.1,
        sent_at: Timestamp(row.get(7)?),
        read: row.get(8)?,
        direct: row.get(5)?,
        delivery: delivered,
        text: row.get::<_, String>(10)?.into(),
        signed: row.get(11)?,
    })
}
