//! Direct messages as they come, and who may send them: peers that this one has something to do with, and those that were
//! accepted. Others are asked about.
//!
//! What always holds: of a peer that may not, nothing is kept but that it asked, once; what was denied stays so until it is
//! approved; all of this is bounded.

use dos_protocol::{
    MessageId, PeerId, PeerName, Timestamp,
    control::{ContactRequest, Message},
    directory::RequestState,
    limits::{CONTACTS_MAX, CONTACTS_PENDING_MAX, DIRECT_UNREAD_MAX, PAGE_MAX},
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    Error, Store, blocks, execute, id,
    messages::{Entry, Kind, Mail, Me, is_here, keep, mail, name_of},
    peer_of,
};

/// A direct message as it comes.
#[derive(Debug, Clone)]
pub(crate) struct Brought {
    /// Who brings it.
    pub from: PeerId,
    /// The sender's name.
    pub from_name: Option<PeerName>,
    /// The sender's ID for it.
    pub message: MessageId,
    /// When it was sent, as the sender says.
    pub sent_at: Timestamp,
    /// What it says.
    pub text: Box<str>,
}

/// What became of a direct message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// It is here; as what, if it came for the first time.
    Stored(Option<Box<Message>>),
    /// The sender is blocked, or was denied.
    Refused,
    /// The sender's last messages were not read yet.
    Full,
    /// The sender is asked about; the question, if it is new.
    Request(Option<Box<ContactRequest>>),
    /// There are too many questions already.
    Crowded,
}

/// What came of a direct message, for those who tell it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Judged {
    /// What became of it.
    pub verdict: Verdict,
    /// What the messages come to.
    pub mail: Mail,
    /// Requests of others that wait for an answer.
    pub requests: u64,
}

impl Store {
    /// Takes a direct message to `me`, or says why not; right after the commit `then` sees what came of it.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn receive_direct(
        &self,
        me: Me,
        brought: Brought,
        then: impl FnOnce(&mut Judged) + Send + 'static,
    ) -> Result<Judged, Error> {
        let work = move |connection: &Connection| {
            let verdict = judge(connection, &me, &brought)?;
            Ok(Judged { verdict, mail: mail(connection)?, requests: super::waiting(connection)? })
        };
        self.writer.call_then(work, then).await
    }

    /// A page of those who asked, those after this number; only undecided ones unless `all`.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn contacts(&self, all: bool, after: u64) -> Result<Vec<ContactRequest>, Error> {
        self.read(move |connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM contacts WHERE (?1 OR state = 'pending') AND number > ?2
                 ORDER BY number LIMIT ?3"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query(params![all, after.cast_signed(), PAGE_MAX])?;
            let mut contacts = Vec::new();
            while let Some(row) = rows.next()? {
                contacts.push(of_row(row)?);
            }
            Ok(contacts)
        })
        .await
    }

    /// Decides about a peer that asked, also anew. Returns how that stands now, if there is such a question.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn decide_contact(
        &self,
        number: u64,
        approve: bool,
    ) -> Result<Option<ContactRequest>, Error> {
        self.write(move |connection| {
            let state = if approve { RequestState::Approved } else { RequestState::Denied };
            let sql = "UPDATE contacts SET state = ?2, decided_at = ?3 WHERE number = ?1 AND state <> ?2";
            let number = number.cast_signed();
            execute(connection, sql, params![number, state.as_str(), Timestamp::now().0])?;
            find(connection, "number = ?1", number)
        })
        .await
    }
}

fn judge(connection: &Connection, me: &Me, brought: &Brought) -> Result<Verdict, Error> {
    let from = brought.from;
    if is_here(connection, from, brought.message)? {
        return Ok(Verdict::Stored(None));
    }
    if from == me.id || blocks::is_blocked(connection, from)? {
        return Ok(Verdict::Refused);
    }
    let asked = find(connection, "peer = ?1", id(from))?;
    let welcome = match asked.as_ref().map(|contact| contact.state) {
        Some(RequestState::Approved) => true,
        Some(RequestState::Pending) | None => knows(connection, from)?,
        Some(RequestState::Denied | RequestState::Cancelled) => return Ok(Verdict::Refused),
    };
    if !welcome {
        return if asked.is_some() { Ok(Verdict::Request(None)) } else { ask(connection, brought) };
    }
    let sql = "SELECT count(*) FROM messages WHERE other = ?1 AND read = 0 AND direct = 1";
    let unread: i64 = connection.prepare_cached(sql)?.query_row([id(from)], |row| row.get(0))?;
    if unread.cast_unsigned() >= DIRECT_UNREAD_MAX {
        return Ok(Verdict::Full);
    }
    store(connection, me, brought)
}

