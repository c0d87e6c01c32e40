//! `dosd audit`: what operators have done.

use dos_protocol::admin::{AuditEntry, FromDosd, ToDosd};
use serde_json::{Value, json};

use super::{
    Failure, PATIENCE, Screen, ask_list, data_dir,
    output::{List, or_dash, or_null},
    unexpected,
};
use crate::cli::Audit;

const COLUMNS: &[&str] = &["AT", "USER", "COMMAND", "ABOUT", "REASON"];

pub(super) fn run(options: Audit, screen: &mut Screen) -> Result<(), Failure> {
    let data_dir = data_dir(options.ask.place)?;
    let mut list = List::new(screen, "audit", COLUMNS);
    ask_list(&data_dir, &ToDosd::Audit { limit: options.limit }, PATIENCE, |page| match page {
        FromDosd::Audit(entries) => list.page(entries.iter().map(row).collect()),
        _ => Err(unexpected()),
    })?;
    list.end()
}

fn row(entry: &AuditEntry) -> (Value, Vec<String>) {
    let at = entry.at.to_string();
    let object = json!({
        "no": entry.no,
        "at": at,
        "user": entry.user,
        "command": entry.command,
        "about": entry.about,
        "reason": or_null(entry.reason.as_ref()),
    });
    let cells = vec![
        at,
        entry.user.to_string(),
        entry.command.to_string(),
        entry.about.to_string(),
        or_dash(entry.reason.as_ref()),
    ];
    (object, cells)
}
