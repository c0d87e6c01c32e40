//! Messages on their way: written down under their ID before they are sent.
//!
//! What always holds: the same text to the same recipient, sent again while the sender does not know the outcome of the first
//! attempt, has the same ID, so that it arrives once. After [`dos_protocol::limits::MESSAGE_AGAIN_MAX`] it is another message.

use dos_protocol::{
    MessageId, PeerId, PeerName, Timestamp,
    directory::{Delivery, Sent},
    limits::MESSAGES_UNANSWERED_MAX,
};
use rusqlite::{Connection, params};

use super::{
    Error, Store, contacted, execute,
    live::{Live, Open},
    messages::{self, Entry, Kind, Mail, keep, mail},
};
use crate::rules::messages::same_message;

/// What is to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    /// The recipient, as the user wrote it.
    pub to: Box<str>,
    /// Peer to peer.
    pub direct: bool,
    /// Its text.
    pub text: Box<str>,
}

/// A message in flight, owned by the command that sends it.
#[derive(Debug)]
pub(crate) struct Sending {
    /// Its ID.
    pub open: Open<MessageId>,
    /// When it was sent first.
    pub begun_at: Timestamp,
}

impl Store {
    /// Writes down that a message is to be sent, or takes up one that was left without an answer.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn begin_send(
        &self,
        live: Live<MessageId>,
        outgoing: Outgoing,
    ) -> Result<Sending, Error> {
        self.write(move |connection| {
            let now = Timestamp::now();
            tidy_up(connection, now)?;
            if let Some(left) = left_open(connection, &live, &outgoing)? {
                return Ok(left);
            }
            let message = MessageId::generate();
            let open = live.claim(message).ok_or(Error::Damaged("message ID"))?;
            execute(
                connection,
                "INSERT INTO sending (id, recipient, direct, begun_at, text) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![message.as_bytes(), outgoing.to, outgoing.direct, now.0, outgoing.text],
            )?;
            Ok(Sending { open, begun_at: now })
        })
        .await
    }

    /// The message was taken: it is kept among the others. `then` gets what they come to, right after the commit. Its ID
    /// stays that of this text until [`Store::drop_send`]: its sender may not have got the answer.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn finish_send(
        &self,
        (me, message): (PeerId, MessageId),
        outgoing: Outgoing,
        sent: Sent,
        then: impl FnOnce(Mail) + Send + 'static,
    ) -> Result<(), Error> {
        let work = move |connection: &Connection| {
            let delivery = if is_stored(connection, message)? { Delivery::Delivered } else { sent.delivery };
            let kind = if outgoing.direct { Kind::SentDirect } else { Kind::Sent(delivery) };
            let to_name: Option<&PeerName> = sent.to_name.as_ref();
            let other = Some((sent.to, to_name));
            keep(
                connection,
                &Entry {
                    sender: me,
                    message,
                    other,
                    kind,
                    sent_at: sent.at,
                    text: &outgoing.text,
                    signed: true,
                },
            )?;
            contacted::note(connection, sent.to)?;
            mail(connection)
        };
        self.write_counting_then(work, |mail: &mut Mail| then(*mail)).await.map(drop)
    }

    /// The message was refused for good, or its sender knows that it was taken: the same text again is another one.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn drop_send(&self, message: MessageId) -> Result<(), Error> {
        self.write(move |connection| {
            execute(connection, "DELETE FROM sending WHERE id = ?1", [message.as_bytes()])?;
            Ok(())
        })
        .await
    }
}

/// The recipient has stored a message of `me`. The directory may say so before its answer to the message is here.
pub(super) fn stored(connection: &Connection, me: PeerId, message: MessageId) -> Result<(), Error> {
    messages::delivered(connection, me, message)?;
    execute(connection, "UPDATE sending SET stored = 1 WHERE id = ?1", [message.as_bytes()])?;
    Ok(())
}

fn is_stored(connection: &Connection, message: MessageId) -> Result<bool, Error> {
    let sql = "SELECT EXISTS (SELECT 1 FROM sending WHERE id = ?1 AND stored = 1)";
    Ok(connection.prepare_cached(sql)?.query_row([message.as_bytes()], |row| row.get(0))?)
}

/// What was taken, of a direct message.
pub(crate) fn delivered(to: PeerId, to_name: Option<PeerName>, at: Timestamp) -> Sent {
    Sent { to, to_name, at, delivery: Delivery::Delivered }
}

fn tidy_up(connection: &Connection, now: Timestamp) -> Result<(), Error> {
    let (oldest, newest) = same_message(now);
    let sql = "DELETE FROM sending WHERE begun_at < ?1 OR begun_at > ?2";
    execute(connection, sql, params![oldest.0, newest.0])?;
    let sql = "DELETE FROM sending WHERE id IN
                   (SELECT id FROM sending ORDER BY begun_at DESC LIMIT -1 OFFSET ?1)";
    execute(connection, sql, [MESSAGES_UNANSWERED_MAX.saturating_sub(1)])?;
    Ok(())
}

fn left_open(
    connection: &Connection,
    live: &Live<MessageId>,
    outgoing: &Outgoing,
) -> Result<Option<Sending>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT id, begun_at FROM sending WHERE recipient = ?1 AND direct = ?2 AND text = ?3 ORDER BY begun_at",
    )?;
    let mut rows = statement.query(params![outgoing.to, outgoing.direct, outgoing.text])?;
    while let Some(row) = rows.next()? {
        let message = MessageId::from(row.get::<_, [u8; 16]>(0)?);
        if let Some(open) = live.claim(message) {
            return Ok(Some(Sending { open, begun_at: Timestamp(row.get(1)?) }));
        }
    }
    Ok(None)
}
