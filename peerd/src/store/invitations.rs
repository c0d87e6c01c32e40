//! Invitations that this peer has made: who has used them, what is still to be given, and what is still to be answered.
//!
//! What always holds: a guest is taken in, its key pinned, and the answer to it noted in one transaction, that of the update which
//! brings it; a grant and an answer have the operation under which the directory does them written down before.

use dos_protocol::{
    ImageNo, OperationId, PeerId, PeerName, PublicKey, SealingKey, Timestamp,
    control::{self, InviteGrant},
    invitation::{InvitationId, Join, RefusedBecause},
    limits::{INVITATIONS_OPEN_MAX, INVITE_ANSWERS_MAX, INVITE_KEPT},
    model::Allowance,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    Error, Store, Told, execute, id, peer_of, pins,
    pins::{key_of, sealing_bytes, sealing_of},
    stored::peer_name,
};
use crate::rules::invitations::{self as rule, Guest, Made, Verdict};

/// An invitation that is to be written down.
#[derive(Debug, Clone)]
pub(crate) struct NewInvitation {
    pub id: InvitationId,
    pub guest: PeerName,
    /// Sealed by the vault.
    pub secret: Vec<u8>,
    /// The hash of the invite that was made for it.
    pub code: Option<[u8; 32]>,
    pub expires_at: Timestamp,
    pub grants: Vec<NewGrant>,
}

/// A grant that comes with it.
#[derive(Debug, Clone)]
pub(crate) struct NewGrant {
    pub image: ImageNo,
    pub name: dos_protocol::ImageName,
    pub views: Allowance,
    pub lasts_ms: Option<u64>,
    pub allow_offline: bool,
}

/// Why an invitation is not written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotMade {
    /// There is an open one for a guest of this name.
    Open(Timestamp),
    /// There are too many.
    TooMany,
}

/// A grant that is to be given.
#[derive(Debug, Clone)]
pub(crate) struct Promise {
    pub invitation: InvitationId,
    pub image: ImageNo,
    pub viewer: PeerId,
    pub views: Allowance,
    pub lasts_ms: Option<u64>,
    pub allow_offline: bool,
    pub operation: OperationId,
    /// Since when the directory may have given it.
    pub begun_at: Option<Timestamp>,
}

/// An answer that is to be sent.
#[derive(Debug, Clone)]
pub(crate) struct PendingAnswer {
    pub invitation: InvitationId,
    pub peer: PeerId,
    /// The guest that was taken in, with its keys, or why this one was not.
    pub verdict: Result<(PublicKey, SealingKey), RefusedBecause>,
    /// Sealed by the vault.
    pub secret: Vec<u8>,
    pub operation: OperationId,
}

const COLUMNS: &str = "id, guest, made_at, expires_at, revoked, peer, key, peer_name, used_at, trouble,
    EXISTS (SELECT 1 FROM invitation_grants g WHERE g.invitation = invitations.id AND given = 0 AND why IS NULL)";

/// The rule's view of a row of [`COLUMNS`].
fn made(row: &Row<'_>) -> Result<Made, Error> {
    let used_by = match (row.get::<_, Option<i64>>(5)?, row.get::<_, Option<Vec<u8>>>(6)?) {
        (Some(peer), Some(key)) => Some((peer_of(peer)?, key_of(key)?)),
        _ => None,
    };
    Ok(Made { expires_at: Timestamp(row.get(3)?), is_revoked: row.get(4)?, used_by })
}

fn shown(row: &Row<'_>, now: Timestamp) -> Result<control::Invite, Error> {
    let made = made(row)?;
    Ok(control::Invite {
        id: id_of(&row.get::<_, Vec<u8>>(0)?)?,
        made: true,
        name: peer_name(row.get(1)?)?,
        peer: made.used_by.map(|(peer, _)| peer),
        peer_name: peer_name(row.get(7)?)?,
        state: rule::shown(&made, row.get(10)?, now),
        since: Timestamp(row.get(2)?),
        expires_at: Some(made.expires_at),
        used_at: row.get::<_, Option<i64>>(8)?.map(Timestamp),
        grants: Vec::new(),
        trouble: row.get::<_, Option<String>>(9)?.map(Into::into),
    })
}

pub(super) fn id_of(bytes: &[u8]) -> Result<InvitationId, Error> {
    <[u8; 16]>::try_from(bytes).map(Into::into).map_err(|_| Error::Damaged("invitation"))
}

fn operation_of(bytes: &[u8]) -> Result<OperationId, Error> {
    <[u8; 16]>::try_from(bytes).map(Into::into).map_err(|_| Error::Damaged("operation ID"))
}

