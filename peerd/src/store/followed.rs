//! What contacts show and what they are called, as the directory says it of those that this peer follows.
//!
//! What always holds: only what contacts do is told; an image is told as new once, also across sessions; where a peer has another name,
//! every grant and every request that is kept has it from then on.

use std::collections::HashMap;

use dos_protocol::{
    ImageNo, ImagePath, PeerId, PeerName, Timestamp,
    control::{EventKind, ImageChange, ImageChanged},
    directory::{Followed, PeerChange, PeerNews, Request},
    limits::FOLLOWED_MAX,
    model::Grant,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    Error, Store, contacted, execute, grants, id, news, peer_of, requests,
    stored::{self, peer_name},
};
use crate::rules::strangers::Strangers;

/// What happened, and when.
pub(crate) type Happened = Vec<(Timestamp, EventKind)>;

impl Store {
    /// Whom this peer follows: its contacts that it has not blocked, the latest ones; and up to which number it has seen their images.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn followed(&self) -> Result<(Vec<PeerId>, Option<ImageNo>), Error> {
        self.read(|connection| {
            let sql = "SELECT peer FROM contacted WHERE peer NOT IN (SELECT peer FROM blocks)
                         AND peer IS NOT (SELECT peer FROM self)
                       ORDER BY since DESC, peer LIMIT ?1";
            let mut statement = connection.prepare_cached(sql)?;
            let most = i64::try_from(FOLLOWED_MAX).unwrap_or(i64::MAX);
            let peers = statement.query_map([most], |row| row.get::<_, i64>(0))?;
            let peers = peers.map(|number| peer_of(number?)).collect::<Result<_, Error>>()?;
            Ok((peers, seen(connection)?))
        })
        .await
    }

    /// Takes over what the directory says of those that are followed, and tells what is new of it.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn take_followed(&self, followed: Followed, now: Timestamp) -> Result<Happened, Error> {
        self.write_counting(move |connection| {
            let mut told = Vec::new();
            for peer in &followed.peers {
                if !is_contact(connection, peer.id)? {
                    continue;
                }
                // At the first look at a peer everything of it would be new.
                let is_first = seen(connection)?.is_none() || !is_known(connection, peer.id)?;
                told.extend(named(connection, peer.id, peer.name.as_ref())?.map(|what| (now, what)));
                let images = peer.images.iter().filter(|_| !is_first);
                let good =
                    images.filter(|image| !image.signature.is_some_and(|signature| signature.is_bad()));
                told.extend(good.map(|image| {
                    let path = ImagePath { owner: peer.id, name: image.name.clone() };
                    let image = ImageChange {
                        path,
                        owner_name: peer.name.clone(),
                        change: ImageChanged::Added,
                        was: None,
                    };
                    (now, EventKind::Image(Box::new(image)))
                }));
            }
            let sql = "UPDATE self SET images_seen = max(coalesce(images_seen, 0), ?1)";
            execute(connection, sql, [followed.upto.0.cast_signed()])?;
            note(connection, &told)?;
            Ok(told)
        })
        .await
    }

    /// Takes over what a followed peer has just done. Tells what of it is new, and whether the directory is to be asked for images.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn take_peer_news(&self, pushed: PeerNews) -> Result<(Happened, bool), Error> {
        self.write_counting(move |connection| {
            let PeerNews { peer, at, what } = pushed;
            if !is_contact(connection, peer)? {
                return Ok((Vec::new(), false));
            }
            if let PeerChange::Added { image, .. } = &what
                && seen(connection)?.is_none_or(|seen| *image > seen)
            {
                return Ok((Vec::new(), true));
            }
            let told: Happened = event(connection, peer, what)?.into_iter().map(|what| (at, what)).collect();
            note(connection, &told)?;
            Ok((told, false))
        })
        .await
    }
}

impl Store {
    /// What the directory has called these peers last, as far as that is kept.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn names_of(&self, peers: Vec<PeerId>) -> Result<HashMap<PeerId, PeerName>, Error> {
        self.read(move |connection| {
            let named = |peer| Ok(known(connection, peer)?.map(|name| (peer, name)));
            peers.into_iter().filter_map(|peer| named(peer).transpose()).collect()
        })
        .await
    }

    /// Whom the directory has called so last.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn named_last(&self, name: PeerName) -> Result<Option<PeerId>, Error> {
        self.read(move |connection| {
            let found: Option<i64> = connection
                .prepare_cached("SELECT peer FROM peer_names WHERE name = ?1 ORDER BY peer LIMIT 1")?
                .query_row([name.as_str()], |row| row.get(0))
                .optional()?;
            found.map(peer_of).transpose()
        })
        .await
    }
}

