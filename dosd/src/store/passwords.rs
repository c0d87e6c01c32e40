//! Passwords as they are kept, and the change of key for which they are. What a password is worth is not known here: it is
//! hashed and verified outside, and what was verified is compared again in the transaction that relies on it.

use dos_protocol::{PeerId, PeerName, PublicKey};
use rusqlite::{OptionalExtension, params};

use super::{
    Change, Refusal, Store,
    peers::{by_id, by_key},
    row,
};
use crate::rules::names::{PeerRecord, check_password, replace_key};

/// What a password login starts from.
#[derive(Debug)]
pub struct Login {
    /// Whose name it is.
    pub peer: PeerId,
    /// Its password, hashed, as a PHC string.
    pub hash: String,
}

impl Store {
    /// The peer of this name and its password; nothing if there is no such peer or it has no password.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn login(&self, name: PeerName) -> Result<Option<Login>, Refusal> {
        self.read_brief(move |connection| {
            let sql = "SELECT id, password FROM peers WHERE name = ?1 AND password IS NOT NULL";
            let mut statement = connection.prepare_cached(sql)?;
            let found = statement
                .query_row([name.as_str()], |row| Ok(Login { peer: row::peer(row, 0)?, hash: row.get(1)? }));
            Ok(found.optional()?)
        })
        .await
    }

    /// Writes down a peer's password, hashed as a PHC string, or that it has none.
    ///
    /// # Errors
    /// `invalid` if the peer has no name, by which its ID would be recovered.
    pub async fn set_password(&self, change: Change, hash: Option<String>) -> Result<(), Refusal> {
        self.change_once(change, move |connection| {
            let has_name = by_id(connection, change.peer)?.is_some_and(|peer| peer.name.is_some());
            check_password(has_name, hash.is_some())?;
            connection
                .prepare_cached("UPDATE peers SET password = ?2 WHERE id = ?1")?
                .execute(params![row::peer_number(change.peer), hash])?;
            Ok(().into())
        })
        .await
    }

    /// Binds `key` to the peer in place of its old one, if its password is still the one that was verified; `None` if it
    /// is not.
    ///
    /// # Errors
    /// `conflict` if the key is another peer's.
    pub async fn replace_key(&self, verified: Login, key: PublicKey) -> Result<Option<PeerRecord>, Refusal> {
        self.change(move |connection| {
            let holder = by_key(connection, &key)?.map(|holder| holder.id);
            let password: Option<String> = connection
                .prepare_cached("SELECT password FROM peers WHERE id = ?1")?
                .query_row([row::peer_number(verified.peer)], |row| row.get(0))
                .optional()?
                .flatten();
            let stands = password.is_some_and(|password| password == verified.hash);
            if !replace_key(verified.peer, holder, stands)? {
                return Ok(None.into());
            }
            connection
                .prepare_cached("UPDATE peers SET key = ?2 WHERE id = ?1")?
                .execute(params![row::peer_number(verified.peer), key.as_bytes().as_slice()])?;
            Ok(by_id(connection, verified.peer)?.into())
        })
        .await
    }
}
