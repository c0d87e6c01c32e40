//! What the operator looks up and does: one peer, bans, other names, images that are taken down, and the record of it all.
//!
//! What always holds: what was done and its line in the record are one transaction.

use dos_protocol::{
    ImageName, PeerId, PeerName, PublicKey, Timestamp,
    admin::{self, AuditEntry, Shown},
    directory::PeerChange,
    limits::PAGE_MAX,
    model::PeerRef,
};
use dos_sql::{self as sql, Connection, Optional as _, Row, params};

use super::{Changed, Forgotten, Refusal, Store, grants, images, inbox, peers, prune, row};
use crate::rules::{
    operator::{self, Ban},
    publish::no_image,
    refusal::no_peer,
    visibility,
};

/// Lines of the record that are kept: years of an operator's work.
const AUDIT_MAX: u64 = 100_000;

/// A command of an operator, for the record.
#[derive(Debug, Clone)]
pub struct Acted {
    /// The system's user who gave it.
    pub user: u32,
    /// When.
    pub at: Timestamp,
    /// The command.
    pub command: &'static str,
    /// Why.
    pub reason: Option<Box<str>>,
}

/// What was taken down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenDown {
    /// Its owner.
    pub owner: PeerId,
    /// Its name, as it was stored.
    pub name: ImageName,
    /// Grants that were not revoked.
    pub grants: u64,
}

fn read_ban(row: Row<'_>) -> sql::Result<Ban> {
    Ok(Ban {
        key: row::bytes::<32>(row, 0)?.into(),
        peer: row::peer(row, 1)?,
        name: row::peer_name(row, 2)?,
        at: row::time(row, 3)?,
        reason: row::text(row, 4)?,
    })
}

/// The ban of a key, if there is one.
pub(super) fn ban(connection: &Connection, key: &PublicKey) -> sql::Result<Option<Ban>> {
    let sql = "SELECT key, peer, name, at, reason FROM bans WHERE key = ?1";
    connection.prepare(sql)?.query_row([key.as_bytes().as_slice()], read_ban).optional()
}

/// Writes down what was done.
fn note(connection: &Connection, acted: &Acted, about: &str) -> sql::Result<()> {
    let sql =
        "INSERT INTO audit(at, \"user\", command, about, reason) VALUES(?1, ?2, ?3, ?4, ?5) RETURNING no";
    let values = params![acted.at.0, acted.user, acted.command, about, acted.reason.as_deref()];
    let no = connection.prepare(sql)?.query_row(values, |row| row::unsigned(row, 0))?;
    let oldest = row::number(no.saturating_sub(AUDIT_MAX));
    connection.prepare("DELETE FROM audit WHERE no <= ?1")?.execute([oldest]).map(drop)
}

fn named(id: PeerId, name: Option<&PeerName>) -> String {
    name.map_or_else(|| id.to_string(), |name| format!("{name} ({id})"))
}

