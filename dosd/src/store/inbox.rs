//! What is owed to each peer: rows with gapless numbers, written with the change that causes them, deleted when the peer
//! has stored them.

use std::sync::LazyLock;

use dos_protocol::{PeerId, Seq, Timestamp, directory::Update, node::NodeId};
use dos_sql::{self as sql, Connection, Optional as _, Value, params, params_from_iter};

use super::{Change, Changed, InboxRow, Refusal, Store, blocks, messages, row, scope, stored};
use crate::rules::{Cause, Owe, inbox::numbered, quota::Waiting};

/// Rows of one page of a replay; most have some hundred bytes ...
pub(super) const REPLAY_ROWS: u32 = 64;

/// ... and a page of long messages ends with the row that makes it so long.
const REPLAY_BYTES: usize = 256 << 10;

/// Rows that one statement writes, from the most to the fewest: few enough texts that each stays prepared.
const BATCHES: [usize; 4] = [64, 16, 4, 1];

/// A text for each number in [`BATCHES`].
type Texts = LazyLock<[String; BATCHES.len()]>;

static RAISE: Texts = LazyLock::new(|| {
    BATCHES.map(|rows| {
        format!(
            "INSERT INTO inbox_heads(peer, latest, bytes) VALUES {}
             ON CONFLICT(peer) DO UPDATE SET latest = inbox_heads.latest + excluded.latest,
                 bytes = inbox_heads.bytes + excluded.bytes
             RETURNING peer, latest, node",
            row::places(rows, 3)
        )
    })
});

static INSERT: Texts = LazyLock::new(|| {
    BATCHES.map(|rows| {
        format!("INSERT INTO inbox(peer, seq, body, sender, kind) VALUES {}", row::places(rows, 5))
    })
});

