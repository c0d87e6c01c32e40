//! Messages: taken once, put into the recipient's inbox, and remembered for a while, so that the same one again is the same.

use dos_protocol::{
    MessageId, PeerId, PeerName, Seq, Timestamp,
    directory::{InboxMessage, Send, Update},
    limits::MESSAGE_REMEMBERED,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Changed, Refusal, Store, blocks, inbox, inbox::Cause, peers, row};

/// A message that was taken, now or before.
#[derive(Debug, Clone)]
pub struct Taken {
    /// To whom.
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
    (SELECT sender, message FROM messages WHERE sent_at < ?1 ORDER BY sent_at LIMIT ?2)";

/// All of them go by an index.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 4] = [FIND, inbox::COUNT_SENDER, inbox::SPAN, FORGET_OLD];

impl Store {
    /// Takes a message into its recipient's inbox. The same one again changes nothing.
    ///
    /// # Errors
    /// `not_found`; `invalid` to oneself; `denied` by a recipient that takes nothing from the sender, and with too many
    /// messages that wait for it.
    pub async fn send(&self, sender: PeerId, send: Send, now: Timestamp) -> Result<Taken, Refusal> {
        let quotas = self.quotas();
        self.change(move |connection| {
            // Before the recipient is looked for: where it was or what it was called may have changed since.
            if let Some(taken) = find(connection, sender, send.message)? {
                return Ok(taken.into());
            }
            let to = peers::find(connection, &send.to)?;
            if to.id == sender {
                return Err(Refusal::invalid("a message goes to somebody else"));
            }
            blocks::check(connection, &to, sender)?;
            inbox::check_room(connection, to.id, sender, quotas)?;
            let letter = InboxMessage {
                message: send.message,
                from: sender,
                from_name: peers::name_of(connection, sender)?,
                sent_at: now,
                text: send.text,
            };
            let update = Update::Message(Box::new(letter));
            let row = inbox::owe_because(connection, to.id, now, update, (sender, Cause::Message))?;
            remember(connection, sender, send.message, &row, now)?;
            let taken = Taken { to: to.id, to_name: to.name, at: now, seq: row.seq, is_waiting: true };
            Ok(Changed { value: taken, owed: vec![row] })
        })
        .await
    }
}

/// The message that was taken under this ID, as it is now.
fn find(connection: &Connection, sender: PeerId, message: MessageId) -> rusqlite::Result<Option<Taken>> {
    let mut statement = connection.prepare_cached(FIND)?;
    let taken = |row: &rusqlite::Row<'_>| {
        Ok(Taken {
            to: row::peer(row, 0)?,
            to_name: row::peer_name(row, 1)?,
            at: row::time(row, 2)?,
            seq: Seq(row::unsigned(row, 3)?),
            is_waiting: row.get(4)?,
        })
    };
    let key = params![row::peer_number(sender), message.as_bytes().as_slice()];
    statement.query_row(key, taken).optional()
}

/// Writes the message down, and forgets a few that were written down long ago.
fn remember(
    connection: &Connection,
    sender: PeerId,
    message: MessageId,
    row: &super::Owed,
    now: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO messages(sender, message, recipient, seq, sent_at) VALUES(?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            row::peer_number(sender),
            message.as_bytes().as_slice(),
            row::peer_number(row.peer),
            row::number(row.seq.0),
            now.0
        ])?;
    let since = now.before(MESSAGE_REMEMBERED);
    connection.prepare_cached(FORGET_OLD)?.execute(params![since.0, FORGOTTEN_AT_ONCE]).map(drop)
}

/// Forgets the messages between two peers that the recipient will never get, since their rows have become nothing: sent
/// again, they are new ones.
pub(super) fn forget(
    connection: &Connection,
    sender: PeerId,
    recipient: PeerId,
    stored: Seq,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM messages WHERE sender = ?1 AND recipient = ?2 AND seq > ?3")?
        .execute(params![row::peer_number(sender), row::peer_number(recipient), row::number(stored.0)])
        .map(drop)
}
