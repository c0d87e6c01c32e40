//! Which history the data belongs to, and peers that sign in to it.
//!
//! What always holds: that a peer has signed in, what its attempt was, and what that proves about the data is one transaction. The
//! numbers of an inbox never go back behind what its peer has stored.

use dos_protocol::{
    Code, Incarnation, Instance, Nonce, PeerId, PublicKey, Seq, Timestamp, WireError,
    directory::{Attempt, PeerState},
    random,
};
use dos_sql::{self as sql, Connection, Optional as _, params};

use super::{
    Refusal, Store, inbox,
    nodes::{self, Taken},
    row, scope,
};
use crate::rules::{
    incarnation::{self, Arriving, Epoch, Told},
    names::check_key,
    refusal::unknown_key,
    seats::Claim,
};

/// Numbers and the revisions of grants jump by this in another incarnation, at least: more than any directory gives between a backup
/// and a loss. A peer must not take another image for one that it knows, and takes no state of a grant that is older than what it
/// knows: what comes of all that peers assert must be newer than all of it.
const LEAP: u32 = 1_000_000;

/// A peer that has proved its key and signs in.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// Which.
    pub peer: PeerId,
    /// Its key.
    pub key: PublicKey,
    /// The last update that it has stored.
    pub stored: Seq,
    /// What it knows of the age of data.
    pub state: Option<PeerState>,
    /// Which run of its daemon.
    pub instance: Instance,
    /// What becomes of another daemon's session at another node.
    pub claim: Claim,
}

/// A peer that has signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entered {
    /// Updates after this one follow.
    pub since: Seq,
    /// The last update.
    pub latest: Seq,
    /// The incarnation of the data.
    pub incarnation: Incarnation,
    /// It is not the first one.
    pub renewed: bool,
    /// Which of several it is.
    pub epoch: Epoch,
    /// It is another one from now on: this peer has proved that the data is older than what it has.
    pub is_new: bool,
    /// The peer's state was put back from a copy.
    pub restored: bool,
    /// The highest of its attempts to sign in.
    pub attempts: u64,
    /// Its seat among several nodes.
    pub taken: Taken,
}

/// The history that the data belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Data {
    pub(super) incarnation: Incarnation,
    /// When it began; nothing of the first one.
    pub(super) renewed_at: Option<Timestamp>,
}

impl Store {
    /// Signs a peer in: notes its attempt and the incarnation that it meets, and decides where its inbox goes on.
    ///
    /// # Errors
    /// `not_found` if the peer's key is not that key any more; `conflict` if another daemon is signed in at another node.
    pub async fn sign_in(&self, arrival: Arrival, now: Timestamp) -> Result<Entered, Refusal> {
        let node = self.node();
        self.change_in(scope::of([arrival.peer]), move |connection| {
            let peer = arrival.peer;
            // Before the head of the inbox is read: what is added from now on finds the seat.
            let taken = nodes::take(connection, node, (peer, arrival.instance, arrival.claim))?;
            let arriving = arriving(connection, &arrival)?;
            let told = Told { stored: arrival.stored, state: arrival.state.as_ref() };
            let entered = incarnation::enter(&arriving, told, now);
            let incarnation::Entered { restored, renews, raise, since, latest } = entered;
            if renews {
                let stored_at = arrival.state.as_ref().and_then(|state| state.stored_at);
                tracing::warn!(%peer, stored = arrival.stored.0, latest = arriving.latest.0, first = ?arriving.first,
                    ?stored_at, row_at = ?arriving.row_at, "what this peer has stored is not what the data has");
                renew(connection, now)?;
            }
            if latest > arriving.latest || raise > 0 {
                inbox::raise_rows(connection, peer, raise, latest)?;
            }
            let known = Data { incarnation: arriving.incarnation, renewed_at: arriving.renewed_at };
            let Data { incarnation, renewed_at } = if renews { data(connection)? } else { known };
            let (renewed, epoch) = (renewed_at.is_some(), Epoch::of(renewed_at));
            let attempts = incarnation::highest(&arriving, told);
            note(connection, &arrival, (arriving.met, attempts), incarnation)?;
            let is_new = renews;
            Ok(Entered { since, latest, incarnation, renewed, epoch, is_new, restored, attempts, taken }
                .into())
        })
        .await
    }
}

/// The history that the data belongs to.
pub(super) fn data(connection: &Connection) -> sql::Result<Data> {
    let sql = "SELECT incarnation, renewed_at FROM directory";
    connection.prepare(sql)?.query_row((), |row| {
        Ok(Data { incarnation: row::bytes::<16>(row, 0)?.into(), renewed_at: row::time_or_none(row, 1)? })
    })
}

