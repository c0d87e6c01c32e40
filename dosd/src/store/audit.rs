//! What must hold in the store and takes more than a statement to verify: sums of grants by the rule that keeps them, the hashes of
//! previews, what rows say, and receipts in both directions.
//!
//! It reads every row once, some hundred at a time, and keeps none.

use dos_protocol::{
    PeerId, Timestamp,
    directory::{Update, Viewed, ViewedKind},
};
use dos_sql::{self as sql, Connection, Optional as _, Row, Value, params, params_from_iter};

use super::{Refusal, grants, images, row, stored};
use crate::rules::{grants::sums, publish::is_possible};

/// The first version of the tables that has what is verified here.
pub(super) const SINCE: u64 = 7;

/// Rows that are held at once.
const PAGE_ROWS: usize = 500;

/// Rows to be read, a page after the other.
struct Scan<'s> {
    /// Up to the tables.
    select: &'s str,
    /// Which rows.
    filter: &'s str,
    /// What comes first in `select`, and is in this order unique.
    key: &'s [&'s str],
}

impl Scan<'_> {
    fn for_each(
        &self,
        connection: &Connection,
        mut each: impl FnMut(Row<'_>) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let Self { select, filter, key } = self;
        let order = key.join(", ");
        let places: Vec<String> = (1..=key.len()).map(|place| format!("?{place}")).collect();
        let first = format!("{select} WHERE {filter} ORDER BY {order} LIMIT {PAGE_ROWS}");
        let behind = format!(
            "{select} WHERE {filter} AND ({order}) > ({places}) ORDER BY {order} LIMIT {PAGE_ROWS}",
            places = places.join(", ")
        );
        let mut last: Vec<Value> = Vec::new();
        loop {
            let mut statement = connection.prepare(if last.is_empty() { &first } else { &behind })?;
            let mut rows = statement.query(params_from_iter(std::mem::take(&mut last)))?;
            let mut count = 0;
            while let Some(row) = rows.next()? {
                count += 1;
                if count == PAGE_ROWS {
                    last = (0..key.len()).map(|column| row.get(column)).collect::<sql::Result<_>>()?;
                }
                each(row)?;
            }
            if last.is_empty() {
                return Ok(());
            }
        }
    }
}

/// A receipt that its owner can still expect and that is not there.
const LOST_RECEIPTS: Scan<'static> = Scan {
    select: "SELECT v.view, v.viewer, v.image, v.receipt, i.owner FROM views v JOIN images i ON i.no = v.image",
    filter: "v.receipt IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM inbox x WHERE x.peer = i.owner AND x.seq = v.receipt)
      AND (v.receipt > coalesce((SELECT latest FROM inbox_heads h WHERE h.peer = i.owner), 0)
           OR v.receipt > (SELECT min(seq) FROM inbox x WHERE x.peer = i.owner))",
    key: &["v.view"],
};

/// Receipts that wait, each with its view.
const WAITING_RECEIPTS: Scan<'static> = Scan {
    select: "SELECT v.view, x.seq, x.body, i.owner FROM views v JOIN images i ON i.no = v.image
             JOIN inbox x ON x.peer = i.owner AND x.seq = v.receipt",
    filter: "v.receipt IS NOT NULL",
    key: &["v.view"],
};

/// What is wrong, up to `most` findings.
pub(super) fn findings(connection: &Connection, most: usize) -> Result<Vec<Box<str>>, Refusal> {
    let mut found = Findings { texts: Vec::new(), most };
    all_grants(connection, &mut found)?;
    all_images(connection, &mut found)?;
    all_previews(connection, &mut found)?;
    inboxes(connection, &mut found)?;
    lost_receipts(connection, &mut found)?;
    other_receipts(connection, &mut found)?;
    answers(connection, &mut found)?;
    Ok(found.texts)
}

struct Findings {
    texts: Vec<Box<str>>,
    most: usize,
}

impl Findings {
    fn add(&mut self, text: String) {
        if self.texts.len() < self.most {
            self.texts.push(text.into());
        }
    }
}

fn all_grants(connection: &Connection, found: &mut Findings) -> Result<(), Refusal> {
    let select = "SELECT image, viewer, split, share, views_left, views_used, expires_at, revision,
                         share_check, allow_offline, returned, granted FROM grants";
    Scan { select, filter: "TRUE", key: &["image", "viewer"] }.for_each(connection, |row| {
        let (image, viewer): (i64, i64) = (row.get(0)?, row.get(1)?);
        let wrong = match grants::record(row, 2) {
            Ok(grant) => sums(&grant).err(),
            Err(_) => Some("it cannot be read".into()),
        };
        if let Some(wrong) = wrong {
            found.add(format!("grant of peer {viewer} to image {image}: {wrong}"));
        }
        Ok(())
    })
}