/// How an invitation stands, with what comes with it.
pub(super) fn one(
    connection: &Connection,
    invitation: &InvitationId,
    now: Timestamp,
) -> Result<Option<control::Invite>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM invitations WHERE id = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_row([invitation.as_bytes()], |row| Ok(shown(row, now))).optional()?;
    let Some(mut invite) = found.transpose()? else { return Ok(None) };
    invite.grants = grants(connection, invitation)?;
    Ok(Some(invite))
}

fn grants(connection: &Connection, invitation: &InvitationId) -> Result<Vec<InviteGrant>, Error> {
    let sql = "SELECT name, views, given, why FROM invitation_grants WHERE invitation = ?1 ORDER BY name";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([invitation.as_bytes()])?;
    let mut grants = Vec::new();
    while let Some(row) = rows.next()? {
        grants.push(InviteGrant {
            image: row.get::<_, String>(0)?.parse().map_err(|_| Error::Damaged("image name"))?,
            views: row.get::<_, Option<u32>>(1)?.into(),
            given: row.get(2)?,
            why: row.get::<_, Option<String>>(3)?.map(Into::into),
        });
    }
    Ok(grants)
}

impl Store {
    /// Whether an invitation for a guest of this name may be made now.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn may_invite(&self, guest: PeerName) -> Result<Result<(), NotMade>, Error> {
        let now = self.clock.now();
        self.read(move |connection| may_invite(connection, &guest, now)).await
    }

    /// Writes an invitation down, and forgets those that have been of no use for long.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn invite(&self, new: NewInvitation) -> Result<Result<control::Invite, NotMade>, Error> {
        let now = self.clock.now();
        self.write(move |connection| {
            forget_old(connection, now)?;
            if let Err(why) = may_invite(connection, &new.guest, now)? {
                return Ok(Err(why));
            }
            execute(
                connection,
                "INSERT INTO invitations (id, guest, secret, code, made_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![new.id.as_bytes(), new.guest.as_str(), new.secret, new.code, now.0, new.expires_at.0],
            )?;
            for grant in &new.grants {
                execute(
                    connection,
                    "INSERT INTO invitation_grants (invitation, image, name, views, lasts_ms, allow_offline, operation)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    params![
                        new.id.as_bytes(),
                        grant.image.0.cast_signed(),
                        grant.name.as_str(),
                        Option::<u32>::from(grant.views),
                        grant.lasts_ms.map(u64::cast_signed),
                        grant.allow_offline,
                        OperationId::generate().as_bytes(),
                    ],
                )?;
            }
            Ok(Ok(one(connection, &new.id, now)?.ok_or(Error::Damaged("invitation"))?))
        })
        .await
    }

    /// The invitations that were made here, the oldest first.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn invitations(&self) -> Result<Vec<control::Invite>, Error> {
        let now = self.clock.now();
        self.read(move |connection| {
            let sql = "SELECT id FROM invitations ORDER BY made_at, id";
            let mut statement = connection.prepare_cached(sql)?;
            let ids =
                statement.query_map([], |row| row.get::<_, Vec<u8>>(0))?.collect::<Result<Vec<_>, _>>()?;
            let invites = ids.iter().filter_map(|bytes| {
                id_of(bytes).and_then(|invitation| one(connection, &invitation, now)).transpose()
            });
            invites.collect()
        })
        .await
    }

    /// Revokes the open invitation for a guest of this name. Nothing if there is none.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn revoke_invitation(&self, guest: PeerName) -> Result<Option<control::Invite>, Error> {
        let now = self.clock.now();
        self.write(move |connection| {
            let sql = "UPDATE invitations SET revoked = 1
                       WHERE guest = ?1 AND peer IS NULL AND revoked = 0 AND expires_at > ?2 RETURNING id";
            let found: Option<Vec<u8>> = connection
                .prepare_cached(sql)?
                .query_row(params![guest.as_str(), now.0], |row| row.get(0))
                .optional()?;
            found.map_or(Ok(None), |bytes| one(connection, &id_of(&bytes)?, now))
        })
        .await
    }

    /// The secret of an invitation that was made here, as the vault has sealed it.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn invitation_secret(&self, invitation: InvitationId) -> Result<Option<Vec<u8>>, Error> {
        self.read(move |connection| {
            let sql = "SELECT secret FROM invitations WHERE id = ?1";
            Ok(connection
                .prepare_cached(sql)?
                .query_row([invitation.as_bytes()], |row| row.get(0))
                .optional()?)
        })
        .await
    }

    /// The invites at the directory that belong to revoked invitations, by their hashes.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn codes_to_revoke(&self) -> Result<Vec<[u8; 32]>, Error> {
        self.read(|connection| {
            let sql = "SELECT code FROM invitations WHERE revoked = 1 AND code IS NOT NULL";
            let mut statement = connection.prepare_cached(sql)?;
            Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The directory has revoked an invite.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn code_is_revoked(&self, code: [u8; 32]) -> Result<(), Error> {
        self.write(move |connection| {
            execute(connection, "UPDATE invitations SET code = NULL WHERE code = ?1", [code])?;
            Ok(())
        })
        .await
    }

    /// Grants that are to be given to guests that were taken in.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn promises(&self) -> Result<Vec<Promise>, Error> {
        self.read(|connection| {
            let sql = "SELECT invitation, image, peer, views, lasts_ms, allow_offline, operation, begun_at
                       FROM invitation_grants JOIN invitations ON id = invitation
                       WHERE peer IS NOT NULL AND given = 0 AND why IS NULL ORDER BY used_at, invitation, image";
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            let mut promises = Vec::new();
            while let Some(row) = rows.next()? {
                promises.push(Promise {
                    invitation: id_of(&row.get::<_, Vec<u8>>(0)?)?,
                    image: ImageNo(row.get::<_, i64>(1)?.cast_unsigned()),
                    viewer: peer_of(row.get(2)?)?,
                    views: row.get::<_, Option<u32>>(3)?.into(),
                    lasts_ms: row.get::<_, Option<i64>>(4)?.map(i64::cast_unsigned),
                    allow_offline: row.get(5)?,
                    operation: operation_of(&row.get::<_, Vec<u8>>(6)?)?,
                    begun_at: row.get::<_, Option<i64>>(7)?.map(Timestamp),
                });
            }
            Ok(promises)
        })
        .await
    }

    /// From now on the directory may have given the grant.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn promise_begun(&self, promise: &Promise) -> Result<(), Error> {
        let (invitation, image, now) = (promise.invitation, promise.image, self.clock.now());
        self.write(move |connection| {
            let sql = "UPDATE invitation_grants SET begun_at = coalesce(begun_at, ?3)
                       WHERE invitation = ?1 AND image = ?2";
            execute(connection, sql, params![invitation.as_bytes(), image.0.cast_signed(), now.0])?;
            Ok(())
        })
        .await
    }

    /// The grant was given, or cannot be. Returns how the invitation stands.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn promise_kept(
        &self,
        promise: &Promise,
        outcome: Result<(), Box<str>>,
    ) -> Result<Option<control::Invite>, Error> {
        let (invitation, image, now) = (promise.invitation, promise.image, self.clock.now());
        self.write(move |connection| {
            let sql =
                "UPDATE invitation_grants SET given = ?3, why = ?4 WHERE invitation = ?1 AND image = ?2";
            let why = outcome.as_ref().err();
            let key = params![invitation.as_bytes(), image.0.cast_signed(), outcome.is_ok(), why];
            execute(connection, sql, key)?;
            one(connection, &invitation, now)
        })
        .await
    }

    /// Answers that are to be sent; a guest that was taken in gets its answer when everything that comes with it is decided.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn answers_to_guests(&self) -> Result<Vec<PendingAnswer>, Error> {
        self.read(|connection| {
            let sql = "SELECT a.invitation, a.peer, a.verdict, a.operation, i.secret, i.key, i.sealing
                       FROM invitation_answers a JOIN invitations i ON i.id = a.invitation
                       WHERE a.verdict <> 'welcome' OR NOT EXISTS (
                           SELECT 1 FROM invitation_grants g WHERE g.invitation = i.id AND given = 0 AND why IS NULL)";
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            let mut answers = Vec::new();
            while let Some(row) = rows.next()? {
                let verdict: String = row.get(2)?;
                let verdict = if verdict == WELCOME {
                    Ok((key_of(row.get(5)?)?, sealing_of(&row.get::<_, Vec<u8>>(6)?)?))
                } else {
                    Err(verdict.parse().map_err(|_| Error::Damaged("answer to a guest"))?)
                };
                answers.push(PendingAnswer {
                    invitation: id_of(&row.get::<_, Vec<u8>>(0)?)?,
                    peer: peer_of(row.get(1)?)?,
                    verdict,
                    secret: row.get(4)?,
                    operation: operation_of(&row.get::<_, Vec<u8>>(3)?)?,
                });
            }
            Ok(answers)
        })
        .await
    }

    /// An answer was sent, or nobody takes it.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn answer_sent(&self, operation: OperationId) -> Result<(), Error> {
        self.write(move |connection| {
            execute(
                connection,
                "DELETE FROM invitation_answers WHERE operation = ?1",
                [operation.as_bytes()],
            )?;
            Ok(())
        })
        .await
    }
}

