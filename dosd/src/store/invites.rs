//! Invites: made, listed and taken back by the operator, used up by registrations.
//!
//! The code itself is never stored: its hash finds it, its first characters name it. A use is taken in the transaction of
//! the registration that it is for, so that neither is ever without the other.

use dos_protocol::{
    Code, InviteCode, Reason, Timestamp, WireError,
    admin::Invite,
    limits::{INVITE_KEPT, INVITES_MAX},
};
use rusqlite::{Connection, Row, params};

use super::{Refusal, Store, row};

/// Who may register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Anybody.
    Open,
    /// Who brings the invite with this hash.
    Invited([u8; 32]),
    /// Who brings an invite; there is none here, or none that can be one.
    Uninvited {
        /// Something was brought.
        brought: bool,
    },
    /// Nobody.
    Closed,
}

/// How often a code is drawn before giving up; with [`INVITES_MAX`] invites one draw in a thousand has a taken prefix.
const DRAWS: usize = 8;

/// The first invite of a list.
const FIRST: (Timestamp, &str) = (Timestamp(i64::MIN), "");

impl Store {
    /// Makes an invite.
    ///
    /// # Errors
    /// `denied` if there are too many.
    pub async fn create_invite(
        &self,
        uses: u32,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<InviteCode, Refusal> {
        self.change(move |connection| {
            connection.execute(
                "DELETE FROM invites WHERE expires_at <= ?1 OR (uses_left = 0 AND created_at <= ?1)",
                [now.before(INVITE_KEPT).0],
            )?;
            let count = connection.query_row("SELECT count(*) FROM invites", [], |r| row::unsigned(r, 0))?;
            if count >= INVITES_MAX {
                let why = format!("there are {INVITES_MAX} invites already; revoke some");
                return Err(Refusal::denied(why, Reason::Limit));
            }
            let code = draw(connection)?;
            connection.execute(
                "INSERT INTO invites(hash, prefix, uses, uses_left, created_at, expires_at)
                 VALUES(?1, ?2, ?3, ?3, ?4, ?5)",
                params![code.hash().as_slice(), code.prefix(), uses, now.0, expires_at.0],
            )?;
            Ok(code.into())
        })
        .await
    }

    /// Takes back the invite with this code, or with this prefix.
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
            if removed == 0 { Err(Refusal::not_found("there is no such invite")) } else { Ok(().into()) }
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
            let mut statement = connection.prepare_cached(
                "SELECT prefix, uses, uses_left, created_at, expires_at FROM invites
                 WHERE (created_at, prefix) > (?1, ?2) ORDER BY created_at, prefix LIMIT ?3",
            )?;
            Ok(statement.query_map(params![at.0, prefix, limit], invite)?.collect::<Result<_, _>>()?)
        })
        .await
    }
}

fn invite(row: &Row<'_>) -> rusqlite::Result<Invite> {
    Ok(Invite {
        prefix: row::text(row, 0)?.unwrap_or_default(),
        uses: row::small(row, 1)?,
        uses_left: row::small(row, 2)?,
        created_at: row::time(row, 3)?,
        expires_at: row::time(row, 4)?,
    })
}

/// A code whose prefix no other invite has.
fn draw(connection: &Connection) -> Result<InviteCode, Refusal> {
    let mut taken = connection.prepare_cached("SELECT 1 FROM invites WHERE prefix = ?1")?;
    for _ in 0..DRAWS {
        let code =
            InviteCode::generate().map_err(|error| WireError::new(Code::Internal, error.to_string()))?;
        if !taken.exists([code.prefix()])? {
            return Ok(code);
        }
    }
    Err(WireError::new(Code::Internal, "no free invite was found").into())
}

/// Lets a new peer in, or not. A use of its invite is gone if the transaction is committed.
///
/// What is wrong with an invite is not told: a code that once was one looks like any other.
pub(super) fn admit(connection: &Connection, admission: Admission, now: Timestamp) -> Result<(), Refusal> {
    let hash = match admission {
        Admission::Open => return Ok(()),
        Admission::Invited(hash) => hash,
        Admission::Uninvited { brought: true } => return Err(no_use()),
        Admission::Uninvited { brought: false } => {
            let error = WireError::new(Code::Denied, "this directory takes new peers by invitation only");
            return Err(error.because(Reason::Closed).hint(HINT).into());
        }
        Admission::Closed => {
            return Err(Refusal::denied("this directory takes no new peers", Reason::Closed));
        }
    };
    let mut statement = connection.prepare_cached(
        "UPDATE invites SET uses_left = uses_left - 1 WHERE hash = ?1 AND uses_left > 0 AND expires_at > ?2",
    )?;
    if statement.execute(params![hash.as_slice(), now.0])? == 1 { Ok(()) } else { Err(no_use()) }
}

const HINT: &str = "dosctl register --server LINK --invite CODE";

fn no_use() -> Refusal {
    let error = WireError::new(Code::Denied, "the invite is wrong, used up or expired");
    error.because(Reason::Closed).hint(HINT).into()
}
