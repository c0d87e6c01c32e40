//! `dosd remove`: deletes a peer for good.

use dos_protocol::admin::{FromDosd, ToDosd};
use serde_json::json;

use super::{Failure, Screen, ask, count_of, unexpected};
use crate::cli::Remove;

pub(super) fn run(options: Remove, screen: &mut Screen) -> Result<(), Failure> {
    // Its images go one by one.
    match ask(options.ask.place, &ToDosd::Remove(options.peer), None)? {
        FromDosd::Removed(removed) => {
            let object = json!({
                "removed": removed.id, "name": removed.name, "images": removed.images, "grants": removed.grants,
            });
            let who = removed
                .name
                .map_or_else(|| removed.id.to_string(), |name| format!("{name} ({})", removed.id));
            let with = [(removed.images, "image"), (removed.grants, "grant")]
                .map(|(count, what)| count_of(count, what));
            screen.show(object, &format!("removed {who} with {}", with.join(" and ")))
        }
        _ => Err(unexpected()),
    }
}
