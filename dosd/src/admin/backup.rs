//! `backup`: a copy of the database, written by the server.

use std::path::Path;

use dos_protocol::{Code, WireError, admin::FromDosd};

use super::{Operator, Replies, Stop};

impl Operator {
    pub(super) async fn backup(&self, file: &str, replies: &mut Replies) -> Result<(), Stop> {
        let path = Path::new(file);
        if !path.is_absolute() || path.file_name().is_none() || file.ends_with('/') {
            return Err(WireError::new(Code::Invalid, format!("{file} is not the path of a file")).into());
        }
        let bytes = self.directory.store.backup(path.to_owned()).await?;
        tracing::info!(file, bytes, "the database was copied");
        Ok(replies.send(FromDosd::Saved(bytes)).await?)
    }
}
