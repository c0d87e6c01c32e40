//! `dosd backup`: has the server write a copy of its database.

use std::os::unix::ffi::OsStrExt as _;

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
    let request = match file.to_str() {
        Some(file) => ToDosd::Backup(file.into()),
        None => ToDosd::BackupAt(file.as_os_str().as_bytes().to_vec()),
    };
    let file = file.display().to_string();
    match ask(options.ask.place, &request, None)? {
        FromDosd::Saved(bytes) => {
            screen.show(json!({ "file": file, "bytes": bytes }), &format!("{file}: {bytes} bytes"))
        }
        _ => Err(unexpected()),
    }
}