fn all_images(connection: &Connection, found: &mut Findings) -> Result<(), Refusal> {
    let select = format!("SELECT {} FROM images", row::IMAGE_COLUMNS);
    Scan { select: &select, filter: "TRUE", key: &["owner", "name"] }.for_each(connection, |row| {
        let number: i64 = row.get(2)?;
        if !row::image(row).is_ok_and(|image| is_possible(&image)) {
            found.add(format!("image {number}: it cannot be what its owner has published"));
        }
        Ok(())
    })
}

fn all_previews(connection: &Connection, found: &mut Findings) -> Result<(), Refusal> {
    let select = "SELECT image, data, hash FROM previews";
    Scan { select, filter: "TRUE", key: &["image"] }.for_each(connection, |row| {
        let image: i64 = row.get(0)?;
        let (data, hash) = (row.get_ref(1)?.as_blob(), row.get_ref(2)?.as_blob());
        let is_sound = matches!((data, hash), (Ok(data), Ok(hash)) if images::hash_of(data) == hash);
        if !is_sound {
            found.add(format!("image {image}: its preview does not have the hash that was written down"));
        }
        Ok(())
    })
}

/// Every row can be read, and each receipt that waits has its view.
fn inboxes(connection: &Connection, found: &mut Findings) -> Result<(), Refusal> {
    let select = "SELECT peer, seq, body FROM inbox";
    Scan { select, filter: "TRUE", key: &["peer", "seq"] }.for_each(connection, |row| {
        let (peer, seq): (i64, i64) = (row.get(0)?, row.get(1)?);
        match update(row) {
            None => found.add(format!("inbox of peer {peer}: row {seq} cannot be read")),
            Some((_, Update::Viewed(viewed))) if !has_view(connection, seq, &viewed)? => {
                found.add(format!(
                    "inbox of peer {peer}: row {seq} is the receipt of a view that is not there"
                ));
            }
            Some(_) => {}
        }
        Ok(())
    })
}

fn update(row: Row<'_>) -> Option<(Timestamp, Update)> {
    stored::decode_update(row.get_ref(2).ok()?.as_blob().ok()?).ok()
}

/// Whether the view of a receipt is written down: with its place, if it has one; or is forgotten, as its viewer or its image may be.
fn has_view(connection: &Connection, seq: i64, viewed: &Viewed) -> sql::Result<bool> {
    let view = viewed.view.as_bytes().as_slice();
    let receipt: Option<Option<i64>> = connection
        .prepare("SELECT receipt FROM views WHERE view = ?1")?
        .query_row([view], |row| row.get(0))
        .optional()?;
    let is_spent = matches!(viewed.kind, ViewedKind::View | ViewedKind::Checkout);
    if let Some(receipt) = receipt {
        return Ok(!is_spent || receipt.is_none_or(|receipt| receipt == seq));
    }
    let (image, viewer): (_, PeerId) = (viewed.grant.image, viewed.grant.viewer);
    let sql = "SELECT EXISTS(SELECT 1 FROM views_forgotten WHERE image = ?1 AND viewer = ?2)
                   OR NOT EXISTS(SELECT 1 FROM images WHERE no = ?1)
                   OR NOT EXISTS(SELECT 1 FROM peers WHERE id = ?2)";
    let key = params![row::number(image.0), row::peer_number(viewer)];
    connection.prepare(sql)?.query_row(key, |row| row.get(0))
}

fn lost_receipts(connection: &Connection, found: &mut Findings) -> Result<(), Refusal> {
    LOST_RECEIPTS.for_each(connection, |row| {
        let [viewer, image, receipt, owner]: [i64; 4] = [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
        found.add(format!(
            "view of peer {viewer} of image {image}: its receipt, row {receipt} of peer {owner}, is not there"
        ));
        Ok(())
    })
}

/// A row in the place of a receipt that says something else.
fn other_receipts(connection: &Connection, found: &mut Findings) -> Result<(), Refusal> {
    WAITING_RECEIPTS.for_each(connection, |row| {
        let (view, seq, owner): (Vec<u8>, i64, i64) = (row.get(0)?, row.get(1)?, row.get(3)?);
        match update(row) {
            Some((_, Update::Viewed(viewed))) if viewed.view.as_bytes().as_slice() == view => {}
            _ => found.add(format!("inbox of peer {owner}: row {seq} is not the receipt that it must be")),
        }
        Ok(())
    })
}

fn answers(connection: &Connection, found: &mut Findings) -> Result<(), Refusal> {
    let select = "SELECT peer, operation, answer FROM done";
    Scan { select, filter: "TRUE", key: &["peer", "operation"] }.for_each(connection, |row| {
        let peer: i64 = row.get(0)?;
        if !row.get_ref(2)?.as_blob().is_ok_and(stored::is_answer) {
            found.add(format!("the answer to a change that peer {peer} has made cannot be read"));
        }
        Ok(())
    })
}
