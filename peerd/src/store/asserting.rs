//! What is known from an earlier incarnation of the directory's data, until this one has confirmed it.
//!
//! What always holds: it is copied in the transaction that notes the new incarnation, so that nothing that comes later changes it; an
//! entry stays until the directory has answered it for good, or its time is over.

use dos_protocol::{
    ImageNo, MessageId, PeerId, Timestamp, ViewId,
    control::Note,
    directory::{AssertedCheckout, Delivery, Preview, Request},
    limits::ASSERTED_MAX,
    model::Grant,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    Error, Store, execute, notes, peer_of,
    stored::{decode, delivery_text},
};
use crate::rules::{
    meeting::{ASSERTED_FOR, REMOVED_FOR, REMOVED_MAX},
    reconcile::{Left, report},
};

/// A kind of what is asserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// An image that was removed.
    Removed,
    /// An image of one's own.
    Image,
    /// A grant that this peer has given.
    Given,
    /// A grant that it has received.
    Received,
    /// A checkout whose views are held.
    Checkout,
    /// A request, made or received.
    Request,
    /// A peer that is blocked; one entry without a peer says that others may not be blocked any more.
    Block,
    /// A message of which it is not known that it arrived.
    Message,
}

impl Claim {
    fn as_str(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Image => "image",
            Self::Given => "given",
            Self::Received => "received",
            Self::Checkout => "checkout",
            Self::Request => "request",
            Self::Block => "block",
            Self::Message => "message",
        }
    }
}

/// An entry: what it is of its kind is told by the two numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asserting {
    /// The number of an image, a request or a message's place; of a checkout any.
    pub number: i64,
    /// The viewer of a grant, the recipient of a message; of a checkout its image.
    pub peer: i64,
    /// A grant or a request as it was known; the ID of a checkout.
    pub body: Option<Vec<u8>>,
}

impl Asserting {
    /// Where it stands.
    pub(crate) fn key(&self) -> (i64, i64) {
        (self.number, self.peer)
    }

    /// The image that it names.
    pub(crate) fn image(&self) -> ImageNo {
        ImageNo(self.number.cast_unsigned())
    }

    /// The peer that it names, if it names one.
    pub(crate) fn peer(&self) -> Option<PeerId> {
        (self.number != 0).then(|| peer_of(self.peer).ok()).flatten()
    }

    fn bytes(&self) -> &[u8] {
        self.body.as_deref().unwrap_or_default()
    }

    /// The grant.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub(crate) fn grant(&self) -> Result<Grant, Error> {
        decode(self.bytes())
    }

    /// The request.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub(crate) fn request(&self) -> Result<Request, Error> {
        decode(self.bytes())
    }
}

/// A message that is sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unsure {
    /// Its ID.
    pub message: MessageId,
    /// Its recipient.
    pub to: PeerId,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// What it says.
    pub text: Box<str>,
}

/// Copies everything that is known.
pub(super) fn begin(connection: &Connection, now: Timestamp, resent_since: Timestamp) -> Result<(), Error> {
    execute(connection, "DELETE FROM asserting WHERE kind = 'checkout'", [])?;
    for sql in [
        "INSERT OR REPLACE INTO asserting SELECT 'removed', no, 0, ?1, NULL FROM removed_images",
        "INSERT OR REPLACE INTO asserting SELECT 'image', no, 0, ?1, NULL FROM images",
        "INSERT OR REPLACE INTO asserting SELECT 'given', image, viewer, ?1, body FROM grants, self
             WHERE owner = self.peer AND image IN (SELECT no FROM images)",
        "INSERT OR REPLACE INTO asserting SELECT 'received', image, viewer, ?1, body FROM grants, self
             WHERE viewer = self.peer",
        "INSERT OR REPLACE INTO asserting
             SELECT 'checkout', row_number() OVER (ORDER BY checkout), image, ?1, checkout FROM held",
        "INSERT OR REPLACE INTO asserting SELECT 'request', request, 0, ?1, body FROM asks",
        "INSERT OR REPLACE INTO asserting SELECT 'block', 1, peer, ?1, NULL FROM blocks",
        "INSERT OR REPLACE INTO asserting VALUES ('block', 0, 0, ?1, NULL)",
    ] {
        execute(connection, sql, [now.0])?;
    }
    let sql = "INSERT OR REPLACE INTO asserting SELECT 'message', place, other, ?1, NULL FROM messages
                   WHERE outgoing = 1 AND direct = 0 AND broadcast = 0 AND delivery = 'queued'
                     AND other IS NOT NULL AND sent_at >= ?2";
    execute(connection, sql, params![now.0, resent_since.0])?;
    execute(connection, "UPDATE self SET reporting = 1", [])?;
    Ok(())
}

