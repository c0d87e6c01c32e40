//! The nodes of one directory, and at which of them each peer's session is.
//!
//! What always holds: a peer has one seat, and it is taken, kept and lost in transactions, so that of two sign-ins at two nodes one
//! comes after the other. Whoever raises the head of an inbox learns in the same row where its peer is; whoever takes a seat reads
//! the head afterwards: so no row is neither pushed nor read. A node's number is of one run of it; a seat of a node that is not in
//! the list any more is nobody's.

use std::{sync::atomic::Ordering, thread, time::Duration};

use dos_protocol::{Instance, PeerId, Seq, Timestamp, model::SessionEnd, node::NodeId, random};
use dos_sql::{self as sql, Connection, Optional as _, Session, params};

use super::{ConnectError, Refusal, Store, incarnation, peers::end_number, row, scope};
use crate::rules::{
    incarnation::Epoch,
    seats::{self, Beats, Claim, Displaced, Seat},
};

/// How a server comes among the nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joining {
    /// Where peers find it.
    pub address: Box<str>,
    /// Where the other nodes find it; nothing of one that is alone.
    pub cluster: Option<Box<str>>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRow {
    /// This run of it.
    pub node: NodeId,
    /// Where peers find it.
    pub address: Box<str>,
    /// Where the other nodes find it.
    pub cluster: Option<Box<str>>,
    /// Raised every second.
    pub beat: u64,
    /// Since when.
    pub since: Timestamp,
    /// The version of its program.
    pub version: Box<str>,
}

/// A peer's seat at a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeatRow {
    /// Whose.
    pub peer: PeerId,
    /// The number of its session.
    pub session: u64,
    /// The last row of its inbox.
    pub latest: Seq,
}

/// Seats in one statement.
pub(crate) const SEATS: u32 = 1000;

/// Between two readings of the beats.
pub(crate) const BEAT: Duration = Duration::from_secs(1);

const VERSION: &str = env!("CARGO_PKG_VERSION");

const NODES: &str = "SELECT node, address, cluster, beat, since, version FROM nodes ORDER BY since, node";

fn read_node(row: sql::Row<'_>) -> sql::Result<NodeRow> {
    Ok(NodeRow {
        node: row::node(row, 0)?.ok_or(sql::Error::Alien(0))?,
        address: row.get::<String>(1)?.into(),
        cluster: row.get::<Option<String>>(2)?.map(Into::into),
        beat: row::unsigned(row, 3)?,
        since: row::time(row, 4)?,
        version: row.get::<String>(5)?.into(),
    })
}

fn nodes(connection: &Connection) -> sql::Result<Vec<NodeRow>> {
    connection.prepare(NODES)?.query_map((), read_node)?.collect()
}

/// The beats of all nodes.
pub(super) fn beats(connection: &Connection) -> sql::Result<Vec<(NodeId, u64)>> {
    Ok(nodes(connection)?.into_iter().map(|node| (node.node, node.beat)).collect())
}

pub(super) fn node_number(node: NodeId) -> i64 {
    row::number(node.number())
}

fn instance_number(instance: Instance) -> i64 {
    instance.0.cast_signed()
}

/// Makes this server one of the nodes. Where one of two may not share the store it waits until the other one has proved to be alive,
/// which is an error, or dead.
pub(super) fn enter(session: &Session, joining: &Joining) -> Result<NodeId, ConnectError> {
    let node = draw()?;
    let connection = Connection::Postgres(session);
    let mut beats = Beats::default();
    let mut before: Vec<NodeRow> = Vec::new();
    loop {
        session.begin_alone()?;
        let all = nodes(&connection)?;
        let dead = beats.read(all.iter().map(|other| (other.node, other.beat)));
        for (node, _) in &dead {
            connection.execute("DELETE FROM nodes WHERE node = ?1", [node_number(*node)])?;
        }
        let is_alone = |other: &&NodeRow| joining.cluster.is_none() || other.cluster.is_none();
        let others: Vec<&NodeRow> = all
            .iter()
            .filter(is_alone)
            .filter(|other| !dead.iter().any(|(dead, _)| *dead == other.node))
            .collect();
        if others.is_empty() {
            insert(&connection, (node, joining), Timestamp::now())?;
            session.commit("COMMIT")?;
            return Ok(node);
        }
        session.commit("COMMIT")?;
        let is_alive =
            |other: &&&NodeRow| before.iter().any(|was| was.node == other.node && was.beat < other.beat);
        if let Some(alive) = others.iter().find(is_alive) {
            return Err(ConnectError::InUse(alive.address.clone()));
        }
        if before.is_empty() {
            tracing::warn!(address = %others.iter().map(|other| &*other.address).collect::<Vec<_>>().join(", "),
                "another server has used this store and has not said that it ended: waiting whether it is there");
        }
        before = all;
        thread::park_timeout(BEAT);
    }
}

