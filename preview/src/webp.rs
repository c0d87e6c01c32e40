//! WebP: the container is read here (RFC 9649), libwebp only gets one frame in a container made here.
//!
//! What follows behind the frame does not matter. Of a frame that is cut off, what there is of it is shown, with a warning.
//! Of an animation the first frame is shown
//! in its place on a white canvas. Dimensions are taken from the header of the bitstream itself, and checked, before
//! libwebp sees it.

mod libwebp;

use std::io::{BufRead, Seek, SeekFrom};

use crate::error::{check_density, check_dimensions};
use crate::exif::{self, Orientation};
use crate::png::on_white;
use crate::profile::Space;
use crate::raster::{Colour, Decoded, Plane};
use crate::shrink::to_usize;
use crate::{
    EXIF_BYTES_MAX, Format, ICC_BYTES_MAX, PreviewError, SEGMENTS_MAX, STREAMED_PIXELS_MAX, WEBP_BYTES_MAX,
    WHOLE_PIXELS_MAX, Warning, XMP_BYTES_MAX, xmp,
};

/// The most pixels of a frame that libwebp holds whole, however few bytes it has: four bytes for each.
const DENSE_PIXELS_MAX: u64 = 12_500_000;

/// What the container holds, as far as a preview needs it.
#[derive(Debug, Default)]
struct Container {
    canvas: Option<(u32, u32)>,
    /// Offset of the frame on the canvas.
    place: (u32, u32),
    alpha: Option<Vec<u8>>,
    bitstream: Option<(Kind, Vec<u8>)>,
    icc: Option<Vec<u8>>,
    /// By the EXIF, and by the XMP.
    orientations: [Option<Orientation>; 2],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Lossy,
    Lossless,
}

pub(crate) fn decode<R: BufRead + Seek>(input: &mut R, side: u32) -> Result<Decoded, PreviewError> {
    let container = Container::read(input)?;
    let (kind, bitstream) = container.bitstream.ok_or_else(|| damaged("it has no frame"))?;
    let frame = frame_size(kind, &bitstream).ok_or_else(|| damaged("the header of its frame is invalid"))?;
    let whole = kind == Kind::Lossless || container.alpha.is_some();
    check_dimensions(Format::WebP, frame, if whole { WHOLE_PIXELS_MAX } else { STREAMED_PIXELS_MAX })?;
    if whole {
        let bytes = bitstream.len() + container.alpha.as_ref().map_or(0, Vec::len);
        check_density(frame, u64::try_from(bytes).unwrap_or(u64::MAX), DENSE_PIXELS_MAX)?;
    }
    let canvas = container.canvas.unwrap_or(frame);
    let (left, top) = container.place;
    if left.saturating_add(frame.0) > canvas.0 || top.saturating_add(frame.1) > canvas.1 {
        return Err(damaged("its frame is larger than its canvas"));
    }
    let scale = Scale::of(canvas, side);
    let scaled = (scale.apply(frame.0).max(1), scale.apply(frame.1).max(1));
    let file = wrap(kind, frame, container.alpha.as_deref(), &bitstream);
    drop((bitstream, container.alpha));
    let (rgba, warning) = match libwebp::decode(&file, frame, scaled)? {
        libwebp::Pixels::Whole(rgba) => (rgba, None),
        libwebp::Pixels::Cut(rgba) => (rgba, Some(Warning::Incomplete)),
    };
    let mut opaque = Vec::new();
    on_white::<4>(&rgba, &mut opaque);
    let samples = if frame == canvas {
        opaque
    } else {
        place_on_canvas(&opaque, scaled, (scale.apply(left), scale.apply(top)), &scale)
    };
    Ok(Decoded {
        width: canvas.0,
        height: canvas.1,
        told: None,
        orientation: container.orientations.into_iter().flatten().next().unwrap_or_default(),
        planes: vec![Plane {
            samples,
            width: scale.width,
            height: scale.height,
            channels: 3,
            covered_width: f64::from(scale.width),
            covered_height: f64::from(scale.height),
        }],
        colour: Colour::Rgb,
        space: container.icc.map(Space::Icc),
        warning,
    })
}

/// The ratio by which libwebp shrinks, and the size of the canvas after it.
struct Scale {
    from: u32,
    to: u32,
    width: u32,
    height: u32,
}