/// The verdict of an answer to a guest that was taken in.
const WELCOME: &str = "welcome";

fn may_invite(
    connection: &Connection,
    guest: &PeerName,
    now: Timestamp,
) -> Result<Result<(), NotMade>, Error> {
    let open = "FROM invitations WHERE peer IS NULL AND revoked = 0 AND expires_at > ?1";
    let sql = format!("SELECT expires_at {open} AND guest = ?2");
    let same = connection.prepare_cached(&sql)?.query_row(params![now.0, guest.as_str()], |row| row.get(0));
    if let Some(until) = same.optional()? {
        return Ok(Err(NotMade::Open(Timestamp(until))));
    }
    let sql = format!("SELECT count(*) {open}");
    let count: u32 = connection.prepare_cached(&sql)?.query_row([now.0], |row| row.get(0))?;
    Ok(if count < INVITATIONS_OPEN_MAX { Ok(()) } else { Err(NotMade::TooMany) })
}

/// Forgets invitations whose time is long over, with everything about them; not those with something still to be done.
fn forget_old(connection: &Connection, now: Timestamp) -> Result<(), Error> {
    let before = now.before(INVITE_KEPT).0;
    let old = "SELECT id FROM invitations WHERE expires_at < ?1 AND id NOT IN (
                   SELECT invitation FROM invitation_grants JOIN invitations ON id = invitation
                   WHERE peer IS NOT NULL AND given = 0 AND why IS NULL)";
    for sql in [
        format!("DELETE FROM invitation_answers WHERE invitation IN ({old})"),
        format!("DELETE FROM invitation_grants WHERE invitation IN ({old})"),
        format!("DELETE FROM invitations WHERE id IN ({old})"),
    ] {
        execute(connection, &sql, [before])?;
    }
    Ok(())
}

