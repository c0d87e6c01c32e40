//! Peers: which key holds which ID and name.

use dos_protocol::{
    Code, ImageArg, PeerId, PeerName, PublicKey, SealingKey, Timestamp, WireError, admin,
    model::{PeerRef, SessionEnd},
    random,
};
use dos_sql::{self as sql, Connection, Optional as _, Row, ValueRef, params};

use super::{Admission, Refusal, Store, incarnation, invites, nodes, operator, row, scope, set};
use crate::rules::{
    names::{self, NewPeer, PeerRecord, Reclaimed, Reclaiming, Registered, Registering},
    refusal::{no_peer, unknown_key},
};

const COLUMNS: &str = "id, key, name, last_seen_at, last_end, sealing, password_again";

fn record(row: Row<'_>) -> sql::Result<PeerRecord> {
    Ok(PeerRecord {
        id: row::peer(row, 0)?,
        key: row::bytes::<32>(row, 1)?.into(),
        name: row::peer_name(row, 2)?,
        last_seen: row::time(row, 3)?,
        last_end: last_end(row, 4)?,
        sealing: row::sealing(row, 5)?,
        password_again: row.get(6)?,
    })
}

pub(super) fn by_id(connection: &Connection, id: PeerId) -> sql::Result<Option<PeerRecord>> {
    let sql = const_format(COLUMNS, "id");
    connection.prepare(&sql)?.query_row([row::peer_number(id)], record).optional()
}

pub(super) fn by_key(connection: &Connection, key: &PublicKey) -> sql::Result<Option<PeerRecord>> {
    let sql = const_format(COLUMNS, "key");
    connection.prepare(&sql)?.query_row([key.as_bytes().as_slice()], record).optional()
}

pub(super) fn by_name(connection: &Connection, name: &PeerName) -> sql::Result<Option<PeerRecord>> {
    let sql = const_format(COLUMNS, "name");
    connection.prepare(&sql)?.query_row([name.as_str()], record).optional()
}

fn const_format(columns: &str, by: &str) -> String {
    format!("SELECT {columns} FROM peers WHERE {by} = ?1")
}

/// The peer that is meant; an address is not known here.
pub(super) fn find(connection: &Connection, peer: &PeerRef) -> Result<PeerRecord, Refusal> {
    let found = match peer {
        PeerRef::Id(id) => by_id(connection, *id)?,
        PeerRef::Name(name) => by_name(connection, name)?,
        PeerRef::Address(_) => None,
    };
    Ok(found.ok_or_else(|| no_peer(peer))?)
}

/// The owner of an image that `caller` names.
pub(super) fn owner_of(
    connection: &Connection,
    image: &ImageArg,
    caller: PeerId,
) -> Result<PeerRecord, Refusal> {
    find(connection, image.owner.as_ref().unwrap_or(&PeerRef::Id(caller)))
}

/// Those of these peers that are registered, in the order of their IDs.
pub(super) fn by_ids(connection: &Connection, numbers: &[i64]) -> sql::Result<Vec<PeerRecord>> {
    let statement =
        |list: &str| format!("SELECT {COLUMNS} FROM peers WHERE id >= ?1 AND id IN ({list}) ORDER BY id");
    let mut found = set::query(connection, statement, (0, numbers), record)?;
    found.sort_unstable_by_key(|peer| peer.id);
    Ok(found)
}

/// How often a fresh ID is drawn before giving up; with a billion peers one draw in 100,000 hits a taken one.
const DRAWS: usize = 8;

