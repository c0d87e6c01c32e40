//! Invitations that were used here, and what their inviters have answered.
//!
//! What always holds: the secret is here before the peer registers with the link, so that a crash in between loses nothing; the
//! inviter's key is pinned as the link has it, in place of no other one.

use dos_protocol::{
    Card, OperationId, PublicKey, SealingKey, Timestamp,
    control::{self, InviteState},
    invitation::{InvitationId, RefusedBecause},
    limits::INVITE_KEPT,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    Error, Store, Told, execute, id, invitations::id_of, peer_of, pins, pins::key_of, stored::peer_name,
};
use crate::rules::invitations::told_guest;

/// An invitation that is used.
#[derive(Debug, Clone)]
pub(crate) struct Joining {
    pub id: InvitationId,
    /// The key of the directory to which the link leads.
    pub directory: PublicKey,
    pub inviter: Card,
    /// Sealed by the vault.
    pub secret: Vec<u8>,
}

/// One that was used, for those who carry it out.
#[derive(Debug, Clone)]
pub(crate) struct Joined {
    pub joining: Joining,
    /// Under which the inviter is greeted.
    pub operation: OperationId,
    pub state: InviteState,
}

const COLUMNS: &str = "id, directory, inviter, key, name, secret, operation, since, state, trouble";

fn joined(row: &Row<'_>) -> Result<Joined, Error> {
    let inviter =
        Card { id: peer_of(row.get(2)?)?, key: key_of(row.get(3)?)?, name: peer_name(row.get(4)?)? };
    let operation =
        <[u8; 16]>::try_from(row.get::<_, Vec<u8>>(6)?).map_err(|_| Error::Damaged("operation ID"))?;
    let joining = Joining {
        id: id_of(&row.get::<_, Vec<u8>>(0)?)?,
        directory: key_of(row.get(1)?)?,
        inviter,
        secret: row.get(5)?,
    };
    Ok(Joined { joining, operation: operation.into(), state: state(&row.get::<_, String>(8)?) })
}

fn state(text: &str) -> InviteState {
    match text {
        "welcome" => InviteState::Welcome,
        "refused" => InviteState::Refused,
        _ => InviteState::Waiting,
    }
}

fn shown(row: &Row<'_>) -> Result<control::Invite, Error> {
    let Joined { joining: Joining { id, inviter, .. }, state, .. } = joined(row)?;
    Ok(control::Invite {
        id,
        made: false,
        peer: Some(inviter.id),
        peer_name: inviter.name.clone(),
        name: inviter.name,
        state,
        since: Timestamp(row.get(7)?),
        expires_at: None,
        used_at: None,
        grants: Vec::new(),
        trouble: row.get::<_, Option<String>>(9)?.map(Into::into),
    })
}

