//! `dosd backup`: has the server write a copy of its database.

use dos_protocol::{
    Code, WireError,
    admin::{FromDosd, ToDosd},
};
use serde_json::json;

use super::{Failure, Screen, ask, unexpected};
use crate::cli::Backup;

pub(super) fn run(options: Backup, screen: &mut Screen) -> Result<(), Failure> {
    let shown = options.file.display().to_string();
    // The server's working directory is another one.
    let file = std::path::absolute(&options.file).map_err(|error| {
        WireError::new(Code::Invalid, format!("cannot use {shown}")).caused_by(error.to_string())
    })?;
    let Some(file) = file.to_str() else {
        return Err(WireError::new(Code::Invalid, format!("{shown} is not UTF-8")).into());
    };
    match ask(options.ask.place, &ToDosd::Backup(file.into()), None)? {
        FromDosd::Saved(bytes) => {
            screen.show(json!({ "file": file, "bytes": bytes }), &format!("{file}: {bytes} bytes"))
        }
        _ => Err(unexpected()),
    }
}