impl Scale {
    /// On the way to `side` pixels: libwebp's filter is simple, so the good one that follows gets twice of them.
    fn of((width, height): (u32, u32), side: u32) -> Self {
        let from = width.max(height);
        let mut scale = Self { from, to: from.min(side.saturating_mul(2)), width, height };
        (scale.width, scale.height) = (scale.apply(width).max(1), scale.apply(height).max(1));
        scale
    }

    fn apply(&self, length: u32) -> u32 {
        let rounded =
            (u64::from(length) * u64::from(self.to) + u64::from(self.from) / 2) / u64::from(self.from);
        u32::try_from(rounded).unwrap_or(self.to)
    }
}

fn place_on_canvas(frame: &[u8], size: (u32, u32), place: (u32, u32), canvas: &Scale) -> Vec<u8> {
    let mut out = vec![255; to_usize(canvas.width) * to_usize(canvas.height) * 3];
    let rows = out.chunks_exact_mut(to_usize(canvas.width) * 3).skip(to_usize(place.1));
    for (target, source) in rows.zip(frame.chunks_exact(to_usize(size.0) * 3)) {
        for (target, source) in target.iter_mut().skip(to_usize(place.0) * 3).zip(source) {
            *target = *source;
        }
    }
    out
}

/// The size that the bitstream itself tells (RFC 6386 section 9.1; RFC 9649 section 3.4).
fn frame_size(kind: Kind, bitstream: &[u8]) -> Option<(u32, u32)> {
    match kind {
        Kind::Lossy => match bitstream.get(..10)? {
            [first, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1] if first & 1 == 0 => {
                let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
                Some((side(*w0, *w1), side(*h0, *h1)))
            }
            _ => None,
        },
        Kind::Lossless => match bitstream.get(..5)? {
            [0x2f, a, b, c, d] => {
                let bits = u32::from_le_bytes([*a, *b, *c, *d]);
                Some(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1))
            }
            _ => None,
        },
    }
}

/// A file with nothing but the frame.
fn wrap(kind: Kind, (width, height): (u32, u32), alpha: Option<&[u8]>, bitstream: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(bitstream.len() + alpha.map_or(0, <[u8]>::len) + 64);
    body.extend_from_slice(b"RIFF\0\0\0\0WEBP");
    if let (Kind::Lossy, Some(alpha)) = (kind, alpha) {
        let mut extended = vec![0x10, 0, 0, 0];
        extended.extend_from_slice(&(width - 1).to_le_bytes()[..3]);
        extended.extend_from_slice(&(height - 1).to_le_bytes()[..3]);
        chunk(&mut body, *b"VP8X", &extended);
        chunk(&mut body, *b"ALPH", alpha);
    }
    chunk(&mut body, if kind == Kind::Lossy { *b"VP8 " } else { *b"VP8L" }, bitstream);
    let len = u32::try_from(body.len() - 8).unwrap_or(u32::MAX);
    body[4..8].copy_from_slice(&len.to_le_bytes());
    body
}

