//! What the peers that one follows are called, and what they have shown since.

use dos_protocol::{
    ImageNo, PeerId,
    directory::Followed,
    limits::{FOLLOWED_NUMBERS_MAX, PAGE_MAX},
    model::{ImageInfo, PeerInfo},
};
use dos_sql::{self as sql, Connection};

use super::{Refusal, Store, peers, row, set};
use crate::rules::names::PeerRecord;

impl Store {
    /// Those of these peers that are registered, with their listed images behind the number `after`, the oldest ones.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn followed(&self, peers: Vec<PeerId>, after: Option<ImageNo>) -> Result<Followed, Refusal> {
        self.read(move |connection| Ok(followed(connection, &peers, after)?)).await
    }
}

fn followed(connection: &Connection, peers: &[PeerId], after: Option<ImageNo>) -> sql::Result<Followed> {
    let numbers: Vec<i64> = peers.iter().copied().map(row::peer_number).collect();
    let last = connection
        .prepare("SELECT last FROM counters WHERE name = ?1")?
        .query_row(["image"], |row| row::unsigned(row, 0))?;
    let mut infos: Vec<PeerInfo> =
        peers::by_ids(connection, &numbers)?.into_iter().map(PeerRecord::info).collect();
    let Some(after) = after else { return Ok(Followed { peers: infos, upto: ImageNo(last), more: false }) };
    let mut images = shown(connection, &numbers, after.0.max(last.saturating_sub(FOLLOWED_NUMBERS_MAX)))?;
    let more = row::cut(&mut images, PAGE_MAX);
    let upto = images.last().filter(|_| more).map_or(ImageNo(last), |image| image.no);
    for image in images {
        if let Some(owner) = infos.iter_mut().find(|info| info.id == image.owner) {
            owner.images.push(image);
        }
    }
    Ok(Followed { peers: infos, upto, more })
}

/// The oldest listed images of these peers behind this number, at most one more than a page.
fn shown(connection: &Connection, peers: &[i64], after: u64) -> sql::Result<Vec<ImageInfo>> {
    let statement = |list: &str| {
        format!(
            "SELECT {} FROM images WHERE no > ?1 AND private = 0 AND owner IN ({list}) ORDER BY no LIMIT {}",
            row::IMAGE_COLUMNS,
            PAGE_MAX + 1
        )
    };
    let mut images = set::query(connection, statement, (row::number(after), peers), row::listed)?;
    images.sort_unstable_by_key(|image| image.no);
    Ok(images)
}