fn draw() -> Result<NodeId, ConnectError> {
    loop {
        if let Some(node) = NodeId::from_number(random::below(NodeId::COUNT)?) {
            return Ok(node);
        }
    }
}

fn insert(connection: &Connection, (node, joining): (NodeId, &Joining), now: Timestamp) -> sql::Result<()> {
    let sql = "INSERT INTO nodes(node, address, cluster, beat, since, version) VALUES(?1, ?2, ?3, 1, ?4, ?5)";
    let values = params![node_number(node), &*joining.address, joining.cluster.as_deref(), now.0, VERSION];
    connection.prepare(sql)?.execute(values).map(drop)
}

/// What came of taking a seat.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// The number of the session; 0 where there are no seats.
    pub session: u64,
    /// The node at which an older session of the peer has to make room, and why.
    pub displaced: Option<(NodeId, Displaced)>,
}

/// Takes a peer's seat for this node, unless another daemon has it and stays.
pub(super) fn take(
    connection: &Connection,
    node: Option<NodeId>,
    (peer, instance, claim): (PeerId, Instance, Claim),
) -> Result<Taken, Refusal> {
    let Some(node) = node else { return Ok(Taken::default()) };
    scope::claim(connection, peer)?;
    let number = row::peer_number(peer);
    let held: Option<(Option<NodeId>, Option<i64>)> = connection
        .prepare("SELECT node, instance FROM inbox_heads WHERE peer = ?1")?
        .query_row([number], |row| Ok((row::node(row, 0)?, row.get(1)?)))
        .optional()?;
    let held = match held {
        Some((Some(node), Some(instance))) => {
            Some(Seat { node, instance: Instance(instance.cast_unsigned()) })
        }
        _ => None,
    };
    let displaced = match held {
        // What becomes of an older session at this node was decided when the new one came.
        Some(seat) if seat.node != node => {
            Some((seat.node, seats::displace(seat.instance, instance, claim)?))
        }
        _ => None,
    };
    let sql = "INSERT INTO inbox_heads(peer, latest, node, session, instance) VALUES(?1, 0, ?2, 1, ?3)
               ON CONFLICT(peer) DO UPDATE SET node = excluded.node, instance = excluded.instance,
                   session = inbox_heads.session + 1
               RETURNING session";
    let values = params![number, node_number(node), instance_number(instance)];
    let session = connection.prepare(sql)?.query_row(values, |row| row::unsigned(row, 0))?;
    Ok(Taken { session, displaced })
}

/// Frees a peer's seat, if it is still that of this session.
pub(super) fn free(
    connection: &Connection,
    node: Option<NodeId>,
    (peer, session): (PeerId, u64),
) -> sql::Result<()> {
    let Some(node) = node else { return Ok(()) };
    let sql = "UPDATE inbox_heads SET node = NULL WHERE peer = ?1 AND node = ?2 AND session = ?3";
    let values = params![row::peer_number(peer), node_number(node), row::number(session)];
    connection.prepare(sql)?.execute(values).map(drop)
}

/// Those whose seats are at nodes that are gone, some of them.
const ABANDONED: &str =
    "SELECT peer FROM inbox_heads WHERE node IS NOT NULL AND node NOT IN (SELECT node FROM nodes)
                         ORDER BY peer LIMIT ?1";

