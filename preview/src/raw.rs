//! Cameras' raw files: the JPEG that the camera has put into them is shown.
//!
//! - DNG, NEF, ARW, CR2, ORF, PEF and others are TIFF structures: JPEGs are found in their directories.
//! - CR3 is an ISO base media file: its preview stands in a `uuid` box of its own (`PRVW`).
//! - RAF tells where it is in its header.
//!
//! The largest one that can be decoded is shown. What the sensor gave is never looked at. Every list of directories and boxes that
//! is followed has an end, and at most [`TRIES_MAX`] JPEGs are tried.

use std::io::{self, BufRead, Read, Seek, SeekFrom};

use crate::exif::Orientation;
use crate::raster::Decoded;
use crate::tiff::directory::{Directory, Structure};
use crate::{Format, PreviewError, jpeg};

/// The most directories of a file that are looked at.
const DIRECTORIES_MAX: usize = 64;
/// The most sub-directories of a directory.
const CHILDREN_MAX: u64 = 16;
/// The most boxes of a file.
const BOXES_MAX: usize = 256;
/// The most JPEGs that are tried, from the largest on.
const TRIES_MAX: usize = 3;

const COMPRESSION: u16 = 259;
const PHOTOMETRIC: u16 = 262;
const STRIP_OFFSETS: u16 = 273;
const ORIENTATION: u16 = 274;
const STRIP_BYTES: u16 = 279;
const SUB_DIRECTORIES: u16 = 330;
const JPEG_AT: u16 = 513;
const JPEG_BYTES: u16 = 514;
const PANASONIC_JPEG: u16 = 46;
const EXIF: u16 = 34_665;
const DNG_VERSION: u16 = 50_706;
/// Samples of a sensor, and those of a sensor after the colours were put together.
const SENSOR: [u64; 2] = [32_803, 34_892];

/// A JPEG in a file: where, and how many bytes.
type Place = (u64, u64);

/// What is found in a file.
#[derive(Debug, Default)]
struct Found {
    places: Vec<Place>,
    orientation: Option<Orientation>,
    /// Whether it has what a sensor gave.
    sensor: bool,
    /// Where a CR3 has the directory of EXIF, as a structure of its own.
    exif: Option<u64>,
}

/// Where a camera's file says something of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    /// In the TIFF structure that begins here.
    Structure(u64),
    /// In the JPEG that begins here.
    Jpeg(u64),
    Nothing,
}

/// Whether a TIFF file is one of a camera.
pub(crate) fn is_raw<R: BufRead + Seek>(input: &mut R) -> Result<bool, PreviewError> {
    Ok(in_directories(input, 0)?.sensor)
}

pub(crate) fn decode<R: BufRead + Seek>(input: &mut R, side: u32) -> Result<Decoded, PreviewError> {
    let file_len = input.seek(SeekFrom::End(0))?;
    let head = head_of(input)?;
    let mut found = if head.starts_with(b"FUJIFILM") {
        in_raf(&head)
    } else if head.get(4..8) == Some(b"ftyp") {
        in_boxes(input, file_len)?
    } else {
        in_directories(input, 0)?
    };
    found.places.retain(|(at, len)| *len > 0 && *at < file_len);
    found.places.sort_by_key(|(_, len)| std::cmp::Reverse(*len));
    found.places.dedup();
    let mut why = PreviewError::Unsupported("raw file without a JPEG in it");
    for (at, len) in found.places.into_iter().take(TRIES_MAX) {
        let mut window = Window { input: &mut *input, start: at, len: len.min(file_len - at), at: 0 };
        window.seek(SeekFrom::Start(0))?;
        match jpeg::decode(&mut window, side) {
            Ok(image) => {
                // The camera turns nothing: what the file says holds for all pictures in it, unless the JPEG tells by itself.
                let told = image.orientation != Orientation::default();
                let orientation =
                    if told { image.orientation } else { found.orientation.unwrap_or_default() };
                return Ok(Decoded { orientation, ..image });
            }
            Err(PreviewError::Io(error)) => return Err(error.into()),
            // What the sensor gave may be a lossless JPEG.
            Err(error) => why = error,
        }
    }
    Err(match why {
        PreviewError::Damaged(_, why) => PreviewError::damaged(Format::Raw, why),
        other => other,
    })
}

