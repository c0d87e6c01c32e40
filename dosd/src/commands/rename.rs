//! `dosd rename`: gives a peer another name.

use dos_protocol::admin::{FromDosd, ToDosd};
use serde_json::json;

use super::{Failure, PATIENCE, Screen, ask, named, output::or_null, unexpected};
use crate::cli::Rename;

pub(super) fn run(options: Rename, screen: &mut Screen) -> Result<(), Failure> {
    let reason = options.reason.map(Into::into);
    let request = ToDosd::Rename { peer: options.peer, name: options.name, reason };
    match ask(options.ask.place, &request, Some(PATIENCE))? {
        FromDosd::Renamed { peer, old, new } => {
            let object =
                json!({ "id": peer.to_string(), "old": or_null(old.as_ref()), "name": new.to_string() });
            screen.show(object, &format!("{} is {new} now", named(peer, old.as_ref())))
        }
        _ => Err(unexpected()),
    }
}
