//! `dosd check`: verifies the store, by the running server or, where none runs, on its files.

use std::path::Path;

use dos_protocol::{
    Code, WireError,
    admin::{Checked, FromDosd, ToDosd},
};
use serde_json::json;

use super::{Failure, Screen, count_of, data_dir, unexpected};
use crate::{
    admin::{Answers, AskError},
    cli::AdminArgs,
    data_dir::{DATABASE_NAME, DataDir, DataDirError},
    directory::outward,
    store,
};

pub(super) fn run(ask: AdminArgs, screen: &mut Screen) -> Result<(), Failure> {
    let data_dir = data_dir(ask.place)?;
    let checked = match Answers::to(&data_dir, &ToDosd::Check, None) {
        Err(AskError::NotRunning(..)) => check_files(&data_dir)?,
        Err(error) => return Err(error.into()),
        Ok(mut answers) => match answers.next_reply()? {
            FromDosd::Checked(checked) => checked,
            _ => return Err(unexpected()),
        },
    };
    show(&checked, screen)
}

/// The files of a stopped server; none can start meanwhile.
fn check_files(data_dir: &Path) -> Result<Checked, Failure> {
    let in_use = |error: DataDirError| {
        let told =
            WireError::new(Code::NoDaemon, "the store can be verified neither by its server nor without");
        told.caused_by(error.to_string())
    };
    let held = DataDir::hold(data_dir).map_err(in_use)?;
    let checked = store::check(&data_dir.join(DATABASE_NAME)).map_err(outward)?;
    drop(held);
    Ok(checked)
}

pub(super) fn show(checked: &Checked, screen: &mut Screen) -> Result<(), Failure> {
    let sound = checked.findings.is_empty();
    let counts = [(checked.peers, "peer"), (checked.images, "image"), (checked.grants, "grant")];
    let counts = counts.map(|(count, what)| count_of(count, what)).join(", ");
    let mut text = format!("{}: {counts}", if sound { "sound" } else { "not sound" });
    for finding in &checked.findings {
        text += "\n";
        text += finding;
    }
    let object = json!({
        "sound": sound,
        "findings": checked.findings,
        "peers": checked.peers,
        "images": checked.images,
        "grants": checked.grants,
    });
    screen.show(object, &text)?;
    if sound {
        return Ok(());
    }
    let found = u64::try_from(checked.findings.len()).unwrap_or(u64::MAX);
    let why = format!("the store is not sound: {}", count_of(found, "finding"));
    Err(WireError::new(Code::Invalid, why).into())
}
