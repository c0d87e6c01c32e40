//! Directories of TIFF 6.0 and BigTIFF: tags and their values. Cameras' raw files are made of them, too.
//!
//! Tolerant: what cannot be read of a directory is not in it. Bounded: a directory has at most 4,096 entries, and the caller
//! says how much of a value it takes. Offsets are never followed by themselves.

use std::io::{BufRead, Read, Seek, SeekFrom};

use crate::PreviewError;

/// The most entries of a directory that are looked at.
const ENTRIES_MAX: u64 = 4096;

/// A file, or a part of one that is a TIFF structure.
pub(crate) struct Structure<'a, R> {
    pub(crate) input: &'a mut R,
    /// Where in the file it begins.
    base: u64,
    little: bool,
    big: bool,
}

/// A directory: its entries, and where the next one is (0: nowhere).
#[derive(Debug, Default)]
pub(crate) struct Directory {
    entries: Vec<Entry>,
    pub(crate) next: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    tag: u16,
    kind: u16,
    count: u64,
    /// Where its value stands, from the beginning of the structure.
    at: u64,
}

/// Bytes of a value of this type (TIFF 6.0 section 2, and BigTIFF).
fn size_of(kind: u16) -> Option<u64> {
    Some(match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16 | 17 | 18 => 8,
        _ => return None,
    })
}

impl<'a, R: BufRead + Seek> Structure<'a, R> {
    /// Opens what begins at `base`, and tells where its first directory is.
    ///
    /// # Errors
    /// If it is no such structure.
    pub(crate) fn open(input: &'a mut R, base: u64) -> Result<Option<(Self, u64)>, PreviewError> {
        let mut structure = Self { input, base, little: true, big: false };
        let Some(head) = structure.bytes_at(0, 16)? else {
            // The least that there can be has 8 bytes.
            let Some(head) = structure.bytes_at(0, 8)? else { return Ok(None) };
            return Ok(structure.begin(&head));
        };
        Ok(structure.begin(&head))
    }

    fn begin(mut self, head: &[u8]) -> Option<(Self, u64)> {
        self.little = match head.get(..2)? {
            b"II" => true,
            b"MM" => false,
            _ => return None,
        };
        // The second word is a version; cameras of Olympus and Panasonic have their own.
        self.big = self.number(&head[2..4]) == 43;
        let first = if self.big { head.get(8..16)? } else { head.get(4..8)? };
        let first = self.number(first);
        Some((self, first))
    }

    /// Reads the directory at `at`; what is missing of it is not in it.
    ///
    /// # Errors
    /// If reading fails.
    pub(crate) fn directory(&mut self, at: u64) -> Result<Directory, PreviewError> {
        let mut out = Directory::default();
        let (count_bytes, entry_bytes) = if self.big { (8, 20) } else { (2, 12) };
        if at == 0 {
            return Ok(out);
        }
        let Some(count) = self.bytes_at(at, count_bytes)? else { return Ok(out) };
        let count = self.number(&count).min(ENTRIES_MAX);
        let mut place = at.saturating_add(u64::try_from(count_bytes).unwrap_or(8));
        for _ in 0..count {
            let Some(bytes) = self.bytes_at(place, entry_bytes)? else { return Ok(out) };
            let words = if self.big { 8 } else { 4 };
            let (tag, kind) = (self.short(&bytes[..2]), self.short(&bytes[2..4]));
            let count = self.number(&bytes[4..4 + words]);
            if let Some(size) = size_of(kind) {
                let inline = size.saturating_mul(count) <= u64::try_from(words).unwrap_or(4);
                let value = place.saturating_add(4 + u64::try_from(words).unwrap_or(4));
                let at = if inline { value } else { self.number(&bytes[4 + words..]) };
                out.entries.push(Entry { tag, kind, count, at });
            }
            place = place.saturating_add(u64::try_from(entry_bytes).unwrap_or(20));
        }
        let next = self.bytes_at(place, if self.big { 8 } else { 4 })?;
        out.next = next.map_or(0, |next| self.number(&next));
        Ok(out)
    }

