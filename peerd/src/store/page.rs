//! Long lists in pages: each begins behind the last entry of the one before (keyset), so that a page costs the same however
//! long the list is, and what changes between two pages neither repeats nor hides what did not change. A page that is empty is
//! behind the last one.

use dos_protocol::limits::PAGE_MAX;
use rusqlite::{Row, Rows};

use super::Error;
use crate::rules::pages;

/// How many rows a statement reads for a page: one more than it holds, which tells whether there is another one.
pub(super) fn rows_max(items_max: u32) -> u32 {
    items_max.min(PAGE_MAX).saturating_add(1)
}

/// Reads at most `items_max` entries, which fit a frame together; `read` returns each with its size in bytes. Returns them, and
/// whether there are more.
pub(super) fn read<T>(
    rows: &mut Rows<'_>,
    items_max: u32,
    mut read: impl FnMut(&Row<'_>) -> Result<(T, usize), Error>,
) -> Result<(Vec<T>, bool), Error> {
    let items_max = usize::try_from(items_max.min(PAGE_MAX)).unwrap_or(usize::MAX);
    let (mut items, mut bytes) = (Vec::new(), 0usize);
    while let Some(row) = rows.next()? {
        if !pages::takes_another(items.len(), bytes, items_max) {
            return Ok((items, true));
        }
        let (item, size) = read(row)?;
        bytes = bytes.saturating_add(size);
        items.push(item);
    }
    Ok((items, false))
}
