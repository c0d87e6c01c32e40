//! Messages: taken once, put into the recipient's inbox, and remembered for a while, so that the same one again is the same.

use dos_protocol::{
    MessageId, PeerId, PeerName, Seq, Timestamp,
    directory::{Delivery, Send},
    limits::MESSAGE_REMEMBERED,
};
use dos_sql::{self as sql, Connection, Optional as _, Row, params};

use super::{Change, Changed, InboxRow, Refusal, Store, blocks, inbox, peers, row, scope};
use crate::rules::{
    Act,
    messages::{self, Sending, Taken},
};

/// A message that was taken, now or before.
#[derive(Debug, Clone)]
pub struct AcceptedMessage {
    /// The recipient.
    pub to: PeerId,
    /// The recipient's name.
    pub to_name: Option<PeerName>,
    /// When it was taken.
    pub at: Timestamp,
    /// Its place in the recipient's inbox.
    pub seq: Seq,
    /// Whether it is still there. If not, the recipient has stored it.
    pub is_waiting: bool,
}

/// Forgotten messages that go with each new one: more than one, so that the table shrinks after a busy time.
const FORGOTTEN_AT_ONCE: u32 = 4;

const FIND: &str = "SELECT m.recipient, p.name, m.sent_at, m.seq,
        EXISTS(SELECT 1 FROM inbox i WHERE i.peer = m.recipient AND i.seq = m.seq)
    FROM messages m LEFT JOIN peers p ON p.id = m.recipient WHERE m.sender = ?1 AND m.message = ?2";

const FORGET_OLD: &str = "DELETE FROM messages WHERE (sender, message) IN
    (SELECT sender, message FROM messages WHERE owing = 0 AND sent_at < ?1 ORDER BY sent_at LIMIT ?2)";

const OWING: &str = "SELECT m.sender, m.message, s.knows FROM messages m JOIN peers s ON s.id = m.sender
    WHERE m.recipient = ?1 AND m.seq <= ?2 AND m.owing = 1 ORDER BY m.seq";

const SETTLE: &str = "UPDATE messages SET owing = 0 WHERE recipient = ?1 AND seq <= ?2 AND owing = 1";

/// All of them go by an index.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 6] = [FIND, inbox::WAITING, inbox::LIGHTEN, FORGET_OLD, OWING, SETTLE];

impl Store {
    /// Takes a message into its recipient's inbox. The same one again changes nothing.
    ///
    /// # Errors
    /// `not_found`; `invalid` to oneself; `denied` by a recipient that takes nothing from the sender, and with too many
    /// messages that wait for it.
    pub async fn send(&self, change: Change, send: Send) -> Result<AcceptedMessage, Refusal> {
        let room = self.room();
        let scope = self.scope_with(change.peer, &send.to).await?;
        self.change_in(scope, move |connection| {
            let sender = change.peer;
            // Before the recipient is looked for: where it was or what it was called may have changed since.
            if let Some(accepted) = find(connection, sender, send.message)? {
                return Ok(accepted.into());
            }
            room.admit(connection)?;
            let to = peers::find(connection, &send.to)?;
            let known = peers::by_id(connection, sender)?;
            let state = Sending {
                sender,
                sender_key: known.as_ref().map(|known| known.key),
                sender_name: known.and_then(|known| known.name),
                between: blocks::between(connection, sender, to.id)?,
                waiting: inbox::waiting(connection, to.id, sender)?,
                quotas: room.quotas,
                to,
            };
            let message = send.message;
            let owe = messages::send(&state, send, change.now)?;
            let row = inbox::owe_one(connection, owe, change.now)?;
            remember(connection, (sender, message), &row)?;
            let accepted = AcceptedMessage {
                to: row.peer,
                to_name: state.to.name,
                at: change.now,
                seq: row.seq,
                is_waiting: true,
            };
            Ok(Changed::owing(accepted, vec![row]))
        })
        .await
    }
}