impl Store {
    /// This run of this server, among several nodes.
    #[must_use]
    pub fn node(&self) -> Option<NodeId> {
        NodeId::from_number(self.node.load(Ordering::Acquire))
    }

    /// Raises the beat of this node and reads all nodes, and the epoch of the data; `None` if it is not one of them any more.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn beat(&self, node: NodeId) -> Result<Option<(Vec<NodeRow>, Epoch)>, Refusal> {
        // Its own row is nobody else's.
        self.change_in(scope::of([]), move |connection| {
            let sql = "UPDATE nodes SET beat = beat + 1 WHERE node = ?1";
            if connection.prepare(sql)?.execute([node_number(node)])? == 0 {
                return Ok(None.into());
            }
            let epoch = Epoch::of(incarnation::data(connection)?.renewed_at);
            Ok(Some((nodes(connection)?, epoch)).into())
        })
        .await
    }

    /// All nodes.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn nodes(&self) -> Result<Vec<NodeRow>, Refusal> {
        self.read(|connection| Ok(nodes(connection)?)).await
    }

    /// Makes this server a node anew, after it was taken for dead.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn join_again(&self, joining: Joining) -> Result<NodeId, Refusal> {
        let node = draw()
            .map_err(|error| dos_protocol::WireError::new(dos_protocol::Code::Internal, error.to_string()))?;
        self.change(move |connection| {
            insert(connection, (node, &joining), Timestamp::now())?;
            Ok(().into())
        })
        .await?;
        self.node.store(node.number(), Ordering::Release);
        Ok(node)
    }

    /// Strikes a node from the list, if its beat still stands there: one that has died, or this one, that ends.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn strike(&self, node: NodeId, beat: Option<u64>) -> Result<bool, Refusal> {
        self.change(move |connection| {
            let sql = "DELETE FROM nodes WHERE node = ?1 AND beat = coalesce(?2, beat)";
            let struck =
                connection.prepare(sql)?.execute(params![node_number(node), beat.map(row::number)])?;
            Ok((struck > 0).into())
        })
        .await
    }

    /// Frees some of the seats at nodes that are gone; whether there may be more.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn free_abandoned(&self, now: Timestamp) -> Result<bool, Refusal> {
        self.change(move |connection| {
            let sql = format!(
                "UPDATE peers SET last_end = ?2, last_seen_at = CASE WHEN last_seen_at > ?3 THEN last_seen_at ELSE ?3 END
                 WHERE id IN ({ABANDONED})"
            );
            connection.prepare(&sql)?.execute(params![SEATS, end_number(SessionEnd::Dropped), now.0])?;
            let sql = format!("UPDATE inbox_heads SET node = NULL WHERE peer IN ({ABANDONED})");
            let freed = connection.prepare(&sql)?.execute(params![SEATS])?;
            Ok((u32::try_from(freed).unwrap_or(u32::MAX) >= SEATS).into())
        })
        .await
    }

    /// Some of the seats at a node, in the order of their peers.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn seats(&self, node: NodeId, after: Option<PeerId>) -> Result<Vec<SeatRow>, Refusal> {
        self.read(move |connection| {
            let sql = "SELECT peer, session, latest FROM inbox_heads WHERE node = ?1 AND peer > ?2 ORDER BY peer LIMIT ?3";
            let mut statement = connection.prepare(sql)?;
            let read = |row: sql::Row<'_>| {
                Ok(SeatRow {
                    peer: row::peer(row, 0)?,
                    session: row::unsigned(row, 1)?,
                    latest: Seq(row::unsigned(row, 2)?),
                })
            };
            let key = params![node_number(node), after.map_or(-1, row::peer_number), SEATS];
            Ok(statement.query_map(key, read)?.collect::<sql::Result<_>>()?)
        })
        .await
    }

    /// Frees seats at this node of which no session is here.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn free_seats(&self, seats: Vec<(PeerId, u64)>) -> Result<(), Refusal> {
        let node = self.node();
        self.change_in(scope::of(seats.iter().map(|(peer, _)| *peer)), move |connection| {
            for seat in &seats {
                free(connection, node, *seat)?;
            }
            Ok(().into())
        })
        .await
    }
}
