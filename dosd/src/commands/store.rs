//! `dosd store`: the store on database servers, without a running server in between.

use std::error::Error as _;

use dos_protocol::{Code, WireError, admin::Checked};
use dos_sql::Server;
use serde_json::json;

use super::{Failure, Screen, check, count_of, data_dir};
use crate::{
    cli::{StoreCommand, StoreMove, StorePlace},
    config::{StoreConfig, StoreConfigError},
    data_dir::{DATABASE_NAME, DataDir, DataDirError},
    directory::outward,
    store,
};

pub(super) fn run(command: StoreCommand, screen: &mut Screen) -> Result<(), Failure> {
    match command {
        StoreCommand::Move(options) if options.back => move_back(options, screen),
        StoreCommand::Move(options) => move_to(options, screen),
        StoreCommand::Check(options) => {
            let servers = servers(options.place)?;
            check::show(&store::check_server(&servers).map_err(outward)?, screen)
        }
        StoreCommand::Leap(options) => {
            let servers = servers(options.place)?;
            let found = store::leap(&servers).map_err(outward)?;
            let object = json!({ "peers": found.peers, "images": found.images, "grants": found.grants });
            let text =
                format!("restored: {}; peers bring back what they know as they sign in", counted(&found));
            screen.show(object, &text)
        }
        StoreCommand::Migrate(options) => {
            let servers = servers(options.place)?;
            let (before, now) = store::migrate(&servers).map_err(outward)?;
            let text = match before {
                0 => format!("the tables are made, in version {now}"),
                _ if before == now => format!("the tables are up to date, in version {now}"),
                _ => format!("the tables are in version {now} now, before in {before}"),
            };
            screen.show(json!({ "before": before, "version": now }), &text)
        }
    }
}

fn move_to(options: StoreMove, screen: &mut Screen) -> Result<(), Failure> {
    let path = data_dir(options.ask.place)?;
    let servers = servers(options.to)?;
    let held = DataDir::hold(&path).map_err(in_use)?;
    let moved = store::move_to(&path.join(DATABASE_NAME), &servers).map_err(outward)?;
    drop(held);
    let object = json!({ "peers": moved.peers, "images": moved.images, "grants": moved.grants });
    screen.show(object, &format!("moved and sound: {}", counted(&moved)))?;
    screen.note(&format!(
        "note: start the server with --store from now on; {} stays, and what a server without --store would do with it is lost\n",
        path.join(DATABASE_NAME).display()
    ));
    Ok(())
}

fn counted(found: &Checked) -> String {
    let counts = [(found.peers, "peer"), (found.images, "image"), (found.grants, "grant")];
    counts.map(|(count, what)| count_of(count, what)).join(", ")
}

fn in_use(error: DataDirError) -> WireError {
    let code = if matches!(error, DataDirError::InUse(_)) { Code::Conflict } else { Code::Invalid };
    WireError::new(code, error.to_string()).hint("dosd shutdown")
}

fn move_back(options: StoreMove, screen: &mut Screen) -> Result<(), Failure> {
    let path = data_dir(options.ask.place)?;
    let servers = servers(options.to)?;
    let held = DataDir::open(&path).map_err(in_use)?;
    let moved = store::move_back(&servers, &held.join(DATABASE_NAME)).map_err(outward)?;
    drop(held);
    let object = json!({ "peers": moved.peers, "images": moved.images, "grants": moved.grants });
    screen.show(object, &format!("moved back and sound: {}", counted(&moved)))?;
    screen.note(&format!(
        "note: start one server, without --store, on {}; the database stays, and what a server with --store would do with it is lost\n",
        path.display()
    ));
    Ok(())
}

fn servers(place: StorePlace) -> Result<Server, Failure> {
    let config = StoreConfig::new(Some(&place.store), place.store_ca, place.store_password_file);
    let server = config.and_then(|config| config.ok_or(StoreConfigError::Alone("--store-ca"))?.server());
    server.map_err(|error| {
        let told = WireError::new(Code::Usage, error.to_string());
        let cause = error.source().map(ToString::to_string);
        cause.into_iter().fold(told, WireError::caused_by).into()
    })
}
