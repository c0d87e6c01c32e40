//! Direct messages as they come, and requests for contact: of peers that may not send any yet.
//!
//! What always holds: of a peer that may not, nothing is kept but one request for contact; one that was denied stays so until
//! it is approved; all of this is bounded.

use dos_protocol::{
    MessageId, PeerId, PeerName, Timestamp,
    control::{ContactRequest, EventKind, Message},
    directory::RequestState,
    limits::PAGE_MAX,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    Error, Store, blocks, contacted, execute, id,
    messages::{Entry, Kind, Mail, Me, is_here, keep, mail},
    news, peer_of,
    stored::{contact_state, contact_state_text, peer_name},
};
use crate::rules::{
    contacts::{self, Decision, Facts},
    strangers::Strangers,
};

/// A direct message as it comes.
#[derive(Debug, Clone)]
pub(crate) struct Direct {
    /// The peer that sends it.
    pub from: PeerId,
    /// The sender's name.
    pub from_name: Option<PeerName>,
    /// The sender's ID for it.
    pub message: MessageId,
    /// When it was sent, by the sender's clock.
    pub sent_at: Timestamp,
    /// Its text.
    pub text: Box<str>,
}

/// The outcome for a direct message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// It is here; as what, if it came for the first time.
    Stored(Option<Box<Message>>),
    /// The sender is blocked, or was denied.
    Refused,
    /// The sender's last messages were not read yet.
    Full,
    /// The sender's request for contact waits for an answer; the request, if it is new.
    Request(Option<Box<ContactRequest>>),
    /// Too many such requests wait already.
    Crowded,
}

/// The outcome for a direct message, and what it changes in what is counted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Received {
    /// The outcome.
    pub verdict: Verdict,
    /// What the messages come to.
    pub mail: Mail,
    /// Requests of others that wait for an answer.
    pub requests: u64,
}

impl Store {
    /// Takes a direct message to `me`, or refuses it; right after the commit `then` gets the outcome.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn receive_direct(
        &self,
        me: Me,
        direct: Direct,
        then: impl FnOnce(&mut Received) + Send + 'static,
    ) -> Result<Received, Error> {
        let work = move |connection: &Connection| {
            let now = Timestamp::now();
            let verdict = receive(connection, &me, &direct, now)?;
            let event = match &verdict {
                Verdict::Stored(Some(message)) => Some(EventKind::Message(message.clone())),
                Verdict::Request(Some(contact)) => Some(EventKind::Contact(contact.clone())),
                _ => None,
            };
            if let Some(event) = event {
                news::note(connection, (me.id, Strangers::Offer), (now, &event))?;
            }
            Ok(Received { verdict, mail: mail(connection)?, requests: super::waiting(connection)? })
        };
        self.write_counting_then(work, then).await
    }

    /// A page of the requests for contact in the order of their numbers: those behind this one; only undecided ones unless
    /// `all`.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn contacts(&self, all: bool, after: u64) -> Result<Vec<ContactRequest>, Error> {
        self.read(move |connection| {
            let pending = if all { "" } else { "AND state = 'pending'" };
            let sql = format!(
                "SELECT {COLUMNS} FROM contacts WHERE number > ?1 {pending} ORDER BY number LIMIT ?2"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query(params![after.cast_signed(), PAGE_MAX])?;
            let mut contacts = Vec::new();
            while let Some(row) = rows.next()? {
                contacts.push(of_row(row)?);
            }
            Ok(contacts)
        })
        .await
    }

    /// Answers a request for contact, also anew. Returns how it stands now, if there is one of this number.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn decide_contact(
        &self,
        number: u64,
        approve: bool,
    ) -> Result<Option<ContactRequest>, Error> {
        self.write_counting(move |connection| {
            let state = if approve { RequestState::Approved } else { RequestState::Denied };
            let sql = "UPDATE contacts SET state = ?2, decided_at = ?3 WHERE number = ?1 AND state <> ?2";
            let number = number.cast_signed();
            execute(connection, sql, params![number, contact_state_text(state), Timestamp::now().0])?;
            let decided = find(connection, "number = ?1", number)?;
            if let Some(contact) = decided.as_ref().filter(|_| approve) {
                contacted::note(connection, contact.from)?;
            }
            Ok(decided)
        })
        .await
    }
}

