//! `backup`: a copy of the database, written by the server.

use std::path::Path;

use dos_protocol::{Code, WireError, admin::FromDosd};

use super::{Operator, Replies, Stop};

impl Operator {
    pub(super) async fn backup(&self, path: &Path, replies: &mut Replies) -> Result<(), Stop> {
        let file = path.display();
        let is_directory = path.as_os_str().as_encoded_bytes().ends_with(b"/");
        if !path.is_absolute() || path.file_name().is_none() || is_directory {
            return Err(WireError::new(Code::Invalid, format!("{file} is not the path of a file")).into());
        }
        let bytes = self.directory.store.backup(path.to_owned()).await?;
        tracing::info!(%file, bytes, "the database was copied");
        Ok(replies.send(FromDosd::Saved(bytes)).await?)
    }
}
