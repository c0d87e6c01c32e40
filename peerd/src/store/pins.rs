//! Contacts: which key of a peer is believed, and which other one was seen in its place.
//!
//! What always holds: a pinned key is replaced only by [`Store::trust`], which a person asks for; what the directory says is
//! compared with it and noted beside it.

use dos_protocol::{
    PeerId, PeerName, PublicKey, SealingKey, Timestamp,
    control::{Contact, OtherKey, Trust},
    signature::SIGNATURE_BYTES,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Error, Store, contacted, execute, id, peer_of, stored::peer_name};
use crate::rules::trust::{Judged, Pinned, judge};

/// A contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pin {
    /// As people see it.
    pub contact: Contact,
    /// The key to which messages to it are sealed; an older peer has none.
    pub sealing: Option<SealingKey>,
}

impl Pin {
    /// For the rules.
    pub(crate) fn pinned(&self) -> Pinned {
        Pinned { key: self.contact.key, signs: self.sealing.is_some() }
    }
}

/// What somebody says of a peer's key.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// The peer.
    pub peer: PeerId,
    /// Its key.
    pub key: PublicKey,
    /// Its sealing key, which `key` has signed.
    pub sealing: Option<SealingKey>,
    /// Its name.
    pub name: Option<PeerName>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Compared {
    /// The key is the pinned one, maybe since now.
    Known(Box<Pin>),
    /// Another one is pinned; `news` tells whether this one was not seen before.
    Changed {
        /// The contact.
        contact: Box<Contact>,
        /// Whether this is new.
        news: bool,
    },
}

impl Store {
    /// What is known of a peer's key.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn pin(&self, peer: PeerId) -> Result<Option<Pin>, Error> {
        self.read(move |connection| find(connection, peer)).await
    }

    /// The contacts among these peers.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn pins_of(&self, peers: Vec<PeerId>) -> Result<Vec<Pin>, Error> {
        self.read(move |connection| {
            peers.into_iter().filter_map(|peer| find(connection, peer).transpose()).collect()
        })
        .await
    }

    /// The contact that holds this key.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn pin_by_key(&self, key: PublicKey) -> Result<Option<Pin>, Error> {
        self.read(move |connection| one(connection, "key = ?1", params![key.as_bytes()])).await
    }

    /// The contact that came to be known under this name; the one that was verified or pinned first, if there are several.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn pin_by_name(&self, name: PeerName) -> Result<Option<Pin>, Error> {
        self.read(move |connection| {
            one(connection, "name = ?1 ORDER BY verified DESC, since, peer", params![name.as_str()])
        })
        .await
    }

    /// A page of contacts in the order of their IDs.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn pins(&self, after: Option<PeerId>, limit: u32) -> Result<Vec<Contact>, Error> {
        self.read(move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM pins WHERE peer > ?1 ORDER BY peer LIMIT ?2");
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query(params![after.map_or(-1, id), limit])?;
            let mut contacts = Vec::new();
            while let Some(row) = rows.next()? {
                contacts.push(of_row(row)?.contact);
            }
            Ok(contacts)
        })
        .await
    }

    /// Of how many contacts another key was seen.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn key_changes(&self) -> Result<u64, Error> {
        self.read(|connection| {
            let sql = "SELECT count(*) FROM pins WHERE other_key IS NOT NULL";
            let count: i64 = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
            Ok(count.cast_unsigned())
        })
        .await
    }

    /// Compares a key with the pinned one; the first one is pinned.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn compare(&self, told: Told) -> Result<Compared, Error> {
        let known = self.pin(told.peer).await?;
        if let Some(pin) = known
            && judge(Some(&pin.contact.key), &told.key) == Judged::Same
            && (told.sealing.is_none() || pin.sealing == told.sealing)
        {
            // Nothing to write: the common case.
            return Ok(Compared::Known(Box::new(pin)));
        }
        self.write(move |connection| compare(connection, &told)).await
    }

    /// Notes that the name of a contact leads to another peer now. Returns the contact, and whether that is new.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn note_other(
        &self,
        peer: PeerId,
        other: OtherKey,
    ) -> Result<Option<(Contact, bool)>, Error> {
        self.write(move |connection| {
            let Some(pin) = find(connection, peer)? else { return Ok(None) };
            let news = set_other(connection, &pin, other)?;
            Ok(find(connection, peer)?.map(|pin| (pin.contact, news)))
        })
        .await
    }

    /// Pins a key that a person has verified. Returns the contact, and whether another key was pinned before.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn trust(&self, told: Told) -> Result<(Contact, bool), Error> {
        self.write_counting(move |connection| {
            let known = find(connection, told.peer)?;
            let replaced = known.as_ref().is_some_and(|pin| pin.contact.key != told.key);
            if let Some(name) = &told.name {
                // The name is this peer's now, whoever had it.
                let sql = "UPDATE pins SET name = NULL, other_peer = NULL, other_key = NULL, other_at = NULL
                           WHERE name = ?1 AND peer <> ?2";
                execute(connection, sql, params![name.as_str(), id(told.peer)])?;
            }
            let sealing = match &known {
                Some(pin) if !replaced => told.sealing.or(pin.sealing),
                _ => told.sealing,
            };
            let name = told.name.or_else(|| known.and_then(|pin| pin.contact.name));
            contacted::note(connection, told.peer)?;
            save(connection, &Told { sealing, name, ..told }, Trust::Verified)?;
            let contact = find(connection, told.peer)?.ok_or(Error::Damaged("contact"))?.contact;
            Ok((contact, replaced))
        })
        .await
    }

    /// Forgets that another key of a contact was seen. Returns the contact, if there is one.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn keep_key(&self, peer: PeerId) -> Result<Option<Contact>, Error> {
        self.write(move |connection| {
            let sql = "UPDATE pins SET other_peer = NULL, other_key = NULL, other_at = NULL WHERE peer = ?1";
            execute(connection, sql, [id(peer)])?;
            Ok(find(connection, peer)?.map(|pin| pin.contact))
        })
        .await
    }

    /// Peers with which there is a relation and of which no key is pinned: those of grants, requests and messages; at most
    /// `limit`, above `after`.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn unpinned(&self, after: Option<PeerId>, limit: u32) -> Result<Vec<PeerId>, Error> {
        self.read(move |connection| {
            let sql = "SELECT peer FROM (
                           SELECT viewer AS peer FROM grants UNION SELECT owner FROM grants
                           UNION SELECT other FROM asks
                           UNION SELECT other FROM messages WHERE broadcast = 0 AND other IS NOT NULL)
                       WHERE peer > ?1 AND peer <> 0 AND peer NOT IN (SELECT peer FROM pins)
                         AND peer IS NOT (SELECT peer FROM self)
                       ORDER BY peer LIMIT ?2";
            let mut statement = connection.prepare_cached(sql)?;
            let rows =
                statement.query_map(params![after.map_or(0, id), limit], |row| row.get::<_, i64>(0))?;
            rows.map(|number| peer_of(number?)).collect()
        })
        .await
    }
}

