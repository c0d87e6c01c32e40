//! Greetings: taken once per operation ID, and put into the recipient's inbox.

use dos_protocol::{directory::Greet, model::PeerRef};

use super::{Change, Changed, Refusal, Store, blocks, inbox, peers};
use crate::rules::greetings::{self, Greeter};

impl Store {
    /// Takes a greeting into its recipient's inbox.
    ///
    /// # Errors
    /// `not_found`; `invalid` to oneself; `denied` across a block, and with too much that waits for the recipient.
    pub async fn greet(&self, change: Change, greet: Greet) -> Result<(), Refusal> {
        let room = self.room();
        self.change_once(change, move |connection| {
            room.admit(connection)?;
            let to = peers::find(connection, &PeerRef::Id(greet.to))?;
            let state = Greeter {
                sender: change.peer,
                between: blocks::between(connection, change.peer, to.id)?,
                waiting: inbox::waiting(connection, to.id, change.peer)?,
                quotas: room.quotas,
                to,
            };
            let row = inbox::owe_one(connection, greetings::greet(&state, greet)?, change.now)?;
            Ok(Changed::owing((), vec![row]))
        })
        .await
    }
}
