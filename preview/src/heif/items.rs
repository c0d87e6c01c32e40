//! What the `meta` box of a HEIF file tells (ISO/IEC 23008-12): its items, where they lie, what they refer to, and their properties.
//!
//! Nothing of the file is trusted: counts have limits, and places are checked by who reads there.

use super::boxes::{Bytes, boxes, boxes_mut, find};
use super::properties::Property;

/// The most items of a file. A picture of a phone has about 50 tiles; the largest grids have 256 of each kind.
const ITEMS_MAX: usize = 1024;
/// The most pieces that items are made of, properties, links of properties to items, and references: of each.
const PARTS_MAX: usize = 8192;

/// A file's items.
#[derive(Debug, Default)]
pub(crate) struct Items {
    /// The one that is the picture.
    pub(crate) primary: u32,
    pub(crate) items: Vec<Item>,
    references: Vec<Reference>,
    properties: Vec<Property>,
    /// What lies in the box itself.
    pub(crate) data: Vec<u8>,
}

/// A picture, a part of one, or metadata.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) id: u32,
    pub(crate) kind: [u8; 4],
    /// Where its pieces lie, and how many bytes each has; a length of 0 means all that follows.
    pub(crate) pieces: Vec<(u64, u64)>,
    pub(crate) place: Place,
    /// Which properties it has, in their order, and whether one that cannot be read makes it unreadable.
    properties: Vec<(usize, bool)>,
}

/// In what the pieces of an item lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The file.
    File,
    /// [`Items::data`].
    Data,
    /// Another item, which no writer does.
    Elsewhere,
}

#[derive(Debug)]
struct Reference {
    kind: [u8; 4],
    from: u32,
    to: Vec<u32>,
}

impl Item {
    /// Whether it tells how tiles are put together, in as few bytes as that takes.
    pub(crate) fn is_small_grid(&self) -> bool {
        self.kind == *b"grid" && matches!(self.pieces[..], [(_, 8..=16)])
    }
}

impl Items {
    /// Reads the content of a `meta` box.
    pub(crate) fn read(meta: &[u8]) -> Option<Self> {
        let mut body = Bytes(meta);
        body.version()?;
        let meta = body.0;
        let mut items = Self { primary: primary(find(meta, b"pitm")?)?, ..Self::default() };
        items.infos(find(meta, b"iinf")?)?;
        items.locations(find(meta, b"iloc")?)?;
        if let Some(references) = find(meta, b"iref") {
            items.references(references)?;
        }
        if let Some(properties) = find(meta, b"iprp") {
            items.properties = boxes(find(properties.0, b"ipco")?.0)
                .take(PARTS_MAX)
                .map(|(kind, body)| Property::read(kind, body))
                .collect();
            for (_, links) in boxes(properties.0).filter(|(kind, _)| kind == b"ipma") {
                items.links(links)?;
            }
        }
        items.data = find(meta, b"idat").map(|data| data.0.to_vec()).unwrap_or_default();
        Some(items)
    }

    pub(crate) fn item(&self, id: u32) -> Option<&Item> {
        self.items.iter().find(|item| item.id == id)
    }

    /// The properties of an item; nothing if there is one that has to be understood and is not.
    pub(crate) fn properties_of<'a>(&'a self, item: &'a Item) -> Option<Vec<&'a Property>> {
        let found: Vec<_> = item
            .properties
            .iter()
            .filter_map(|(index, essential)| Some((self.properties.get(*index)?, *essential)))
            .collect();
        if found.iter().any(|(property, essential)| *essential && **property == Property::Unknown) {
            return None;
        }
        Some(found.into_iter().map(|(property, _)| property).collect())
    }

    /// What an item refers to.
    pub(crate) fn targets(&self, from: u32, kind: &[u8; 4]) -> &[u32] {
        let found = self.references.iter().find(|link| link.from == from && link.kind == *kind);
        found.map_or(&[], |link| &link.to)
    }

    /// The items that refer to this one.
    pub(crate) fn sources<'a>(&'a self, to: u32, kind: &'a [u8; 4]) -> impl Iterator<Item = &'a Item> {
        let links = self.references.iter().filter(move |link| link.kind == *kind && link.to.contains(&to));
        links.filter_map(|link| self.item(link.from))
    }

    fn infos(&mut self, mut body: Bytes<'_>) -> Option<()> {
        let (version, _) = body.version()?;
        body.id(version > 0)?;
        for (_, mut entry) in boxes(body.0).filter(|(kind, _)| kind == b"infe").take(ITEMS_MAX) {
            let (version, _) = entry.version()?;
            // Before version 2 they have no types of four letters, and no HEIF.
            if version < 2 {
                continue;
            }
            let id = entry.id(version > 2)?;
            entry.u16()?;
            let (kind, pieces, place) = (entry.kind()?, Vec::new(), Place::File);
            self.items.push(Item { id, kind, pieces, place, properties: Vec::new() });
        }
        Some(())
    }