/// Compares a key with the pinned one; the first one is pinned.
pub(super) fn compare(connection: &Connection, told: &Told) -> Result<Compared, Error> {
    let known = find(connection, told.peer)?;
    match (judge(known.as_ref().map(|pin| &pin.contact.key), &told.key), known) {
        (Judged::Changed, Some(pin)) => {
            let other = OtherKey { peer: told.peer, key: told.key, at: Timestamp::now() };
            let news = set_other(connection, &pin, other)?;
            let contact = find(connection, told.peer)?.ok_or(Error::Damaged("contact"))?.contact;
            return Ok(Compared::Changed { contact: Box::new(contact), news });
        }
        (Judged::Same, Some(pin)) => {
            if let Some(sealing) = told.sealing.filter(|sealing| pin.sealing != Some(*sealing)) {
                let sql = "UPDATE pins SET sealing = ?2 WHERE peer = ?1";
                execute(connection, sql, params![id(told.peer), sealing_bytes(&sealing)])?;
            }
        }
        _ => save(connection, told, Trust::FirstUse)?,
    }
    find(connection, told.peer)?.map(|pin| Compared::Known(Box::new(pin))).ok_or(Error::Damaged("contact"))
}

pub(super) fn find(connection: &Connection, peer: PeerId) -> Result<Option<Pin>, Error> {
    one(connection, "peer = ?1", params![id(peer)])
}

