//! Invites: made, listed and revoked by the operator, and by peers where it lets them; used up by registrations.
//!
//! The code itself is never stored: its hash finds it, its first characters name it. A use is taken in the transaction of
//! the registration that it is for, so that neither is ever without the other.

use dos_protocol::{InviteCode, PeerId, Timestamp, admin::Invite, limits::INVITE_KEPT};
use dos_sql::{self as sql, Connection, Optional as _, Row, params};

use super::{Refusal, Store, row};
use crate::rules::{
    invites::{self, INVITES_COUNTED, InviteUses, Inviting, Made, PeerInviting},
    refusal::not_found,
};

/// An invite that is wanted.
#[derive(Debug, Clone)]
pub struct NewInvite {
    /// Drawn by the one that wants it: with the same code again it is the same invite.
    pub code: InviteCode,
    /// For how many registrations.
    pub uses: u32,
    /// Until when.
    pub expires_at: Timestamp,
}

/// An invite that a peer wants.
#[derive(Debug, Clone)]
pub struct PeerInvite {
    /// The hash of its code: with the same one again it is the same invite.
    pub hash: [u8; 32],
    /// The beginning of the code.
    pub prefix: Box<str>,
    /// For how long.
    pub lasts_ms: u64,
    /// How many a peer may make in a day.
    pub per_day: u32,
}

/// The first invite of a list.
const FIRST: (Timestamp, &str) = (Timestamp(i64::MIN), "");

impl Store {
    /// Makes an invite and returns it as it is kept. The same code again gets the invite that was made with it, as it is now.
    ///
    /// # Errors
    /// `denied` if there are too many; `conflict` if another code begins like this one.
    pub async fn create_invite(&self, new: NewInvite, now: Timestamp) -> Result<Invite, Refusal> {
        self.change(move |connection| {
            forget_old(connection, now)?;
            let state = inviting(connection, (&new.code.hash(), new.code.prefix()))?;
            if invites::create(state)? == Made::Now {
                let NewInvite { code, uses, expires_at } = &new;
                insert(connection, (&code.hash(), code.prefix()), (*uses, None), (now, *expires_at))?;
            }
            let sql = "SELECT prefix, uses, uses_left, created_at, expires_at FROM invites WHERE hash = ?1";
            let made = connection.prepare(sql)?.query_row([new.code.hash().as_slice()], invite)?;
            Ok(made.into())
        })
        .await
    }

    /// Makes an invite of a peer's, for one newcomer, and tells until when it lasts.
    ///
    /// # Errors
    /// `denied` if peers, or this one, may make no more; `conflict` if another code begins like this one.
    pub async fn create_peer_invite(
        &self,
        peer: PeerId,
        new: PeerInvite,
        now: Timestamp,
    ) -> Result<Timestamp, Refusal> {
        let room = self.room();
        self.change(move |connection| {
            forget_old(connection, now)?;
            let sql = "SELECT expires_at FROM invites WHERE hash = ?1 AND peer = ?2";
            let key = params![new.hash.as_slice(), row::peer_number(peer)];
            let own = connection.prepare(sql)?.query_row(key, |row| row::time(row, 0)).optional()?;
            let since = now.before(INVITES_COUNTED).0;
            let count = |sql: &str, key: &[&dyn sql::ToSql]| {
                connection.prepare(sql)?.query_row(key, |row| row::unsigned(row, 0))
            };
            let state = PeerInviting {
                all: inviting(connection, (&new.hash, &new.prefix))?,
                is_own: own.is_some(),
                of_peers: count("SELECT count(*) FROM invites WHERE peer IS NOT NULL", &[])?,
                lately: count(
                    "SELECT count(*) FROM invites WHERE peer = ?1 AND created_at > ?2",
                    &[&row::peer_number(peer), &since],
                )?,
                per_day: new.per_day,
            };
            if let (Made::Before, Some(expires_at)) = (invites::create_by_peer(state)?, own) {
                return Ok(expires_at.into());
            }
            room.admit(connection)?;
            let expires_at = invites::ends_at(new.lasts_ms, now);
            insert(connection, (&new.hash, &new.prefix), (1, Some(peer)), (now, expires_at))?;
            Ok(expires_at.into())
        })
        .await
    }

