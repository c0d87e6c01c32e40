//! `dosd unban` and `dosd bans`: keys that may not register.

use dos_protocol::admin::{Ban, FromDosd, ToDosd};
use serde_json::{Value, json};

use super::{
    Failure, PATIENCE, Screen, ask, ask_list, data_dir, named,
    output::{List, or_dash, or_null},
    unexpected,
};
use crate::cli::{AdminArgs, Unban};

const COLUMNS: &[&str] = &["ID", "NAME", "BANNED", "REASON"];

pub(super) fn unban(options: Unban, screen: &mut Screen) -> Result<(), Failure> {
    match ask(options.ask.place, &ToDosd::Unban(options.peer), Some(PATIENCE))? {
        FromDosd::Unbanned(ban) => {
            let who = named(ban.peer, ban.name.as_ref());
            screen
                .show(object(&ban), &format!("unbanned {who}: its key may register again, under another ID"))
        }
        _ => Err(unexpected()),
    }
}

pub(super) fn list(options: AdminArgs, screen: &mut Screen) -> Result<(), Failure> {
    let data_dir = data_dir(options.place)?;
    let mut list = List::new(screen, "bans", COLUMNS);
    ask_list(&data_dir, &ToDosd::Bans, PATIENCE, |page| match page {
        FromDosd::Bans(bans) => list.page(bans.iter().map(row).collect()),
        _ => Err(unexpected()),
    })?;
    list.end()
}

fn object(ban: &Ban) -> Value {
    json!({
        "id": ban.peer.to_string(),
        "name": or_null(ban.name.as_ref()),
        "key": ban.key.to_string(),
        "at": ban.at.to_string(),
        "reason": or_null(ban.reason.as_ref()),
    })
}

fn row(ban: &Ban) -> (Value, Vec<String>) {
    let cells = vec![
        ban.peer.to_string(),
        or_dash(ban.name.as_ref()),
        ban.at.to_string(),
        or_dash(ban.reason.as_ref()),
    ];
    (object(ban), cells)
}
