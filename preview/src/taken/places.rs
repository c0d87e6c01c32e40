//! Where the formats keep what a camera says: segments of JPEG, chunks of PNG and WebP, directories of TIFF, items of HEIF, boxes of JPEG XL,
//! resources of Photoshop. Pixels are passed over. At most [`SEGMENTS_MAX`] parts of a file are looked at, and of each at most
//! [`EXIF_BYTES_MAX`] bytes.

use std::io::{BufRead, Read, Seek, SeekFrom};

use super::{Said, in_exif, in_structure, in_xmp};
use crate::{EXIF_BYTES_MAX, Format, PreviewError, SEGMENTS_MAX, heif, raw};

/// What the file says.
pub(super) fn look<R: BufRead + Seek>(format: Format, input: &mut R) -> Result<Said, PreviewError> {
    input.rewind()?;
    match format {
        Format::Jpeg => in_segments(input, 0),
        Format::Png => in_chunks(input),
        Format::WebP => in_riff(input),
        Format::Tiff => Ok(Said { exif: in_structure(input, 0)?, xmp: None }),
        Format::Raw => in_raw(input),
        Format::Avif | Format::Heic => in_heif(format, input),
        Format::Jxl => in_boxes(input),
        Format::Psd => in_resources(input),
        _ => Ok(Said::default()),
    }
}