/// Notes another key. Returns whether it was not noted yet.
fn set_other(connection: &Connection, pin: &Pin, other: OtherKey) -> Result<bool, Error> {
    let noted = pin.contact.other.is_some_and(|noted| noted.key == other.key && noted.peer == other.peer);
    if noted {
        return Ok(false);
    }
    execute(
        connection,
        "UPDATE pins SET other_peer = ?2, other_key = ?3, other_at = ?4 WHERE peer = ?1",
        params![id(pin.contact.id), id(other.peer), other.key.as_bytes(), other.at.0],
    )?;
    Ok(true)
}

fn save(connection: &Connection, told: &Told, trust: Trust) -> Result<(), Error> {
    execute(
        connection,
        "INSERT OR REPLACE INTO pins (peer, key, sealing, name, verified, since)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            id(told.peer),
            told.key.as_bytes(),
            told.sealing.as_ref().map(sealing_bytes),
            told.name.as_ref().map(PeerName::as_str),
            trust == Trust::Verified,
            Timestamp::now().0,
        ],
    )?;
    Ok(())
}

const COLUMNS: &str = "peer, key, sealing, name, verified, since, other_peer, other_key, other_at,
                       NOT EXISTS (SELECT 1 FROM contacted WHERE contacted.peer = pins.peer)";

fn one(connection: &Connection, which: &str, params: impl rusqlite::Params) -> Result<Option<Pin>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM pins WHERE {which} LIMIT 1");
    connection.prepare_cached(&sql)?.query_row(params, |row| Ok(of_row(row))).optional()?.transpose()
}

/// Pins a key that was verified, of a peer that is a contact from now on, in place of no other one. It takes its name from nobody.
pub(super) fn befriend(connection: &Connection, told: Told) -> Result<(), Error> {
    let known = find(connection, told.peer)?;
    let (sealing, name) = match &known {
        Some(pin) => (pin.sealing, pin.contact.name.clone()),
        None => (None, None),
    };
    let name = match (name, told.name) {
        (Some(name), _) => Some(name),
        (None, Some(name)) => {
            let sql = "SELECT EXISTS (SELECT 1 FROM pins WHERE name = ?1 AND peer <> ?2)";
            let key = params![name.as_str(), id(told.peer)];
            let is_taken: bool = connection.prepare_cached(sql)?.query_row(key, |row| row.get(0))?;
            (!is_taken).then_some(name)
        }
        (None, None) => None,
    };
    contacted::note(connection, told.peer)?;
    save(connection, &Told { sealing: told.sealing.or(sealing), name, ..told }, Trust::Verified)
}

/// A key as it is stored.
pub(super) fn key_of(bytes: Vec<u8>) -> Result<PublicKey, Error> {
    <[u8; 32]>::try_from(bytes).map(PublicKey::from).map_err(|_| Error::Damaged("key of a contact"))
}

/// A row of [`COLUMNS`].
fn of_row(row: &Row<'_>) -> Result<Pin, Error> {
    let other = match (row.get::<_, Option<i64>>(6)?, row.get::<_, Option<Vec<u8>>>(7)?) {
        (Some(peer), Some(bytes)) => {
            let at = Timestamp(row.get::<_, Option<i64>>(8)?.unwrap_or(0));
            Some(OtherKey { peer: peer_of(peer)?, key: key_of(bytes)?, at })
        }
        _ => None,
    };
    let contact = Contact {
        id: peer_of(row.get(0)?)?,
        key: key_of(row.get(1)?)?,
        name: peer_name(row.get(3)?)?,
        trust: Some(if row.get(4)? { Trust::Verified } else { Trust::FirstUse }),
        since: Timestamp(row.get(5)?),
        other,
        stranger: row.get(9)?,
    };
    Ok(Pin {
        contact,
        sealing: row.get::<_, Option<Vec<u8>>>(2)?.map(|bytes| sealing_of(&bytes)).transpose()?,
    })
}

pub(super) fn sealing_bytes(sealing: &SealingKey) -> Vec<u8> {
    [sealing.key.as_slice(), sealing.signature.as_bytes().as_slice()].concat()
}

pub(super) fn sealing_of(bytes: &[u8]) -> Result<SealingKey, Error> {
    let damaged = || Error::Damaged("sealing key of a contact");
    let (key, signature) = bytes.split_first_chunk::<32>().ok_or_else(damaged)?;
    let signature = <[u8; SIGNATURE_BYTES]>::try_from(signature).map_err(|_| damaged())?;
    Ok(SealingKey { key: *key, signature: signature.into() })
}