fn receive(connection: &Connection, me: &Me, direct: &Direct, now: Timestamp) -> Result<Verdict, Error> {
    Ok(match contacts::receive(&facts(connection, me, direct)?) {
        Decision::Known => Verdict::Stored(None),
        Decision::Refuse => Verdict::Refused,
        Decision::Full => Verdict::Full,
        Decision::Store => Verdict::Stored(store(connection, me, direct, now)?.map(Box::new)),
        Decision::Waits => Verdict::Request(None),
        Decision::Ask => Verdict::Request(request(connection, direct, now)?.map(Box::new)),
        Decision::Crowded => Verdict::Crowded,
    })
}

fn facts(connection: &Connection, me: &Me, direct: &Direct) -> Result<Facts, Error> {
    let from = direct.from;
    let count = |sql: &str, of: Option<PeerId>| -> Result<u64, Error> {
        let count = |row: &Row<'_>| row.get::<_, i64>(0);
        let mut statement = connection.prepare_cached(sql)?;
        let number = match of {
            Some(peer) => statement.query_row([id(peer)], count),
            None => statement.query_row([], count),
        };
        Ok(number?.cast_unsigned())
    };
    let acquainted = "SELECT EXISTS (SELECT 1 FROM grants WHERE viewer = ?1)
                          OR EXISTS (SELECT 1 FROM grants WHERE owner = ?1)
                          OR EXISTS (SELECT 1 FROM asks WHERE other = ?1)
                          OR EXISTS (SELECT 1 FROM messages WHERE other = ?1 AND broadcast = 0)";
    Ok(Facts {
        is_here: is_here(connection, from, direct.message)?,
        is_self: from == me.id,
        is_blocked: blocks::is_blocked(connection, from)?,
        contact: find(connection, "peer = ?1", id(from))?.map(|contact| contact.state),
        is_acquainted: count(acquainted, Some(from))? > 0,
        unread: count(
            "SELECT count(*) FROM messages WHERE other = ?1 AND read = 0 AND direct = 1",
            Some(from),
        )?,
        pending: count_pending(connection)?,
        contacts: count("SELECT count(*) FROM contacts", None)?,
    })
}

fn store(
    connection: &Connection,
    me: &Me,
    direct: &Direct,
    now: Timestamp,
) -> Result<Option<Message>, Error> {
    let sent_at = contacts::sent_at(direct.sent_at, now);
    let entry = Entry {
        sender: direct.from,
        message: direct.message,
        other: Some((direct.from, direct.from_name.as_ref())),
        kind: Kind::ReceivedDirect,
        sent_at,
        text: &direct.text,
        signed: true,
    };
    Ok(keep(connection, &entry)?.map(|place| Message {
        place,
        message: direct.message,
        from: direct.from,
        from_name: direct.from_name.clone(),
        to: Some(me.id),
        to_name: me.name.clone(),
        sent_at,
        read: false,
        direct: true,
        delivery: None,
        text: direct.text.clone(),
        signed: true,
    }))
}

fn request(
    connection: &Connection,
    direct: &Direct,
    now: Timestamp,
) -> Result<Option<ContactRequest>, Error> {
    execute(
        connection,
        "INSERT INTO contacts (peer, name, state, created_at) VALUES (?1, ?2, ?3, ?4)",
        params![
            id(direct.from),
            direct.from_name.as_ref().map(PeerName::as_str),
            contact_state_text(RequestState::Pending),
            now.0
        ],
    )?;
    find(connection, "peer = ?1", id(direct.from))
}

/// The request for contact of this number.
pub(super) fn numbered(connection: &Connection, number: u64) -> Result<Option<ContactRequest>, Error> {
    find(connection, "number = ?1", number.cast_signed())
}

const COLUMNS: &str = "number, peer, name, state, created_at, decided_at";

fn find(connection: &Connection, which: &'static str, value: i64) -> Result<Option<ContactRequest>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM contacts WHERE {which}");
    connection.prepare_cached(&sql)?.query_row([value], |row| Ok(of_row(row))).optional()?.transpose()
}

/// A row of [`COLUMNS`].
fn of_row(row: &Row<'_>) -> Result<ContactRequest, Error> {
    Ok(ContactRequest {
        number: row.get::<_, i64>(0)?.cast_unsigned(),
        from: peer_of(row.get(1)?)?,
        from_name: peer_name(row.get(2)?)?,
        state: contact_state(&row.get::<_, String>(3)?)?,
        created_at: Timestamp(row.get(4)?),
        decided_at: row.get::<_, Option<i64>>(5)?.map(Timestamp),
    })
}

/// How many wait for an answer.
pub(super) fn count_pending(connection: &Connection) -> Result<u64, Error> {
    let sql = "SELECT count(*) FROM contacts WHERE state = 'pending'";
    let count: i64 = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(count.cast_unsigned())
}