/// A guest has come. Returns how the invitation stands, if that is news.
pub(super) fn guest_came(
    connection: &Connection,
    (from, at): (PeerId, Timestamp),
    (join, is_proved): (&Join, bool),
) -> Result<Option<control::Invite>, Error> {
    let invitation = &join.invitation;
    let sql = format!("SELECT {COLUMNS} FROM invitations WHERE id = ?1");
    let found = connection.prepare_cached(&sql)?.query_row([invitation.as_bytes()], |row| Ok(made(row)));
    let Some(made) = found.optional()?.transpose()? else { return Ok(None) };
    let pinned = pins::find(connection, from)?.map(|pin| pin.contact.key);
    let guest = Guest { peer: from, key: join.key, is_proved, at, pinned };
    let verdict = rule::judge(&made, &guest);
    let is_news = match verdict {
        Verdict::TakeIn => {
            let sql = "UPDATE invitations SET peer = ?2, key = ?3, sealing = ?4, peer_name = ?5, used_at = ?6 WHERE id = ?1";
            let name = join.name.as_ref().map(PeerName::as_str);
            let sealing = sealing_bytes(&join.sealing);
            let key = params![invitation.as_bytes(), id(from), join.key.as_bytes(), sealing, name, at.0];
            execute(connection, sql, key)?;
            let told =
                Told { peer: from, key: join.key, sealing: Some(join.sealing), name: join.name.clone() };
            pins::befriend(connection, told)?;
            true
        }
        Verdict::Again => false,
        Verdict::Refuse(why) => {
            let sql = "UPDATE invitations SET trouble = ?2 WHERE id = ?1 AND trouble IS NOT ?2";
            execute(connection, sql, params![invitation.as_bytes(), rule::told_inviter(why)])? > 0
        }
    };
    let verdict = match verdict {
        Verdict::TakeIn | Verdict::Again => WELCOME,
        Verdict::Refuse(why) => why.as_str(),
    };
    note_answer(connection, (invitation, from), verdict)?;
    if is_news { one(connection, invitation, at) } else { Ok(None) }
}

fn note_answer(
    connection: &Connection,
    (invitation, peer): (&InvitationId, PeerId),
    verdict: &str,
) -> Result<(), Error> {
    let sql = "INSERT OR REPLACE INTO invitation_answers (invitation, peer, verdict, operation)
               SELECT ?1, ?2, ?3, ?4 WHERE (SELECT count(*) FROM invitation_answers) < ?5 OR ?3 = 'welcome'";
    let operation = OperationId::generate();
    let key = params![invitation.as_bytes(), id(peer), verdict, operation.as_bytes(), INVITE_ANSWERS_MAX];
    execute(connection, sql, key)?;
    Ok(())
}