impl Store {
    /// Binds `key` to a new ID and takes a use of its invite. The same key with the same name again gets the same ID, also
    /// where it could not register any more, and takes nothing.
    ///
    /// # Errors
    /// `denied` if the peer may not register; `conflict` if the name is taken or the key is registered under another
    /// name.
    pub async fn register(
        &self,
        key: PublicKey,
        new: NewPeer,
        now: Timestamp,
    ) -> Result<PeerRecord, Refusal> {
        let room = self.room();
        self.change(move |connection| {
            let hash = match new.admission {
                Admission::Invited(hash) => Some(hash),
                Admission::Open | Admission::Uninvited { .. } | Admission::Closed => None,
            };
            let state = Registering {
                holder: by_key(connection, &key)?,
                name_taken: match &new.name {
                    Some(name) => by_name(connection, name)?.is_some(),
                    None => false,
                },
                invite: match &hash {
                    Some(hash) => invites::find(connection, hash)?,
                    None => None,
                },
                ban: operator::ban(connection, &key)?,
            };
            match names::register(state, &new, now)? {
                Registered::Again(peer) => Ok(peer.into()),
                Registered::New(left) => {
                    room.admit(connection)?;
                    if let (Some(hash), Some(left)) = (&hash, left) {
                        invites::save(connection, hash, left)?;
                    }
                    let id = draw_id(connection)?;
                    insert(connection, (id, key), &new, now)?;
                    let record = PeerRecord {
                        id,
                        key,
                        name: new.name,
                        last_seen: now,
                        last_end: None,
                        sealing: None,
                        password_again: false,
                    };
                    Ok(record.into())
                }
            }
        })
        .await
    }

    /// Gives a key back the ID that it has proved to have had, if the data was restored and does not know it.
    ///
    /// # Errors
    /// `not_found` if the data was not restored; `conflict` if the ID or the key is another's.
    pub async fn reclaim(
        &self,
        (id, key): (PeerId, PublicKey),
        name: Option<PeerName>,
        now: Timestamp,
    ) -> Result<PeerRecord, Refusal> {
        self.change(move |connection| {
            let named = match &name {
                Some(name) => by_name(connection, name)?,
                None => None,
            };
            let state = Reclaiming {
                holder: by_key(connection, &key)?,
                id_taken: by_id(connection, id)?.is_some(),
                name_taken: named.is_some(),
                is_first: incarnation::data(connection)?.renewed_at.is_none(),
                ban: operator::ban(connection, &key)?,
            };
            match names::reclaim(state, id, name)? {
                Reclaimed::Again(peer) => Ok(peer.into()),
                Reclaimed::Back(name) => {
                    let new = NewPeer { name: name.clone(), admission: Admission::Open };
                    insert(connection, (id, key), &new, now)?;
                    Ok(PeerRecord {
                        id,
                        key,
                        name,
                        last_seen: now,
                        last_end: None,
                        password_again: false,
                        sealing: None,
                    }
                    .into())
                }
            }
        })
        .await
    }