fn chunk(out: &mut Vec<u8>, name: [u8; 4], data: &[u8]) {
    out.extend_from_slice(&name);
    out.extend_from_slice(&u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(data);
    if data.len() % 2 == 1 {
        out.push(0);
    }
}

impl Container {
    fn read<R: BufRead + Seek>(input: &mut R) -> Result<Self, PreviewError> {
        let file_len = input.seek(SeekFrom::End(0))?;
        input.seek(SeekFrom::Start(4))?;
        // Some writers count wrongly, and some files are cut off.
        let end = (u64::from(u32::from_le_bytes(read(input)?)) + 8).min(file_len);
        let mut at = 12;
        let mut out = Self::default();
        for _ in 0..SEGMENTS_MAX {
            // A lone byte may pad the end.
            if at + 8 > end {
                return Ok(out);
            }
            input.seek(SeekFrom::Start(at))?;
            let name: [u8; 4] = read(input)?;
            let len = u64::from(u32::from_le_bytes(read(input)?));
            at += 8;
            // Of the last chunk, what there is.
            let len = len.min(end - at);
            // The chunks of the first animation frame lie within its own: go on inside it.
            if &name == b"ANMF" && out.bitstream.is_none() && len >= 16 {
                let header: [u8; 16] = read(input)?;
                let place = |a, b, c| 2 * u32::from_le_bytes([a, b, c, 0]);
                out.place = (place(header[0], header[1], header[2]), place(header[3], header[4], header[5]));
                let mut inner = at + 16;
                while out.bitstream.is_none() && inner + 8 <= at + len {
                    input.seek(SeekFrom::Start(inner))?;
                    let name: [u8; 4] = read(input)?;
                    let inner_len = u64::from(u32::from_le_bytes(read(input)?));
                    inner += 8;
                    let inner_len = inner_len.min(at + len - inner);
                    out.take(input, name, inner_len)?;
                    inner += inner_len + inner_len % 2;
                }
            } else {
                out.take(input, name, len)?;
            }
            at += len + len % 2;
        }
        let max = u64::try_from(SEGMENTS_MAX).unwrap_or(u64::MAX);
        Err(too_large("number of chunks", max.saturating_add(1), max))
    }

    fn take<R: BufRead>(&mut self, input: &mut R, name: [u8; 4], len: u64) -> Result<(), PreviewError> {
        match &name {
            b"VP8X" if self.canvas.is_none() && len >= 10 => {
                let header: [u8; 10] = read(input)?;
                let side = |a, b, c| u32::from_le_bytes([a, b, c, 0]) + 1;
                let canvas = (side(header[4], header[5], header[6]), side(header[7], header[8], header[9]));
                check_dimensions(Format::WebP, canvas, STREAMED_PIXELS_MAX)?;
                self.canvas = Some(canvas);
            }
            b"VP8 " if self.bitstream.is_none() => {
                self.bitstream = Some((Kind::Lossy, self.read_frame(input, len)?));
            }
            b"VP8L" if self.bitstream.is_none() => {
                self.bitstream = Some((Kind::Lossless, self.read_frame(input, len)?));
            }
            b"ALPH" if self.alpha.is_none() && self.bitstream.is_none() => {
                self.alpha = Some(self.read_frame(input, len)?);
            }
            b"ICCP" if self.icc.is_none() && len <= u64::try_from(ICC_BYTES_MAX).unwrap_or(u64::MAX) => {
                self.icc = Some(read_bytes(input, len)?);
            }
            b"EXIF" => {
                let len = len.min(u64::try_from(EXIF_BYTES_MAX).unwrap_or(u64::MAX));
                self.orientations[0] = exif::orientation(&read_bytes(input, len)?);
            }
            b"XMP " if len <= u64::try_from(XMP_BYTES_MAX).unwrap_or(u64::MAX) => {
                self.orientations[1] = xmp::orientation(&read_bytes(input, len)?);
            }
            _ => {}
        }
        Ok(())
    }

    /// Reads a part of the frame.
    fn read_frame(&self, input: &mut impl BufRead, len: u64) -> Result<Vec<u8>, PreviewError> {
        let held = self.alpha.as_ref().map_or(0, Vec::len);
        let total = len.saturating_add(u64::try_from(held).unwrap_or(u64::MAX));
        if total > WEBP_BYTES_MAX {
            return Err(too_large("size of the frame in bytes", total, WEBP_BYTES_MAX));
        }
        read_bytes(input, len)
    }
}

fn read<const N: usize>(input: &mut impl BufRead) -> Result<[u8; N], PreviewError> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes).map_err(|error| PreviewError::from_read(Format::WebP, error))?;
    Ok(bytes)
}

/// Reads exactly `len` bytes, which the caller has found to lie within the file.
fn read_bytes(input: &mut impl BufRead, len: u64) -> Result<Vec<u8>, PreviewError> {
    let mut bytes = vec![0; usize::try_from(len).map_err(|_| damaged("a chunk is longer than the file"))?];
    input.read_exact(&mut bytes).map_err(|error| PreviewError::from_read(Format::WebP, error))?;
    Ok(bytes)
}

fn damaged(reason: &str) -> PreviewError {
    PreviewError::damaged(Format::WebP, reason)
}

fn too_large(what: &'static str, actual: u64, max: u64) -> PreviewError {
    PreviewError::TooLarge { what, actual, max }
}
