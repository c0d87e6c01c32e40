//! When a picture was taken, as its camera has written it down: read for those who ask for it, and for nobody else.
//!
//! What counts is `DateTimeOriginal` of EXIF, with `OffsetTimeOriginal` where the camera knows its zone (EXIF 2.32 section 4.6.5), else
//! `exif:DateTimeOriginal` of XMP, which is the same property (XMP part 2 section 3.3). When a file was digitized, edited or written
//! (`DateTime`, PNG's `tIME`) is another matter, and where is never looked at. Whatever is odd tells nothing. Bounded: see [`places`].

mod places;

use std::fmt;
use std::io::{BufRead, Cursor, Seek};

use memchr::memmem;

use crate::tiff::directory::Structure;
use crate::{PreviewError, format_of};

const EXIF_DIRECTORY: u16 = 34_665;
const DATE_TIME_ORIGINAL: u16 = 36_867;
const OFFSET_TIME_ORIGINAL: u16 = 36_881;
/// The most bytes of either value: `2024:05:06 07:08:09` and `+02:00`, with what ends them.
const VALUE_BYTES_MAX: usize = 32;

/// The moment at which a picture was taken, by the clock of its camera. Whether there is such a day is for the reader to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Year, month, day, hour, minute, second.
    clock: [u16; 6],
    /// Minutes that the clock was ahead of UTC, if the camera has said so.
    offset: Option<i16>,
}

/// `2024-05-06T07:08:09`, and `+02:00` behind it where the zone is known.
impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [year, month, day, hour, minute, second] = self.clock;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        let Some(offset) = self.offset else { return Ok(()) };
        let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs());
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// What a camera has said of a picture.
#[derive(Debug, Default)]
struct Said {
    exif: Option<Taken>,
    xmp: Option<Taken>,
}

/// When a picture was taken, if its file tells it.
///
/// # Errors
///
/// [`PreviewError::Io`] when reading fails.
pub fn taken<R: BufRead + Seek>(mut input: R) -> Result<Option<Taken>, PreviewError> {
    let Some(format) = format_of(&mut input)? else { return Ok(None) };
    match places::look(format, &mut input) {
        Ok(said) => Ok(said.exif.or(said.xmp)),
        Err(PreviewError::Io(error)) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            Err(error.into())
        }
        // What is damaged tells nothing.
        Err(_) => Ok(None),
    }
}

/// What an EXIF block tells: a TIFF structure, with or without `Exif\0\0` before it.
fn in_exif(exif: &[u8]) -> Option<Taken> {
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    in_structure(&mut Cursor::new(tiff), 0).ok()?
}

/// What the TIFF structure at `base` tells: in the directory of EXIF, or in its first one where that is the directory of EXIF itself.
fn in_structure<R: BufRead + Seek>(input: &mut R, base: u64) -> Result<Option<Taken>, PreviewError> {
    let Some((mut structure, first)) = Structure::open(input, base)? else { return Ok(None) };
    let mut directory = structure.directory(first)?;
    if let Some(exif) = structure.number_of(&directory, EXIF_DIRECTORY)? {
        directory = structure.directory(exif)?;
    }
    let Some(clock) = structure.bytes_of(&directory, DATE_TIME_ORIGINAL, VALUE_BYTES_MAX)? else {
        return Ok(None);
    };
    let offset = structure.bytes_of(&directory, OFFSET_TIME_ORIGINAL, VALUE_BYTES_MAX)?;
    let Some(clock) = clock_of(&clock, b":: ::") else { return Ok(None) };
    Ok(Some(Taken { clock, offset: offset.and_then(|offset| offset_of(&offset)) }))
}

/// What an XMP packet tells. It is not parsed: the property is found by its usual name, as an attribute or an element.
fn in_xmp(packet: &[u8]) -> Option<Taken> {
    const NAME: &[u8] = b"exif:DateTimeOriginal";
    let rest = packet[memmem::find(packet, NAME)? + NAME.len()..].trim_ascii_start();
    let value = match rest.split_first()? {
        (b'>', value) => value.trim_ascii_start(),
        (b'=', value) => {
            let value = value.trim_ascii_start();
            value.strip_prefix(b"\"").or_else(|| value.strip_prefix(b"'"))?
        }
        _ => return None,
    };
    let end = value.iter().position(|byte| matches!(byte, b'"' | b'\'' | b'<'))?;
    let value = value[..end].trim_ascii_end();
    let clock = clock_of(value, b"--T::")?;
    let zone = value.get(19..)?;
    // A fraction of the second may stand before the zone.
    let digits =
        zone.strip_prefix(b".").map_or(0, |rest| 1 + rest.iter().take_while(|b| b.is_ascii_digit()).count());
    let zone = &zone[digits..];
    Some(Taken { clock, offset: if zone == b"Z" { Some(0) } else { offset_of(zone) } })
}

/// Year, month, day, hour, minute and second, with these bytes between them.
fn clock_of(text: &[u8], between: &[u8; 5]) -> Option<[u16; 6]> {
    let mut clock = [0; 6];
    let mut rest = text;
    for (index, number) in clock.iter_mut().enumerate() {
        let digits;
        (digits, rest) = rest.split_at_checked(if index == 0 { 4 } else { 2 })?;
        *number = number_of(digits)?;
        if let Some(expected) = between.get(index) {
            let (found, behind) = rest.split_first()?;
            if found != expected {
                return None;
            }
            rest = behind;
        }
    }
    Some(clock)
}

