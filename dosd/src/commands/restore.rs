//! `dosd restore`: a new data directory from a backup, while no server runs on it.

use dos_protocol::{Code, WireError};
use serde_json::json;

use super::{Failure, Screen, count_of, data_dir};
use crate::{
    cli::Restore,
    data_dir::{DATABASE_NAME, DataDir, DataDirError},
    directory::outward,
    store,
};

pub(super) fn run(options: Restore, screen: &mut Screen) -> Result<(), Failure> {
    let path = data_dir(options.ask.place)?;
    let unusable = |error: DataDirError| {
        let code = if matches!(error, DataDirError::InUse(_)) { Code::Conflict } else { Code::Invalid };
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        let told = WireError::new(code, error.to_string());
        cause.into_iter().fold(told, |told, cause| told.caused_by(cause))
    };
    let held = DataDir::open(&path).map_err(unusable)?;
    let checked = store::restore(&options.file, &held.join(DATABASE_NAME)).map_err(outward)?;
    let has_key = held.has_key();
    drop(held);
    if !has_key {
        screen.note(&format!(
            "note: there is no server.key in {}: put the old one there before the server is started, or it makes a new one \
             that no join link and no peer knows\n",
            path.display()
        ));
    }
    let counts = [(checked.peers, "peer"), (checked.images, "image"), (checked.grants, "grant")];
    let counts = counts.map(|(count, what)| count_of(count, what)).join(", ");
    let object = json!({
        "data_dir": path.to_string_lossy(),
        "peers": checked.peers,
        "images": checked.images,
        "grants": checked.grants,
        "has_key": has_key,
    });
    screen.show(object, &format!("restored into {}: {counts}", path.display()))
}
