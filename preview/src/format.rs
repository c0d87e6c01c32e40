//! Tells the format of a file by its first bytes. The name of a file is never looked at.

use std::fmt;
use std::io::{self, Read};

use crate::PreviewError;

/// The formats that are recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// JPEG (ITU-T T.81), baseline or progressive.
    Jpeg,
    /// PNG (W3C recommendation), the still image of an APNG included.
    Png,
    /// WebP (RFC 9649), lossy or lossless, the first frame of an animation included.
    WebP,
    /// GIF 87a or 89a, what is seen before an animation starts.
    Gif,
    /// TIFF 6.0.
    Tiff,
    /// Windows bitmap.
    Bmp,
    /// Quite OK Image.
    Qoi,
    /// Netpbm: PBM, PGM, PPM and PAM.
    Pnm,
    /// Truevision TGA.
    Tga,
    /// Icons and cursors of Windows.
    Ico,
    /// JPEG XL (ISO/IEC 18181).
    Jxl,
    /// AVIF.
    Avif,
    /// HEIF with HEVC, as phones write it.
    Heic,
    /// Scalable Vector Graphics.
    Svg,
    /// Photoshop.
    Psd,
    /// What a camera's sensor gave: DNG, CR2, CR3, NEF, ARW, RAF and others.
    Raw,
    /// PDF, which is a document rather than a picture, but scanners write it.
    Pdf,
    /// JPEG 2000.
    Jp2,
    /// OpenEXR.
    Exr,
    /// Radiance HDR.
    Hdr,
    /// DirectDraw Surface.
    Dds,
    /// GIMP.
    Xcf,
    /// DjVu.
    Djvu,
    /// Encapsulated PostScript.
    Eps,
    /// Anything else.
    Other,
}

/// As many first bytes of a file are looked at, if it has so many.
pub const HEAD_BYTES: usize = 1024;
/// What tells every format that has a signature.
const SIGNATURE_BYTES: usize = 18;

impl Format {
    /// All of them.
    pub const ALL: [Self; 25] = [
        Self::Jpeg,
        Self::Png,
        Self::WebP,
        Self::Gif,
        Self::Tiff,
        Self::Bmp,
        Self::Qoi,
        Self::Pnm,
        Self::Tga,
        Self::Ico,
        Self::Jxl,
        Self::Avif,
        Self::Heic,
        Self::Svg,
        Self::Psd,
        Self::Raw,
        Self::Pdf,
        Self::Jp2,
        Self::Exr,
        Self::Hdr,
        Self::Dds,
        Self::Xcf,
        Self::Djvu,
        Self::Eps,
        Self::Other,
    ];

    /// A stable lower-case name, which is also the usual extension of such a file, but for `raw` and `other`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::WebP => "webp",
            Self::Gif => "gif",
            Self::Tiff => "tiff",
            Self::Bmp => "bmp",
            Self::Qoi => "qoi",
            Self::Pnm => "pnm",
            Self::Tga => "tga",
            Self::Ico => "ico",
            Self::Jxl => "jxl",
            Self::Avif => "avif",
            Self::Heic => "heic",
            Self::Svg => "svg",
            Self::Psd => "psd",
            Self::Raw => "raw",
            Self::Pdf => "pdf",
            Self::Jp2 => "jp2",
            Self::Exr => "exr",
            Self::Hdr => "hdr",
            Self::Dds => "dds",
            Self::Xcf => "xcf",
            Self::Djvu => "djvu",
            Self::Eps => "eps",
            Self::Other => "other",
        }
    }

    /// Its name for a person.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Gif => "GIF",
            Self::Tiff => "TIFF",
            Self::Bmp => "BMP",
            Self::Qoi => "QOI",
            Self::Pnm => "Netpbm",
            Self::Tga => "TGA",
            Self::Ico => "Icon",
            Self::Jxl => "JPEG XL",
            Self::Avif => "AVIF",
            Self::Heic => "HEIC",
            Self::Svg => "SVG",
            Self::Psd => "Photoshop",
            Self::Raw => "Camera raw",
            Self::Pdf => "PDF",
            Self::Jp2 => "JPEG 2000",
            Self::Exr => "OpenEXR",
            Self::Hdr => "Radiance",
            Self::Dds => "DDS",
            Self::Xcf => "GIMP",
            Self::Djvu => "DjVu",
            Self::Eps => "EPS",
            Self::Other => "File",
        }
    }

    /// The format of a file that begins with these bytes. [`HEAD_BYTES`] of them tell it, if the file has so many.
    #[must_use]
    pub fn of_head(head: &[u8]) -> Option<Self> {
        Some(match head {
            [0xff, 0xd8, 0xff, ..] => Self::Jpeg,
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Self::Png,
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Self::WebP,
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Self::Gif,
            [b'I', b'I', 42, 0, _, _, _, _, b'C', b'R', ..] => Self::Raw,
            [b'I', b'I', b'R', b'O' | b'S', ..]
            | [b'M', b'M', b'O', b'R', ..]
            | [b'I', b'I', b'U', 0, ..] => Self::Raw,
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Self::Tiff,
            [b'q', b'o', b'i', b'f', ..] => Self::Qoi,
            [b'8', b'B', b'P', b'S', 0, 1 | 2, ..] => Self::Psd,
            [0xff, 0x0a, ..] | [0, 0, 0, 12, b'J', b'X', b'L', b' ', 13, 10, 0x87, 10, ..] => Self::Jxl,
            [0xff, 0x4f, 0xff, 0x51, ..] | [0, 0, 0, 12, b'j', b'P', b' ', b' ', 13, 10, 0x87, 10, ..] => {
                Self::Jp2
            }
            [0x76, 0x2f, 0x31, 1, ..] => Self::Exr,
            [b'D', b'D', b'S', b' ', 124, 0, 0, 0, ..] => Self::Dds,
            [b'P', b'1'..=b'7', b' ' | b'\t' | b'\r' | b'\n' | b'#', ..] => Self::Pnm,
            [b'B', b'M', ..] if is_bmp(head) => Self::Bmp,
            [0, 0, 1 | 2, 0, count, 0, ..] if *count > 0 => Self::Ico,
            [_, _, _, _, b'f', b't', b'y', b'p', ..] => return of_brands(head),
            _ if head.starts_with(b"FUJIFILMCCD-RAW") => Self::Raw,
            _ if head.starts_with(b"%PDF-") => Self::Pdf,
            _ if head.starts_with(b"#?RADIANCE") || head.starts_with(b"#?RGBE") => Self::Hdr,
            _ if head.starts_with(b"gimp xcf ") => Self::Xcf,
            _ if head.starts_with(b"AT&TFORM") => Self::Djvu,
            _ if head.starts_with(b"%!PS-Adobe-") && contains(head, b" EPSF-") => Self::Eps,
            [0xc5, 0xd0, 0xd3, 0xc6, ..] => Self::Eps,
            _ if is_svg(head) => Self::Svg,
            _ if is_tga(head) => Self::Tga,
            _ => return None,
        })
    }
}

