//! Invites: made, listed and revoked by the operator, used up by registrations.
//!
//! The code itself is never stored: its hash finds it, its first characters name it. A use is taken in the transaction of
//! the registration that it is for, so that neither is ever without the other.

use dos_protocol::{InviteCode, Timestamp, admin::Invite, limits::INVITE_KEPT};
use dos_sql::{self as sql, Connection, Optional as _, Row, params};

use super::{Refusal, Store, row};
use crate::rules::{
    invites::{self, InviteUses, Inviting, Made},
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

/// The first invite of a list.
const FIRST: (Timestamp, &str) = (Timestamp(i64::MIN), "");

impl Store {
    /// Makes an invite and returns it as it is kept. The same code again gets the invite that was made with it, as it is now.
    ///
    /// # Errors
    /// `denied` if there are too many; `conflict` if another code begins like this one.
    pub async fn create_invite(&self, new: NewInvite, now: Timestamp) -> Result<Invite, Refusal> {
        self.change(move |connection| {
            connection.execute(
                "DELETE FROM invites WHERE expires_at <= ?1 OR (uses_left = 0 AND created_at <= ?1)",
                [now.before(INVITE_KEPT).0],
            )?;
            let state = Inviting {
                exists: find(connection, &new.code.hash())?.is_some(),
                prefix_taken: connection
                    .prepare("SELECT 1 FROM invites WHERE prefix = ?1")?
                    .exists([new.code.prefix()])?,
                count: connection.query_row("SELECT count(*) FROM invites", (), |r| row::unsigned(r, 0))?,
            };
            if invites::create(state)? == Made::Now {
                insert(connection, &new, now)?;
            }
            let sql = "SELECT prefix, uses, uses_left, created_at, expires_at FROM invites WHERE hash = ?1";
            let made = connection.prepare(sql)?.query_row([new.code.hash().as_slice()], invite)?;
            Ok(made.into())
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

fn insert(connection: &Connection, new: &NewInvite, now: Timestamp) -> sql::Result<()> {
    connection
        .execute(
            "INSERT INTO invites(hash, prefix, uses, uses_left, created_at, expires_at)
             VALUES(?1, ?2, ?3, ?3, ?4, ?5)",
            params![new.code.hash().as_slice(), new.code.prefix(), new.uses, now.0, new.expires_at.0],
        )
        .map(drop)
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