/// The first bytes, as far as they tell the kind of file and, of RAF, where its JPEG is.
fn head_of<R: BufRead + Seek>(input: &mut R) -> Result<Vec<u8>, PreviewError> {
    input.rewind()?;
    let mut head = Vec::new();
    (&mut *input).take(92).read_to_end(&mut head)?;
    Ok(head)
}

/// Where the file says something of the picture.
///
/// # Errors
/// If reading fails.
pub(crate) fn camera_says<R: BufRead + Seek>(input: &mut R) -> Result<Says, PreviewError> {
    let file_len = input.seek(SeekFrom::End(0))?;
    let head = head_of(input)?;
    Ok(if head.starts_with(b"FUJIFILM") {
        in_raf(&head).places.first().map_or(Says::Nothing, |(at, _)| Says::Jpeg(*at))
    } else if head.get(4..8) == Some(b"ftyp") {
        in_boxes(input, file_len)?.exif.map_or(Says::Nothing, Says::Structure)
    } else {
        Says::Structure(0)
    })
}

/// The thumbnail in what a camera says about a picture: a TIFF structure that begins at `base`.
pub(crate) fn in_exif(exif: &[u8], base: u64, side: u32) -> Option<Decoded> {
    let mut input = io::Cursor::new(exif);
    let found = in_directories(&mut input, base).ok()?;
    let len = u64::try_from(exif.len()).ok()?;
    found.places.into_iter().filter(|(at, _)| *at < len).take(TRIES_MAX).find_map(|(at, bytes)| {
        let mut window = Window { input: &mut input, start: at, len: bytes.min(len - at), at: 0 };
        window.seek(SeekFrom::Start(0)).ok()?;
        jpeg::decode(&mut window, side).ok()
    })
}

/// Looks through the directories of a TIFF structure that begins at `base`.
fn in_directories<R: BufRead + Seek>(input: &mut R, base: u64) -> Result<Found, PreviewError> {
    let mut found = Found::default();
    let Some((mut structure, first)) = Structure::open(input, base)? else { return Ok(found) };
    let (mut waiting, mut seen) = (vec![first], Vec::new());
    while let Some(at) = waiting.pop() {
        if at == 0 || seen.contains(&at) || seen.len() >= DIRECTORIES_MAX {
            continue;
        }
        seen.push(at);
        let directory = structure.directory(at)?;
        waiting.push(directory.next);
        waiting.extend(structure.numbers(&directory, SUB_DIRECTORIES, CHILDREN_MAX)?.unwrap_or_default());
        waiting.extend(structure.number_of(&directory, EXIF)?);
        // The first directory is that of the whole file.
        if seen.len() == 1 {
            let value = structure.number_of(&directory, ORIENTATION)?;
            found.orientation =
                value.and_then(|value| u16::try_from(value).ok()).and_then(Orientation::from_exif);
        }
        look_at(&mut structure, &directory, &mut found)?;
    }
    Ok(found)
}

fn look_at<R: BufRead + Seek>(
    structure: &mut Structure<'_, R>,
    directory: &Directory,
    found: &mut Found,
) -> Result<(), PreviewError> {
    let photometric = structure.number_of(directory, PHOTOMETRIC)?;
    found.sensor |= directory.has(DNG_VERSION) || photometric.is_some_and(|kind| SENSOR.contains(&kind));
    if let Some((at, len)) = directory.place(PANASONIC_JPEG).filter(|(_, len)| *len > 1024) {
        found.places.push((structure.in_file(at), len));
    }
    let compression = structure.number_of(directory, COMPRESSION)?;
    let tags = if directory.has(JPEG_AT) {
        (JPEG_AT, JPEG_BYTES)
    } else if matches!(compression, Some(6 | 7)) && !photometric.is_some_and(|kind| SENSOR.contains(&kind)) {
        (STRIP_OFFSETS, STRIP_BYTES)
    } else {
        return Ok(());
    };
    // In several strips it is none of the previews that cameras write.
    let at = structure.numbers(directory, tags.0, 1)?;
    let len = structure.numbers(directory, tags.1, 1)?;
    if let (Some([at]), Some([len])) = (at.as_deref(), len.as_deref()) {
        found.places.push((structure.in_file(*at), *len));
    }
    Ok(())
}