/// Whether a grant is still to be asserted: that a directory that was restored does not know it yet says nothing of it.
pub(super) fn has_grant(connection: &Connection, image: ImageNo, viewer: PeerId) -> Result<bool, Error> {
    let sql = "SELECT EXISTS (SELECT 1 FROM asserting
                   WHERE kind IN ('given', 'received') AND number = ?1 AND peer = ?2)";
    let key = params![image.0.cast_signed(), super::id(viewer)];
    Ok(connection.prepare_cached(sql)?.query_row(key, |row| row.get(0))?)
}

/// Remembers the number of an image of one's own that is removed.
pub(super) fn remember_removed(connection: &Connection, image: ImageNo) -> Result<(), Error> {
    let now = Timestamp::now();
    let sql = "INSERT OR REPLACE INTO removed_images (no, at) VALUES (?1, ?2)";
    execute(connection, sql, params![image.0.cast_signed(), now.0])?;
    execute(connection, "DELETE FROM removed_images WHERE at < ?1", [now.before(REMOVED_FOR).0])?;
    let sql = "DELETE FROM removed_images WHERE no IN
                   (SELECT no FROM removed_images ORDER BY at DESC LIMIT -1 OFFSET ?1)";
    execute(connection, sql, [REMOVED_MAX])?;
    Ok(())
}

