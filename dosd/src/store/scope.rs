//! What each operation decides on: the peers whose seats it locks.
//!
//! A peer's seat (its row in `inbox_heads`) stands for everything that hangs on the peer: its inbox and where its session is, its messages'
//! numbers, its images with their grants, views and requests, what it has done. On database servers operations whose peers differ run
//! beside each other; what is not named here decides on everything and runs alone. A scope is looked up before the operation begins, from
//! what does not change, and is no more than a hint: inside, whoever raises the head of an inbox or saves a grant claims the seat of the peer
//! ([`claim`]), and an operation that lacks it is done anew, alone.

use std::collections::HashMap;

use dos_protocol::{ImageNo, MessageId, PeerId, Seq, model::PeerRef};
use dos_sql::{self as sql, Connection, Optional as _, Scope, params};
use parking_lot::Mutex;

use super::{Place, Refusal, Store, peers, row};

/// The seats of peers.
pub(super) const SEATS_OF: &str = "SELECT peer FROM inbox_heads WHERE peer";

/// Owners that are remembered: some 2 MB.
const OWNERS_MAX: usize = 65_536;

const OWNER: &str = "SELECT owner FROM images WHERE no = ?1";

const CONCERNED: &str = "SELECT owner, viewer FROM requests WHERE request = ?1";

const RECIPIENT: &str = "SELECT recipient FROM messages WHERE sender = ?1 AND message = ?2";

/// The peers that have caused rows of an inbox, up to one: those whom it is owed that the rows are stored. Of more
/// than 64 the others are found to be needed, if they are: to lock so many seats for each acknowledgement would hold up as many peers.
const SENDERS: &str =
    "SELECT DISTINCT sender FROM inbox WHERE peer = ?1 AND seq <= ?2 AND sender IS NOT NULL LIMIT 64";

/// Whose images are, as far as that was asked for: an image never has another owner, and its number is not given again.
#[derive(Debug, Default)]
pub(super) struct Owners(Mutex<HashMap<ImageNo, PeerId>>);

/// Claims what hangs on a peer.
pub(super) fn claim(connection: &Connection, peer: PeerId) -> sql::Result<()> {
    connection.need(row::peer_number(peer))
}

/// What hangs on these peers, of which the first is the one that others are likely to share.
pub(super) fn of(peers: impl IntoIterator<Item = PeerId>) -> Scope {
    Scope::Keys(peers.into_iter().map(row::peer_number).collect())
}

impl Store {
    /// What hangs on the owner of an image.
    pub(super) async fn scope_of_image(&self, image: ImageNo) -> Result<Scope, Refusal> {
        if let Place::File(_) = self.place {
            return Ok(Scope::Whole);
        }
        let known = self.owners.0.lock().get(&image).copied();
        if let Some(owner) = known {
            return Ok(of([owner]));
        }
        let read = move |connection: &Connection| {
            let mut statement = connection.prepare(OWNER)?;
            Ok(statement.query_row([row::number(image.0)], |row| row::peer(row, 0)).optional()?)
        };
        let Some(owner) = self.read_brief(read).await? else { return Ok(Scope::Whole) };
        let mut owners = self.owners.0.lock();
        if owners.len() >= OWNERS_MAX {
            owners.clear();
        }
        owners.insert(image, owner);
        Ok(of([owner]))
    }

    /// What hangs on a peer and another one that it names.
    pub(super) async fn scope_with(&self, peer: PeerId, other: &PeerRef) -> Result<Scope, Refusal> {
        if let Place::File(_) = self.place {
            return Ok(Scope::Whole);
        }
        if let PeerRef::Id(other) = other {
            return Ok(of([*other, peer]));
        }
        let other = other.clone();
        let found = self.read_brief(move |connection| Ok(peers::find(connection, &other).ok())).await?;
        Ok(found.map_or(Scope::Whole, |found| of([found.id, peer])))
    }

    /// What hangs on the owner and the viewer of a request.
    pub(super) async fn scope_of_request(&self, request: u64) -> Result<Scope, Refusal> {
        if let Place::File(_) = self.place {
            return Ok(Scope::Whole);
        }
        let read = move |connection: &Connection| {
            let two = |row: sql::Row<'_>| Ok([row::peer(row, 0)?, row::peer(row, 1)?]);
            Ok(connection.prepare(CONCERNED)?.query_row([row::number(request)], two).optional()?)
        };
        Ok(self.read_brief(read).await?.map_or(Scope::Whole, of))
    }

    /// What hangs on the sender and the recipient of a message.
    pub(super) async fn scope_of_message(
        &self,
        sender: PeerId,
        message: MessageId,
    ) -> Result<Scope, Refusal> {
        if let Place::File(_) = self.place {
            return Ok(Scope::Whole);
        }
        let read = move |connection: &Connection| {
            let key = params![row::peer_number(sender), message.as_bytes().as_slice()];
            Ok(connection.prepare(RECIPIENT)?.query_row(key, |row| row::peer(row, 0)).optional()?)
        };
        let recipient = self.read_brief(read).await?;
        Ok(recipient.map_or(Scope::Whole, |recipient| of([recipient, sender])))
    }

    /// What hangs on a peer and on those who have caused the rows that it has stored.
    pub(super) async fn scope_of_stored(&self, peer: PeerId, stored: Seq) -> Result<Scope, Refusal> {
        if let Place::File(_) = self.place {
            return Ok(Scope::Whole);
        }
        let read = move |connection: &Connection| {
            let mut statement = connection.prepare(SENDERS)?;
            let key = params![row::peer_number(peer), row::number(stored.0)];
            Ok(statement.query_map(key, |row| row::peer(row, 0))?.collect::<sql::Result<Vec<_>>>()?)
        };
        let senders = self.read_brief(read).await?;
        Ok(of([peer].into_iter().chain(senders)))
    }
}