    /// The whole numbers of a tag, if there are at most `max`.
    ///
    /// # Errors
    /// If reading fails.
    pub(crate) fn numbers(
        &mut self,
        directory: &Directory,
        tag: u16,
        max: u64,
    ) -> Result<Option<Vec<u64>>, PreviewError> {
        let Some(entry) = directory.find(tag).filter(|entry| entry.count <= max) else { return Ok(None) };
        let size = match entry.kind {
            // Floating point, fractions and text are no whole numbers.
            2 | 5 | 10 | 11 | 12 => return Ok(None),
            kind => size_of(kind).unwrap_or(1),
        };
        let size = usize::try_from(size).unwrap_or(8);
        let len = usize::try_from(entry.count).unwrap_or(usize::MAX).saturating_mul(size);
        let Some(bytes) = self.bytes_at(entry.at, len)? else { return Ok(None) };
        Ok(Some(bytes.chunks_exact(size).map(|bytes| self.number(bytes)).collect()))
    }

    /// The first whole number of a tag.
    ///
    /// # Errors
    /// If reading fails.
    pub(crate) fn number_of(&mut self, directory: &Directory, tag: u16) -> Result<Option<u64>, PreviewError> {
        let Some(entry) = directory.find(tag) else { return Ok(None) };
        let first = Directory { entries: vec![Entry { count: entry.count.min(1), ..entry }], next: 0 };
        Ok(self.numbers(&first, tag, 1)?.and_then(|numbers| numbers.first().copied()))
    }

    /// The bytes of a tag, if there are at most `max`.
    ///
    /// # Errors
    /// If reading fails.
    pub(crate) fn bytes_of(
        &mut self,
        directory: &Directory,
        tag: u16,
        max: usize,
    ) -> Result<Option<Vec<u8>>, PreviewError> {
        let Some((at, len)) = directory.place(tag) else { return Ok(None) };
        match usize::try_from(len) {
            Ok(len) if len <= max => self.bytes_at(at, len),
            _ => Ok(None),
        }
    }

    /// The byte of the file at which something of the structure stands.
    pub(crate) fn in_file(&self, at: u64) -> u64 {
        self.base.saturating_add(at)
    }

    /// Whether numbers have their lowest byte first.
    pub(crate) fn is_little(&self) -> bool {
        self.little
    }

    /// `len` bytes at `at`; nothing where there are not so many. The caller has bounded `len`.
    pub(crate) fn bytes_at(&mut self, at: u64, len: usize) -> Result<Option<Vec<u8>>, PreviewError> {
        let Some(start) = self.base.checked_add(at).filter(|start| i64::try_from(*start).is_ok()) else {
            return Ok(None);
        };
        self.input.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        let limit = u64::try_from(len).unwrap_or(u64::MAX);
        (&mut *self.input).take(limit).read_to_end(&mut bytes)?;
        Ok((bytes.len() == len).then_some(bytes))
    }

    fn short(&self, bytes: &[u8]) -> u16 {
        u16::try_from(self.number(bytes)).unwrap_or(u16::MAX)
    }

    /// A whole number of up to 8 bytes.
    fn number(&self, bytes: &[u8]) -> u64 {
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        if self.little { bytes.iter().rev().fold(0, add) } else { bytes.iter().fold(0, add) }
    }
}

impl Directory {
    fn find(&self, tag: u16) -> Option<Entry> {
        self.entries.iter().find(|entry| entry.tag == tag).copied()
    }

    /// Whether it has the tag.
    pub(crate) fn has(&self, tag: u16) -> bool {
        self.find(tag).is_some()
    }

    /// Where the value of a tag stands in the structure, and how many bytes it has.
    pub(crate) fn place(&self, tag: u16) -> Option<(u64, u64)> {
        let entry = self.find(tag)?;
        Some((entry.at, size_of(entry.kind)?.saturating_mul(entry.count)))
    }
}
