//! `dosd password --clear`: deletes what is kept for a peer's password.

use dos_protocol::admin::{FromDosd, ToDosd};
use serde_json::json;

use super::{Failure, PATIENCE, Screen, ask, unexpected};
use crate::cli::Password;

pub(super) fn run(options: Password, screen: &mut Screen) -> Result<(), Failure> {
    match ask(options.ask.place, &ToDosd::ClearPassword(options.clear), Some(PATIENCE))? {
        FromDosd::PasswordCleared { peer, was_set } => {
            let text = if was_set { "the password is deleted" } else { "there was no password" };
            screen.show(json!({ "peer": peer, "cleared": was_set }), text)
        }
        _ => Err(unexpected()),
    }
}