impl Store {
    /// Everything that is kept of a peer; not online, as far as is known here.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn show(&self, peer: PeerId) -> Result<Shown, Refusal> {
        self.read(move |connection| {
            let sql = format!(
                "SELECT {}, key, EXISTS(SELECT 1 FROM passwords WHERE peer = peers.id), images, preview_bytes, row_bytes,
                     (SELECT count(*) FROM grants WHERE owner = peers.id AND share IS NOT NULL),
                     (SELECT count(*) FROM grants WHERE viewer = peers.id AND share IS NOT NULL),
                     (SELECT count(*) FROM requests WHERE owner = peers.id AND state = 0)
                         + (SELECT count(*) FROM requests WHERE viewer = peers.id AND state = 0),
                     coalesce((SELECT bytes FROM inbox_heads WHERE peer = peers.id), 0), sent_bytes
                 FROM peers WHERE id = ?1",
                peers::REGISTERED
            );
            let shown = |row: Row<'_>| {
                Ok(Shown {
                    peer: peers::registered(row)?,
                    key: row::bytes::<32>(row, 6)?.into(),
                    password: row.get(7)?,
                    images: row::unsigned(row, 8)?,
                    preview_bytes: row::unsigned(row, 9)?,
                    row_bytes: row::unsigned(row, 10)?,
                    grants_given: row::unsigned(row, 11)?,
                    grants_received: row::unsigned(row, 12)?,
                    requests: row::unsigned(row, 13)?,
                    inbox_bytes: row::unsigned(row, 14)?,
                    sent_bytes: row::unsigned(row, 15)?,
                    addresses: Vec::new(),
                })
            };
            let found = connection.prepare(&sql)?.query_row([row::peer_number(peer)], shown).optional()?;
            Ok(found.ok_or_else(|| no_peer(&PeerRef::Id(peer)))?)
        })
        .await
    }

    /// Writes down what an operator has done elsewhere.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn note(&self, acted: Acted, about: String) -> Result<(), Refusal> {
        self.change(move |connection| Ok(note(connection, &acted, &about)?.into())).await
    }

    /// What operators have done before the entry `before`, the newest first, at most `limit`.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn audit(&self, before: Option<u64>, limit: u32) -> Result<Vec<AuditEntry>, Refusal> {
        self.read(move |connection| {
            let sql = "SELECT no, at, \"user\", command, about, reason FROM audit WHERE no < ?1 ORDER BY no DESC LIMIT ?2";
            let key = params![before.map_or(i64::MAX, row::number), limit.min(PAGE_MAX)];
            let entry = |row: Row<'_>| {
                Ok(AuditEntry {
                    no: row::unsigned(row, 0)?,
                    at: row::time(row, 1)?,
                    user: row::small(row, 2)?,
                    command: row.get(3)?,
                    about: row.get(4)?,
                    reason: row::text(row, 5)?,
                })
            };
            Ok(connection.prepare(sql)?.query_map(key, entry)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Forgets a peer for good, as [`Store::forget_peer`] does; `is_banned` says that its key may not register again.
    ///
    /// # Errors
    /// `not_found` if it is gone already.
    pub async fn remove_peer(
        &self,
        peer: PeerId,
        is_banned: bool,
        acted: Acted,
    ) -> Result<Forgotten, Refusal> {
        self.change(move |connection| {
            let known = peers::by_id(connection, peer)?.ok_or_else(|| no_peer(&PeerRef::Id(peer)))?;
            let (forgotten, rows) = prune::forget_known(connection, peer, acted.at)?;
            if is_banned {
                let Ban { peer, name, key, at, reason } = Ban::of(&known, acted.reason.clone(), acted.at);
                let sql = "INSERT INTO bans(key, peer, name, at, reason) VALUES(?1, ?2, ?3, ?4, ?5)
                           ON CONFLICT(key) DO UPDATE SET peer = excluded.peer, name = excluded.name,
                               at = excluded.at, reason = excluded.reason";
                let (key, name) = (key.as_bytes().as_slice(), name.as_ref().map(PeerName::as_str));
                let values = params![key, row::peer_number(peer), name, at.0, reason.as_deref()];
                connection.prepare(sql)?.execute(values)?;
            }
            note(connection, &acted, &named(known.id, known.name.as_ref()))?;
            Ok(Changed::owing(forgotten, rows).telling(peer, Some(PeerChange::Left), acted.at))
        })
        .await
    }

    /// The bans of peers behind this one, in the order of the IDs that they had, a page of them.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn bans(&self, after: Option<PeerId>) -> Result<Vec<admin::Ban>, Refusal> {
        self.read(move |connection| {
            let sql = "SELECT key, peer, name, at, reason FROM bans WHERE peer > ?1 ORDER BY peer LIMIT ?2";
            let key = params![after.map_or(-1, row::peer_number), PAGE_MAX];
            let ban = |row: Row<'_>| read_ban(row).map(admin::Ban::from);
            Ok(connection.prepare(sql)?.query_map(key, ban)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Lets the key register again that had this ID, or that had this name last.
    ///
    /// # Errors
    /// `not_found` if none is banned.
    pub async fn unban(&self, peer: PeerRef, acted: Acted) -> Result<admin::Ban, Refusal> {
        self.change(move |connection| {
            let sql = "SELECT key, peer, name, at, reason FROM bans";
            let found = match &peer {
                PeerRef::Id(id) => connection
                    .prepare(&format!("{sql} WHERE peer = ?1"))?
                    .query_row([row::peer_number(*id)], read_ban),
                PeerRef::Name(name) => connection
                    .prepare(&format!("{sql} WHERE name = ?1 ORDER BY at DESC LIMIT 1"))?
                    .query_row([name.as_str()], read_ban),
                PeerRef::Address(_) => Err(sql::Error::NoRow),
            };
            let ban = found.optional()?.ok_or_else(|| operator::not_banned(&peer))?;
            connection
                .prepare("DELETE FROM bans WHERE key = ?1")?
                .execute([ban.key.as_bytes().as_slice()])?;
            note(connection, &acted, &named(ban.peer, ban.name.as_ref()))?;
            Ok(admin::Ban::from(ban).into())
        })
        .await
    }

    /// Gives a peer another name; answers the one that it had.
    ///
    /// # Errors
    /// `not_found`; `conflict` if the name is taken; `invalid` if it must not be given anew.
    pub async fn rename_peer(
        &self,
        peer: PeerId,
        name: PeerName,
        acted: Acted,
    ) -> Result<Option<PeerName>, Refusal> {
        self.change(move |connection| {
            let known = peers::by_id(connection, peer)?.ok_or_else(|| no_peer(&PeerRef::Id(peer)))?;
            let holder = peers::by_name(connection, &name)?.map(|holder| holder.id);
            let owed = operator::rename(&known, (&name, holder), acted.reason.as_deref())?;
            let Some(owe) = owed else { return Ok(known.name.into()) };
            peers::rename(connection, peer, &name)?;
            note(connection, &acted, &format!("{} to {name}", named(peer, known.name.as_ref())))?;
            let rows = inbox::owe(connection, vec![owe], acted.at)?;
            Ok(Changed::owing(known.name, rows).telling(peer, Some(PeerChange::Named(name)), acted.at))
        })
        .await
    }

    /// Removes an image with every grant for it, and tells its owner.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn take_down(
        &self,
        owner: PeerId,
        name: ImageName,
        acted: Acted,
    ) -> Result<TakenDown, Refusal> {
        self.change(move |connection| {
            let image = images::by_name(connection, owner, &name)?.ok_or_else(|| no_image(owner, &name))?;
            let standing = grants::of_image(connection, image.no)?;
            let live = standing.iter().filter(|(_, grant)| grant.share.is_some()).count();
            let mut rows = images::remove(connection, &image, acted.at)?;
            let told = operator::taken_down(owner, &image.name, acted.reason.as_deref());
            rows.extend(inbox::owe(connection, vec![told], acted.at)?);
            note(connection, &acted, &format!("{owner}/{}", image.name))?;
            let grants = u64::try_from(live).unwrap_or(u64::MAX);
            let told = visibility::change(Some(&image), None);
            Ok(Changed::owing(TakenDown { owner, name: image.name, grants }, rows)
                .telling(owner, told, acted.at))
        })
        .await
    }
}
