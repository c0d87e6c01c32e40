//! `dosd announce`: a text to everybody who is online.

use dos_protocol::admin::{FromDosd, ToDosd};
use serde_json::json;

use super::{Failure, PATIENCE, Screen, ask, count_of, unexpected};
use crate::cli::Announce;

pub(super) fn run(options: Announce, screen: &mut Screen) -> Result<(), Failure> {
    match ask(options.ask.place, &ToDosd::Announce(options.text.into()), Some(PATIENCE))? {
        FromDosd::Told(count) => {
            screen.show(json!({ "told": count }), &format!("told {}", count_of(count, "peer")))
        }
        _ => Err(unexpected()),
    }
}