/// Minutes of `+02:00`, which may end in spaces and zeros.
fn offset_of(text: &[u8]) -> Option<i16> {
    let (head, rest) = text.split_at_checked(6)?;
    let is_end = rest.iter().all(|byte| matches!(byte, 0 | b' '));
    let ([sign @ (b'+' | b'-'), hours @ .., b':', _, _], true) = (head, is_end) else { return None };
    let (hours, minutes) = (number_of(hours)?, number_of(&head[4..])?);
    // No zone is more than 14 hours from UTC; 15:59 is what earlier ones were.
    let offset = i16::try_from(hours * 60 + minutes).ok().filter(|_| hours < 16 && minutes < 60)?;
    Some(if *sign == b'-' { -offset } else { offset })
}

fn number_of(digits: &[u8]) -> Option<u16> {
    let add = |sum: u16, digit: &u8| digit.is_ascii_digit().then(|| sum * 10 + u16::from(digit - b'0'));
    digits.iter().try_fold(0, add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(taken: Option<Taken>) -> Option<String> {
        taken.map(|taken| taken.to_string())
    }

    /// A little-endian block whose directory of EXIF has these values.
    fn exif(values: &[(u16, &[u8])]) -> Vec<u8> {
        let mut out = b"II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x1a\0\0\0\0\0\0\0".to_vec();
        out.extend(u16::try_from(values.len()).unwrap().to_le_bytes());
        let mut at = 26 + 2 + 12 * values.len() + 4;
        for (tag, value) in values {
            out.extend(tag.to_le_bytes());
            out.extend(2u16.to_le_bytes());
            out.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
            out.extend(u32::try_from(at).unwrap().to_le_bytes());
            at += value.len();
        }
        out.extend([0; 4]);
        out.extend(values.iter().flat_map(|(_, value)| *value));
        out
    }

    #[test]
    fn exif_tells_the_clock_and_the_zone_if_the_camera_knows_it() {
        const CLOCK: &[u8] = b"2024:05:06 07:08:09\0";
        let told = |values: &[(u16, &[u8])]| text_of(in_exif(&exif(values)));
        let clock = "2024-05-06T07:08:09".to_owned();
        assert_eq!(told(&[(DATE_TIME_ORIGINAL, CLOCK)]), Some(clock.clone()));
        for (zone, shown) in [
            (b"+02:00\0", "+02:00"),
            (b"-09:30\0", "-09:30"),
            (b"+00:00\0", "+00:00"),
            (b"-00:30 ", "-00:30"),
        ] {
            let values: [(u16, &[u8]); 2] = [(DATE_TIME_ORIGINAL, CLOCK), (OFFSET_TIME_ORIGINAL, zone)];
            assert_eq!(told(&values), Some(format!("{clock}{shown}")));
        }
        for zone in [b"   :  \0", b"+2:00\0\0", b"+02:60\0", b"+16:00\0", b"02:00+\0", b"+02:00x"] {
            let values: [(u16, &[u8]); 2] = [(DATE_TIME_ORIGINAL, CLOCK), (OFFSET_TIME_ORIGINAL, zone)];
            assert_eq!(told(&values), Some(clock.clone()), "{zone:?}");
        }
        // When it was written, and when it was digitized, is not when it was taken.
        assert_eq!(told(&[(306, CLOCK), (36_868, CLOCK)]), None);
        for odd in
            [&b"    :  :     :  :  \0"[..], b"2024-05-06 07:08:09\0", b"2024:05:06\0", b"", &[b'1'; 40]]
        {
            assert_eq!(told(&[(DATE_TIME_ORIGINAL, odd)]), None, "{odd:?}");
        }
        let block = exif(&[(DATE_TIME_ORIGINAL, CLOCK)]);
        for len in 0..block.len() - 1 {
            assert_eq!(in_exif(&block[..len]), None, "cut to {len}");
        }
        assert_eq!(text_of(in_exif(&[b"Exif\0\0", &block[..]].concat())), Some(clock));
    }

    #[test]
    fn xmp_tells_it_as_an_attribute_or_an_element() {
        let told = |text: &str| text_of(in_xmp(text.as_bytes()));
        for (text, expected) in [
            ("<a exif:DateTimeOriginal=\"2024-05-06T07:08:09\"/>", "2024-05-06T07:08:09"),
            ("<a exif:DateTimeOriginal = '2024-05-06T07:08:09+02:00'/>", "2024-05-06T07:08:09+02:00"),
            (
                "<exif:DateTimeOriginal>2024-05-06T07:08:09.25Z</exif:DateTimeOriginal>",
                "2024-05-06T07:08:09+00:00",
            ),
            ("<exif:DateTimeOriginal> 2024-05-06T07:08:09.5-03:30 </a>", "2024-05-06T07:08:09-03:30"),
        ] {
            assert_eq!(told(text).as_deref(), Some(expected), "{text}");
            for len in 0..text.len() {
                let cut = told(&text[..len]);
                assert!(cut.is_none() || cut.as_deref() == Some(expected), "{text} cut to {len}");
            }
        }
        for text in [
            "exif:DateTimeOriginal=\"2024-05-06\"",
            "exif:DateTimeOriginal",
            "xmp:CreateDate=\"2024-05-06T07:08:09\"",
            "",
        ] {
            assert_eq!(told(text), None, "{text}");
        }
    }
}