/// RAF: the place and the length of the JPEG stand at 84.
fn in_raf(head: &[u8]) -> Found {
    let number = |at: usize| {
        let bytes = head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        u64::from(u32::from_be_bytes(bytes.unwrap_or_default()))
    };
    Found { places: vec![(number(84), number(88))], ..Found::default() }
}

/// The box of a CR3 that has its preview.
const CR3_PREVIEW: [u8; 16] =
    [0xea, 0xf4, 0x2b, 0x5e, 0x1c, 0x98, 0x4b, 0x88, 0xb9, 0xfb, 0xb7, 0xdc, 0x40, 0x6e, 0x4d, 0x16];
/// The box of a CR3 within `moov` that has its metadata: `CMT1` is its first TIFF directory, `CMT2` that of EXIF, `THMB` a thumbnail.
const CR3_METADATA: [u8; 16] =
    [0x85, 0xc0, 0xb6, 0x87, 0x82, 0x0f, 0x11, 0xe0, 0x81, 0x11, 0xf4, 0xce, 0x46, 0x2b, 0x6a, 0x48];

/// Looks through the boxes of a CR3 (ISO/IEC 14496-12 section 4.2).
fn in_boxes<R: BufRead + Seek>(input: &mut R, file_len: u64) -> Result<Found, PreviewError> {
    let mut found = Found::default();
    let mut waiting = vec![(0u64, file_len)];
    let mut count = 0;
    while let Some((at, end)) = waiting.pop() {
        count += 1;
        if count > BOXES_MAX || at.saturating_add(8) > end {
            continue;
        }
        input.seek(SeekFrom::Start(at))?;
        let mut head = Vec::new();
        (&mut *input).take(48).read_to_end(&mut head)?;
        let word = |place: usize| {
            let bytes = head.get(place..place + 4).and_then(|bytes| bytes.try_into().ok());
            u64::from(u32::from_be_bytes(bytes.unwrap_or_default()))
        };
        let (header, len) = match word(0) {
            0 => (8, end - at),
            1 => (16, word(8) << 32 | word(12)),
            len => (8, len),
        };
        if len < header {
            continue;
        }
        let (body, next) = (at.saturating_add(header), at.saturating_add(len).min(end));
        waiting.push((next, end));
        let inside = usize::try_from(header).unwrap_or(8);
        match head.get(4..8) {
            Some(b"moov") => waiting.push((body, next)),
            Some(b"uuid") => match head.get(inside..inside + 16) {
                Some(id) if id == CR3_METADATA => waiting.push((body.saturating_add(16), next)),
                // Eight bytes stand before the boxes in it.
                Some(id) if id == CR3_PREVIEW => waiting.push((body.saturating_add(24), next)),
                _ => {}
            },
            Some(b"CMT2") => found.exif = Some(body),
            Some(b"CMT1") => found.orientation = in_directories(input, body)?.orientation,
            // Version, width, height, and the length before the JPEG.
            Some(b"PRVW") => found.places.push((body.saturating_add(16), word(inside + 12))),
            Some(b"THMB") => found.places.push((body.saturating_add(16), word(inside + 8))),
            _ => {}
        }
    }
    Ok(found)
}

/// A part of a file as a file of its own.
struct Window<'a, R> {
    input: &'a mut R,
    start: u64,
    len: u64,
    at: u64,
}

impl<R: BufRead> Read for Window<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let count = bytes.len().min(out.len());
        out[..count].copy_from_slice(&bytes[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Window<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let left = usize::try_from(self.len.saturating_sub(self.at)).unwrap_or(usize::MAX);
        if left == 0 {
            return Ok(&[]);
        }
        let bytes = self.input.fill_buf()?;
        Ok(&bytes[..bytes.len().min(left)])
    }

    fn consume(&mut self, count: usize) {
        self.input.consume(count);
        self.at = self.at.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    }
}

impl<R: BufRead + Seek> Seek for Window<'_, R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
        };
        let place = place.and_then(|at| Some((at, self.start.checked_add(at)?)));
        let (at, in_file) = place.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        self.input.seek(SeekFrom::Start(in_file))?;
        self.at = at;
        Ok(at)
    }
}
