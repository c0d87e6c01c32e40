//! Turns an untrusted image into a small preview that is safe to hand to strangers, or into
//! the pixels of a screen.
//!
//! What always holds of a preview: it is a baseline JPEG that fits in the square that is asked for (256 x 256 pixels, or 512 x 512), upright (the orientation of
//! EXIF is applied, or that of XMP where EXIF has none), in sRGB (an embedded ICC profile, or the code points and
//! measures of a PNG, are applied when they are usable, ignored when they are not), opaque (transparency lies on white)
//! and free of every byte of metadata. An animation is represented by
//! its first frame. An image that is smaller than the preview is not enlarged.
//!
//! The input is hostile. Dimensions are checked before anything is allocated for them, every quantity that a file
//! announces has a limit (the constants below). What is odd behind the pixels of what is shown does not matter; where
//! pixels are missing, what there is of them is shown with a [`Warning`].
//!
//! Memory, beside the buffer of the caller's reader and whatever the size of the file:
//!
//! | format | at most | why |
//! | --- | --- | --- |
//! | JPEG | 28 MiB | progressive files below 2,970 px keep the coefficients of one colour channel (18 MiB) |
//! | PNG | 28 MiB | rows are averaged as they come; 8 MiB for metadata chunks |
//! | GIF | 12 MiB | rows are averaged as they come |
//! | TIFF | 28 MiB | rows are averaged as they come; 24 MiB for a compressed tile that is a JPEG |
//! | Photoshop | 28 MiB | rows are averaged as they come; 4 MiB for the lengths of its rows |
//! | BMP, QOI, Netpbm, TGA, icons | 5 bytes a pixel, of at most 64 million | they are decoded whole; 44 MiB of pixels, or 20 pixels to a byte of the file |
//! | JPEG XL | 48 MiB + 1 KiB a byte of the file, 768 MiB at most | it is decoded whole: 25 bytes a pixel |
//! | AVIF | 36 MiB + 128 bytes a byte of the file, 512 MiB at most, and 8 MiB | tiles are decoded whole, one at a time |
//! | SVG | 64 MiB | what it takes is estimated before it is drawn; at most 2 MiB of text |
//! | HEIC | 128 MiB | the file, and the JPEG that a process of its own makes of it, which may take 2 GiB of addresses |
//! | WebP | 64 MiB + 4 bytes a pixel | twice the frame (32 MiB at most); libwebp holds lossless images whole, of 12.5 million pixels or 20 to a byte of the frame |
//!
//! That is for previews of 256 pixels. Those of 512 take up to 16 MiB more, and a progressive JPEG up to 32 MiB for its coefficients.
//!
//! [`scale`] goes the same way to a size of the caller's choice, up to [`SCALED_PIXELS_MAX`], and takes more: 128 MiB for
//! the coefficients of a progressive JPEG, and three times the square of 3,000 to 6,000 pixels for any.
//!
//! It does not decode lossless or 12-bit JPEG, and it starts no thread. For HEIC alone it runs a program, where the system has it ([`decodes_heic`]).
//! Of a format that is known but not decoded, [`look`] draws a
//! placeholder.

pub mod apart;
mod avif;
mod colour;
mod encode;
mod error;
mod exif;
mod finish;
mod format;
mod gif;
mod heic;
mod heif;
mod jpeg;
mod jxl;
mod placeholder;
mod png;
mod profile;
mod psd;
mod raster;
mod raw;
mod shrink;
mod svg;
mod taken;
mod thumbhash;
mod tiff;
mod webp;
mod whole;
mod xmp;

use std::io::{BufRead, Seek, SeekFrom};

pub use error::{PreviewError, Warning};
pub use format::{Format, HEAD_BYTES, Judged};
pub use placeholder::{Known, Looked, look};
use raster::Decoded;
pub use taken::{Taken, taken};