/// What the first bytes tell while more of them are to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// It is this.
    Known(Format),
    /// More of it tells.
    Undecided,
    /// It is no picture, whatever follows.
    Nothing,
}

impl Judged {
    /// Judges the first bytes of a file of which more may follow: most formats are told by 18.
    #[must_use]
    pub fn of_start(head: &[u8]) -> Self {
        let open = match head {
            // SVG, EPS and the family of HEIF tell later what they are.
            [b'<' | 0xef, ..] | [_, _, _, _, b'f', b't', b'y', b'p', ..] => true,
            [first, ..] if first.is_ascii_whitespace() => true,
            _ => head.starts_with(b"%!PS-Adobe-"),
        };
        // Later bytes can make another format of what is one only by its structure, but not of nothing.
        match Format::of_head(head) {
            Some(format) => Self::Known(format),
            None if head.len() < SIGNATURE_BYTES || (open && head.len() < HEAD_BYTES) => Self::Undecided,
            None => Self::Nothing,
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

/// Whether the header behind the file header has one of the lengths that there are.
fn is_bmp(head: &[u8]) -> bool {
    matches!(head.get(14..18), Some([12 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0]))
}

/// By the brands of an ISO base media file (ISO/IEC 14496-12 section 4.3).
fn of_brands(head: &[u8]) -> Option<Format> {
    let len = usize::try_from(u32::from_be_bytes([head[0], head[1], head[2], head[3]])).ok()?;
    let brands = head.get(8..len.min(head.len()))?;
    // The second word is a version.
    let mut brands =
        brands.chunks_exact(4).enumerate().filter(|(index, _)| *index != 1).map(|(_, brand)| brand);
    let mut found = None;
    brands
        .find_map(|brand| match brand {
            b"avif" | b"avis" => Some(Format::Avif),
            b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" => Some(Format::Heic),
            b"crx " => Some(Format::Raw),
            b"mif1" | b"msf1" | b"mif2" => {
                found = Some(Format::Heic);
                None
            }
            _ => None,
        })
        .or(found)
}

/// Whether it is XML whose first element is `svg`.
fn is_svg(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    if head.first() != Some(&b'<') {
        return false;
    }
    // Declarations, comments and processing instructions come before it.
    let starts = memchr::memchr_iter(b'<', head).map(|at| &head[at + 1..]);
    let first = starts.into_iter().find(|rest| rest.first().is_some_and(u8::is_ascii_alphabetic));
    let name = first.map(|rest| {
        let end = rest.iter().position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/'));
        &rest[..end.unwrap_or(rest.len())]
    });
    name.is_some_and(|name| name == b"svg" || name.ends_with(b":svg"))
}

/// Whether it is a header of TGA without a contradiction: the format has no signature at its beginning.
fn is_tga(head: &[u8]) -> bool {
    let Some(&[_, map, kind, a, b, c, d, entry, _, _, _, _, w0, w1, h0, h1, depth, flags]) =
        head.first_chunk()
    else {
        return false;
    };
    let mapped = map == 1 && matches!(entry, 15 | 16 | 24 | 32);
    let plain = map == 0 && [a, b, c, d, entry] == [0; 5];
    let fits = match kind {
        1 | 9 => mapped && depth == 8,
        2 | 10 => plain && matches!(depth, 15 | 16 | 24 | 32),
        3 | 11 => plain && matches!(depth, 8 | 16),
        _ => false,
    };
    fits && [w0, w1] != [0; 2] && [h0, h1] != [0; 2] && flags & 0xc0 == 0 && flags & 15 <= 8
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.title())
    }
}

/// Reads the first bytes of `input` and tells the format, if it has one.
pub(crate) fn sniff(input: &mut impl Read) -> Result<Option<Format>, PreviewError> {
    let mut start = [0; HEAD_BYTES];
    let mut len = 0;
    while len < start.len() {
        match input.read(&mut start[len..]) {
            Ok(0) => break,
            Ok(count) => len += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Format::of_head(&start[..len]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_the_format() {
        let tga = [&[0, 0, 2][..], &[0; 9], &[8, 0, 8, 0, 24, 0]].concat();
        for (head, format) in [
            (b"\xff\xd8\xff\xe0".as_slice(), Some(Format::Jpeg)),
            (b"RIFF\0\0\0\0WEBPVP8 ", Some(Format::WebP)),
            (b"RIFF\0\0\0\0WAVEfmt ", None),
            (b"II\x2a\0\x08\0\0\0", Some(Format::Tiff)),
            (b"MM\0\x2b\0\x08\0\0", Some(Format::Tiff)),
            (b"II\x2a\0\x10\0\0\0CR\x02\0", Some(Format::Raw)),
            (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", Some(Format::Raw)),
            (b"FUJIFILMCCD-RAW 0201", Some(Format::Raw)),
            (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", Some(Format::Avif)),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", Some(Format::Heic)),
            (b"\0\0\0\x14ftypmif1\0\0\0\0mif1avif", Some(Format::Heic)),
            (b"\0\0\0\x18ftypisom\0\0\0\0isomavc1", None),
            (b"\xff\x0a\xfa\x1f", Some(Format::Jxl)),
            (b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", Some(Format::Bmp)),
            (b"BM or not BM, that is...", None),
            (b"P6\n8 8\n255\n", Some(Format::Pnm)),
            (b"P6 8 8 255 ", Some(Format::Pnm)),
            (b"P8\n", None),
            (b"PK\x03\x04", None),
            (b"\0\0\x01\0\x01\0\x10\x10", Some(Format::Ico)),
            (b"\0\0\x01\0\0\0", None),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", Some(Format::Svg)),
            (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- a < b -->\n<!DOCTYPE svg>\n<svg>", Some(Format::Svg)),
            (b"<?xml version='1.0'?><s:svg xmlns:s='x'>", Some(Format::Svg)),
            (b"<html><body><svg/></body></html>", None),
            (b"svg", None),
            (b"%PDF-1.7", Some(Format::Pdf)),
            (b"%!PS-Adobe-3.0 EPSF-3.0", Some(Format::Eps)),
            (b"%!PS-Adobe-3.0\n", None),
            (b"hello, world", None),
            (b"#!/bin/sh\n", None),
            (b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0", None),
            (&tga, Some(Format::Tga)),
            (&tga[..17], None),
            (&[0; 64], None),
            (b"", None),
        ] {
            assert_eq!(Format::of_head(head), format, "{}", String::from_utf8_lossy(head));
        }
    }

    #[test]
    fn what_is_no_picture_is_known_early_and_what_is_one_is_never_refused_before() {
        let svg = [b"<?xml version='1.0'?>\n<!-- ".as_slice(), &[b'x'; 600], b" -->\n<svg>"].concat();
        let eps = b"%!PS-Adobe-3.0 EPSF-3.0\n";
        let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
        let bmp = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0";
        for whole in [svg.as_slice(), eps, heic, bmp, b"\xff\xd8\xff\xe0"] {
            assert!(matches!(Judged::of_start(whole), Judged::Known(_)));
            for len in 0..whole.len() {
                assert_ne!(Judged::of_start(&whole[..len]), Judged::Nothing, "{len} of {whole:?}");
            }
        }
        for text in [
            b"dear diary, today ".as_slice(),
            b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0",
            &[b'<'; HEAD_BYTES],
        ] {
            assert_eq!(Judged::of_start(text), Judged::Nothing);
            assert_eq!(Judged::of_start(&text[..17]), Judged::Undecided);
        }
    }
}