/// `len` bytes, or those of them that matter, if they are there.
fn part<R: BufRead>(input: &mut R, len: u64) -> Result<Vec<u8>, PreviewError> {
    let mut bytes = Vec::new();
    let most = u64::try_from(EXIF_BYTES_MAX).unwrap_or(u64::MAX);
    (&mut *input).take(len.min(most)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn word<const N: usize, R: BufRead>(input: &mut R) -> Result<Option<[u8; N]>, PreviewError> {
    let mut bytes = [0; N];
    match input.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Said {
    /// Takes a part of the file that is EXIF.
    fn exif(&mut self, bytes: &[u8]) {
        self.exif = self.exif.or_else(|| in_exif(bytes));
    }

    /// Takes one that is XMP.
    fn xmp(&mut self, packet: &[u8]) {
        self.xmp = self.xmp.or_else(|| in_xmp(packet));
    }
}

/// The segments before the first scan of the JPEG at `start` (ITU-T T.81 section B.1.1).
fn in_segments<R: BufRead + Seek>(input: &mut R, start: u64) -> Result<Said, PreviewError> {
    let mut said = Said::default();
    let mut at = start.saturating_add(2);
    for _ in 0..SEGMENTS_MAX {
        input.seek(SeekFrom::Start(at))?;
        let Some([0xff, kind]) = word(input)? else { break };
        match kind {
            // Filled up.
            0xff => {
                at = at.saturating_add(1);
                continue;
            }
            0x01 | 0xd0..=0xd8 => {
                at = at.saturating_add(2);
                continue;
            }
            0xd9 | 0xda => break,
            _ => {}
        }
        let Some(len) = word(input)?.map(u16::from_be_bytes) else { break };
        if kind == 0xe1 {
            let bytes = part(input, u64::from(len.saturating_sub(2)))?;
            if let Some(exif) = bytes.strip_prefix(b"Exif\0").and_then(|rest| rest.get(1..)) {
                said.exif(exif);
            } else if let Some(packet) = bytes.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0") {
                said.xmp(packet);
            }
        }
        at = at.saturating_add(2).saturating_add(len.max(2).into());
    }
    Ok(said)
}

/// All chunks of a PNG: what a camera says may stand behind the pixels.
fn in_chunks<R: BufRead + Seek>(input: &mut R) -> Result<Said, PreviewError> {
    let mut said = Said::default();
    let mut at = 8u64;
    for _ in 0..SEGMENTS_MAX {
        input.seek(SeekFrom::Start(at))?;
        let (Some(len), Some(kind)) = (word(input)?.map(u32::from_be_bytes), word::<4, _>(input)?) else {
            break;
        };
        match &kind {
            b"eXIf" => said.exif(&part(input, len.into())?),
            b"iTXt" => {
                let bytes = part(input, len.into())?;
                if let Some(packet) = bytes.strip_prefix(b"XML:com.adobe.xmp\0\0\0") {
                    said.xmp(packet);
                }
            }
            b"IEND" => break,
            _ => {}
        }
        at = at.saturating_add(u64::from(len)).saturating_add(12);
    }
    Ok(said)
}

/// The chunks of a WebP (RFC 9649 section 2.3).
fn in_riff<R: BufRead + Seek>(input: &mut R) -> Result<Said, PreviewError> {
    let mut said = Said::default();
    let mut at = 12u64;
    for _ in 0..SEGMENTS_MAX {
        input.seek(SeekFrom::Start(at))?;
        let (Some(kind), Some(len)) = (word::<4, _>(input)?, word(input)?.map(u32::from_le_bytes)) else {
            break;
        };
        match &kind {
            b"EXIF" => said.exif(&part(input, len.into())?),
            b"XMP " => said.xmp(&part(input, len.into())?),
            _ => {}
        }
        at = at.saturating_add(8).saturating_add(u64::from(len)).saturating_add(u64::from(len % 2));
    }
    Ok(said)
}

/// A camera's file: its own directories, those in the boxes of a CR3, or the JPEG of an RAF.
fn in_raw<R: BufRead + Seek>(input: &mut R) -> Result<Said, PreviewError> {
    match raw::camera_says(input)? {
        raw::Says::Structure(base) => Ok(Said { exif: in_structure(input, base)?, xmp: None }),
        raw::Says::Jpeg(start) => in_segments(input, start),
        raw::Says::Nothing => Ok(Said::default()),
    }
}

fn in_heif<R: BufRead + Seek>(format: Format, input: &mut R) -> Result<Said, PreviewError> {
    let mut said = Said::default();
    if let Some(exif) = heif::exif_of(format, input)? {
        said.exif(&exif);
    }
    Ok(said)
}

/// The boxes of JPEG XL (ISO/IEC 18181-2): `Exif` has an offset before its block. Compressed ones are passed over.
fn in_boxes<R: BufRead + Seek>(input: &mut R) -> Result<Said, PreviewError> {
    let mut said = Said::default();
    let mut at = 0u64;
    for _ in 0..SEGMENTS_MAX {
        input.seek(SeekFrom::Start(at))?;
        let (Some(len), Some(kind)) = (word(input)?.map(u32::from_be_bytes), word::<4, _>(input)?) else {
            break;
        };
        let (header, len) = match len {
            0 => (8, u64::MAX),
            1 => (16, word(input)?.map_or(0, u64::from_be_bytes)),
            len => (8, len.into()),
        };
        let Some(body) = len.checked_sub(header) else { break };
        match &kind {
            b"Exif" => {
                let offset = word(input)?.map_or(0, u32::from_be_bytes);
                let bytes = part(input, body.saturating_sub(4))?;
                let offset = usize::try_from(offset).unwrap_or(usize::MAX);
                said.exif(bytes.get(offset..).unwrap_or_default());
            }
            b"xml " => said.xmp(&part(input, body)?),
            _ => {}
        }
        let Some(next) = at.checked_add(len).filter(|next| i64::try_from(*next).is_ok()) else { break };
        at = next;
    }
    Ok(said)
}

/// The resources of a Photoshop file: EXIF is 1058, XMP 1060.
fn in_resources<R: BufRead + Seek>(input: &mut R) -> Result<Said, PreviewError> {
    let mut said = Said::default();
    input.seek(SeekFrom::Start(26))?;
    let Some(colours) = word(input)?.map(u32::from_be_bytes) else { return Ok(said) };
    let mut at = 30 + u64::from(colours);
    input.seek(SeekFrom::Start(at))?;
    let Some(bytes) = word(input)?.map(u32::from_be_bytes) else { return Ok(said) };
    at += 4;
    let end = at + u64::from(bytes);
    for _ in 0..SEGMENTS_MAX {
        input.seek(SeekFrom::Start(at))?;
        let (Some(mark), Some(kind), Some([name])) = (word::<4, _>(input)?, word(input)?, word(input)?)
        else {
            break;
        };
        if &mark != b"8BIM" || at >= end {
            break;
        }
        // Names and contents are filled up to an even number of bytes.
        at += 7 + u64::from(name | 1);
        input.seek(SeekFrom::Start(at))?;
        let Some(len) = word(input)?.map(u32::from_be_bytes) else { break };
        match u16::from_be_bytes(kind) {
            1058 => said.exif(&part(input, len.into())?),
            1060 => said.xmp(&part(input, len.into())?),
            _ => {}
        }
        at += 4 + u64::from(len) + u64::from(len % 2);
    }
    Ok(said)
}
