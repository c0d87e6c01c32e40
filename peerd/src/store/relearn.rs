//! That something was lost here which the directory still knows, and what is taken over from it instead.
//!
//! What always holds: that something was lost stays written until all of it was relearned; a grant or a request that the
//! directory does not report any more is given up only at the revision that was known before the directory was asked.

use std::collections::HashMap;

use dos_protocol::{ImageNo, PeerId, Revision, SealedHash, model::Grant};
use rusqlite::params;

use super::{Error, Store, asserting::ASSERTED_GRANT, contacted, execute, grants, hash_of, peer_of, release};
use crate::rules;

/// What is known here before the directory is asked. What it reports is taken out.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    /// Grants that have not ended.
    pub grants: HashMap<(ImageNo, PeerId), Revision>,
    /// Requests that wait for an answer, with their revisions.
    pub requests: HashMap<u64, u64>,
    /// One's own images and their sealed copies.
    pub images: HashMap<ImageNo, SealedHash>,
    /// Those of them whose content was replaced since.
    pub outdated: Vec<(ImageNo, SealedHash)>,
}

impl Store {
    /// Whether something was lost that is not relearned.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn has_lost(&self) -> Result<bool, Error> {
        self.read(|connection| Ok(connection.query_row("SELECT lost FROM self", [], |row| row.get(0))?)).await
    }

    /// What is known here.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn inventory(&self) -> Result<Inventory, Error> {
        self.read(|connection| {
            let mut known = Inventory::default();
            // What is to be asserted is not given up because the directory does not know it yet.
            let mut statement = connection.prepare(&format!(
                "SELECT image, viewer, revision FROM grants WHERE revoked = 0 AND NOT {ASSERTED_GRANT}"
            ))?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let image = ImageNo(row.get::<_, i64>(0)?.cast_unsigned());
                let revision = Revision(row.get::<_, i64>(2)?.cast_unsigned());
                known.grants.insert((image, peer_of(row.get(1)?)?), revision);
            }
            let mut statement = connection.prepare("SELECT request, revision FROM asks WHERE pending = 1")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let revision = row.get::<_, i64>(1)?.cast_unsigned();
                known.requests.insert(row.get::<_, i64>(0)?.cast_unsigned(), revision);
            }
            let mut statement = connection.prepare("SELECT no, hash FROM images")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let hash = hash_of(&row.get::<_, Vec<u8>>(1)?)?;
                known.images.insert(ImageNo(row.get::<_, i64>(0)?.cast_unsigned()), hash);
            }
            Ok(known)
        })
        .await
    }

    /// Takes over a page of grants. Returns the sealed copies that are superfluous.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn take_grants(&self, page: Vec<Grant>) -> Result<Vec<SealedHash>, Error> {
        self.write_counting(move |connection| {
            let me = super::own(connection)?.peer;
            let mut free = Vec::new();
            for grant in &page {
                if me == Some(grant.viewer) && grant.views_used > 0 {
                    // It was viewed before what this peer had dealt with was lost.
                    contacted::note(connection, grant.path.owner)?;
                }
                free.extend(
                    grants::receive(connection, me, grant)?.into_iter().flat_map(|received| received.free),
                );
            }
            Ok(free)
        })
        .await
    }

    /// Everything was reported: gives up what is left of `known`. Returns the sealed copies that are
    /// superfluous.
    ///
    /// # Errors
    /// As in [`Error`].
    pub(crate) async fn relearned(&self, known: Inventory) -> Result<Vec<SealedHash>, Error> {
        self.write_counting(move |connection| {
            let mut free = Vec::new();
            for ((image, viewer), revision) in &known.grants {
                let Some(now) = grants::grant(connection, *image, *viewer)? else { continue };
                if rules::grants::is_unchanged(*revision, now.revision) {
                    free.extend(grants::unknown(connection, now)?);
                }
            }
            for (request, revision) in &known.requests {
                // The same rule, in the statement.
                let sql = "DELETE FROM asks WHERE request = ?1 AND revision = ?2";
                execute(connection, sql, params![request.cast_signed(), revision.cast_signed()])?;
            }
            for (image, hash) in &known.outdated {
                let sql = "DELETE FROM images WHERE no = ?1 AND hash = ?2";
                let gone = execute(connection, sql, params![image.0.cast_signed(), hash.as_bytes()])?;
                if gone > 0 && release(connection, hash)? {
                    free.push(*hash);
                }
            }
            execute(connection, "UPDATE self SET lost = 0", [])?;
            Ok(free)
        })
        .await
    }
}
