//! What is kept for passwords: a record of OPAQUE, and the peer's seed, which its daemon has sealed. Neither can be read here.
//!
//! A record begins with its version; what is sealed begins with one of the peer's. Both go together, and with them goes the
//! mark that a peer of an older version has to set its password once more.

use dos_protocol::{
    Code, PeerId, PeerName, PublicKey, WireError,
    directory::{Blob, Escrow},
};
use dos_sql::{Optional as _, params};

use super::{
    Change, Refusal, Store,
    peers::{by_id, by_name},
    row,
};
use crate::rules::names::check_password;

/// The version of records that is written: that of [`dos_protocol::opaque`] as it is.
const VERSION: u8 = 1;

/// What a password login finds under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Whose name it is.
    pub peer: PeerId,
    /// That peer's key.
    pub key: PublicKey,
    /// What is kept for its password, if it has one.
    pub escrow: Option<Escrow>,
}

impl Store {
    /// The peer of this name, and what is kept for its password.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn login(&self, name: PeerName) -> Result<Option<Login>, Refusal> {
        self.read_brief(move |connection| {
            let Some(holder) = by_name(connection, &name)? else { return Ok(None) };
            let mut statement = connection.prepare("SELECT record, sealed FROM passwords WHERE peer = ?1")?;
            let found: Option<(Vec<u8>, Vec<u8>)> = statement
                .query_row([row::peer_number(holder.id)], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let escrow = found.map(|(record, sealed)| read(record, sealed)).transpose()?;
            Ok(Some(Login { peer: holder.id, key: holder.key, escrow }))
        })
        .await
    }

    /// Keeps this for a peer's password in place of what was there; nothing, if it is to have none.
    ///
    /// # Errors
    /// `invalid` if the peer has no name, by which it would log in.
    pub async fn set_password(&self, change: Change, escrow: Option<Escrow>) -> Result<(), Refusal> {
        self.change_once(change, move |connection| {
            let peer = row::peer_number(change.peer);
            if let Some(Escrow { record, sealed }) = escrow {
                check_password(by_id(connection, change.peer)?.is_some_and(|peer| peer.name.is_some()))?;
                let record = [&[VERSION], record.as_bytes()].concat();
                connection
                    .prepare(
                        "INSERT INTO passwords(peer, record, sealed, set_at) VALUES(?1, ?2, ?3, ?4)
                         ON CONFLICT(peer) DO UPDATE
                         SET record = excluded.record, sealed = excluded.sealed, set_at = excluded.set_at",
                    )?
                    .execute(params![peer, record, sealed.as_bytes(), change.now.0])?;
            } else {
                connection.prepare("DELETE FROM passwords WHERE peer = ?1")?.execute([peer])?;
            }
            connection
                .prepare("UPDATE peers SET password_again = 0 WHERE id = ?1 AND password_again <> 0")?
                .execute([peer])?;
            Ok(().into())
        })
        .await
    }

    /// Deletes what is kept for a peer's password, and marks that the peer has to set it once more; whether there was one.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn clear_password(&self, peer: PeerId) -> Result<bool, Refusal> {
        self.change(move |connection| {
            let peer = row::peer_number(peer);
            let deleted = connection.prepare("DELETE FROM passwords WHERE peer = ?1")?.execute([peer])?;
            if deleted > 0 {
                let sql = "UPDATE peers SET password_again = 1 WHERE id = ?1";
                connection.prepare(sql)?.execute([peer])?;
            }
            Ok((deleted > 0).into())
        })
        .await
    }
}

fn read(record: Vec<u8>, sealed: Vec<u8>) -> Result<Escrow, Refusal> {
    let damaged = || WireError::new(Code::Internal, "what is kept for this password cannot be read");
    let record = match record.split_first() {
        Some((&VERSION, record)) => record.to_vec(),
        _ => return Err(damaged().into()),
    };
    let blob = |bytes| Blob::try_from(bytes).map_err(|_| damaged());
    Ok(Escrow { record: blob(record)?, sealed: blob(sealed)? })
}
