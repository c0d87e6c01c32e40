//! `dosd link`: the join link, and nothing else.

use dos_protocol::admin::{FromDosd, ToDosd};

use super::{Failure, PATIENCE, Screen, ask, data_dir, invite, millis, unexpected};
use crate::cli::Link;

pub(super) fn run(options: Link, screen: &mut Screen) -> Result<(), Failure> {
    let Link { uses, expires, place } = options;
    let link = if uses.is_none() && expires.is_none() {
        match ask(place, &ToDosd::Link, Some(PATIENCE))? {
            FromDosd::Link(link) => link,
            _ => return Err(unexpected()),
        }
    } else {
        match invite::make(&data_dir(place)?, uses.unwrap_or(1), expires.map(millis))? {
            FromDosd::Invited(made) => made.link,
            _ => return Err(unexpected()),
        }
    };
    screen.text(&format!("{link}\n"))
}