    /// The peer that has this key.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn peer_by_key(&self, key: PublicKey) -> Result<PeerRecord, Refusal> {
        self.read_brief(move |connection| by_key(connection, &key)?.ok_or_else(|| unknown_key().into())).await
    }

    /// Notes the key to which messages to a peer are sealed.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn set_sealing(&self, peer: PeerId, sealing: SealingKey) -> Result<(), Refusal> {
        self.change_in(scope::of([peer]), move |connection| {
            let sql = "UPDATE peers SET sealing = ?2 WHERE id = ?1";
            connection
                .prepare(sql)?
                .execute(params![row::peer_number(peer), row::sealing_bytes(&sealing)])?;
            Ok(().into())
        })
        .await
    }

    /// The peer with this ID or name.
    ///
    /// # Errors
    /// `not_found`; always so for an address, which only the live sessions know.
    pub async fn peer(&self, peer: PeerRef) -> Result<PeerRecord, Refusal> {
        self.read_brief(move |connection| find(connection, &peer)).await
    }

    /// Writes down that peers came online, each at its moment. How a session ended after that moment stays written: it may be one
    /// that the new one has taken over from, or the new one itself.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn arrived(&self, arrivals: Vec<(PeerId, Timestamp)>) -> Result<(), Refusal> {
        let scope = scope::of(arrivals.iter().map(|(peer, _)| *peer));
        self.change_in(scope, move |connection| {
            let sql =
                "UPDATE peers SET last_end = NULL, last_seen_at = ?2 WHERE id = ?1 AND last_seen_at < ?2";
            let mut statement = connection.prepare(sql)?;
            for (peer, since) in arrivals {
                statement.execute(params![row::peer_number(peer), since.0])?;
            }
            Ok(().into())
        })
        .await
    }

    /// Writes down that a session of a peer has ended, and why, and frees its seat. One that is replaced has none any more.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn left(
        &self,
        (peer, session): (PeerId, u64),
        now: Timestamp,
        end: SessionEnd,
    ) -> Result<(), Refusal> {
        let node = self.node();
        self.change_in(scope::of([peer]), move |connection| {
            nodes::free(connection, node, (peer, session))?;
            let sql = "UPDATE peers SET last_end = ?3,
                           last_seen_at = CASE WHEN last_seen_at > ?2 THEN last_seen_at ELSE ?2 END WHERE id = ?1";
            let values = params![row::peer_number(peer), now.0, end_number(end)];
            connection.prepare(sql)?.execute(values)?;
            Ok(().into())
        })
        .await
    }

    /// The registered peers from `after` on, in the order of their IDs, at most `limit`; none of them online, as far as
    /// is known here.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn registered(
        &self,
        after: Option<PeerId>,
        limit: u32,
    ) -> Result<Vec<admin::Registered>, Refusal> {
        self.read(move |connection| {
            let sql = format!("SELECT {REGISTERED} FROM peers WHERE id > ?1 ORDER BY id LIMIT ?2");
            let key = params![after.map_or(-1, row::peer_number), limit];
            Ok(connection.prepare(&sql)?.query_map(key, registered)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Those of these peers that are registered, as in [`Store::registered`].
    ///
    /// # Errors
    /// If the store fails.
    pub async fn registered_of(&self, peers: Vec<PeerId>) -> Result<Vec<admin::Registered>, Refusal> {
        self.read(move |connection| {
            let numbers: Vec<i64> = peers.into_iter().map(row::peer_number).collect();
            let statement = |list: &str| {
                format!("SELECT {REGISTERED} FROM peers WHERE id >= ?1 AND id IN ({list}) ORDER BY id")
            };
            Ok(set::query(connection, statement, (0, &numbers), registered)?)
        })
        .await
    }
}

pub(super) const REGISTERED: &str = "id, name, last_seen_at, last_end, registered_at,
    coalesce((SELECT max(seq) - min(seq) + 1 FROM inbox WHERE inbox.peer = peers.id), 0)";

pub(super) fn registered(row: Row<'_>) -> sql::Result<admin::Registered> {
    Ok(admin::Registered {
        id: row::peer(row, 0)?,
        name: row::peer_name(row, 1)?,
        online: false,
        address: None,
        last_seen: row::time(row, 2)?,
        last_end: last_end(row, 3)?,
        registered_at: row::time(row, 4)?,
        inbox_rows: row::unsigned(row, 5)?,
        online_since: None,
    })
}

/// Why the last session ended, of a column.
pub(super) fn last_end(row: Row<'_>, column: usize) -> sql::Result<Option<SessionEnd>> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        _ => row::one_of(row, column, end_of_number).map(Some),
    }
}

/// How the end of a session is stored. A number once given is never used for another.
pub(super) fn end_number(end: SessionEnd) -> i64 {
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

fn insert(
    connection: &Connection,
    (id, key): (PeerId, PublicKey),
    new: &NewPeer,
    now: Timestamp,
) -> sql::Result<()> {
    let sql = "INSERT INTO peers(id, key, name, registered_at, last_seen_at) VALUES(?1, ?2, ?3, ?4, ?4)";
    let name = new.name.as_ref().map(PeerName::as_str);
    let values = params![row::peer_number(id), key.as_bytes().as_slice(), name, now.0];
    connection.prepare(sql)?.execute(values)?;
    if connection.is_postgres() {
        // What is locked for the peer.
        let sql = "INSERT INTO inbox_heads(peer, latest) VALUES(?1, 0) ON CONFLICT DO NOTHING";
        connection.prepare(sql)?.execute([row::peer_number(id)])?;
    }
    Ok(())
}

/// Gives a peer another name.
pub(super) fn rename(connection: &Connection, id: PeerId, name: &PeerName) -> sql::Result<()> {
    let sql = "UPDATE peers SET name = ?2 WHERE id = ?1";
    connection.prepare(sql)?.execute(params![row::peer_number(id), name.as_str()]).map(drop)
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
