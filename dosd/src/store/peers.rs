//! Peers: who holds which key, under which ID and name.

use dos_protocol::{
    Code, PeerId, PeerName, PublicKey, Timestamp, WireError,
    admin::Registered,
    model::{PeerInfo, PeerRef, SessionEnd},
    random,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Admission, Changed, Refusal, Store, invites, row};

/// A registered peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its ID.
    pub id: PeerId,
    /// Its key.
    pub key: PublicKey,
    /// Its name.
    pub name: Option<PeerName>,
    /// When it was last seen, as far as it is written down.
    pub last_seen: Timestamp,
    /// Why its last session ended, if that was written down.
    pub last_end: Option<SessionEnd>,
}

impl Known {
    /// As others see it while it is offline.
    #[must_use]
    pub fn info(self) -> PeerInfo {
        PeerInfo {
            id: self.id,
            name: self.name,
            online: false,
            address: None,
            last_seen: Some(self.last_seen),
            last_end: self.last_end,
            images: Vec::new(),
        }
    }
}

/// Who wants to register.
#[derive(Debug, Clone)]
pub struct Newcomer {
    /// Under which name, if any.
    pub name: Option<PeerName>,
    /// By which right.
    pub admission: Admission,
    /// Its password, hashed as a PHC string, if it has one.
    pub password: Option<String>,
}

const COLUMNS: &str = "id, key, name, last_seen_at, last_end";

fn known(row: &Row<'_>) -> rusqlite::Result<Known> {
    Ok(Known {
        id: row::peer(row, 0)?,
        key: row::bytes::<32>(row, 1)?.into(),
        name: row::peer_name(row, 2)?,
        last_seen: row::time(row, 3)?,
        last_end: last_end(row, 4)?,
    })
}

pub(super) fn by_id(connection: &Connection, id: PeerId) -> rusqlite::Result<Option<Known>> {
    let sql = const_format(COLUMNS, "id");
    connection.prepare_cached(&sql)?.query_row([row::peer_number(id)], known).optional()
}

pub(super) fn by_key(connection: &Connection, key: &PublicKey) -> rusqlite::Result<Option<Known>> {
    let sql = const_format(COLUMNS, "key");
    connection.prepare_cached(&sql)?.query_row([key.as_bytes().as_slice()], known).optional()
}

fn by_name(connection: &Connection, name: &PeerName) -> rusqlite::Result<Option<Known>> {
    let sql = const_format(COLUMNS, "name");
    connection.prepare_cached(&sql)?.query_row([name.as_str()], known).optional()
}

fn const_format(columns: &str, by: &str) -> String {
    format!("SELECT {columns} FROM peers WHERE {by} = ?1")
}

/// The peer that is meant; an address is not known here.
pub(super) fn find(connection: &Connection, peer: &PeerRef) -> Result<Known, Refusal> {
    let found = match peer {
        PeerRef::Id(id) => by_id(connection, *id)?,
        PeerRef::Name(name) => by_name(connection, name)?,
        PeerRef::Address(_) => None,
    };
    found.ok_or_else(|| no_peer(peer))
}

/// There is no such peer.
pub(super) fn no_peer(peer: &PeerRef) -> Refusal {
    match peer {
        PeerRef::Id(id) => Refusal::not_found(format!("no peer has the ID {id}")),
        PeerRef::Name(name) => Refusal::not_found(format!("no peer has the name {name}")),
        PeerRef::Address(address) => Refusal::not_found(format!("no peer is online at {address}")),
    }
}

/// A peer's name, if it has one.
pub(super) fn name_of(connection: &Connection, id: PeerId) -> rusqlite::Result<Option<PeerName>> {
    let mut statement = connection.prepare_cached("SELECT name FROM peers WHERE id = ?1")?;
    Ok(statement.query_row([row::peer_number(id)], |row| row::peer_name(row, 0)).optional()?.flatten())
}

/// How often a fresh ID is drawn before giving up; with a billion peers one draw in 100,000 hits a taken one.
const DRAWS: usize = 8;

/// The refusal of a key that is not registered (any more).
pub(crate) fn unknown_key() -> WireError {
    WireError::new(Code::NotFound, "this key is not registered here")
}

impl Store {
    /// Binds `key` to a new ID and takes a use of its invite. The same key with the same name again gets the same ID,
    /// whoever may register, and takes nothing; a password that comes with it is set.
    ///
    /// # Errors
    /// `denied` if the newcomer may not register; `conflict` if the name is taken or the key is registered under another
    /// name.
    pub async fn register(
        &self,
        key: PublicKey,
        Newcomer { name, admission, password }: Newcomer,
        now: Timestamp,
    ) -> Result<Known, Refusal> {
        self.change(move |connection| {
            if let Some(known) = by_key(connection, &key)? {
                if name.is_some() && known.name != name {
                    return Err(Refusal::conflict(format!(
                        "this key is registered already, as {}",
                        known.id
                    )));
                }
                let sql = "UPDATE peers SET password = coalesce(?2, password) WHERE id = ?1";
                connection.prepare_cached(sql)?.execute(params![row::peer_number(known.id), password])?;
                return Ok(known.into());
            }
            // Before the name: who may not register does not learn which names are taken.
            invites::admit(connection, admission, now)?;
            if let Some(name) = &name
                && by_name(connection, name)?.is_some()
            {
                return Err(Refusal::conflict(format!("the name {name} is taken")));
            }
            let id = draw_id(connection)?;
            connection.execute(
                "INSERT INTO peers(id, key, name, registered_at, last_seen_at, password)
                 VALUES(?1, ?2, ?3, ?4, ?4, ?5)",
                params![
                    row::peer_number(id),
                    key.as_bytes().as_slice(),
                    name.as_ref().map(PeerName::as_str),
                    now.0,
                    password
                ],
            )?;
            Ok(Changed::from(Known { id, key, name, last_seen: now, last_end: None }))
        })
        .await
    }

