//! The newest word of each contact for each of its images, and of this peer for its own.
//!
//! What always holds: a revision that is noted never goes back.

use dos_protocol::{ImageName, PeerId, Signature, Timestamp, signature::SIGNATURE_BYTES};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Error, Store, execute, id};
use crate::rules::trust::next_revision;

/// Words noted in all: no directory makes this database grow without end.
const SEEN_MAX: i64 = 1_000_000;

const NOTE: &str = "INSERT INTO seen_images (owner, name, revision, signature) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (owner, name) DO UPDATE SET revision = excluded.revision, signature = excluded.signature
    WHERE excluded.revision > revision";

const NOTE_AGAIN: &str = "UPDATE seen_images SET revision = ?3, signature = ?4
    WHERE owner = ?1 AND name = ?2 AND ?3 > revision";

/// A word of an owner that was seen, or is to be noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeenImage {
    /// The owner.
    pub owner: PeerId,
    /// The image.
    pub name: ImageName,
    /// Its revision.
    pub revision: u64,
    /// The signature: the same one need not be verified again.
    pub signature: Signature,
}

impl Store {
    /// What was seen of these images.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn seen_images(
        &self,
        images: Vec<(PeerId, ImageName)>,
    ) -> Result<Vec<SeenImage>, Error> {
        self.read(move |connection| {
            images.into_iter().filter_map(|(owner, name)| seen(connection, owner, name).transpose()).collect()
        })
        .await
    }

    /// Notes words that were verified. Older ones than those that are noted change nothing.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn note_images(&self, images: Vec<SeenImage>) -> Result<(), Error> {
        if images.is_empty() {
            return Ok(());
        }
        self.write(move |connection| {
            let count = "SELECT count(*) FROM seen_images";
            let noted: i64 = connection.prepare_cached(count)?.query_row([], |row| row.get(0))?;
            let more = i64::try_from(images.len()).unwrap_or(i64::MAX);
            let sql = if noted.saturating_add(more) <= SEEN_MAX { NOTE } else { NOTE_AGAIN };
            for image in &images {
                let revision = i64::try_from(image.revision).unwrap_or(i64::MAX);
                let signature = image.signature.as_bytes();
                execute(connection, sql, params![id(image.owner), image.name.as_str(), revision, signature])?;
            }
            Ok(())
        })
        .await
    }

    /// A revision above all that this peer has signed.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn next_revision(&self) -> Result<u64, Error> {
        self.write(|connection| {
            let last: i64 =
                connection.prepare_cached("SELECT revision FROM self")?.query_row([], |row| row.get(0))?;
            let next = next_revision(last.cast_unsigned(), Timestamp::now().0.cast_unsigned());
            execute(connection, "UPDATE self SET revision = ?1", [i64::try_from(next).unwrap_or(i64::MAX)])?;
            Ok(next)
        })
        .await
    }
}

fn seen(connection: &Connection, owner: PeerId, name: ImageName) -> Result<Option<SeenImage>, Error> {
    let sql = "SELECT revision, signature FROM seen_images WHERE owner = ?1 AND name = ?2";
    let row: Option<(i64, Vec<u8>)> = connection
        .prepare_cached(sql)?
        .query_row(params![id(owner), name.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    row.map(|(revision, signature)| {
        let signature = <[u8; SIGNATURE_BYTES]>::try_from(signature)
            .map_err(|_| Error::Damaged("signature of an image"))?;
        Ok(SeenImage { owner, name, revision: revision.cast_unsigned(), signature: signature.into() })
    })
    .transpose()
}
