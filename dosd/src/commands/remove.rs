//! `dosd remove`: deletes a peer for good, and bans its key if that is wanted.

use dos_protocol::admin::{FromDosd, ToDosd};
use serde_json::json;

use super::{Failure, Screen, ask, count_of, named, unexpected};
use crate::cli::Remove;

pub(super) fn run(options: Remove, screen: &mut Screen) -> Result<(), Failure> {
    let (request, done) = if options.ban {
        let reason = options.reason.map(Into::into);
        (ToDosd::Ban { peer: options.peer, reason }, "removed and banned")
    } else {
        (ToDosd::Remove(options.peer), "removed")
    };
    // Its images go one by one.
    match ask(options.ask.place, &request, None)? {
        FromDosd::Removed(removed) => {
            let object = json!({
                "removed": removed.id, "name": removed.name, "images": removed.images, "grants": removed.grants,
                "banned": options.ban,
            });
            let who = named(removed.id, removed.name.as_ref());
            let with = [(removed.images, "image"), (removed.grants, "grant")]
                .map(|(count, what)| count_of(count, what));
            screen.show(object, &format!("{done} {who} with {}", with.join(" and ")))
        }
        _ => Err(unexpected()),
    }
}