impl Store {
    /// Whether anything is to be asserted.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn is_asserting(&self) -> Result<bool, Error> {
        self.read(|connection| {
            let sql = "SELECT EXISTS (SELECT 1 FROM asserting)";
            Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
        })
        .await
    }

    /// A page of what is to be asserted of this kind, behind this entry: as much as fits one request.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn asserting(
        &self,
        claim: Claim,
        after: Option<(i64, i64)>,
    ) -> Result<Vec<Asserting>, Error> {
        self.read(move |connection| {
            let (number, peer) = after.unwrap_or((i64::MIN, i64::MIN));
            let sql = "SELECT number, peer, body FROM asserting WHERE kind = ?1 AND (number, peer) > (?2, ?3)
                       ORDER BY number, peer LIMIT ?4";
            let mut statement = connection.prepare_cached(sql)?;
            let most = i64::try_from(ASSERTED_MAX).unwrap_or(i64::MAX);
            let rows = statement.query_map(params![claim.as_str(), number, peer, most], |row| {
                Ok(Asserting { number: row.get(0)?, peer: row.get(1)?, body: row.get(2)? })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The directory has answered these for good.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn asserted(&self, claim: Claim, keys: Vec<(i64, i64)>) -> Result<(), Error> {
        self.write(move |connection| {
            for (number, peer) in keys {
                let sql = "DELETE FROM asserting WHERE kind = ?1 AND number = ?2 AND peer = ?3";
                execute(connection, sql, params![claim.as_str(), number, peer])?;
            }
            Ok(())
        })
        .await
    }

    /// The checkout as it is now, if anything is held of it.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn asserted_checkout(
        &self,
        entry: Asserting,
    ) -> Result<Option<AssertedCheckout>, Error> {
        self.read(move |connection| {
            let id: [u8; 16] = entry.bytes().try_into().map_err(|_| Error::Damaged("view ID"))?;
            let checkout = ViewId::from(id);
            let sql = "SELECT image, unused FROM held WHERE checkout = ?1 AND given_up = 0";
            let held = |row: &rusqlite::Row<'_>| {
                let image = ImageNo(row.get::<_, i64>(0)?.cast_unsigned());
                Ok(AssertedCheckout { image, checkout, unused: row.get(1)? })
            };
            Ok(connection.prepare_cached(sql)?.query_row([checkout.as_bytes()], held).optional()?)
        })
        .await
    }

    /// The message at this place, if it is not known yet that it arrived.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn unsure(&self, place: i64) -> Result<Option<Unsure>, Error> {
        self.read(move |connection| {
            let sql =
                "SELECT id, other, text, sent_at FROM messages WHERE place = ?1 AND delivery = 'queued'";
            let row = |row: &rusqlite::Row<'_>| {
                Ok((row.get::<_, [u8; 16]>(0)?, row.get(1)?, row.get::<_, String>(2)?, row.get(3)?))
            };
            let found = connection.prepare_cached(sql)?.query_row([place], row).optional()?;
            found
                .map(|(id, other, text, sent_at)| {
                    let sent_at = Timestamp(sent_at);
                    Ok(Unsure { message: id.into(), to: peer_of(other)?, sent_at, text: text.into() })
                })
                .transpose()
        })
        .await
    }

    /// The message at this place was sent again, and got so far.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn sent_again(&self, key: (i64, i64), delivery: Delivery) -> Result<(), Error> {
        self.write(move |connection| {
            let sql = "UPDATE messages SET delivery = ?2 WHERE place = ?1 AND delivery = 'queued'";
            execute(connection, sql, params![key.0, delivery_text(delivery)])?;
            let sql = "DELETE FROM asserting WHERE kind = 'message' AND number = ?1 AND peer = ?2";
            execute(connection, sql, params![key.0, key.1])?;
            Ok(())
        })
        .await
    }

    /// A round is over, in which the directory has refused this number of things: what there is to report, once, with all notes.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn round_over(&self, refused: u64) -> Result<(Vec<Box<str>>, Vec<Note>), Error> {
        self.write(move |connection| {
            let now = Timestamp::now();
            let too_old = now.before(ASSERTED_FOR);
            let given_up = left(connection, "since < ?1", too_old)?;
            execute(connection, "DELETE FROM asserting WHERE since < ?1", [too_old.0])?;
            let waiting = left(connection, "since >= ?1", too_old)?;
            let is_first: bool = connection.query_row("SELECT reporting FROM self", [], |row| row.get(0))?;
            let news = report(is_first, refused, waiting, given_up);
            for text in &news {
                notes::add(connection, now, text)?;
            }
            execute(connection, "UPDATE self SET reporting = 0", [])?;
            Ok((news, notes::all(connection, now)?))
        })
        .await
    }

    /// The preview that an image was published with, if it is here.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn own_preview(&self, image: ImageNo) -> Result<Option<Preview>, Error> {
        self.read(move |connection| {
            let sql = "SELECT preview, info FROM images WHERE no = ?1";
            let row =
                |row: &rusqlite::Row<'_>| Ok((row.get::<_, Option<Vec<u8>>>(0)?, row.get::<_, Vec<u8>>(1)?));
            let found = connection.prepare_cached(sql)?.query_row([image.0.cast_signed()], row).optional()?;
            let Some((Some(data), info)) = found else { return Ok(None) };
            let dos_protocol::model::PreviewInfo { format, width, height, .. } =
                decode::<dos_protocol::model::ImageInfo>(&info)?.preview;
            Ok(Some(Preview { format, width, height, data }))
        })
        .await
    }
}

/// How much there is of each kind among the entries of which this holds.
fn left(connection: &Connection, which: &str, moment: Timestamp) -> Result<Left, Error> {
    let sql = format!("SELECT kind, count(*) FROM asserting WHERE {which} GROUP BY kind");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([moment.0])?;
    let mut left = Left::default();
    while let Some(row) = rows.next()? {
        let count = row.get::<_, i64>(1)?.cast_unsigned();
        match &*row.get::<_, String>(0)? {
            "image" => left.images += count,
            "given" | "received" => left.grants += count,
            "checkout" => left.checkouts += count,
            "request" => left.requests += count,
            "block" => left.blocks += count,
            "message" => left.messages += count,
            _ => {}
        }
    }
    Ok(left)
}

/// Whether a grant is to be asserted still.
pub(super) const ASSERTED_GRANT: &str =
    "EXISTS (SELECT 1 FROM asserting a WHERE a.kind IN ('given', 'received')
    AND a.number = grants.image AND a.peer = grants.viewer)";