impl Store {
    /// Writes down that an invitation is used, before anything is done with it. Again it is the same one.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn join(&self, joining: Joining) -> Result<(), Error> {
        let now = self.clock.now();
        self.write(move |connection| {
            let before = now.before(INVITE_KEPT).0;
            execute(connection, "DELETE FROM joined WHERE since < ?1", [before])?;
            let sql = "INSERT OR IGNORE INTO joined (id, directory, inviter, key, name, secret, operation, since, state)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'waiting')";
            let operation = OperationId::generate();
            let Joining { id: invitation, directory, inviter, secret } = &joining;
            let key = params![
                invitation.as_bytes(),
                directory.as_bytes(),
                id(inviter.id),
                inviter.key.as_bytes(),
                inviter.name.as_ref().map(dos_protocol::PeerName::as_str),
                secret,
                operation.as_bytes(),
                now.0
            ];
            execute(connection, sql, key)?;
            // A secret that another key has sealed, of an attempt to register that came to nothing.
            let sql = "UPDATE joined SET secret = ?2 WHERE id = ?1";
            execute(connection, sql, params![invitation.as_bytes(), secret])?;
            Ok(())
        })
        .await
    }

    /// The link has let nobody in.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn forget_joined(&self, invitation: InvitationId) -> Result<(), Error> {
        self.write(move |connection| {
            execute(connection, "DELETE FROM joined WHERE id = ?1", [invitation.as_bytes()])?;
            Ok(())
        })
        .await
    }

    /// The one that was used with this ID.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn joined(&self, invitation: InvitationId) -> Result<Option<Joined>, Error> {
        self.read(move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM joined WHERE id = ?1");
            let found =
                connection.prepare_cached(&sql)?.query_row([invitation.as_bytes()], |row| Ok(joined(row)));
            found.optional()?.transpose()
        })
        .await
    }

    /// Those whose inviters have not answered yet, at this directory; not those that their inviters have forgotten by now.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn joined_waiting(&self, directory: PublicKey) -> Result<Vec<Joined>, Error> {
        let since = self.clock.now().before(INVITE_KEPT).0;
        self.read(move |connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM joined
                 WHERE directory = ?1 AND state = 'waiting' AND since > ?2 ORDER BY since"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map(params![directory.as_bytes(), since], |row| Ok(joined(row)))?;
            rows.map(|row| row?).collect()
        })
        .await
    }

    /// All of them, as people see them.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn joined_all(&self) -> Result<Vec<control::Invite>, Error> {
        self.read(|connection| {
            let sql = format!("SELECT {COLUMNS} FROM joined ORDER BY since, id");
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map([], |row| Ok(shown(row)))?;
            rows.map(|row| row?).collect()
        })
        .await
    }

    /// Pins the inviter's key as verified, if no other one is pinned. Returns whether it is pinned.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn pin_inviter(&self, inviter: Card) -> Result<bool, Error> {
        self.write_counting(move |connection| {
            let known = pins::find(connection, inviter.id)?;
            if known.is_some_and(|pin| pin.contact.key != inviter.key) {
                return Ok(false);
            }
            let Card { id: peer, key, name } = inviter;
            pins::befriend(connection, Told { peer, key, sealing: None, name })?;
            Ok(true)
        })
        .await
    }
}

/// How an invitation that was used here stands.
pub(super) fn one(
    connection: &Connection,
    invitation: &InvitationId,
) -> Result<Option<control::Invite>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM joined WHERE id = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_row([invitation.as_bytes()], |row| Ok(shown(row))).optional()?.transpose()
}

/// What an inviter's answer changes; `verdict` has its sealing key. Returns how the invitation stands, if that is news.
pub(super) fn answered(
    connection: &Connection,
    invitation: &InvitationId,
    (verdict, is_proved): (&Result<SealingKey, RefusedBecause>, bool),
) -> Result<Option<control::Invite>, Error> {
    let changed = match verdict {
        _ if !is_proved => execute(
            connection,
            "UPDATE joined SET trouble = ?2 WHERE id = ?1 AND state = 'waiting' AND trouble IS NOT ?2",
            params![invitation.as_bytes(), NOT_PROVED],
        )?,
        Ok(_) => execute(
            connection,
            "UPDATE joined SET state = 'welcome', trouble = NULL WHERE id = ?1 AND state = 'waiting'",
            params![invitation.as_bytes()],
        )?,
        Err(why) => execute(
            connection,
            "UPDATE joined SET state = 'refused', trouble = ?2 WHERE id = ?1 AND state = 'waiting'",
            params![invitation.as_bytes(), told_guest(*why)],
        )?,
    };
    if changed == 0 {
        return Ok(None);
    }
    let sql = format!("SELECT {COLUMNS} FROM joined WHERE id = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let found =
        statement.query_row([invitation.as_bytes()], |row| Ok((joined(row), shown(row)))).optional()?;
    let Some((joined, shown)) = found else { return Ok(None) };
    if let (Ok(sealing), true) = (verdict, is_proved) {
        let Card { id: peer, key, .. } = joined?.joining.inviter;
        pins::compare(connection, &Told { peer, key, sealing: Some(*sealing), name: None })?;
    }
    shown.map(Some)
}

/// Of an answer that proves nothing.
const NOT_PROVED: &str = "an answer came that its inviter has not given: the directory, or someone who does not have the link, has meddled";