    fn locations(&mut self, mut body: Bytes<'_>) -> Option<()> {
        let (version, _) = body.version()?;
        let sizes = body.u16()?;
        let size = |shift: u16| usize::from(sizes >> shift & 15);
        let (offset_len, length_len, base_len) = (size(12), size(8), size(4));
        let index_len = if version > 0 { size(0) } else { 0 };
        let count = body.id(version > 1)?;
        let mut left = PARTS_MAX;
        for _ in 0..count {
            let id = body.id(version > 1)?;
            let place = match if version > 0 { body.u16()? & 15 } else { 0 } {
                0 => Place::File,
                1 => Place::Data,
                _ => Place::Elsewhere,
            };
            // Other files are not opened: 0 is this one.
            let place = if body.u16()? == 0 { place } else { Place::Elsewhere };
            let base = body.number(base_len)?;
            let pieces = usize::from(body.u16()?);
            left = left.checked_sub(pieces.max(1))?;
            let mut found = Vec::with_capacity(pieces);
            for _ in 0..pieces {
                body.number(index_len)?;
                let offset = base.checked_add(body.number(offset_len)?)?;
                found.push((offset, body.number(length_len)?));
            }
            if let Some(item) = self.items.iter_mut().find(|item| item.id == id) {
                (item.pieces, item.place) = (found, place);
            }
        }
        Some(())
    }

    fn references(&mut self, mut body: Bytes<'_>) -> Option<()> {
        let wide = body.version()?.0 > 0;
        let mut left = PARTS_MAX;
        for (kind, mut link) in boxes(body.0) {
            let (from, count) = (link.id(wide)?, link.u16()?);
            left = left.checked_sub(usize::from(count).max(1))?;
            let to = (0..count).map(|_| link.id(wide)).collect::<Option<_>>()?;
            self.references.push(Reference { kind, from, to });
        }
        Some(())
    }

    fn links(&mut self, mut body: Bytes<'_>) -> Option<()> {
        let (version, flags) = body.version()?;
        let mut left = PARTS_MAX;
        for _ in 0..body.u32()? {
            let (id, count) = (body.id(version > 0)?, body.u8()?);
            left = left.checked_sub(usize::from(count).max(1))?;
            let mut found = Vec::with_capacity(count.into());
            for _ in 0..count {
                let (essential, index) = if flags & 1 == 1 {
                    let link = body.u16()?;
                    (link >> 15 == 1, link & 0x7fff)
                } else {
                    let link = body.u8()?;
                    (link >> 7 == 1, u16::from(link & 0x7f))
                };
                // They are counted from 1; 0 is none.
                found.extend(usize::from(index).checked_sub(1).map(|index| (index, essential)));
            }
            if let Some(item) = self.items.iter_mut().find(|item| item.id == id) {
                item.properties.extend(found);
            }
        }
        Some(())
    }
}

/// Marks all items of a `meta` box as hidden but the one that is the picture (the lowest flag of their entries: ISO/IEC 23008-12
/// section 6.4.2). What is no entry stays as it is, and so does the length.
pub(crate) fn hide_others(meta: &mut [u8], shown: u32) {
    let Some((_, boxed)) = meta.split_at_mut_checked(4) else { return };
    let Some((_, infos)) = boxes_mut(boxed).find(|(kind, _)| kind == b"iinf") else { return };
    let head = if infos.first() == Some(&0) { 6 } else { 8 };
    let Some((_, entries)) = infos.split_at_mut_checked(head) else { return };
    for (_, entry) in boxes_mut(entries).filter(|(kind, _)| kind == b"infe") {
        let mut body = Bytes(entry);
        let id = body.version().and_then(|(version, _)| body.id(version > 2));
        if let (Some(id), Some(flags)) = (id, entry.get_mut(3)) {
            *flags = *flags & !1 | u8::from(id != shown);
        }
    }
}

fn primary(mut body: Bytes<'_>) -> Option<u32> {
    let (version, _) = body.version()?;
    body.id(version > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let len = u32::try_from(content.len() + 8).unwrap();
        [&len.to_be_bytes(), kind.as_slice(), content].concat()
    }

    /// A box of entries of the version, the lowest byte of the flags, and the number.
    fn infos(entries: &[(u8, u8, u16)]) -> Vec<u8> {
        let entry = |(version, flags, id): &(u8, u8, u16)| {
            let wide: &[u8] = if *version > 2 { &[0, 0] } else { &[] };
            boxed(b"infe", &[&[*version, 0, 0, *flags], wide, &id.to_be_bytes(), b"\0\0hvc1\0"].concat())
        };
        let content =
            [vec![0; 6], boxed(b"free", b"infe"), entries.iter().flat_map(entry).collect()].concat();
        [vec![0; 4], boxed(b"pitm", b"\0\0\0\0\0\x02"), boxed(b"iinf", &content), boxed(b"idat", b"infe")]
            .concat()
    }

    #[test]
    fn all_items_but_one_are_hidden_and_nothing_else_changes() {
        let mut meta = infos(&[(2, 0, 1), (2, 1, 2), (3, 4, 3), (3, 6, 2), (0, 0, 4)]);
        hide_others(&mut meta, 2);
        assert_eq!(meta, infos(&[(2, 1, 1), (2, 0, 2), (3, 5, 3), (3, 6, 2), (0, 1, 4)]));
    }

    #[test]
    fn broken_entries_are_left_as_they_are() {
        let whole = infos(&[(2, 0, 1), (3, 0, 70)]);
        let mut hidden = whole.clone();
        hide_others(&mut hidden, 9);
        assert_ne!(hidden, whole);
        for len in 0..whole.len() {
            let mut cut = whole[..len].to_vec();
            hide_others(&mut cut, 9);
            assert!(cut == whole[..len] || cut == hidden[..len], "cut to {len}");
        }
    }
}
