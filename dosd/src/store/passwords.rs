//! Passwords as they are kept, and the change of key for which they are. What a password is worth is not known here: it is
//! hashed and verified outside, and what was verified is compared again in the transaction that relies on it.

use dos_protocol::{PeerId, PeerName, PublicKey};
use rusqlite::{OptionalExtension, params};

use super::{
    Refusal, Store,
    peers::{Known, by_id, by_key},
    row,
};

/// What a password login starts from.
#[derive(Debug)]
pub struct Login {
    /// Whose name it is.
    pub peer: PeerId,
    /// Its password, hashed, as a PHC string.
    pub hash: String,
}

/// An ID is taken back by its name.
pub(crate) const NAMELESS: &str = "a password is of use only with a name, and this peer has none";

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
    /// `invalid` if the peer has no name, by which its ID would be taken back.
    pub async fn set_password(&self, peer: PeerId, hash: Option<String>) -> Result<(), Refusal> {
        self.change(move |connection| {
            let sql = "UPDATE peers SET password = ?2 WHERE id = ?1 AND (name IS NOT NULL OR ?2 IS NULL)";
            if connection.prepare_cached(sql)?.execute(params![row::peer_number(peer), hash])? == 0 {
                return Err(Refusal::invalid(NAMELESS));
            }
            Ok(().into())
        })
        .await
    }

    /// Binds `key` to the peer in place of its old one, if its password is still the one that was verified; `None` if it
    /// is not.
    ///
    /// # Errors
    /// `conflict` if the key is another peer's.
    pub async fn replace_key(&self, verified: Login, key: PublicKey) -> Result<Option<Known>, Refusal> {
        self.change(move |connection| {
            if let Some(known) = by_key(connection, &key)?.filter(|known| known.id != verified.peer) {
                return Err(Refusal::conflict(format!("this key is registered already, as {}", known.id)));
            }
            let sql = "UPDATE peers SET key = ?2 WHERE id = ?1 AND password = ?3";
            let values =
                params![row::peer_number(verified.peer), key.as_bytes().as_slice(), verified.hash.as_str()];
            let replaced = connection.prepare_cached(sql)?.execute(values)? == 1;
            Ok(if replaced { by_id(connection, verified.peer)? } else { None }.into())
        })
        .await
    }
}