/// The longest side of a preview where nothing else is asked for, in pixels.
pub const PREVIEW_PIXELS: u32 = 256;
/// The longest side of a preview that can be asked for, in pixels.
pub const PREVIEW_PIXELS_MAX: u32 = 512;
/// The longest side to which [`scale`] scales, in pixels: that of a window on a large screen.
pub const SCALED_PIXELS_MAX: u32 = 2048;
/// The longest side of an image that is accepted, in pixels: what JPEG and GIF can express at most.
pub const SIDE_PIXELS_MAX: u32 = 65_535;
/// The most pixels of an image that is decoded in passing, row by row: JPEG, PNG, and lossy WebP without alpha.
pub const STREAMED_PIXELS_MAX: u64 = 1_000_000_000;
/// The most pixels of a GIF: it is decoded in passing too, but its LZW is slow, and no photograph is a GIF.
pub const GIF_PIXELS_MAX: u64 = 100_000_000;
/// The most pixels of a WebP that libwebp holds whole while it decodes: lossless, or with an alpha channel.
pub const WHOLE_PIXELS_MAX: u64 = 64_000_000;
/// The most bytes of the compressed frame of a WebP, its alpha channel included, which is held in memory.
pub const WEBP_BYTES_MAX: u64 = 32 << 20;
/// The most scans of a JPEG. Encoders write 1 to 20; each costs time over the whole image.
pub const JPEG_SCANS_MAX: usize = 100;
/// The most segments of a JPEG, chunks of a WebP, or blocks of a GIF.
pub const SEGMENTS_MAX: usize = 65_536;
/// The most bytes of an ICC profile that is applied; a longer one is ignored. Those of printers reach 3 MiB.
pub const ICC_BYTES_MAX: usize = 4 << 20;
/// The most bytes of EXIF that are looked at; the orientation stands in the first hundreds.
pub const EXIF_BYTES_MAX: usize = 64 << 10;
/// The most bytes of XMP that are looked at; a longer packet is ignored.
pub const XMP_BYTES_MAX: usize = 64 << 10;
/// The most bytes that the metadata chunks of a PNG may take in memory.
pub const PNG_CHUNK_BYTES_MAX: usize = 8 << 20;

/// An image that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// The format of the original, by its content.
    pub format: Format,
    /// The width of the original as it is displayed (after the EXIF orientation), in pixels.
    pub width: u32,
    /// The height of the original as it is displayed (after the EXIF orientation), in pixels.
    pub height: u32,
    /// The preview.
    pub preview: Preview,
    /// What is wrong with the image, if it could be shown all the same.
    pub warning: Option<Warning>,
}

/// A small JPEG without metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// The file: baseline JPEG in sRGB or greyscale, quality 80, typically 5 to 20 KB.
    pub jpeg: Vec<u8>,
    /// Width in pixels, 1 to [`PREVIEW_PIXELS_MAX`].
    pub width: u32,
    /// Height in pixels, 1 to [`PREVIEW_PIXELS_MAX`].
    pub height: u32,
    /// Its ThumbHash, of 5 to 25 bytes: colours and shapes as they are seen through frosted glass.
    pub thumbhash: Vec<u8>,
}

/// An image in the size of a screen or of a part of it: upright, opaque, in sRGB.
#[derive(Clone, PartialEq, Eq)]
pub struct Pixels {
    /// Width in pixels, 1 to [`SCALED_PIXELS_MAX`].
    pub width: u32,
    /// Height in pixels, 1 to [`SCALED_PIXELS_MAX`].
    pub height: u32,
    /// Rows from the top, of three bytes a pixel: red, green, blue.
    pub rgb: Vec<u8>,
}

impl Pixels {
    /// The picture as a JPEG, in sRGB and without metadata, of such a quality that no difference is seen.
    ///
    /// # Errors
    ///
    /// If there are no pixels.
    pub fn to_jpeg(&self) -> Result<Vec<u8>, PreviewError> {
        encode::encode_fine(&self.rgb, (self.width, self.height))
    }
}

impl std::fmt::Debug for Pixels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{} pixels", self.width, self.height)
    }
}