fn store(connection: &Connection, me: &Me, brought: &Brought) -> Result<Verdict, Error> {
    // A clock that is ahead would put it at the end for ever.
    let sent_at = brought.sent_at.min(Timestamp::now());
    let entry = Entry {
        sender: brought.from,
        message: brought.message,
        other: Some((brought.from, brought.from_name.as_ref())),
        kind: Kind::ReceivedDirect,
        sent_at,
        text: &brought.text,
    };
    let Some(place) = keep(connection, &entry)? else { return Ok(Verdict::Stored(None)) };
    Ok(Verdict::Stored(Some(Box::new(Message {
        place,
        message: brought.message,
        from: brought.from,
        from_name: brought.from_name.clone(),
        to: Some(me.id),
        to_name: me.name.clone(),
        sent_at,
        read: false,
        direct: true,
        delivery: None,
        text: brought.text.clone(),
    }))))
}

/// Whether this peer has something to do with `peer`: a right, a request, or a message that was meant for one of the two.
fn knows(connection: &Connection, peer: PeerId) -> Result<bool, Error> {
    let sql = "SELECT EXISTS (SELECT 1 FROM grants WHERE viewer = ?1)
                   OR EXISTS (SELECT 1 FROM grants WHERE owner = ?1)
                   OR EXISTS (SELECT 1 FROM asks WHERE other = ?1)
                   OR EXISTS (SELECT 1 FROM messages WHERE other = ?1 AND broadcast = 0)";
    Ok(connection.prepare_cached(sql)?.query_row([id(peer)], |row| row.get(0))?)
}

fn ask(connection: &Connection, brought: &Brought) -> Result<Verdict, Error> {
    let sql = "SELECT (SELECT count(*) FROM contacts WHERE state = 'pending') >= ?1
                   OR (SELECT count(*) FROM contacts) >= ?2";
    let most = [CONTACTS_PENDING_MAX.cast_signed(), CONTACTS_MAX.cast_signed()];
    if connection.prepare_cached(sql)?.query_row(most, |row| row.get(0))? {
        return Ok(Verdict::Crowded);
    }
    execute(
        connection,
        "INSERT INTO contacts (peer, name, state, created_at) VALUES (?1, ?2, 'pending', ?3)",
        params![id(brought.from), brought.from_name.as_ref().map(PeerName::as_str), Timestamp::now().0],
    )?;
    let asked = find(connection, "peer = ?1", id(brought.from))?;
    Ok(Verdict::Request(asked.map(Box::new)))
}

const COLUMNS: &str = "number, peer, name, state, created_at, decided_at";

fn find(connection: &Connection, which: &'static str, value: i64) -> Result<Option<ContactRequest>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM contacts WHERE {which}");
    connection.prepare_cached(&sql)?.query_row([value], |row| Ok(of_row(row))).optional()?.transpose()
}

/// A row of [`COLUMNS`].
fn of_row(row: &Row<'_>) -> Result<ContactRequest, Error> {
    let state: String = row.get(3)?;
    Ok(ContactRequest {
        number: row.get::<_, i64>(0)?.cast_unsigned(),
        from: peer_of(row.get(1)?)?,
        from_name: name_of(row.get(2)?)?,
        state: match state.as_str() {
            "approved" => RequestState::Approved,
            "denied" => RequestState::Denied,
            _ => RequestState::Pending,
        },
        created_at: Timestamp(row.get(4)?),
        decided_at: row.get::<_, Option<i64>>(5)?.map(Timestamp),
    })
}
/// How many wait for a decision.
pub(super) fn count_pending(connection: &Connection) -> Result<u64, Error> {
    let sql = "SELECT count(*) FROM contacts WHERE state = 'pending'";
    let count: i64 = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(count.cast_unsigned())
}
