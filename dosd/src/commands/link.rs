//! `dosd link`: the join link, and nothing else.

use dos_protocol::admin::{FromDosd, ToDosd};

use super::{Failure, PATIENCE, Screen, ask, unexpected};
use crate::cli::Where;

pub(super) fn run(place: Where, screen: &mut Screen) -> Result<(), Failure> {
    match ask(place, &ToDosd::Link, Some(PATIENCE))? {
        FromDosd::Link(link) => screen.text(&format!("{link}\n")),
        _ => Err(unexpected()),
    }
}