impl Store {
    /// How far a message got whose recipient did not store it in time. Its sender is answered so, and if it waits still, is owed
    /// that it was stored.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn queued(&self, sender: PeerId, message: MessageId) -> Result<Delivery, Refusal> {
        let scope = self.scope_of_message(sender, message).await?;
        self.change_in(scope, move |connection| {
            let accepted = find(connection, sender, message)?.filter(|accepted| accepted.is_waiting);
            let Some(accepted) = accepted else { return Ok(Delivery::Delivered.into()) };
            scope::claim(connection, accepted.to)?;
            connection
                .prepare("UPDATE messages SET owing = 1 WHERE sender = ?1 AND message = ?2")?
                .execute(params![row::peer_number(sender), message.as_bytes().as_slice()])?;
            Ok(Delivery::Queued.into())
        })
        .await
    }
}

/// The recipient has stored its rows up to this one: owes that to the senders that were told that their messages wait.
pub(super) fn delivered(
    connection: &Connection,
    (recipient, stored): (PeerId, Seq),
    now: Timestamp,
) -> Result<Vec<InboxRow>, Refusal> {
    let key = params![row::peer_number(recipient), row::number(stored.0)];
    let mut statement = connection.prepare(OWING)?;
    let taken = statement.query_map(key, |row| {
        let message = MessageId::from(row::bytes::<16>(row, 1)?);
        Ok(Taken { sender: row::peer(row, 0)?, message, knows: row.get(2)? })
    })?;
    let taken = taken.collect::<Result<Vec<_>, _>>()?;
    if taken.is_empty() {
        return Ok(Vec::new());
    }
    connection.prepare(SETTLE)?.execute(key)?;
    let storing = Change { act: Act::Store, ..Change::by(recipient, now) };
    inbox::owe_by(connection, storing, messages::delivered(recipient, taken))
}

/// The message that was taken under this ID, as it is now.
fn find(connection: &Connection, sender: PeerId, message: MessageId) -> sql::Result<Option<AcceptedMessage>> {
    let mut statement = connection.prepare(FIND)?;
    let accepted = |row: Row<'_>| {
        Ok(AcceptedMessage {
            to: row::peer(row, 0)?,
            to_name: row::peer_name(row, 1)?,
            at: row::time(row, 2)?,
            seq: Seq(row::unsigned(row, 3)?),
            is_waiting: row.get(4)?,
        })
    };
    let key = params![row::peer_number(sender), message.as_bytes().as_slice()];
    statement.query_row(key, accepted).optional()
}

/// Writes the message down, and forgets a few that were written down long ago.
fn remember(
    connection: &Connection,
    (sender, message): (PeerId, MessageId),
    row: &InboxRow,
) -> sql::Result<()> {
    connection
        .prepare("INSERT INTO messages(sender, message, recipient, seq, sent_at) VALUES(?1, ?2, ?3, ?4, ?5)")?
        .execute(params![
            row::peer_number(sender),
            message.as_bytes().as_slice(),
            row::peer_number(row.peer),
            row::number(row.seq.0),
            row.at.0
        ])?;
    // Messages of others are theirs, if they change anything in the meantime.
    if connection.is_shared() {
        return Ok(());
    }
    forget_old(connection, row.at, FORGOTTEN_AT_ONCE).map(drop)
}

/// Forgets messages that were written down long ago, the oldest ones, at most `limit`.
pub(super) fn forget_old(connection: &Connection, now: Timestamp, limit: u32) -> sql::Result<usize> {
    let since = now.before(MESSAGE_REMEMBERED);
    connection.prepare(FORGET_OLD)?.execute(params![since.0, limit])
}

/// Forgets the messages between two peers that the recipient will never get, since their rows have become nothing: sent
/// again, they are new ones.
pub(super) fn forget(
    connection: &Connection,
    sender: PeerId,
    recipient: PeerId,
    stored: Seq,
) -> sql::Result<()> {
    connection
        .prepare("DELETE FROM messages WHERE sender = ?1 AND recipient = ?2 AND seq > ?3")?
        .execute(params![row::peer_number(sender), row::peer_number(recipient), row::number(stored.0)])
        .map(drop)
}