    /// Who holds `key`.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn peer_by_key(&self, key: PublicKey) -> Result<Known, Refusal> {
        self.read_brief(move |connection| by_key(connection, &key)?.ok_or_else(|| unknown_key().into())).await
    }

    /// The peer with this ID or name.
    ///
    /// # Errors
    /// `not_found`; always so for an address, which only the live sessions know.
    pub async fn peer(&self, peer: PeerRef) -> Result<Known, Refusal> {
        self.read_brief(move |connection| find(connection, &peer)).await
    }

    /// Writes down that peers came online, each at its moment. How a session ended after that moment stays written: it may be one
    /// that the new one has taken over from, or the new one itself.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn arrived(&self, arrivals: Vec<(PeerId, Timestamp)>) -> Result<(), Refusal> {
        self.change(move |connection| {
            let sql = "UPDATE peers SET last_end = CASE WHEN last_seen_at >= ?2 THEN last_end END,
                           last_seen_at = max(last_seen_at, ?2) WHERE id = ?1";
            let mut statement = connection.prepare_cached(sql)?;
            for (peer, since) in arrivals {
                statement.execute(params![row::peer_number(peer), since.0])?;
            }
            Ok(().into())
        })
        .await
    }

    /// Writes down that a session of a peer has ended, and why.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn left(&self, peer: PeerId, now: Timestamp, end: SessionEnd) -> Result<(), Refusal> {
        self.change(move |connection| {
            let sql = "UPDATE peers SET last_seen_at = max(last_seen_at, ?2), last_end = ?3 WHERE id = ?1";
            let values = params![row::peer_number(peer), now.0, end_number(end)];
            connection.prepare_cached(sql)?.execute(values)?;
            Ok(().into())
        })
        .await
    }

    /// The registered peers from `after` on, in the order of their IDs, at most `limit`; none of them online, as far as
    /// is known here.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn registered(&self, after: Option<PeerId>, limit: u32) -> Result<Vec<Registered>, Refusal> {
        self.read(move |connection| {
            let sql = format!("SELECT {REGISTERED} FROM peers WHERE id > ?1 ORDER BY id LIMIT ?2");
            let key = params![after.map_or(-1, row::peer_number), limit];
            Ok(connection.prepare_cached(&sql)?.query_map(key, registered)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Those of these peers that are registered, as in [`Store::registered`].
    ///
    /// # Errors
    /// If the store fails.
    pub async fn registered_of(&self, peers: Vec<PeerId>) -> Result<Vec<Registered>, Refusal> {
        self.read(move |connection| {
            let sql = format!("SELECT {REGISTERED} FROM peers WHERE id = ?1");
            let mut statement = connection.prepare_cached(&sql)?;
            let mut found = Vec::with_capacity(peers.len());
            for peer in peers {
                found.extend(statement.query_row([row::peer_number(peer)], registered).optional()?);
            }
            Ok(found)
        })
        .await
    }
}

const REGISTERED: &str = "id, name, last_seen_at, last_end, registered_at";

fn registered(row: &Row<'_>) -> rusqlite::Result<Registered> {
    Ok(Registered {
        id: row::peer(row, 0)?,
        name: row::peer_name(row, 1)?,
        online: false,
        address: None,
        last_seen: row::time(row, 2)?,
        last_end: last_end(row, 3)?,
        registered_at: row::time(row, 4)?,
    })
}

/// Why the last session ended, of a column.
pub(super) fn last_end(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<SessionEnd>> {
    match row.get_ref(column)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => row::one_of(row, column, end_of_number).map(Some),
    }
}

/// How the end of a session is stored. A number once given is never used for another.
fn end_number(end: SessionEnd) -> i64 {
    match end {
        SessionEnd::SignedOut => 0,
        SessionEnd::Closed => 1,
        SessionEnd::Dropped => 2,
        SessionEnd::TakenOver => 3,
        SessionEnd::Kicked => 4,
        SessionEnd::Shutdown => 5,
        SessionEnd::Idle => 6,
    }
}

fn end_of_number(number: i64) -> Option<SessionEnd> {
    [
        SessionEnd::SignedOut,
        SessionEnd::Closed,
        SessionEnd::Dropped,
        SessionEnd::TakenOver,
        SessionEnd::Kicked,
        SessionEnd::Shutdown,
        SessionEnd::Idle,
    ]
    .into_iter()
    .find(|end| end_number(*end) == number)
}

fn draw_id(connection: &Connection) -> Result<PeerId, Refusal> {
    for _ in 0..DRAWS {
        let id = random::peer_id().map_err(|error| WireError::new(Code::Internal, error.to_string()))?;
        if by_id(connection, id)?.is_none() {
            return Ok(id);
        }
    }
    Err(WireError::new(Code::Internal, "no free ID was found").into())
}