/// Makes the preview of an image, whose file is read from its beginning, wherever `input` stands.
///
/// Parts of a file may be read twice, and parts that do not matter are skipped by seeking. The buffer of `input`
/// should be 64 KiB or more. This takes 5 to 50 ms of computing for a photograph, so it is not for an async thread.
///
/// # Errors
///
/// [`PreviewError::NotAnImage`] for any other content, [`PreviewError::Damaged`] for a file of which nothing can be
/// shown, [`PreviewError::TooLarge`] beyond the limits of this crate, [`PreviewError::Unsupported`]
/// for rare kinds of the formats, [`PreviewError::NotDecoded`] for formats that are only known by their first bytes,
/// [`PreviewError::Io`] when reading fails.
pub fn make<R: BufRead + Seek>(input: R) -> Result<Picture, PreviewError> {
    make_within(input, PREVIEW_PIXELS)
}

/// As [`make`], within a square of `side` pixels, which is taken to be [`PREVIEW_PIXELS`] to [`PREVIEW_PIXELS_MAX`].
///
/// # Errors
///
/// As [`make`].
pub fn make_within<R: BufRead + Seek>(input: R, side: u32) -> Result<Picture, PreviewError> {
    let side = side.clamp(PREVIEW_PIXELS, PREVIEW_PIXELS_MAX);
    let (format, decoded) = decode(input, side)?;
    let (width, height) = decoded.told.unwrap_or((decoded.width, decoded.height));
    let (width, height) = decoded.orientation.displayed(width, height);
    let warning = decoded.warning;
    let preview = finish::finish(decoded, side)?;
    Ok(Picture { format, width, height, preview, warning })
}

/// Scales an image down to what fits in `bounds` (width and height in pixels, each taken to be 1 to
/// [`SCALED_PIXELS_MAX`]), as [`make`] does it to a preview. A smaller one keeps its size.
///
/// # Errors
///
/// As [`make`].
pub fn scale<R: BufRead + Seek>(input: R, bounds: (u32, u32)) -> Result<Pixels, PreviewError> {
    let bound = |side: u32| side.clamp(1, SCALED_PIXELS_MAX);
    let bounds = (bound(bounds.0), bound(bounds.1));
    let (_, decoded) = decode(input, bounds.0.max(bounds.1).max(PREVIEW_PIXELS))?;
    finish::pixels(decoded, bounds)
}

/// Decodes an image on the way to `side` pixels on its longer side.
fn decode<R: BufRead + Seek>(mut input: R, side: u32) -> Result<(Format, Decoded), PreviewError> {
    let format = format_of(&mut input)?.ok_or(PreviewError::NotAnImage)?;
    input.seek(SeekFrom::Start(0))?;
    let decoded = match format {
        Format::Jpeg => jpeg::decode(&mut input, side),
        Format::Png => png::decode(&mut input, side),
        Format::WebP => webp::decode(&mut input, side),
        Format::Gif => gif::decode(&mut input, side),
        Format::Tiff => tiff::decode(&mut input, side),
        Format::Raw => raw::decode(&mut input, side),
        Format::Psd => psd::decode(&mut input, side),
        Format::Jxl => jxl::decode(&mut input, side),
        Format::Svg => svg::decode(&mut input, side),
        format @ (Format::Avif | Format::Heic) => heif::decode(format, &mut input, side),
        format @ (Format::Bmp | Format::Qoi | Format::Pnm | Format::Tga | Format::Ico) => {
            whole::decode(format, &mut input, side)
        }
        other => Err(PreviewError::NotDecoded(other)),
    }?;
    Ok((format, decoded))
}

/// Whether the system has a program that decodes HEIC; else its thumbnails are shown at best.
#[must_use]
pub fn decodes_heic() -> bool {
    heic::is_decoded()
}

/// The format of a file, if it is a known one: its first bytes tell it, and of most cameras' files its directories.
fn format_of<R: BufRead + Seek>(input: &mut R) -> Result<Option<Format>, PreviewError> {
    input.seek(SeekFrom::Start(0))?;
    match format::sniff(input)? {
        Some(Format::Tiff) if raw::is_raw(input)? => Ok(Some(Format::Raw)),
        format => Ok(format),
    }
}