    /// Takes its use from an invite that a peer has made. The row stays for its time, so that it still counts against those that the
    /// peer may make.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn revoke_peer_invite(&self, peer: PeerId, hash: [u8; 32]) -> Result<(), Refusal> {
        self.change(move |connection| {
            let sql = "UPDATE invites SET uses_left = 0 WHERE hash = ?1 AND peer = ?2";
            connection.prepare(sql)?.execute(params![hash.as_slice(), row::peer_number(peer)])?;
            Ok(().into())
        })
        .await
    }

    /// Revokes the invite with this code, or with this prefix.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn revoke_invite(&self, code: Box<str>) -> Result<(), Refusal> {
        self.change(move |connection| {
            let removed = match code.parse::<InviteCode>() {
                Ok(code) => {
                    connection.execute("DELETE FROM invites WHERE hash = ?1", [code.hash().as_slice()])?
                }
                Err(_) => connection.execute("DELETE FROM invites WHERE prefix = ?1", [&code])?,
            };
            if removed == 0 { Err(not_found("there is no such invite").into()) } else { Ok(().into()) }
        })
        .await
    }

    /// The invites after this one, in the order in which they were made, at most `limit`.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn invites(&self, after: Option<Invite>, limit: u32) -> Result<Vec<Invite>, Refusal> {
        self.read(move |connection| {
            let (at, prefix) =
                after.as_ref().map_or(FIRST, |invite| (invite.created_at, invite.prefix.as_ref()));
            let mut statement = connection.prepare(
                "SELECT prefix, uses, uses_left, created_at, expires_at FROM invites
                 WHERE (created_at, prefix) > (?1, ?2) ORDER BY created_at, prefix LIMIT ?3",
            )?;
            Ok(statement.query_map(params![at.0, prefix, limit], invite)?.collect::<Result<_, _>>()?)
        })
        .await
    }
}

fn invite(row: Row<'_>) -> sql::Result<Invite> {
    Ok(Invite {
        prefix: row::text(row, 0)?.unwrap_or_default(),
        uses: row::small(row, 1)?,
        uses_left: row::small(row, 2)?,
        created_at: row::time(row, 3)?,
        expires_at: row::time(row, 4)?,
    })
}

/// Forgets invites that have been of no use for long.
fn forget_old(connection: &Connection, now: Timestamp) -> sql::Result<()> {
    let sql = "DELETE FROM invites WHERE expires_at <= ?1 OR (uses_left = 0 AND created_at <= ?1)";
    connection.execute(sql, [now.before(INVITE_KEPT).0]).map(drop)
}

/// What any new invite with this hash and this beginning is decided on.
fn inviting(connection: &Connection, (hash, prefix): (&[u8; 32], &str)) -> sql::Result<Inviting> {
    let prefix_taken = connection.prepare("SELECT 1 FROM invites WHERE prefix = ?1")?.exists([prefix])?;
    let count = connection.query_row("SELECT count(*) FROM invites", (), |row| row::unsigned(row, 0))?;
    Ok(Inviting { exists: find(connection, hash)?.is_some(), prefix_taken, count })
}

fn insert(
    connection: &Connection,
    (hash, prefix): (&[u8; 32], &str),
    (uses, peer): (u32, Option<PeerId>),
    (now, expires_at): (Timestamp, Timestamp),
) -> sql::Result<()> {
    connection
        .execute(
            "INSERT INTO invites(hash, prefix, uses, uses_left, created_at, expires_at, peer)
             VALUES(?1, ?2, ?3, ?3, ?4, ?5, ?6)",
            params![hash.as_slice(), prefix, uses, now.0, expires_at.0, peer.map(row::peer_number)],
        )
        .map(drop)
}

/// Forgets what a peer that is no more has made: its friends do not come in its place.
pub(super) fn forget_of(connection: &Connection, peer: PeerId) -> sql::Result<()> {
    connection.prepare("DELETE FROM invites WHERE peer = ?1")?.execute([row::peer_number(peer)]).map(drop)
}

/// What is left of the invite whose code has this hash.
pub(super) fn find(connection: &Connection, hash: &[u8; 32]) -> sql::Result<Option<InviteUses>> {
    let mut statement = connection.prepare("SELECT uses_left, expires_at FROM invites WHERE hash = ?1")?;
    statement
        .query_row([hash.as_slice()], |row| {
            Ok(InviteUses { uses_left: row::small(row, 0)?, expires_at: row::time(row, 1)? })
        })
        .optional()
}

/// Saves what is left of an invite.
pub(super) fn save(connection: &Connection, hash: &[u8; 32], uses: InviteUses) -> sql::Result<()> {
    connection
        .prepare("UPDATE invites SET uses_left = ?2 WHERE hash = ?1")?
        .execute(params![hash.as_slice(), uses.uses_left])
        .map(drop)
}