/// The text for this number of rows, which is one of [`BATCHES`].
fn text_for(texts: &'static Texts, rows: usize) -> &'static str {
    let found = BATCHES.iter().position(|batch| *batch == rows).and_then(|at| texts.get(at));
    found.map_or("", String::as_str)
}

fn cause_number(cause: Cause) -> i64 {
    match cause {
        Cause::Message => 1,
        Cause::Request => 2,
        Cause::Grant => 3,
    }
}

/// Adds one update to a peer's inbox, in the transaction that is under way.
pub(super) fn owe_one(connection: &Connection, owe: Owe, at: Timestamp) -> Result<InboxRow, Refusal> {
    let body = stored::encode_update(at, &owe.update)?;
    let raised = raise(connection, &[(owe.peer, Growth::of(&body))])?;
    let (seq, node) = raised.first().map_or((0, None), |raised| (raised.latest, raised.node));
    insert(connection, &[values(&owe, seq, body)])?;
    Ok(InboxRow { peer: owe.peer, seq: Seq(seq), at, update: owe.update, node })
}

/// Adds updates to inboxes, in their order, in a few statements however many there are.
pub(super) fn owe(
    connection: &Connection,
    mut owed: Vec<Owe>,
    at: Timestamp,
) -> Result<Vec<InboxRow>, Refusal> {
    if owed.len() <= 1 {
        return owed.pop().map(|owe| Ok(vec![owe_one(connection, owe, at)?])).unwrap_or(Ok(Vec::new()));
    }
    let peers: Vec<PeerId> = owed.iter().map(|owe| owe.peer).collect();
    let mut bodies = Vec::with_capacity(owed.len());
    for owe in &owed {
        bodies.push(stored::encode_update(at, &owe.update)?);
    }
    let mut growths: Vec<(PeerId, Growth)> = Vec::new();
    let mut sorted: Vec<_> = peers.iter().copied().zip(bodies.iter().map(|body| Growth::of(body))).collect();
    sorted.sort_unstable_by_key(|(peer, _)| *peer);
    for (peer, growth) in sorted {
        match growths.last_mut() {
            Some((last, all)) if *last == peer => all.add(growth),
            _ => growths.push((peer, growth)),
        }
    }
    let mut raised = raise(connection, &growths)?;
    raised.sort_unstable_by_key(|raised| raised.peer);
    let raised_of = |peer: PeerId| {
        let found = raised.binary_search_by_key(&peer, |raised| raised.peer).ok();
        found.and_then(|index| raised.get(index))
    };
    let numbers = numbered(&peers, |peer| raised_of(peer).map_or(0, |raised| raised.latest));
    let mut rows = Vec::with_capacity(owed.len());
    for ((owe, seq), body) in owed.iter().zip(&numbers).zip(bodies) {
        rows.push(values(owe, *seq, body));
    }
    insert(connection, &rows)?;
    let pairs = owed.into_iter().zip(numbers);
    let row = |(owe, seq): (Owe, u64)| {
        let node = raised_of(owe.peer).and_then(|raised| raised.node);
        InboxRow { peer: owe.peer, seq: Seq(seq), at, update: owe.update, node }
    };
    Ok(pairs.map(row).collect())
}

/// Adds to inboxes what a peer has caused, in their order, unless a block keeps it back.
pub(super) fn owe_by(
    connection: &Connection,
    change: Change,
    owed: Vec<Owe>,
) -> Result<Vec<InboxRow>, Refusal> {
    let owed = blocks::passing(connection, (change.peer, change.act), owed)?;
    owe(connection, owed, change.now)
}

/// What is added to an inbox.
#[derive(Debug, Clone, Copy)]
struct Growth {
    rows: u64,
    bytes: u64,
}

impl Growth {
    /// One row.
    fn of(body: &[u8]) -> Self {
        Self { rows: 1, bytes: u64::try_from(body.len()).unwrap_or(u64::MAX) }
    }

    fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// The head of an inbox that was raised.
#[derive(Debug, Clone, Copy)]
struct Raised {
    peer: PeerId,
    latest: u64,
    /// Where the peer's session is. Of the same version of the row as `latest`: whoever comes later sees the raised head.
    node: Option<NodeId>,
}

/// Raises the heads of different inboxes by these rows, and tells where each is then.
fn raise(connection: &Connection, growths: &[(PeerId, Growth)]) -> sql::Result<Vec<Raised>> {
    growths.iter().try_for_each(|(peer, _)| scope::claim(connection, *peer))?;
    let mut heads = Vec::with_capacity(growths.len());
    in_batches(growths, |batch| {
        let values = batch.iter().flat_map(|(peer, growth)| {
            [row::peer_number(*peer), row::number(growth.rows), row::number(growth.bytes)]
        });
        let mut statement = connection.prepare(text_for(&RAISE, batch.len()))?;
        let raised = statement.query_map(params_from_iter(values), |row| {
            Ok(Raised { peer: row::peer(row, 0)?, latest: row::unsigned(row, 1)?, node: row::node(row, 2)? })
        })?;
        for row in raised {
            heads.push(row?);
        }
        Ok(())
    })?;
    Ok(heads)
}

fn values(owe: &Owe, seq: u64, body: Vec<u8>) -> [Value; 5] {
    let number_or_null = |number: Option<i64>| number.map_or(Value::Null, Value::Integer);
    [
        row::peer_number(owe.peer).into(),
        row::number(seq).into(),
        body.into(),
        number_or_null(owe.cause.map(|(sender, _)| row::peer_number(sender))),
        number_or_null(owe.cause.map(|(_, cause)| cause_number(cause))),
    ]
}

fn insert(connection: &Connection, rows: &[[Value; 5]]) -> sql::Result<()> {
    in_batches(rows, |batch| {
        connection
            .prepare(text_for(&INSERT, batch.len()))?
            .execute(params_from_iter(batch.iter().flatten()))
            .map(drop)
    })
}

fn in_batches<T>(mut rest: &[T], mut run: impl FnMut(&[T]) -> sql::Result<()>) -> sql::Result<()> {
    for size in BATCHES {
        while let Some((batch, others)) = rest.split_at_checked(size) {
            run(batch)?;
            rest = others;
        }
    }
    Ok(())
}

/// Makes the messages and requests of `sender` beyond `stored` say nothing, and tells how many of them were messages. Their
/// numbers stay, so that there is no gap.
pub(super) fn void(
    connection: &Connection,
    peer: PeerId,
    (sender, stored): (PeerId, Seq),
    now: Timestamp,
) -> Result<u64, Refusal> {
    let (peer, sender, stored) = (row::peer_number(peer), row::peer_number(sender), row::number(stored.0));
    let messages = connection
        .prepare("SELECT count(*) FROM inbox WHERE peer = ?1 AND sender = ?2 AND seq > ?3 AND kind = ?4")?
        .query_row(params![peer, sender, stored, cause_number(Cause::Message)], |row| {
            row::unsigned(row, 0)
        })?;
    let body = stored::encode_update(now, &Update::Void)?;
    connection
        .prepare(
            "UPDATE inbox SET body = ?4, sender = NULL, kind = NULL
             WHERE peer = ?1 AND sender = ?2 AND seq > ?3 AND kind IN (?5, ?6)",
        )?
        .execute(params![
            peer,
            sender,
            stored,
            body,
            cause_number(Cause::Message),
            cause_number(Cause::Request)
        ])?;
    weigh(connection, peer)?;
    Ok(messages)
}

/// Counts the bytes of an inbox anew, some of whose rows say something else than before.
fn weigh(connection: &Connection, peer: i64) -> sql::Result<()> {
    let sql = "UPDATE inbox_heads
               SET bytes = (SELECT coalesce(sum(length(body)), 0) FROM inbox WHERE inbox.peer = ?1) WHERE peer = ?1";
    connection.prepare(sql)?.execute([peer]).map(drop)
}

/// Voids the rows that tell owners of a new name of their image. A name has no revision: one that was given before the data
/// was lost would take the place of those that the owner has given since. The owner's word for its images comes anyway.
pub(super) fn void_names(connection: &Connection, now: Timestamp) -> Result<(), Refusal> {
    let mut named = Vec::new();
    let mut rows = connection.prepare("SELECT peer, seq, body FROM inbox WHERE kind IS NULL")?;
    let mut rows = rows.query(())?;
    while let Some(row) = rows.next()? {
        let body = row.get_ref(2)?.as_blob().map_err(sql::Error::from)?;
        if matches!(stored::decode_update(body), Ok((_, Update::Renamed { .. }))) {
            named.push((row.get::<i64>(0)?, row.get::<i64>(1)?));
        }
    }
    let body = stored::encode_update(now, &Update::Void)?;
    for (peer, seq) in &named {
        connection
            .prepare("UPDATE inbox SET body = ?3 WHERE peer = ?1 AND seq = ?2")?
            .execute(params![peer, seq, body])?;
    }
    let mut peers: Vec<i64> = named.into_iter().map(|(peer, _)| peer).collect();
    peers.dedup();
    peers.into_iter().try_for_each(|peer| weigh(connection, peer))?;
    Ok(())
}

/// What waits for a peer and of a sender.
pub(super) fn waiting(connection: &Connection, peer: PeerId, sender: PeerId) -> sql::Result<Waiting> {
    let key = params![row::peer_number(peer), row::peer_number(sender)];
    connection.prepare(WAITING)?.query_row(key, |row| {
        Ok(Waiting {
            letters: row::unsigned(row, 0)?,
            of_sender: row::unsigned(row, 1)?,
            of_sender_bytes: row::unsigned(row, 2)?,
            all: row::unsigned(row, 3)?,
            all_bytes: row::unsigned(row, 4)?,
            sent_bytes: row::unsigned(row, 5)?,
            row_bytes: row::unsigned(row, 6)?,
            own_bytes: row::unsigned(row, 7)?,
            is_known: row.get(8)?,
        })
    })
}

/// Rows have no gaps between them, so their number need not be counted. A peer deals with those that it has granted something or
/// requested something from.
pub(super) const WAITING: &str = "
    SELECT coalesce(s.letters, 0), coalesce(s.updates, 0), coalesce(s.bytes, 0),
           coalesce((SELECT max(seq) FROM inbox WHERE peer = ?1) - (SELECT min(seq) FROM inbox WHERE peer = ?1) + 1, 0),
           coalesce((SELECT bytes FROM inbox_heads WHERE peer = ?1), 0),
           coalesce(p.sent_bytes, 0), coalesce(p.row_bytes, 0),
           coalesce((SELECT bytes FROM inbox_heads WHERE peer = ?2), 0),
           EXISTS(SELECT 1 FROM grants WHERE viewer = ?2 AND owner = ?1)
               OR EXISTS(SELECT 1 FROM requests WHERE viewer = ?1 AND owner = ?2)
    FROM (SELECT 1) AS one LEFT JOIN inbox_shares s ON s.peer = ?1 AND s.sender = ?2 LEFT JOIN peers p ON p.id = ?2";

/// The bytes that wait for a peer.
pub(super) fn bytes(connection: &Connection, peer: PeerId) -> sql::Result<u64> {
    let mut statement = connection.prepare("SELECT bytes FROM inbox_heads WHERE peer = ?1")?;
    let bytes = statement.query_row([row::peer_number(peer)], |row| row::unsigned(row, 0)).optional()?;
    Ok(bytes.unwrap_or(0))
}

/// When a row came about that waits. Of one that was voided this is not known: its peer may have stored what it was before.
pub(super) fn row_at(body: &[u8]) -> Result<Option<Timestamp>, Refusal> {
    let (at, update) = stored::decode_update(body)?;
    Ok((update != Update::Void).then_some(at))
}

/// Raises the numbers of all rows that wait for a peer, with whatever refers to them, and its head to `latest`.
pub(super) fn raise_rows(
    connection: &Connection,
    peer: PeerId,
    raise: u64,
    latest: Seq,
) -> Result<(), Refusal> {
    let (number, raise) = (row::peer_number(peer), row::number(raise));
    raise_receipts(connection, peer, raise)?;
    // A message that has no row any more is delivered, and any number says so.
    connection.execute(
        "UPDATE messages SET seq = seq + ?2 WHERE recipient = ?1
             AND EXISTS(SELECT 1 FROM inbox WHERE peer = ?1 AND inbox.seq = messages.seq)",
        [number, raise],
    )?;
    // By way of numbers that no row has, since two rows never have the same one.
    connection.execute("UPDATE inbox SET seq = -(seq + ?2) WHERE peer = ?1", [number, raise])?;
    connection.execute("UPDATE inbox SET seq = -seq WHERE peer = ?1 AND seq < 0", [number])?;
    connection.execute(
        "INSERT INTO inbox_heads(peer, latest) VALUES(?1, ?2)
         ON CONFLICT(peer) DO UPDATE SET latest = excluded.latest WHERE excluded.latest > inbox_heads.latest",
        params![number, row::number(latest.0)],
    )?;
    Ok(())
}

/// The receipts among the rows that wait: the views know their places.
fn raise_receipts(connection: &Connection, peer: PeerId, raise: i64) -> Result<(), Refusal> {
    let mut statement = connection.prepare("SELECT seq, body FROM inbox WHERE peer = ?1 AND kind IS NULL")?;
    let mut raised =
        connection.prepare("UPDATE views SET receipt = receipt + ?3 WHERE view = ?1 AND receipt = ?2")?;
    let mut rows = statement.query([row::peer_number(peer)])?;
    while let Some(row) = rows.next()? {
        let body = row.get_ref(1)?.as_blob().map_err(sql::Error::from)?;
        if let Update::Viewed(viewed) = stored::decode_update(body)?.1 {
            raised.execute(params![viewed.view.as_bytes().as_slice(), row.get::<i64>(0)?, raise])?;
        }
    }
    Ok(())
}

/// Before the rows up to a number are deleted.
pub(super) const LIGHTEN: &str = "
    UPDATE inbox_heads SET bytes = bytes - (
        SELECT coalesce(sum(length(body)), 0) FROM inbox WHERE inbox.peer = ?1 AND seq <= ?2
    ) WHERE peer = ?1";

impl Store {
    /// The rows after `after` as they are sent, in order: at least one, if there are any, and some 256 KiB at most.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn replay(&self, peer: PeerId, after: Seq) -> Result<Vec<(Seq, Vec<u8>)>, Refusal> {
        self.read(move |connection| {
            let mut statement = connection
                .prepare("SELECT seq, body FROM inbox WHERE peer = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3")?;
            let mut rows =
                statement.query(params![row::peer_number(peer), row::number(after.0), REPLAY_ROWS])?;
            let (mut page, mut bytes) = (Vec::new(), 0);
            while bytes < REPLAY_BYTES
                && let Some(row) = rows.next()?
            {
                let seq = Seq(row::unsigned(row, 0)?);
                let body = row.get_ref(1)?.as_blob().map_err(sql::Error::from)?;
                let (at, update) = stored::decode_update(body)?;
                let frame = InboxRow { peer, seq, at, update, node: None }
                    .frame()
                    .map_err(stored::StoredError::from)?;
                bytes += frame.len();
                page.push((seq, frame));
            }
            Ok(page)
        })
        .await
    }

    /// Forgets the rows up to `stored`, which the peer has stored, and owes that to the senders of messages among them.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn acknowledge(&self, peer: PeerId, stored: Seq, now: Timestamp) -> Result<(), Refusal> {
        let scope = self.scope_of_stored(peer, stored).await?;
        self.change_in(scope, move |connection| {
            scope::claim(connection, peer)?;
            let key = params![row::peer_number(peer), row::number(stored.0)];
            connection.prepare(LIGHTEN)?.execute(key)?;
            connection.prepare("DELETE FROM inbox WHERE peer = ?1 AND seq <= ?2")?.execute(key)?;
            Ok(Changed::owing((), messages::delivered(connection, (peer, stored), now)?))
        })
        .await
    }
}
