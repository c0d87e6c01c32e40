//! `dosd kick`: ends sessions; returns when they have ended.

use dos_protocol::admin::{FromDosd, ToDosd};
use serde_json::json;

use super::{Failure, Screen, ask, count_of, unexpected, whom};
use crate::cli::Kick;

pub(super) fn run(options: Kick, screen: &mut Screen) -> Result<(), Failure> {
    let request = ToDosd::Kick { whom: whom(options.target), reason: options.reason.map(Into::into) };
    // The server gives up what does not end; many sessions take their time.
    match ask(options.ask.place, &request, None)? {
        FromDosd::Kicked(count) => {
            screen.show(json!({ "kicked": count }), &format!("kicked {}", count_of(count, "peer")))
        }
        _ => Err(unexpected()),
    }
}