/// From now on the data is in another incarnation: numbers that were given and lost are not given again, and of each grant it is
/// written down how it is now, since what peers assert is to be told from what happens from now on. That has revisions of its own:
/// sessions of before still finish what was accepted, so that peers assert some of it.
pub(super) fn renew(connection: &Connection, now: Timestamp) -> Result<(), Refusal> {
    connection.need_whole()?;
    let drawn: [u8; 16] =
        random::bytes().map_err(|error| WireError::new(Code::Internal, error.to_string()))?;
    let began = incarnation::begins(data(connection)?.renewed_at, now);
    connection.execute(
        "UPDATE directory SET incarnation = ?1, renewed_at = ?2",
        params![drawn.as_slice(), began.0],
    )?;
    connection.execute_batch(&format!(
        "UPDATE counters SET last = last + {LEAP};
         DELETE FROM forks;
         INSERT INTO forks(image, viewer, split, owner_revision, used_revision, used, \"left\", returned)
             SELECT image, viewer, split, revision, revision, views_used, views_left, returned FROM grants;"
    ))?;
    connection.execute(
        &format!(
            "UPDATE grants SET revision = CASE WHEN revision + {LEAP} > ?1 THEN revision + {LEAP} ELSE ?1 END"
        ),
        [row::number(incarnation::first_revision(began))],
    )?;
    inbox::void_names(connection, now)
}

/// All that is known of a peer that signs in, in one question: thousands do at once after a restart.
const ARRIVING: &str = "SELECT peers.key, met, attempt, nonce, directory.incarnation, renewed_at,
        (SELECT min(seq) FROM inbox WHERE peer = ?1), (SELECT latest FROM inbox_heads WHERE peer = ?1),
        (SELECT body FROM inbox WHERE peer = ?1 AND seq = ?2)
    FROM peers, directory WHERE peers.id = ?1";

fn arriving(connection: &Connection, arrival: &Arrival) -> Result<Arriving, Refusal> {
    let values = params![row::peer_number(arrival.peer), row::number(arrival.stored.0)];
    let mut statement = connection.prepare(ARRIVING)?;
    let mut rows = statement.query(values)?;
    let row = rows.next()?;
    let registered = row.map(|row| row.get_ref(0)?.as_blob().map_err(sql::Error::from)).transpose()?;
    check_key(&arrival.key, registered)?;
    let Some(row) = row else { return Err(unknown_key().into()) };
    let bytes = |column| -> sql::Result<Option<[u8; 16]>> {
        Ok(row.get_ref(column)?.as_blob_or_null()?.and_then(|bytes| bytes.try_into().ok()))
    };
    let number = row::unsigned(row, 2)?;
    let first: Option<i64> = row.get(6)?;
    let latest: Option<i64> = row.get(7)?;
    Ok(Arriving {
        incarnation: row::bytes::<16>(row, 4)?.into(),
        renewed_at: row::time_or_none(row, 5)?,
        met: bytes(1)?.map(Incarnation::from),
        attempt: bytes(3)?.map(|nonce| Attempt { number, nonce: Nonce::from(nonce) }),
        first: first.map(|first| Seq(u64::try_from(first).unwrap_or(1))),
        latest: Seq(latest.map_or(0, i64::cast_unsigned)),
        row_at: match row.get_ref(8)?.as_blob_or_null().map_err(sql::Error::from)? {
            Some(body) => inbox::row_at(body)?,
            None => None,
        },
    })
}

/// Writes down what is not written already: of a peer of the first releases that comes back nothing is.
fn note(
    connection: &Connection,
    arrival: &Arrival,
    (met, attempts): (Option<Incarnation>, u64),
    incarnation: Incarnation,
) -> sql::Result<()> {
    let attempt = arrival.state.as_ref().map(|state| state.attempt);
    if attempt.is_none() && met == Some(incarnation) {
        return Ok(());
    }
    connection
        .prepare(
            "UPDATE peers SET met = ?2, knows = ?3, attempt = ?4, nonce = coalesce(?5, nonce) WHERE id = ?1",
        )?
        .execute(params![
            row::peer_number(arrival.peer),
            incarnation.as_bytes().as_slice(),
            attempt.is_some(),
            row::number(attempts),
            attempt.as_ref().map(|attempt| attempt.nonce.as_bytes().as_slice()),
        ])
        .map(drop)
}

/// Whether a peer knows what is told since this version.
pub(super) fn knows(connection: &Connection, peer: PeerId) -> sql::Result<bool> {
    let mut statement = connection.prepare("SELECT knows FROM peers WHERE id = ?1")?;
    Ok(statement.query_row([row::peer_number(peer)], |row| row.get(0)).optional()?.unwrap_or(false))
}