fn event(connection: &Connection, peer: PeerId, what: PeerChange) -> Result<Option<EventKind>, Error> {
    let (name, change, was) = match what {
        PeerChange::Added { name, .. } => (name, ImageChanged::Added, None),
        PeerChange::Replaced { name, .. } => (name, ImageChanged::Replaced, None),
        PeerChange::Renamed { name, was, .. } => (name, ImageChanged::Renamed, Some(was)),
        PeerChange::Removed { name, .. } => (name, ImageChanged::Removed, None),
        PeerChange::Named(name) => return named(connection, peer, Some(&name)),
        PeerChange::Left => {
            let name = known(connection, peer)?;
            execute(connection, "DELETE FROM peer_names WHERE peer = ?1", [id(peer)])?;
            return Ok(Some(EventKind::Left { id: peer, name }));
        }
    };
    let path = ImagePath { owner: peer, name };
    let image = ImageChange { path, owner_name: known(connection, peer)?, change, was };
    Ok(Some(EventKind::Image(Box::new(image))))
}

fn is_contact(connection: &Connection, peer: PeerId) -> Result<bool, Error> {
    let standing = contacted::standing(connection, peer)?;
    Ok(standing.is_contact && !standing.is_blocked)
}

/// Keeps what is news of it.
fn note(connection: &Connection, told: &Happened) -> Result<(), Error> {
    let Some(me) = super::own(connection)?.peer else { return Ok(()) };
    told.iter().try_for_each(|(at, what)| news::note(connection, (me, Strangers::Offer), (*at, what)))
}

fn seen(connection: &Connection) -> Result<Option<ImageNo>, Error> {
    let seen: Option<i64> =
        connection.prepare_cached("SELECT images_seen FROM self")?.query_row([], |row| row.get(0))?;
    Ok(seen.map(|seen| ImageNo(seen.cast_unsigned())))
}

/// What the directory has called a peer last.
fn known(connection: &Connection, peer: PeerId) -> Result<Option<PeerName>, Error> {
    let name: Option<Option<String>> = connection
        .prepare_cached("SELECT name FROM peer_names WHERE peer = ?1")?
        .query_row([id(peer)], |row| row.get(0))
        .optional()?;
    peer_name(name.flatten())
}

/// What the owner of an image is called, as far as it is known.
pub(super) fn name_of(
    connection: &Connection,
    owner: PeerId,
    image: ImageNo,
) -> Result<Option<PeerName>, Error> {
    if let Some(name) = known(connection, owner)? {
        return Ok(Some(name));
    }
    let sql = "SELECT body FROM grants WHERE image = ?1 AND owner = ?2 LIMIT 1";
    let grant = stored::one::<Grant>(connection, sql, params![image.0.cast_signed(), id(owner)])?;
    if let Some(name) = grant.and_then(|grant| grant.owner_name) {
        return Ok(Some(name));
    }
    let sql = "SELECT body FROM asks WHERE image = ?1 AND incoming = 0 LIMIT 1";
    let asked = stored::one::<Request>(connection, sql, [image.0.cast_signed()])?;
    Ok(asked.filter(|asked| asked.path.owner == owner).and_then(|asked| asked.owner_name))
}

/// Whether this peer has looked at what that one shows.
fn is_known(connection: &Connection, peer: PeerId) -> Result<bool, Error> {
    let sql = "SELECT EXISTS (SELECT 1 FROM peer_names WHERE peer = ?1)";
    Ok(connection.prepare_cached(sql)?.query_row([id(peer)], |row| row.get(0))?)
}

/// A peer is called so: what is kept of it says so from now on. The event, if it had another name before.
fn named(connection: &Connection, peer: PeerId, name: Option<&PeerName>) -> Result<Option<EventKind>, Error> {
    let was = known(connection, peer)?;
    let sql = "INSERT INTO peer_names (peer, name) VALUES (?1, ?2)
               ON CONFLICT (peer) DO UPDATE SET name = excluded.name WHERE excluded.name IS NOT NULL";
    execute(connection, sql, params![id(peer), name.map(PeerName::as_str)])?;
    let Some(name) = name.filter(|name| was.as_ref() != Some(*name)) else { return Ok(None) };
    grants::name_peer(connection, peer, name)?;
    requests::name_peer(connection, peer, name)?;
    Ok(was.map(|was| EventKind::Named { id: peer, name: name.clone(), was: Some(was) }))
}
