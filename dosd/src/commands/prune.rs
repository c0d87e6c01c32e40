//! `dosd prune`: has the server forget what nobody needs any more.

use dos_protocol::admin::{FromDosd, Pruned, ToDosd};
use serde_json::json;

use super::{Failure, Screen, ask, count_of, millis, unexpected};
use crate::cli::Prune;

pub(super) fn run(options: Prune, screen: &mut Screen) -> Result<(), Failure> {
    let request = ToDosd::Prune {
        peers_unseen_ms: options.peers_unseen.map(millis),
        receipts_older_ms: options.receipts_older.map(millis),
        dry: options.dry_run,
    };
    // A large store takes as long as it takes.
    match ask(options.ask.place, &request, None)? {
        FromDosd::Pruned(pruned) => show(pruned, options.dry_run, screen),
        _ => Err(unexpected()),
    }
}

fn show(pruned: Pruned, dry: bool, screen: &mut Screen) -> Result<(), Failure> {
    let Pruned { peers, images, rights, receipts, invites } = pruned;
    let object = json!({
        "dry_run": dry, "peers": peers, "images": images, "rights": rights, "receipts": receipts, "invites": invites,
    });
    let counts =
        [(peers, "peer"), (images, "image"), (rights, "grant"), (receipts, "receipt"), (invites, "invite")];
    let counts = counts.map(|(count, what)| count_of(count, what)).join(", ");
    screen.show(object, &format!("{}: {counts}", if dry { "would delete" } else { "deleted" }))
}
